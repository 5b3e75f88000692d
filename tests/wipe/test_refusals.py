"""Each guard, tried for real: refused with its name and the culprit, and not a byte touched."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import struct
import subprocess
import sys
import textwrap
import time

import pytest

from conftest import LOSETUP, MIB, needs_tool


@pytest.fixture
def assert_refused(wipe):
    def check(device, guard, culprit="", *options, **kwargs):
        before = device.content()
        run = wipe.clear(device, *options, **kwargs)
        assert run.status == 76, str(run)
        assert run.error["outcome"] == "refused"
        assert run.error["guard"] == guard, str(run)
        assert culprit in run.error["culprit"], str(run)
        assert not run.of("claimed")
        assert device.content() == before, "it was touched"
        return run

    return check


@contextlib.contextmanager
def holder(code, *arguments):
    """A process that runs code and then holds what it has; it says "ready" when it does."""
    script = textwrap.dedent(code) + "\nprint('ready', flush=True)\nimport time; time.sleep(600)\n"
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline().strip()
        if said.startswith("skip"):
            pytest.skip(said)
        assert said == "ready", said
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# --- What may be cleared, and what was meant

def test_not_among_what_is_allowed(assert_refused, loop):
    assert_refused(loop, "allowed", str(loop.path), allow=["/dev/nvme*n*"])


def test_nothing_is_allowed_that_is_not_said_to_be(wipe, loop):
    request = wipe.request(loop)
    del request["allow"]
    before = loop.content()
    run = wipe.ask(request)
    assert run.status == 76 and run.error["guard"] == "allowed", str(run)
    assert loop.content() == before


def test_a_link_does_not_widen_what_is_allowed(wipe, loop, folder):
    link = folder / "nvme0n1"
    link.symlink_to(loop.path)
    run = wipe.run("--clear", link, f"--identity=size={loop.size}", f"--allow={folder}/*")
    assert run.status == 76 and run.error["guard"] == "allowed", str(run)
    assert run.error["culprit"] == str(loop.path)


def test_another_node_does_not_widen_what_is_allowed(wipe, loop, folder):
    before = loop.content()
    node = folder / "nvme0n1"
    os.mknod(node, 0o600 | 0o060000, os.stat(loop.path).st_rdev)
    run = wipe.run("--clear", node, f"--identity=size={loop.size}", f"--allow={folder}/*")
    assert run.status == 76 and run.error["guard"] == "allowed", str(run)
    assert loop.content() == before


def test_a_link_to_what_is_allowed_is_followed(wipe, loop, folder):
    link = folder / "by-id"
    link.symlink_to(loop.path)
    run = wipe.run("--clear", link, f"--identity=size={loop.size}", f"--allow={loop.path}", "--methods=overwrite")
    assert run.status == 0, str(run)
    assert loop.is_zero()


@pytest.mark.parametrize("identity", [["size=12345"], ["serial=NOTHERE"], ["SIZE", "wwn=naa.5000c500a1b2c3d4"],
                                      ["SIZE", "devno=259:0"]])
def test_another_identity(assert_refused, loop, identity):
    identity = [f"size={loop.size}" if i == "SIZE" else i for i in identity]
    assert_refused(loop, "identity", identity[-1].split("=")[0], identity=identity)


def test_a_file_is_known_by_its_inode(assert_refused, make_file):
    image = make_file()
    inode = os.stat(image.path).st_ino
    assert_refused(image, "identity", "inode", identity=[f"size={image.size}", f"inode={inode + 1}"])


def test_a_file_is_compared_by_what_is_given(wipe, assert_refused, make_file):
    """The number of its file system may be another one after the host has booted: who does not give it is not asked."""
    image = make_file()
    inode, device = os.stat(image.path).st_ino, os.stat(image.path).st_dev
    known = [f"size={image.size}", f"inode={inode}"]
    assert_refused(image, "identity", "device", identity=[*known, f"device={os.major(device)}:{os.minor(device) + 1}"])
    run = wipe.clear(image, "--methods=overwrite", identity=known)
    assert run.status == 0, str(run)
    assert image.is_zero()


def test_another_kind(wipe, loop):
    run = wipe.ask(wipe.request(loop, kind="file"))
    assert run.status == 76 and run.error["guard"] == "allowed", str(run)


# --- Who has it

def test_read_only(assert_refused, make_loop):
    assert_refused(make_loop(64 * MIB, "--read-only"), "read-only")


def test_immutable_file(assert_refused, make_file):
    needs_tool("chattr")
    image = make_file()
    if subprocess.run(["chattr", "+i", image.path], capture_output=True).returncode:
        pytest.skip("the file system has no immutable files")
    try:
        assert_refused(image, "read-only")
    finally:
        subprocess.run(["chattr", "-i", image.path], check=True)


def test_mounted(assert_refused, loop, folder):
    needs_tool("mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", loop.path], check=True)
    point = folder / "mount point"
    point.mkdir()
    subprocess.run(["mount", "-o", "ro", loop.path, point], check=True)
    try:
        assert_refused(loop, "mounted", str(point))
    finally:
        subprocess.run(["umount", point], check=True)


def test_mounted_in_another_namespace(assert_refused, wipe, loop, folder):
    needs_tool("mkfs.ext4", "unshare")
    subprocess.run(["mkfs.ext4", "-q", loop.path], check=True)
    point = folder / "elsewhere"
    point.mkdir()
    process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                f"mount -o ro {loop.path} '{point}' && echo ready && exec sleep 600"],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        run = assert_refused(loop, "mounted", str(point))
        assert f"process {process.pid}" in run.error["message"]
        plan = wipe.run("--plan", loop.path, f"--allow={loop.path}")
        found, = (guard for guard in plan.one("plan")["guards"] if guard["guard"] == "mounted")
        assert plan.status == 76 and found["outcome"] == "refused", str(plan)
        assert f"mounted on {point} in the mount namespace of process {process.pid}" in found["message"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_swap(assert_refused, loop):
    needs_tool("mkswap", "swapon")
    subprocess.run(["mkswap", "-q", loop.path], check=True, capture_output=True)
    if subprocess.run(["swapon", loop.path], capture_output=True).returncode:
        pytest.skip("no swap to be had here")
    try:
        assert_refused(loop, "swap", str(loop.path))
    finally:
        subprocess.run(["swapoff", loop.path], check=True)


def test_a_loop_on_top(assert_refused, loop):
    done = subprocess.run([LOSETUP, "--find", "--show", loop.path], capture_output=True, text=True, check=True)
    upper = done.stdout.strip()
    try:
        assert_refused(loop, "loop", os.path.basename(upper))
    finally:
        subprocess.run([LOSETUP, "--detach", upper], check=True)


def test_a_loop_on_a_file(assert_refused, make_loop):
    loop = make_loop()

    class Below:
        path, size = loop.backing, loop.size
        check, content = loop.check, loop.content

    assert_refused(Below, "loop", loop.name)


def test_the_hosts_root(wipe):
    """Only a plan: nothing that could go wrong here may be a clear."""
    number = os.stat("/").st_dev
    link = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"
    if not os.path.exists(link):
        pytest.skip("the root file system is on no block device")
    name = os.path.basename(os.path.realpath(link))
    try:
        os.close(os.open(f"/dev/{name}", os.O_RDONLY))
    except OSError as e:
        pytest.skip(f"the host's own disk may not even be looked at here: {e}")
    run = wipe.run("--plan", f"/dev/{name}", f"--allow=/dev/{name}")
    assert run.status == 76, str(run)
    refused = {guard["guard"] for guard in run.one("plan")["guards"] if guard["outcome"] == "refused"}
    assert {"root-chain", "mounted"} <= refused


def test_open_in_a_process(assert_refused, loop):
    with holder("import sys, os; fd = os.open(sys.argv[1], os.O_RDONLY)", loop.path) as process:
        run = assert_refused(loop, "open", f"process {process.pid} (")
        assert "python" in run.error["culprit"]


def test_open_under_another_node(assert_refused, loop, folder):
    """As libvirt gives a QEMU its disks: the same number, another inode, another name."""
    node = folder / "disk"
    os.mknod(node, 0o600 | 0o060000, os.stat(loop.path).st_rdev)
    with holder("import sys, os; fd = os.open(sys.argv[1], os.O_RDWR)", node) as process:
        assert_refused(loop, "open", f"process {process.pid}")


def test_open_in_a_thread_whose_leader_is_gone(assert_refused, loop):
    code = """
        import ctypes, os, sys, threading, time
        fd = os.open(sys.argv[1], os.O_RDONLY)
        def stay():
            while ') Z' not in open(f'/proc/self/task/{os.getpid()}/stat').read():
                time.sleep(0.01)
            print('ready', flush=True); time.sleep(600)
        threading.Thread(target=stay).start()
        ctypes.CDLL(None).pthread_exit(None)
    """
    with holder(code, loop.path) as process:
        assert_refused(loop, "open", f"process {process.pid}")


def test_only_mapped(assert_refused, loop):
    code = """
        import mmap, os, sys
        fd = os.open(sys.argv[1], os.O_RDONLY)
        libc = __import__('ctypes').CDLL(None, use_errno=True)
        import ctypes
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
        assert libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0) not in (None, 2 ** 64 - 1)
        os.close(fd)
    """
    with holder(code, loop.path) as process:
        run = assert_refused(loop, "open", f"process {process.pid}")
        assert "mapped" in run.error["message"]


URING = """
    import ctypes, os, sys
    libc = ctypes.CDLL(None, use_errno=True)
    parameters = ctypes.create_string_buffer(120)
    ring = libc.syscall(425, 8, parameters)
    if ring < 0:
        print('skip: no io_uring here', flush=True)
        sys.exit()
    fd = os.open(sys.argv[1], os.O_RDWR)
    fds = (ctypes.c_int * 3)(-1, fd, -1)
    assert libc.syscall(427, ring, 2, fds, 3) == 0
    os.close(fd)
"""


def test_only_registered_with_an_io_uring(assert_refused, loop):
    with holder(URING, loop.path) as process:
        run = assert_refused(loop, "open", f"process {process.pid}")
        assert "io_uring" in run.error["message"]


def test_a_file_only_registered_with_an_io_uring(assert_refused, make_file):
    image = make_file()
    with holder(URING, image.path) as process:
        assert_refused(image, "open", f"process {process.pid}")


def has_open(pid, path):
    with contextlib.suppress(FileNotFoundError):
        return any(os.path.realpath(entry) == str(path) for entry in os.scandir(f"/proc/{pid}/fd"))


def test_who_opens_it_for_a_moment_only_is_waited_for(wipe, loop):
    loop.check()
    with holder("import sys, os; fd = os.open(sys.argv[1], os.O_RDONLY)", loop.path) as process:
        clear = subprocess.Popen(wipe.command("--clear", loop.path, f"--identity=size={loop.size}",
                                              f"--allow={loop.path}", "--methods=overwrite"),
                                 stdout=subprocess.PIPE, text=True)
        # It opens the device before it asks who else has it open. see-all becomes it by exec.
        while clear.poll() is None and not has_open(clear.pid, loop.path):
            time.sleep(0.001)
    output, _ = clear.communicate(timeout=60)
    assert clear.returncode == 0, output
    assert loop.is_zero()


def test_nobody_hides(wipe, loop):
    needs_tool("setpriv")
    before = loop.content()
    loop.check()
    run = wipe.run("--clear", loop.path, f"--identity=size={loop.size}", f"--allow={loop.path}",
                   prefix=["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"])
    assert run.status == 76 and run.error["guard"] in ("mounted", "open"), str(run)
    assert "CAP_SYS_PTRACE" in run.error["message"]
    assert loop.content() == before


def test_a_pid_namespace_sees_too_little(wipe, loop):
    needs_tool("unshare")
    run = wipe.run("--clear", loop.path, f"--identity=size={loop.size}", f"--allow={loop.path}",
                   prefix=["unshare", "--pid", "--fork", "--mount-proc"])
    assert run.status == 76, str(run)


def test_held_exclusively(assert_refused, loop):
    with holder("import sys, os; fd = os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)", loop.path) as process:
        assert_refused(loop, "open", f"process {process.pid}")


# --- Locks on files, as QEMU and others take them

LOCK = """
    import fcntl, os, struct, sys
    fd = os.open(sys.argv[1], os.O_RDWR)
    start = int(sys.argv[2])
    lock = struct.pack('hhqqixxxx', fcntl.F_RDLCK, os.SEEK_SET, start, 1, 0)
    fcntl.fcntl(fd, 37, lock)
"""


@pytest.mark.parametrize("byte", [100, 103, 201])
def test_a_file_that_a_qemu_has_open(assert_refused, make_file, byte):
    image = make_file()
    with holder(LOCK, image.path, byte) as process:
        assert_refused(image, "open", f"process {process.pid}")


@pytest.fixture
def own_lock(make_file):
    """A lock held by a descriptor that no table shows: it is under way in a socket."""
    import array
    import socket

    image = make_file()
    ours, theirs = socket.socketpair()

    def take(kind):
        fd = os.open(image.path, os.O_RDWR)
        if kind == "ofd":
            fcntl.fcntl(fd, 37, struct.pack("hhqqixxxx", fcntl.F_RDLCK, os.SEEK_SET, 201, 1, 0))
        else:
            fcntl.flock(fd, fcntl.LOCK_SH)
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        os.close(fd)
        return image

    yield take
    ours.close()
    theirs.close()


@pytest.mark.parametrize("kind", ["ofd", "flock"])
def test_a_lock_whose_holder_cannot_be_seen(assert_refused, own_lock, kind):
    run = assert_refused(own_lock(kind), "claim")
    assert "lock" in run.error["message"]


def test_a_qemu_is_kept_out(wipe, make_file):
    needs_tool("qemu-io")
    image = make_file(64 * MIB)
    image.check()
    process = subprocess.Popen(wipe.command("--clear", image.path, f"--identity=size={image.size}",
                                            f"--allow={image.path}", "--methods=overwrite", "--max-mib-per-s=4"),
                               stdout=subprocess.PIPE, text=True)
    try:
        while '"phase":"clearing"' not in process.stdout.readline():
            pass
        done = subprocess.run(["qemu-io", "-f", "raw", "-c", "write 0 512", image.path], capture_output=True, text=True)
        assert done.returncode != 0
        assert "lock" in done.stdout + done.stderr
    finally:
        process.kill()
        process.communicate()


# --- Others' disks

def test_another_domain_names_it(wipe, loop, folder):
    before = loop.content()
    link = folder / "by-path"
    link.symlink_to(loop.path)
    run = wipe.ask(wipe.request(loop, others=[{"domain": "web-6", "source": "/nowhere/at/all"},
                                              {"domain": "web-7", "source": str(link)}]))
    assert run.status == 76, str(run)
    assert run.error["guard"] == "other-domain" and run.error["culprit"] == "web-7"
    assert loop.content() == before


def test_another_domain_names_a_file_by_a_hard_link(wipe, make_file, folder):
    image = make_file()
    link = folder / "same.raw"
    os.link(image.path, link)
    run = wipe.ask(wipe.request(image, others=[{"domain": "web-7", "source": str(link)}]))
    assert run.status == 76 and run.error["culprit"] == "web-7", str(run)


def test_a_domain_with_a_dangling_source_is_no_reason(wipe, loop):
    run = wipe.ask(wipe.request(loop, others=[{"domain": "old", "source": "/nowhere/at/all.qcow2"}]))
    assert run.status == 0, str(run)


# --- Partitions

@pytest.fixture
def partitions(make_loop):
    """A loop device with two partitions, made by ioctl (the kernel's BLKPG): no table is needed."""
    loop = make_loop()
    made = []
    fd = os.open(loop.path, os.O_RDWR)
    try:
        for number, start in ((1, 1 * MIB), (2, 17 * MIB)):
            partition = struct.pack("qqi64s64s4x", start, 16 * MIB, number, b"", b"")
            buffer = ctypes.create_string_buffer(partition)
            argument = struct.pack("iiiiP", 1, 0, len(partition), 0, ctypes.addressof(buffer))
            try:
                fcntl.ioctl(fd, 0x1269, argument)
            except OSError as e:
                pytest.skip(f"no partitions on loop devices here: {e}")
            made.append(f"{loop.path}p{number}")
    finally:
        os.close(fd)
    deadline = time.monotonic() + 30
    while not all(map(os.path.exists, made)) and time.monotonic() < deadline:
        time.sleep(0.05)
    yield loop, made
    fd = os.open(loop.path, os.O_RDWR)
    for number in (1, 2):
        argument = struct.pack("qqi64s64s4x", 0, 0, number, b"", b"")
        buffer = ctypes.create_string_buffer(argument)
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, 0x1269, struct.pack("iiiiP", 2, 0, len(argument), 0, ctypes.addressof(buffer)))
    os.close(fd)


def clear_partition(wipe, loop, path, *options):
    loop.check()
    return wipe.run("--clear", path, f"--identity=size={16 * MIB}", f"--allow={loop.path}p*", "--methods=overwrite",
                    *options)


def test_a_partition_is_cleared_alone(wipe, partitions):
    loop, (first, second) = partitions
    before = loop.content()
    run = clear_partition(wipe, loop, first)
    assert run.status == 0, str(run)
    assert run.certificate["device"]["identity"]["partition"] == f"{MIB}+{16 * MIB}"
    after = loop.content()
    assert not any(after[MIB:17 * MIB])
    assert after[:MIB] == before[:MIB] and after[17 * MIB:] == before[17 * MIB:]


def test_a_partition_whose_sibling_is_in_use(wipe, partitions):
    loop, (first, second) = partitions
    before = loop.content()
    with holder("import sys, os; fd = os.open(sys.argv[1], os.O_RDONLY)", second) as process:
        run = clear_partition(wipe, loop, first)
    assert run.status == 76 and run.error["guard"] == "partition-in-use", str(run)
    assert f"process {process.pid}" in run.error["culprit"]
    assert loop.content() == before


def test_a_disk_whose_partition_is_open(assert_refused, partitions):
    loop, (first, second) = partitions
    with holder("import sys, os; fd = os.open(sys.argv[1], os.O_RDONLY)", second) as process:
        assert_refused(loop, "open", f"process {process.pid}")


def test_a_partition_whose_disk_is_open(wipe, partitions):
    loop, (first, second) = partitions
    with holder("import sys, os; fd = os.open(sys.argv[1], os.O_RDONLY)", loop.path) as process:
        run = clear_partition(wipe, loop, first)
    assert run.status == 76 and run.error["guard"] == "open", str(run)


def test_borders_of_partitions_are_read(wipe, partitions):
    loop, made = partitions
    run = wipe.clear(loop, "--methods=overwrite")
    assert run.status == 0, str(run)
    assert run.certificate["verification"]["partitionBorders"] == 4
    assert loop.is_zero()


# --- Usage

@pytest.mark.parametrize("arguments", [
    ["--clear", "/dev/null"], ["--plan"], ["--clear", "/dev/loop0", "--identity", "size"],
    ["--clear", "/dev/loop0", "--identity", "colour=red"], ["--clear", "/dev/loop0", "--identity", "model=x"],
    ["--clear", "/dev/loop0", "--identity", "size=1", "--methods", "magic"],
    ["--clear", "/dev/loop0", "--identity", "size=1", "--level", "none"],
    ["--clear", "/dev/loop0", "--identity", "size=1", "--level", "purge", "--verify", "none"],
    ["--plan", "/dev/loop0", "--clear", "/dev/loop0"], ["--plan", "/dev/loop0", "/dev/loop1"], ["--nonsense"],
])
def test_usage(wipe, arguments):
    run = wipe.run(*arguments)
    assert run.status == 64
    assert not run.lines and "--help" in run.errors


@pytest.mark.parametrize("path", ["/dev/null", "/dev", "/dev/no-such-device", "/proc/self/mem"])
def test_what_is_no_device(wipe, path):
    run = wipe.run("--clear", path, "--identity=size=1", "--allow=/*/*")
    assert run.status == 71 and run.error["outcome"] == "failed", str(run)


def test_a_fifo_does_not_hang_it(wipe, folder):
    os.mkfifo(folder / "fifo")
    run = wipe.run("--clear", folder / "fifo", "--identity=size=1", f"--allow={folder}/*")
    assert run.status == 71, str(run)


def test_help_and_version(wipe):
    assert subprocess.run([wipe.program, "--help"], capture_output=True, text=True, check=True).stdout.startswith("Usage:")
    assert subprocess.run([wipe.program, "--version"], capture_output=True, text=True,
                          check=True).stdout.startswith("stopd-wipe ")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"version":2}', '{"version":1,"verb":"erase"}',
                                  '{"version":1,"verb":"clear","device":"/dev/loop0","gaurd":1}',
                                  '{"version":1} {"version":1}', "x" * (2 << 20), '{"a":' * 1000],
                         ids=range(11))
def test_hostile_requests(wipe, text):
    run = wipe.run(input=text)
    assert run.status == 64, str(run)
    assert run.error["outcome"] == "usage"
