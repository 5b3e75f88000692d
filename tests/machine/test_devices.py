"""stopd-wipe on what is no plain NVMe disk, and each guard tried for real.

The disks here live in the machine's memory, so their data are looked at from inside, with cmp; all
are filled with the same 8 MiB of noise."""

import contextlib
import struct

import pytest
from machine import MIB, wait_for
from wipe import NOT_CLEARED, cleared, refused, wait_for_progress

MIB_EACH = 8
SIZE = MIB_EACH * MIB
NOISE = "/tmp/noise"


@pytest.fixture
def noise(machine):
    machine.run(f"[ -e {NOISE} ] || head -c {SIZE} /dev/urandom >{NOISE}")


@pytest.fixture
def loops(machine, noise):
    """Makes loop devices, and takes them away again."""
    made = []

    def make(name="image"):
        number = len(made)
        made.append(f"/dev/loop{number}")
        machine.run(f"modprobe loop; cp {NOISE} /run/{name}.{number};"
                    f"losetup /dev/loop{number} /run/{name}.{number}")
        return made[-1]

    yield make
    for device in made:
        machine.run(f"losetup -d {device}; rm -f /run/*.{device[9:]}", status=None)


@pytest.fixture
def null_blk(machine, noise):
    """A disk in memory, of which some sectors can be bad."""
    folder = "/sys/kernel/config/nullb/stopd-null"

    def make(bad=""):
        machine.run(f"modprobe null_blk nr_devices=0; mkdir {folder}; cd {folder};"
                    f"echo {MIB_EACH} >size; echo 1 >memory_backed; echo 1 >discard; echo 1 >power;"
                    f"dd if={NOISE} of=/dev/stopd-null bs=1M oflag=direct;"
                    f"[ -z '{bad}' ] || echo {bad} >badblocks")
        return "/dev/stopd-null"

    yield make
    machine.run(f"echo 0 >{folder}/power; rmdir {folder}", status=None)


@pytest.fixture
def scsi(machine, noise):
    """A SCSI disk in memory, with scsi_debug's parameters."""
    def make(parameters):
        machine.run(f"modprobe sd_mod; modprobe scsi_debug dev_size_mb={MIB_EACH} {parameters};"
                    "until [ -b /dev/sda ]; do usleep 10000; done;"
                    f"dd if={NOISE} of=/dev/sda bs=1M oflag=direct")
        return "/dev/sda"

    yield make
    machine.run("rmmod scsi_debug")


@pytest.fixture
def mapper(machine):
    """Makes device mapper tables, and takes them away again."""
    made = []

    def make(name, table, *options):
        made.append(name)
        machine.run(f"modprobe -a dm-mod dm-flakey; dmsetup create {name} {' '.join(options)}",
                    stdin=table.encode())
        return f"/dev/mapper/{name}"

    yield make
    for name in reversed(made):
        machine.run(f"dmsetup remove --retry {name}")


def is_zero(machine, device, size=SIZE, skip=0):
    machine.run(f"blockdev --flushbufs {device}", status=None)
    return machine.run(f"cmp -s -n {size} {device} /dev/zero {skip} 0", status=None).status == 0


def is_kept(machine, device, size=SIZE, skip=0, noise_skip=0):
    machine.run(f"blockdev --flushbufs {device}", status=None)
    return machine.run(f"cmp -s -n {size} {device} {NOISE} {skip} {noise_skip}",
                       status=None).status == 0


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


def partitioned(machine, device):
    """Two partitions: of sectors 2048 to 8191, and of 8192 to the end."""
    entry = struct.Struct("<B3sB3sII")
    table = (entry.pack(0, b"\0\0\0", 0x83, b"\0\0\0", 2048, 6144) +
             entry.pack(0, b"\0\0\0", 0x83, b"\0\0\0", 8192, SIZE // 512 - 8192))
    machine.run(f"dd of={device} bs=512 count=1 conv=notrunc; blockdev --rereadpt {device};"
                f"until [ -b {device}p2 ]; do usleep 10000; done",
                stdin=bytes(446) + table + bytes(32) + b"\x55\xaa")
    return f"{device}p1", f"{device}p2"


def test_a_partition_and_nothing_beside_it(machine, wipe, null_blk):
    disk = null_blk()
    one, two = partitioned(machine, disk)
    cleared(wipe.clear(one, identity={"partition": "1048576+3145728", "size": str(3 * MIB)}))
    assert is_zero(machine, one, 3 * MIB)
    assert is_kept(machine, two, 4 * MIB, 0, 4 * MIB)
    assert is_kept(machine, disk, MIB - 512, 512, 512)


def test_a_partition_elsewhere_is_refused(machine, wipe, null_blk):
    one, _ = partitioned(machine, null_blk())
    refused(wipe.clear(one, identity={"partition": "2097152+3145728", "size": str(3 * MIB)}),
            "identity", "partition")
    assert is_kept(machine, one, 3 * MIB, 0, MIB)


def test_a_logical_volume_and_not_its_neighbour(machine, wipe, null_blk):
    disk = null_blk()
    machine.run("modprobe dm-mod; export LVM_SUPPRESS_FD_WARNINGS=1;"
                f"lvm vgcreate --config 'devices {{ use_devicesfile=0 types=[\"nullb\", 16] }}' vg {disk};"
                "for v in a b; do lvm lvcreate -y -Wn -Zn -n $v -l 50%FREE vg; done",
                status=None)
    try:
        for volume in ("a", "b"):
            machine.run(f"dd if={NOISE} of=/dev/mapper/vg-{volume} bs=1M oflag=direct", status=None)
        uuid = machine.ask("cat /sys/block/dm-0/dm/uuid")
        size = int(machine.ask("blockdev --getsize64 /dev/dm-0"))
        refused(wipe.clear("/dev/dm-0", identity={"volume": uuid[:-1] + "!", "size": str(size)}),
                "identity", "volume")
        cleared(wipe.clear("/dev/dm-0", identity={"volume": uuid, "size": str(size)}))
        assert is_zero(machine, "/dev/dm-0", size)
        assert is_kept(machine, "/dev/dm-1", int(machine.ask("blockdev --getsize64 /dev/dm-1")))
        refused(wipe.clear(disk, identity=SIZED), "holders", "dm-")
    finally:
        machine.run("lvm vgchange -an vg; dmsetup remove_all", status=None)


def test_a_file_by_its_inode(machine, wipe, noise):
    machine.run(f"cp {NOISE} /run/file")
    device, inode = machine.ask("stat -c '%d %i' /run/file").split()
    refused(wipe.clear("/run/file", identity={"device": "0:1", "inode": inode}), "identity", "device")
    assert is_kept(machine, "/run/file")
    identity = wipe.identity("/run/file")
    cleared(wipe.clear("/run/file", methods=["punch-hole", "write-zeroes", "overwrite"],
                       identity={key: identity[key] for key in ("device", "inode", "size")}))
    assert is_zero(machine, "/run/file")
    machine.run("rm /run/file")


@pytest.fixture
def target(machine, loops):
    """An NVMe target on a loop device: (the loop, connect())."""
    loop = loops()
    folder = "/sys/kernel/config/nvmet"
    machine.run(f"modprobe -a nvmet-tcp nvme-tcp; cd {folder}; mkdir subsystems/t; cd subsystems/t;"
                "echo 1 >attr_allow_any_host; echo TARGET >attr_serial; mkdir namespaces/1;"
                f"cd namespaces/1; echo {loop} >device_path;"
                "echo 00112233-4455-6677-8899-aabbccddeeff >device_nguid; echo 1 >enable;"
                f"mkdir {folder}/ports/1; cd {folder}/ports/1; echo ipv4 >addr_adrfam;"
                "echo tcp >addr_trtype; echo 127.0.0.1 >addr_traddr; echo 4420 >addr_trsvcid;"
                f"ln -s {folder}/subsystems/t subsystems/t")

    def connect():
        machine.run("nvme connect -t tcp -a 127.0.0.1 -s 4420 -n t")
        return wait_for(lambda: machine.ask(
            "for d in /sys/block/nvme*n*; do grep -q TARGET $d/device/serial && "
            "[ -b /dev/${d##*/} ] && echo /dev/${d##*/}; done; true"), "the target's namespace")

    yield loop, connect
    machine.run("nvme disconnect -n t; true")
    machine.run(f"cd {folder}; rm ports/1/subsystems/t; rmdir ports/1; echo 0 >subsystems/t/namespaces/1/enable;"
                "rmdir subsystems/t/namespaces/1 subsystems/t")


def test_nvme_over_tcp_has_no_format_and_is_cleared_otherwise(machine, wipe, target):
    loop, connect = target
    device = connect()
    outcome = wipe.clear(device, identity={"nguid": "00112233445566778899aabbccddeeff"})
    cleared(outcome, "write-zeroes")
    passed = {one["method"] for one in outcome.one("method")["passedOver"]}
    assert passed == {"nvme-format-crypto", "nvme-format-user-data"}, outcome
    machine.run(f"blockdev --flushbufs {loop}")
    assert is_zero(machine, loop)


# Guards


@contextlib.contextmanager
def during(machine, begin, end):
    machine.run(begin)
    try:
        yield
    finally:
        machine.run(end)


def refuses_and_keeps(machine, wipe, device, guard, culprit, **members):
    before = machine.ask(f"sha256sum <{device}")
    refused(wipe.clear(device, identity=SIZED, **members), guard, culprit)
    plan = wipe.plan(device, identity=SIZED, **members)
    found = {one["guard"]: one for one in plan.one("plan")["guards"]}
    assert found[guard]["outcome"] == "refused" and culprit in found[guard]["culprit"], plan
    assert machine.ask(f"sha256sum <{device}") == before


def test_mounted(machine, wipe, loops):
    device = loops()
    with during(machine, f"mke2fs {device} >/dev/null; mount {device} /mnt", "umount /mnt"):
        refuses_and_keeps(machine, wipe, device, "mounted", "/mnt")


def test_mounted_where_this_process_cannot_see_it(machine, wipe, loops):
    device = loops()
    job = machine.start(f"mke2fs {device} >/dev/null;"
                        f"exec unshare -m sh -c 'mount {device} /mnt; echo held; exec sleep 600'")
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
    loops("image")
    refused(wipe.clear("/run/image.0", identity=SIZED, methods=["punch-hole"]), "loop", "loop0")
    assert is_kept(machine, "/run/image.0")


def test_device_mapper_on_top(machine, wipe, loops, mapper):
    device = loops()
    mapper("top", f"0 {SIZE // 512} linear {device} 0")
    refuses_and_keeps(machine, wipe, device, "holders", "dm-")


def test_md_on_top(machine, wipe, loops):
    device = loops()
    create = ("modprobe -a md-mod raid1; yes | mdadm --create /dev/md0 --run --level=1 "
              f"--metadata=1.2 --raid-devices=2 {device} missing")
    with during(machine, create, "mdadm --stop /dev/md0"):
        refuses_and_keeps(machine, wipe, device, "holders", "md0")


def test_an_nvme_target_on_top(machine, wipe, target):
    loop, _ = target
    refuses_and_keeps(machine, wipe, loop, "nvme-target", "t")


@pytest.mark.parametrize("how", ["fd", "map", "uring"])
def test_open_in_another_process(machine, wipe, loops, how):
    device = loops()
    job = machine.start(f"exec holder {how} {device}")
    wait_for(lambda: job.output == "held", "the holder")
    refuses_and_keeps(machine, wipe, device, "open", str(job.pid))
    job.kill()
    job.wait()


def test_read_only(machine, wipe, loops):
    device = loops()
    with during(machine, f"blockdev --setro {device}", f"blockdev --setrw {device}"):
        refuses_and_keeps(machine, wipe, device, "read-only", "")


def test_a_disk_with_a_partition_that_is_mounted(machine, wipe, null_blk):
    device = null_blk()
    one, two = partitioned(machine, device)
    with during(machine, f"mke2fs {two} >/dev/null; mount {two} /mnt", "umount /mnt"):
        refuses_and_keeps(machine, wipe, device, "mounted", "/mnt")
        before = machine.ask(f"sha256sum <{one}")
        refused(wipe.clear(one, identity={"partition": "1048576+3145728", "size": str(3 * MIB)}),
                "siblings", two[5:])
        assert machine.ask(f"sha256sum <{one}") == before


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
