"""stopd-wipe on what is no plain NVMe disk, and each guard tried for real.

Most disks here live in the machine's memory, so their data are looked at from inside, by checksum; all
are filled with the same noise."""

import contextlib
import random
import struct
import zlib

import pytest
from disk import MIB
from machine import wait_for
from wipe import NOT_CLEARED, Outcome, cleared, held_by, refused

SIZE = 4 * MIB
NOISE = random.Random(1).randbytes(SIZE)


@pytest.fixture
def noise(machine):
    """A file of it in the machine."""
    if machine.run("[ -e /tmp/noise ]", status=None).status:
        machine.run("cat >/tmp/noise", stdin=NOISE)
    return "/tmp/noise"


@pytest.fixture
def loops(machine, noise):
    """Makes loop devices, and takes them away again. The image of /dev/loop0 is /run/image.loop0."""
    made = []

    def make():
        made.append(machine.ask(
            f"modprobe loop; device=$(losetup -f); image=/run/image.${{device#/dev/}};"
            f"cp {noise} $image; losetup $device $image; echo $device"))
        return made[-1]

    yield make
    for device in made:
        machine.run(f"losetup -d {device}; rm -f /run/image.{device[5:]}", status=None)


@pytest.fixture
def null_blk(machine, noise):
    """A disk in memory, of which some sectors can be bad."""
    folder = "/sys/kernel/config/nullb/stopd-null"

    def make(bad=""):
        machine.run(f"modprobe null_blk nr_devices=0; mkdir {folder}; cd {folder};"
                    f"echo {SIZE // MIB} >size; echo 1 >memory_backed; echo 1 >discard; echo 1 >power;"
                    f"dd if={noise} of=/dev/stopd-null bs=1M oflag=direct;"
                    f"[ -z '{bad}' ] || echo {bad} >badblocks")
        return "/dev/stopd-null"

    yield make
    machine.run(f"echo 0 >{folder}/power; rmdir {folder}", status=None)


@pytest.fixture
def scsi(machine, noise):
    """A SCSI disk in memory, with scsi_debug's parameters."""
    def make(parameters):
        machine.run(f"modprobe -a sd_mod sg;"
                    f"modprobe scsi_debug dev_size_mb={SIZE // MIB} {parameters}")
        wait_for_device(machine, "/dev/sda")
        machine.run(f"dd if={noise} of=/dev/sda bs=1M oflag=direct")
        return "/dev/sda"

    yield make
    machine.run("rmmod scsi_debug", status=None)


@pytest.fixture
def mapper(machine):
    """Makes device mapper tables, and takes them away again."""
    made = []

    def make(name, table):
        machine.run(f"modprobe -a dm-mod dm-flakey; dmsetup create {name}", stdin=table.encode())
        made.append(name)
        return f"/dev/mapper/{name}"

    yield make
    for name in reversed(made):
        machine.run(f"dmsetup remove --retry {name}", status=None)


def wait_for_device(machine, path):
    wait_for(lambda: machine.run(f"[ -b {path} ]", status=None).status == 0, path)


def is_data(machine, path, data, offset=0):
    """Whether there are these bytes at this place, past all caches."""
    direct = ",direct" if path.startswith("/dev/") else ""
    found = machine.ask(f"dd if={path} bs=256k iflag=skip_bytes,count_bytes{direct} skip={offset} "
                        f"count={len(data)} 2>/dev/null | crc32")
    return int(found, 16) == zlib.crc32(data)


def is_zero(machine, path, size=SIZE):
    return is_data(machine, path, bytes(size))


def is_kept(machine, path):
    return is_data(machine, path, NOISE)


SIZED = {"size": str(SIZE)}


# Kinds of devices


def test_loop(machine, wipe, loops):
    device = loops()
    cleared(wipe.clear(device, identity=SIZED), "write-zeroes")
    assert is_zero(machine, device)


def test_null_blk_with_bad_blocks_is_not_cleared_until_they_are_good(machine, wipe, null_blk):
    device = null_blk("+4096-4103")
    outcome = wipe.clear(device, identity=SIZED)
    assert outcome.status == NOT_CLEARED, outcome
    assert outcome.one("error")["outcome"] == "failed", outcome
    machine.run("echo -4096-4103 >/sys/kernel/config/nullb/stopd-null/badblocks")
    cleared(wipe.clear(device, identity=SIZED, resume=outcome.resume))
    assert is_zero(machine, device)


@pytest.mark.parametrize("parameters", ["lbpu=1 lbprz=0", "lbpu=1 lbprz=2"])
def test_scsi_discards_that_lie(machine, wipe, scsi, parameters):
    device = scsi(parameters)
    outcome = wipe.clear(device, identity=SIZED, methods=["discard", "overwrite"])
    cleared(outcome, "overwrite")
    assert outcome.setbacks == [("discard", "lied")], outcome
    assert is_zero(machine, device)


def test_scsi_by_its_wwn(machine, wipe, scsi):
    device = scsi("lbpu=1 lbprz=1")
    wwn = machine.ask("cat /sys/block/sda/device/wwid")
    refused(wipe.clear(device, identity={"wwn": "naa.5000000000000001"}), "identity", "wwn")
    assert is_kept(machine, device)
    cleared(wipe.clear(device, identity={"wwn": wwn}))
    assert is_zero(machine, device)


def test_scsi_open_through_its_generic_node(machine, wipe, scsi):
    device = scsi("lbpu=1 lbprz=1")
    node = machine.ask("ls -d /dev/sg*")
    with held_by(machine, "fd", node) as job:
        refuses_and_keeps(machine, wipe, device, "open", str(job.pid))


@pytest.mark.parametrize("feature", ["error_writes", "drop_writes"])
def test_flakey_is_not_cleared_until_it_is_well(machine, wipe, loops, mapper, feature):
    loop = loops()
    device = mapper("flakey", f"0 {SIZE // 512} flakey {loop} 0 0 3600 1 {feature}")
    outcome = wipe.clear(device, identity=SIZED)
    assert outcome.status == NOT_CLEARED, outcome
    assert is_kept(machine, device)
    machine.run("dmsetup suspend flakey; dmsetup load flakey; dmsetup resume flakey",
                stdin=f"0 {SIZE // 512} linear {loop} 0".encode())
    cleared(wipe.clear(device, identity=SIZED, resume=outcome.resume))
    assert is_zero(machine, device)


@pytest.fixture
def partitions(machine, disks):
    """Two partitions of the disk `ignore`: (its path, theirs). The second reaches to its end."""
    machine.fill(disks.ignore)
    device = machine.find(disks.ignore)
    entry = struct.Struct("<B3sB3sII")
    table = (entry.pack(0, bytes(3), 0x83, bytes(3), 2048, 6144) +
             entry.pack(0, bytes(3), 0x83, bytes(3), 8192, disks.ignore.size // 512 - 8192))
    machine.run(f"dd of={device} bs=512 count=1 conv=notrunc; blockdev --rereadpt {device}",
                stdin=bytes(446) + table + bytes(32) + b"\x55\xaa")
    wait_for_device(machine, f"{device}p2")
    yield device, f"{device}p1", f"{device}p2"
    machine.run(f"dd if=/dev/zero of={device} bs=512 count=1; blockdev --rereadpt {device}")


FIRST = {"partition": f"{MIB}+{3 * MIB}", "size": str(3 * MIB), "serial": "IGNORE"}


def test_a_partition_and_nothing_beside_it(machine, disks, wipe, partitions):
    _, one, _ = partitions
    cleared(wipe.clear(one, identity=FIRST), "write-zeroes")
    assert disks.ignore.changed() == [(0, 4096), (MIB, 4 * MIB)]
    assert disks.ignore.not_zero()[:2] == [(0, MIB), (4 * MIB, disks.ignore.size)]


def test_a_partition_elsewhere_is_refused(machine, disks, wipe, partitions):
    _, one, _ = partitions
    elsewhere = {**FIRST, "partition": f"{2 * MIB}+{3 * MIB}"}
    refused(wipe.clear(one, identity=elsewhere), "identity", "partition")
    assert disks.ignore.changed() == [(0, 4096)]


def test_a_partition_beside_one_in_use(machine, disks, wipe, partitions):
    device, one, two = partitions
    with during(machine, f"mke2fs {two} >/dev/null; mount {two} /mnt", "umount /mnt"):
        refused(wipe.clear(device, identity={"serial": "IGNORE"}), "mounted", "/mnt")
        refused(wipe.clear(one, identity=FIRST), "partition-in-use", "/mnt")
    assert not [extent for extent in disks.ignore.changed() if MIB <= extent[0] < 4 * MIB]


@pytest.fixture
def volumes(machine, null_blk):
    """Two logical volumes on one disk: (the disk, theirs)."""
    disk = null_blk()
    machine.run("modprobe dm-mod; printf 'devices {types=[\"nullb\",16]}\n' >/etc/lvm/lvm.conf;"
                f"lvm vgcreate -s 512k vg {disk};"
                "for v in a b; do lvm lvcreate -y -Wn -Zn -n $v -l 2 vg &&"
                "dd if=/tmp/noise of=/dev/mapper/vg-$v bs=1M count=1; done; lvm vgs")
    yield disk, "/dev/mapper/vg-a", "/dev/mapper/vg-b"
    machine.run("dmsetup remove vg-a vg-b", status=None)


def test_a_logical_volume_and_not_its_neighbour(machine, wipe, volumes):
    disk, one, two = volumes
    identity = wipe.identity(one)
    wanted = {"volume": machine.ask("dmsetup info -c --noheadings -o uuid vg-a"), "size": str(MIB)}
    assert wanted.items() <= {key: str(value) for key, value in identity.items()}.items()
    refused(wipe.clear(two, identity=wanted), "identity", "volume")
    cleared(wipe.clear(one, identity=wanted))
    assert is_zero(machine, one, MIB)
    assert is_data(machine, two, NOISE[:MIB])
    refused(wipe.clear(disk, identity=SIZED), "held", "vg-")


def test_a_file_by_its_inode(machine, wipe, noise):
    machine.run(f"cp {noise} /run/file")
    identity = {key: str(value) for key, value in wipe.identity("/run/file").items()
                if key in ("device", "inode", "size")}
    assert identity["inode"] == machine.ask("stat -c %i /run/file")
    refused(wipe.clear("/run/file", identity={**identity, "inode": "1"}), "identity", "inode")
    assert is_kept(machine, "/run/file")
    outcome = wipe.clear("/run/file", identity=identity, methods=["punch-hole", "overwrite"])
    cleared(outcome, "punch-hole")
    assert is_zero(machine, "/run/file")
    machine.run("rm /run/file")


NGUID = "00112233445566778899aabbccddeeff"


@pytest.fixture
def target(machine, loops):
    """An NVMe target on a loop device: (the loop, connect())."""
    loop, folder = loops(), "/sys/kernel/config/nvmet"
    machine.run(f"modprobe -a nvmet-tcp nvme-tcp; mkdir {folder}/subsystems/t;"
                f"cd {folder}/subsystems/t; echo 1 >attr_allow_any_host; echo TARGET >attr_serial;"
                f"mkdir namespaces/1; cd namespaces/1; echo {loop} >device_path;"
                f"echo {NGUID} >device_nguid; echo 1 >enable;"
                f"mkdir {folder}/ports/1; cd {folder}/ports/1; echo ipv4 >addr_adrfam;"
                "echo tcp >addr_trtype; echo 127.0.0.1 >addr_traddr; echo 4420 >addr_trsvcid;"
                f"ln -s {folder}/subsystems/t subsystems/t")

    def connect():
        machine.run("nvme connect -t tcp -a 127.0.0.1 -s 4420 -n t")
        return wait_for(lambda: machine.ask(
            "for d in /sys/block/nvme*n*; do grep -q TARGET $d/device/serial && "
            "[ -b /dev/${d##*/} ] && echo /dev/${d##*/}; done; true"), "the target's namespace")

    yield loop, connect
    machine.run("nvme disconnect -n t", status=None)
    machine.run(f"cd {folder}; rm ports/1/subsystems/t; rmdir ports/1; cd subsystems/t/namespaces;"
                f"echo 0 >1/enable; rmdir 1; rmdir {folder}/subsystems/t", status=None)


def test_a_namespace_that_other_hosts_may_use(machine, wipe, target):
    """An NVMe target's namespaces are shared, and it does not say with whom."""
    loop, connect = target
    device = connect()
    assert wipe.identity(device)["nguid"] == NGUID
    refused(wipe.clear(device, identity={"nguid": NGUID}), "shared-namespace")
    assert is_kept(machine, loop)


# Guards


@contextlib.contextmanager
def during(machine, begin, end):
    machine.run(begin)
    try:
        yield
    finally:
        machine.run(end)


def refuses_and_keeps(machine, wipe, device, guard, culprit, **members):
    """Both a clear and a plan refuse, and the bytes stay as they were."""
    before = machine.ask(f"md5sum <{device}")
    refused(wipe.clear(device, identity=SIZED, **members), guard, culprit)
    plan = wipe.plan(device, identity=SIZED, **members)
    found = {one["guard"]: one for one in plan.one("plan")["guards"]}
    assert found[guard]["outcome"] == "refused", plan
    assert culprit in found[guard]["culprit"], plan
    assert machine.ask(f"md5sum <{device}") == before


def test_mounted(machine, wipe, loops):
    device = loops()
    with during(machine, f"mke2fs {device} >/dev/null; mount -o ro {device} /mnt", "umount /mnt"):
        refuses_and_keeps(machine, wipe, device, "mounted", "/mnt")


def test_mounted_where_this_process_cannot_see_it(machine, wipe, loops):
    device = loops()
    job = machine.start(f"mke2fs {device} >/dev/null;"
                        f"exec unshare -m sh -c 'mount -o ro {device} /mnt; echo held; exec sleep 600'")
    wait_for(lambda: job.output == "held", "the mount")
    refuses_and_keeps(machine, wipe, device, "mounted", "/mnt")
    job.kill()
    job.wait()


def test_swap(machine, wipe, loops):
    device = loops()
    with during(machine, f"mkswap {device} >/dev/null; swapon {device}", f"swapoff {device}"):
        refuses_and_keeps(machine, wipe, device, "swap", device)


def test_a_loop_on_top(machine, wipe, null_blk):
    device = null_blk()
    with during(machine, f"modprobe loop; losetup /dev/loop7 {device}", "losetup -d /dev/loop7"):
        refuses_and_keeps(machine, wipe, device, "loop", "loop7")


def test_a_loop_on_a_file(machine, wipe, loops):
    loop = loops()
    image = f"/run/image.{loop[5:]}"
    refused(wipe.clear(image, identity=SIZED, methods=["punch-hole"]), "loop", loop[5:])
    assert is_kept(machine, image)


def test_device_mapper_on_top(machine, wipe, loops, mapper):
    device = loops()
    mapper("top", f"0 {SIZE // 512} linear {device} 0")
    refuses_and_keeps(machine, wipe, device, "held", "top")


def test_md_on_top(machine, wipe, loops):
    device = loops()
    create = ("modprobe -a md-mod raid1; mdadm --create /dev/md0 --run --level=1 "
              f"--metadata=1.2 --raid-devices=2 {device} missing")
    with during(machine, create, "mdadm --stop /dev/md0"):
        refuses_and_keeps(machine, wipe, device, "held", "md0")


def test_an_nvme_target_on_top(machine, wipe, target):
    loop, _ = target
    refuses_and_keeps(machine, wipe, loop, "target", "t")


@pytest.mark.parametrize("how", ["fd", "map", "uring"])
def test_open_in_another_process(machine, wipe, loops, how):
    device = loops()
    with held_by(machine, how, device) as job:
        refuses_and_keeps(machine, wipe, device, "open", str(job.pid))


def test_read_only(machine, wipe, loops):
    device = loops()
    with during(machine, f"blockdev --setro {device}", f"blockdev --setrw {device}"):
        refuses_and_keeps(machine, wipe, device, "read-only", "")


def test_a_link_of_the_root_s_chain(machine, wipe, disks, mapper):
    """Its own root stands on device mapper on the disk."""
    machine.fill(disks.ignore)
    device = machine.find(disks.ignore)
    root = mapper("root", f"0 {disks.ignore.size // 512} linear {device} 0")
    folders = ("usr", "proc", "sys", "dev", "run")
    enter = (f"mke2fs {root} >/dev/null; mount {root} /mnt; cd /mnt; mkdir {' '.join(folders)};"
             "for link in lib lib64; do ln -s usr/$link; done;" +
             "".join(f"mount --bind /{folder} {folder};" for folder in folders))
    leave = "".join(f"umount /mnt/{folder};" for folder in folders) + "umount /mnt"
    with during(machine, enter, leave):
        before = disks.ignore.changed()
        outcome = Outcome(machine.run("chroot /mnt /usr/bin/stopd-wipe", status=None,
                                      stdin=wipe.request("clear", device,
                                                         {"identity": {"serial": "IGNORE"}})))
        refused(outcome, "root-chain")
        assert disks.ignore.changed() == before


def test_another_domain_names_it(machine, wipe, loops):
    device = loops()
    machine.run(f"ln -sf {device} /run/alias")
    for source in (device, "/run/alias"):
        refuses_and_keeps(machine, wipe, device, "other-domain", "web1",
                          others=[{"domain": "web1", "source": source}])
    machine.run("rm /run/alias")


def test_what_is_not_allowed(machine, wipe, loops):
    device = loops()
    refuses_and_keeps(machine, wipe, device, "allowed", device, allow={"devices": ["/dev/nvme*n*"]})


def test_a_link_does_not_widen_what_is_allowed(machine, wipe, loops):
    device = loops()
    machine.run(f"mkdir -p /dev/disk; ln -sf {device} /dev/disk/ours")
    refused(wipe.clear("/dev/disk/ours", identity=SIZED, allow={"devices": ["/dev/disk/*"]}), "allowed")
    assert is_kept(machine, device)
