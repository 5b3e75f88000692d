"""libvirt's qemu hook: no domain starts on a disk that is owed a clear, and nothing else is ever refused.

The hook is run as libvirt runs it, on XML as libvirt writes it; markers are in the form that test_markers.c holds. That
libvirtd really asks the hook, and heeds it, is in tests/integration."""

import itertools
import json
import os
import pathlib
import stat
import subprocess
import sys
import time
import uuid

import pytest

from conftest import HERE, MIB, find_program, needs_tool

HOOK = HERE.parent.parent / "contrib" / "hooks" / "qemu"
REQUEST = "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"
REFUSED = 76

# After libvirt's documentation of hooks, and two that do not exist.
OPERATIONS = ["prepare", "start", "started", "stopped", "release", "migrate", "restore", "reconnect", "attach",
              "dance", ""]
SUBOPERATIONS = ["begin", "end", "-", ""]
EXTRAS = ["-", "", "shutdown"]


def boot_id():
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Owed:
    """The folder of markers, and the hook that looks into it."""

    def __init__(self, folder):
        self.folder = folder / "owed"
        self.hook = folder / "qemu"
        self.install(find_program("stopd-may-start"))

    def install(self, program):
        text = HOOK.read_text()
        for was, now in (("folder=/var/lib/stopd/owed", f"folder={self.folder}"),
                         ("program=/usr/sbin/stopd-may-start", f"program={program}")):
            assert text.count(was) == 1
            text = text.replace(was, now)
        self.hook.write_text(text)
        self.hook.chmod(0o755)

    def mark(self, path, kind=None, identity=None, boot=None, controllers=(), target="vdb", request=REQUEST):
        self.folder.mkdir(exist_ok=True)
        if kind is None:
            kind = "block" if stat.S_ISBLK(os.stat(path).st_mode) else "file"
        domain = str(uuid.uuid4())
        marker = {"version": 1, "requestId": request, "instanceId": "i-bp67acfmxazb4ph", "domain": domain,
                  "target": target, "device": str(path), "kind": kind, "bootId": boot or boot_id(),
                  "controllers": list(controllers), "identity": identity or identity_of(path)}
        file = self.folder / f"{domain}.{target}.json"
        file.write_text(json.dumps(marker))
        return file

    def run(self, xml, *arguments, **options):
        arguments = arguments or ("guest", "prepare", "begin", "-")
        return subprocess.run([str(self.hook), *arguments], input=xml, capture_output=True, text=True, timeout=60,
                              **options)

    def passes(self, xml, *arguments, **options):
        done = self.run(xml, *arguments, **options)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", ""), done

    def refuses(self, xml, *says, **options):
        done = self.run(xml, **options)
        assert done.returncode == REFUSED and not done.stdout, done
        assert done.stderr.count("\n") == 1 and done.stderr.startswith("stopd: domain guest may not start: "), done
        for each in says:
            assert each in done.stderr, done


@pytest.fixture
def owed(folder):
    return Owed(folder)


def identity_of(path):
    found = os.stat(path)
    if stat.S_ISREG(found.st_mode):
        return {"size": found.st_size, "inode": found.st_ino,
                "device": f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}"}
    number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    sysfs = pathlib.Path(f"/sys/dev/block/{number}").resolve()
    identity = {"devno": number, "size": int((sysfs / "size").read_text()) * 512}
    if (sysfs / "partition").exists():
        identity["partition"] = f"{int((sysfs / 'start').read_text()) * 512}+{identity['size']}"
        sysfs = sysfs.parent
    if (sysfs / "diskseq").exists():
        identity["sequence"] = (sysfs / "diskseq").read_text().strip()
    return identity


def xml(*disks, devices=""):
    """A definition with these sources, each a path, or the inside of a <disk>."""
    elements = ""
    for number, disk in enumerate(disks):
        target = f"<target dev='vd{chr(ord('a') + number)}' bus='virtio'/>"
        if str(disk).startswith("<"):
            elements += f"<disk type='block'>{disk}{target}</disk>"
        elif os.path.exists(disk) and stat.S_ISBLK(os.stat(disk).st_mode):
            elements += f"<disk type='block' device='disk'><source dev='{disk}'/>{target}</disk>"
        else:
            elements += f"<disk type='file' device='disk'><source file='{disk}'/>{target}</disk>"
    return (f"<domain type='kvm'><name>guest</name><uuid>{uuid.uuid4()}</uuid><memory>1024</memory>"
            f"<os><type>hvm</type></os><devices>{elements}{devices}</devices></domain>")


# --- What passes -----------------------------------------------------------------------------


def test_all_but_the_beginning_of_a_start_passes(owed, make_file):
    """A refusal of reconnect would kill guests that run."""
    file = make_file(MIB)
    owed.mark(file.path)
    (owed.folder / f"{uuid.uuid4()}.vdc.json").write_text("garbage")
    for operation, suboperation, extra in itertools.product(OPERATIONS, SUBOPERATIONS, EXTRAS):
        if (operation, suboperation) == ("prepare", "begin"):
            continue
        owed.passes(xml(file.path), "guest", operation, suboperation, extra)
    owed.passes("", "guest")
    owed.passes("not even XML", "guest", "reconnect", "begin", "-")
    owed.refuses(xml(file.path))


def test_the_program_itself_passes_them_too(owed, make_file):
    file = make_file(MIB)
    owed.mark(file.path)
    program = [str(find_program("stopd-may-start")), "--folder", str(owed.folder)]
    for operation, suboperation, extra in itertools.product(OPERATIONS, SUBOPERATIONS, EXTRAS):
        done = subprocess.run([*program, "guest", operation, suboperation, extra], input=xml(file.path), text=True,
                              capture_output=True)
        expected = REFUSED if (operation, suboperation) == ("prepare", "begin") else 0
        assert done.returncode == expected, (operation, suboperation, done)
    for few in ([], ["guest"], ["guest", "prepare"]):
        assert subprocess.run([*program, *few], stdin=subprocess.DEVNULL).returncode == 0


def test_nothing_owed_nothing_read(owed):
    """No folder, an empty one, one with other files: not even the XML matters."""
    owed.passes("not XML")
    owed.folder.mkdir()
    owed.passes("not XML")
    (owed.folder / "README").write_text("of the administrator")
    (owed.folder / f".new-{uuid.uuid4()}.vdb.json").write_text("{")
    owed.passes("not XML")


def test_other_disks_pass(owed, make_loop, make_file):
    ours, other = make_loop(4 * MIB), make_loop(4 * MIB)
    owed.mark(ours.path)
    owed.mark(make_file(MIB).path)
    owed.passes(xml(other.path, make_file(MIB).path, "/nowhere/at/all.qcow2", "/dev/null"))
    owed.passes(xml())
    owed.passes(xml("<source startupPolicy='optional'/>", "<source protocol='rbd' name='pool/image'/>"))


# --- What does not ---------------------------------------------------------------------------


def test_an_owed_device_under_any_name(owed, make_loop, folder):
    loop = make_loop(4 * MIB)
    link, node = folder / "by-id", folder / "node"
    link.symlink_to(loop.path)
    os.mknod(node, stat.S_IFBLK | 0o600, os.stat(loop.path).st_rdev)
    owed.mark(loop.path)
    for name in (loop.path, link, node):
        owed.refuses(xml(name), "disk vda", str(name), REQUEST, "i-bp67acfmxazb4ph", "stopctl show", "stopctl retry")
        owed.refuses(xml("/nowhere", name), "disk vdb")
    # A link that was turned to another disk since names that one.
    other = make_loop(4 * MIB)
    link.unlink()
    link.symlink_to(other.path)
    owed.passes(xml(link))


def test_an_owed_file_under_any_name(owed, make_file, folder):
    file = make_file(MIB)
    link, hard = folder / "link", folder / "hard"
    link.symlink_to(file.path)
    os.link(file.path, hard)
    owed.mark(file.path)
    for name in (file.path, link, hard):
        owed.refuses(xml(name), REQUEST)


def test_a_loop_is_its_file(owed, make_loop):
    loop = make_loop(4 * MIB)
    marker = owed.mark(loop.path)
    owed.refuses(xml(loop.backing))
    marker.unlink()
    owed.mark(loop.backing)
    owed.refuses(xml(loop.path))


def test_partitions_are_stretches_of_their_disk(owed, make_loop):
    needs_tool("addpart")
    loop = make_loop(8 * MIB, "-P")
    parts = [pathlib.Path(f"{loop.path}p{n}") for n in (1, 2)]
    for n, start in ((1, 2048), (2, 8192)):
        if subprocess.run(["addpart", str(loop.path), str(n), str(start), "4096"]).returncode:
            pytest.skip("no partitions on loop devices here")
    deadline = time.monotonic() + 60
    while not all(p.exists() for p in parts):
        assert time.monotonic() < deadline, "udev does not make the partitions' nodes"
        time.sleep(0.02)
    marker = owed.mark(parts[0])
    owed.refuses(xml(parts[0]))
    owed.refuses(xml(loop.path))
    owed.passes(xml(parts[1]))
    marker.unlink()
    owed.mark(loop.path)
    owed.refuses(xml(parts[0]))
    owed.refuses(xml(parts[1]))


def test_all_that_a_disk_reads_counts(owed, make_file):
    file = make_file(MIB)
    owed.mark(file.path)
    backing = (f"<source file='/nowhere/top.qcow2'/><backingStore type='file'><format type='qcow2'/>"
               f"<source file='/nowhere/middle.qcow2'/><backingStore type='file'><source file='{file.path}'/>"
               f"<backingStore/></backingStore></backingStore>")
    owed.refuses(xml("/nowhere/else", backing), "disk vdb", str(file.path))
    owed.refuses(xml(f"<source file='/nowhere/a'/><mirror type='file' job='copy'><source file='{file.path}'/></mirror>"))
    owed.refuses(xml(devices=f"<serial type='file'><source path='{file.path}'/></serial>"), str(file.path))
    # In another namespace it is not libvirt's.
    owed.passes(xml(devices=f"<x:disk xmlns:x='urn:x'><x:source file='{file.path}'/></x:disk>"))


def test_the_controller_of_an_owed_disk(owed, make_loop):
    owed.mark(make_loop(4 * MIB).path, controllers=["0000:01:00.0", "0001:02:1f.7"])
    address = "<address domain='{}' bus='{}' slot='{}' function='{}'/>"
    hostdev = "<hostdev mode='subsystem' type='pci' managed='yes'><source>{}</source></hostdev>"
    owed.refuses(xml(devices=hostdev.format(address.format("0x0000", "0x01", "0x00", "0x0"))), "0000:01:00.0")
    owed.refuses(xml(devices=hostdev.format(address.format("0x0001", "0x02", "0x1f", "0x7"))), "0001:02:1f.7")
    owed.passes(xml(devices=hostdev.format(address.format("0x0000", "0x02", "0x00", "0x0"))))
    owed.refuses(xml(devices=hostdev.format(address.format("0x0000", "0x02", "0x40", "0x0"))), "cannot be told")
    owed.refuses(xml("<source type='pci' managed='yes' namespace='1'>"
                     + address.format("0x0000", "0x01", "0x00", "0x0") + "</source>"), "0000:01:00.0")


def with_pool(owed, text, volume, pools="/etc/libvirt/storage"):
    """The hook's word on a domain with this volume, where libvirt's file of the pool "local" has this text."""
    parent = os.path.dirname(pools)
    inside = (f"mkdir -p {parent} && mount -t tmpfs tmpfs {parent} && mkdir {pools} && "
              f"printf %s \"$POOL\" > {pools}/local.xml && exec {owed.hook} guest prepare begin -")
    done = subprocess.run(["unshare", "-m", "sh", "-c", inside], text=True, capture_output=True,
                          input=xml(f"<source pool='local' volume='{volume}'/>"), env={**os.environ, "POOL": text})
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no private mounts here: {done.stderr}")
    return done


@pytest.mark.parametrize("pools, form", [("/etc/libvirt/storage", "<!-- a note -->{}"),
                                          ("/run/libvirt/storage", "<poolstate>{}</poolstate>")])
def test_a_volume_of_a_pool(owed, make_file, pools, form):
    """libvirt must not be asked from its own hook; where its pools are stands in its files."""
    file, other = make_file(MIB), make_file(MIB)
    owed.mark(file.path)
    pool = form.format(f"<pool type='dir'><name>local</name><target><path>{file.path.parent}</path></target></pool>")
    refused = with_pool(owed, pool, file.path.name, pools)
    assert refused.returncode == REFUSED and str(file.path) in refused.stderr, refused
    assert with_pool(owed, pool, other.path.name, pools).returncode == 0


def test_a_volume_of_a_network_is_no_disk_of_this_host(owed, make_file):
    owed.mark(make_file(MIB).path)
    pool = "<pool type='{}'><name>local</name><source/></pool>"
    assert with_pool(owed, pool.format("rbd"), "image").returncode == 0
    refused = with_pool(owed, pool.format("scsi"), "unit:0:0:1")
    assert refused.returncode == REFUSED and "volume unit:0:0:1 of pool local" in refused.stderr, refused


@pytest.mark.parametrize("pool", ["../../etc/passwd", "unknown"])
def test_a_volume_that_cannot_be_told_may_be_any(owed, make_file, pool):
    volume = xml(f"<source pool='{pool}' volume='x'/>")
    owed.passes(volume)
    owed.mark(make_file(MIB).path)
    owed.refuses(volume, f"volume x of pool {pool}")


# --- Over a boot -----------------------------------------------------------------------------


def test_over_a_boot_a_nameless_disk_is_known_by_its_path(owed, make_loop):
    ours, other = make_loop(4 * MIB), make_loop(4 * MIB)
    identity = identity_of(other.path)  # the number is another disk's now, and means nothing
    del identity["sequence"]
    owed.mark(ours.path, identity=identity, boot=str(uuid.uuid4()))
    owed.refuses(xml(ours.path))
    owed.passes(xml(other.path))


def test_a_disk_that_is_gone_is_known_by_its_path(owed, make_loop):
    loop = make_loop(4 * MIB)
    # Here is another disk by now, but the right one may come back under this path.
    owed.mark(loop.path, identity={**identity_of(loop.path), "serial": "S4EWNX0R"})
    owed.refuses(xml(loop.path), REQUEST)
    owed.mark("/dev/no-such-disk", kind="block", identity={"size": 1, "serial": "S4EWNX0S"})
    owed.refuses(xml("/dev/no-such-disk"), "/dev/no-such-disk")
    owed.passes(xml("/dev/no-other-disk"))


def test_a_named_disk_is_found_wherever_it_is(owed):
    """By its serial number, under another path and number than it had, as after a boot."""
    for serial in pathlib.Path("/sys/block").glob("*/serial"):
        name, number = serial.read_text().strip(), serial.parent.name
        if name:
            break
    else:
        pytest.skip("no disk of this machine has a serial number")
    owed.mark("/dev/nvme9n1", kind="block", identity={"size": 1, "serial": name, "devno": "259:9"},
              boot=str(uuid.uuid4()))
    owed.refuses(xml(f"/dev/{number}"), f"/dev/{number}", REQUEST)


def test_another_disk_under_the_same_number_passes(owed, make_loop):
    loop = make_loop(4 * MIB)
    identity = identity_of(loop.path)
    if "sequence" not in identity:
        pytest.skip("this kernel does not count disks")
    identity["sequence"] = str(int(identity["sequence"]) - 1)
    owed.mark("/dev/loop-that-was", kind="block", identity=identity)
    owed.passes(xml(loop.path))


# --- What cannot be read ---------------------------------------------------------------------


def test_what_cannot_be_read_refuses_whoever_names_a_disk(owed, make_file):
    other = make_file(MIB)
    owed.folder.mkdir()
    marker = owed.folder / f"{uuid.uuid4()}.vdb.json"
    for garbage in ("", "{", "{}", json.dumps({"version": 2}), "\0"):
        marker.write_text(garbage)
        owed.refuses(xml(other.path), str(marker))
        owed.passes(xml())
    marker.unlink()
    marker.mkdir()
    owed.refuses(xml(other.path), str(marker))


def test_a_folder_that_cannot_be_read(owed, make_file, folder):
    other = make_file(MIB)
    owed.folder.write_text("not a folder")
    owed.refuses(xml(other.path), str(owed.folder))
    owed.folder.unlink()
    owed.mark(other.path).parent.chmod(0o700)
    folder.chmod(0o755)
    program = find_program("stopd-may-start")
    if any(not os.stat(p).st_mode & 0o001 for p in program.parents):
        pytest.skip("the program cannot be run by others where it is")
    owed.refuses(xml("/etc/passwd"), "Permission denied", user="nobody", group="nogroup", extra_groups=[])


def test_a_definition_that_cannot_be_read(owed, make_file):
    owed.mark(make_file(MIB).path)
    for garbage in ("", "<domain>", "<network/>", "<!DOCTYPE domain SYSTEM 'x'><domain/>",
                    "<domain>" + "<a>" * 3000 + "</a>" * 3000 + "</domain>"):
        owed.refuses(garbage, "cannot be read")
    owed.refuses("<domain><!--" + "x" * (17 * MIB) + "--></domain>", "too long")


def test_without_the_program_nothing_starts_while_anything_is_owed(owed, make_file, folder):
    owed.install(folder / "no-such-program")
    owed.passes(xml("/nowhere"))
    owed.folder.mkdir()
    owed.passes(xml("/nowhere"))
    (owed.folder / "README").write_text("of the administrator")
    owed.passes(xml("/nowhere"))
    owed.mark(make_file(MIB).path)
    owed.refuses(xml("/nowhere"), "no-such-program is missing")
    owed.passes(xml("/nowhere"), "guest", "reconnect", "begin", "-")


# --- As libvirt writes it --------------------------------------------------------------------


@pytest.fixture
def libvirt_xml(folder):
    """The XML of a domain with these disks as libvirt itself writes it: defined, and running."""
    libvirt = pytest.importorskip("libvirt")
    if not os.access("/usr/bin/qemu-system-x86_64", os.X_OK):
        pytest.skip("qemu-system-x86 is not installed")
    root = folder / "embed"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "qemu.conf").write_text('user = "root"\ngroup = "root"\nstdio_handler = "file"\n'
                                            'cgroup_controllers = []\nsecurity_driver = "none"\nnamespaces = []\n')
    script = HERE / "embedded-domain"

    def write(*disks):
        done = subprocess.run([sys.executable, str(script), str(root), *map(str, disks)], capture_output=True,
                              text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"no embedded libvirt here: {done.stderr}")
        return json.loads(done.stdout)

    assert libvirt
    return write


def test_as_libvirt_writes_it(owed, libvirt_xml, make_loop, make_file):
    loop, other, file = make_loop(4 * MIB), make_loop(4 * MIB), make_file(MIB)
    written = libvirt_xml(other.path, loop.path, file.path)
    assert "<alias name=" in written["running"], "this is no running domain's"
    marker = owed.mark(loop.path)
    for state in ("defined", "running"):
        owed.refuses(written[state], "disk vdb", str(loop.path))
    marker.unlink()
    marker = owed.mark(file.path)
    for state in ("defined", "running"):
        owed.refuses(written[state], "disk vdc", str(file.path))
    marker.unlink()
    owed.mark(make_loop(4 * MIB).path)
    for state in ("defined", "running"):
        owed.passes(written[state])


def test_it_is_quick(owed, make_file):
    """libvirt waits for it with every start."""
    files = [make_file(4096).path for _ in range(64)]
    for file in files:
        owed.mark(file)
    text = xml(*["/nowhere/at/all"] * 200)
    before = os.times()
    for _ in range(10):
        owed.passes(text)
    after = os.times()
    # Its own time on a processor: that of the clock is also others'.
    assert (after.children_user + after.children_system - before.children_user - before.children_system) / 10 < 0.5
