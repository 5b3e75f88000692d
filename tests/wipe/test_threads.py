"""What only one of a process's threads has: the guard looks at each that shows something of its own."""

import pytest

from test_refusals import assert_refused, holder  # noqa: F401: a fixture

# ready() is said when `work`, in a second thread, is done; the first thread stays, or ends before.
THREADED = """
    import ctypes, mmap, os, sys, threading, time
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    CLONE_FILES, NONE = 0x400, (None, 2 ** 64 - 1)
    first_ends = {first_ends}
    def work():
        {work}
        while first_ends and ') Z' not in open(f'/proc/self/task/{{os.getpid()}}/stat').read():
            time.sleep(0.01)
        print('ready', flush=True); time.sleep(600)
    fd = -1
    {before}
    threading.Thread(target=work).start()
    first_ends and libc.pthread_exit(None)
    time.sleep(600)
"""
OPEN = "fd = os.open(sys.argv[1], os.O_RDWR)"
OWN_TABLE = "assert libc.unshare(CLONE_FILES) == 0; " + OPEN
MAP = (OPEN + "; assert libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0) not in NONE; os.close(fd)")


@pytest.mark.parametrize("first_ends", [False, True])
@pytest.mark.parametrize("before, work", [("", OWN_TABLE), (MAP, "pass"), (OPEN, "pass")],
                         ids=["descriptors of its own", "mapped", "open"])
def test_what_a_thread_has(assert_refused, loop, before, work, first_ends):  # noqa: F811
    with holder(THREADED.format(before=before, work=work, first_ends=first_ends), loop.path) as process:
        run = assert_refused(loop, "open", f"process {process.pid} (")
        assert ("mapped" in run.error["message"]) == (before == MAP), str(run)


def test_a_thread_among_many_has_it(assert_refused, loop):  # noqa: F811
    """The others share one table, and the one that does not is neither the first nor the last."""
    code = """
        import ctypes, os, sys, threading, time
        libc, done = ctypes.CDLL(None, use_errno=True), threading.Barrier(41)
        def stay(number):
            if number == 20:
                assert libc.unshare(0x400) == 0
                os.open(sys.argv[1], os.O_RDWR)
            done.wait(); time.sleep(600)
        for number in range(40):
            threading.Thread(target=stay, args=[number]).start()
        done.wait()
    """
    with holder(code, loop.path) as process:
        assert_refused(loop, "open", f"process {process.pid} (")


def test_a_ring_in_descriptors_of_its_own(assert_refused, loop):  # noqa: F811
    work = ("assert libc.unshare(CLONE_FILES) == 0; ring = libc.syscall(425, 8, ctypes.create_string_buffer(120)); "
            "ring < 0 and (print('skip: no io_uring here', flush=True), os._exit(0)); " + OPEN +
            "; assert libc.syscall(427, ring, 2, (ctypes.c_int * 1)(fd), 1) == 0; os.close(fd)")
    with holder(THREADED.format(before="", work=work, first_ends=False), loop.path) as process:
        run = assert_refused(loop, "open", f"process {process.pid} (")
        assert "io_uring" in run.error["message"], str(run)
