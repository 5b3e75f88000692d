"""A journal whose disk fails, on libvirt's test driver and on real guests."""

import concurrent.futures
import contextlib
import errno
import os
import resource
import sqlite3
import subprocess

import pytest

import kit
from daemon import BUILD, DEADLINE, STOPD, UnixConnection, wait_until
from grace import Grace
from test_local_disks import ID, LOSETUP, MIB, disks_reported, i1, loops, stopd_for  # noqa: F401 (fixtures)
from test_states import pressed

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a small file system")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 40 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk):
    with open(disk / "filler", "ab", buffering=0) as filler:
        for size in (65536, 4096, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                pass


def gauge(stopd, name):
    lines = [line for line in stopd.get("/metrics").text.splitlines() if line.startswith(name + " ")]
    assert len(lines) == 1, lines
    return int(lines[0].split()[1])


def wait_ready(stopd):
    wait_until(lambda: stopd.get("/readyz").status == 200, "stopd takes commands", seen=stopd.log)


@needs_root
def test_a_full_disk_loses_nothing(daemon, small_disk):
    """Nothing is accepted that may not be kept to its end; all is well when there is space again."""
    stopd = daemon(uri="test:///default", journal__path=str(small_disk / "stopd.db")).start()
    assert gauge(stopd, "stopd_journal_reserve_in_use") == 0
    fill(small_disk)
    for _ in range(3):
        refused = stopd.stop_instance("test", ClientToken="once")
        assert (refused.status, refused.code) == (503, "ServiceUnavailable"), refused
        assert "disk of the journal" in refused.json["Message"] and "full" in refused.json["Message"]
    assert stopd.instance("test")["state"] == "Running"
    assert stopd.get("/readyz").status == 503
    assert gauge(stopd, "stopd_journal_reserve_in_use") == 1
    assert stopd.log().count("its reserve is in use") == 1

    os.unlink(small_disk / "filler")

    wait_ready(stopd)
    assert gauge(stopd, "stopd_journal_reserve_in_use") == 0
    assert stopd.log().count("its reserve is whole") == 1
    assert os.stat(small_disk / "stopd.db.reserve").st_blocks * 512 >= 16 << 20
    wait_until(lambda: stopd.instance("test")["certain"], "the domain has been looked at")
    request = stopd.accepted("test", ClientToken="once")
    assert stopd.finished(request)["outcome"] == "Stopped"
    stopd.reported("test", "Running→Stopping", "Stopping→Stopped")
    assert stopd.log().count("its reserve is in use") == 1
    assert stopd.stop() == 0


@needs_root
def test_a_disk_too_small_for_the_reserve_is_told_at_the_start(daemon, small_disk):
    fill(small_disk)
    os.truncate(small_disk / "filler", 30 << 20)
    stopd = daemon(uri="test:///default", journal__path=str(small_disk / "stopd.db")).start(wait=False)
    wait_until(lambda: "its reserve is in use" in stopd.log(), "it is told", seen=stopd.log)
    wait_until(lambda: os.path.exists(stopd.socket), "stopd listens", seen=stopd.log)
    assert stopd.stop_instance("test").status == 503
    os.unlink(small_disk / "filler")
    wait_ready(stopd)


@needs_root
def test_stops_end_while_the_disk_is_full(daemon, guest, small_disk):
    """What was accepted goes its whole way and is reported, on the disk's last blocks."""
    obeys, slow, deaf, forced, new = guest("obey", "slow:3", "ignore", "ignore", "obey")
    stopd = daemon(journal__path=str(small_disk / "stopd.db"), stop__resend="1s").start()
    requests = {slow: stopd.accepted(slow), deaf: stopd.accepted(deaf, GracePeriod="4"),
                forced: stopd.accepted(forced, GracePeriod="4", OnGraceTimeout="Force")}
    wait_until(lambda: all("button" in str(stopd.operation(r)["timeline"]) for r in requests.values()),
               "the buttons are pressed", seen=stopd.log)

    fill(small_disk)

    kit.press(obeys)  # by somebody else: an event that nobody asked for has to be written too
    wait_until(lambda: gauge(stopd, "stopd_journal_reserve_in_use") == 1, "the reserve is in use",
               seen=stopd.log)
    refused = stopd.stop_instance(new)
    assert (refused.status, refused.code) == (503, "ServiceUnavailable"), refused
    ended = {name: stopd.finished(request) for name, request in requests.items()}
    assert {name: ended[name]["outcome"] for name in ended} == {
        slow: "Stopped", deaf: "Failed", forced: "Stopped"}, ended
    assert ended[deaf]["error"]["code"] == "GracePeriodOver"
    assert not kit.is_off(deaf), "its power was cut"
    stopd.reported(obeys, "Running→Stopped")
    stopd.reported(slow, "Running→Stopping", "Stopping→Stopped")
    stopd.reported(deaf, "Running→Stopping", "Stopping→Running")
    stopd.reported(forced, "Running→Stopping", "Stopping→Stopped")
    assert gauge(stopd, "stopd_journal_reserve_in_use") == 1
    assert not kit.is_off(new)

    # Over a restart too, on a disk that is as full.
    stopd.stop()
    stopd.start(wait=False)
    wait_until(lambda: "its reserve is in use" in stopd.log().split("going down on signal")[1],
               "stopd is up on its reserve", seen=stopd.log)
    os.unlink(small_disk / "filler")
    wait_ready(stopd)
    assert stopd.finished(stopd.accepted(new))["outcome"] == "Stopped"
    stopd.reported(new, "Running→Stopping", "Stopping→Stopped")


def use_up_and_free(stopd, size):
    """The journal's files have so much room of their own afterwards."""
    with contextlib.closing(sqlite3.connect(stopd.settings["journal.path"], isolation_level=None)) as db:
        db.execute("CREATE TABLE filler (bytes)")
        db.execute("INSERT INTO filler VALUES (zeroblob(?))", (size,))
        db.execute("DROP TABLE filler")


@needs_root
def test_a_clear_begins_and_ends_while_the_disk_is_full(guest, loops, stopd_for, small_disk):  # noqa: F811
    """The journal needs no room, but the marker does without which no clear begins."""
    disk = loops(size=2 * MIB)
    name = guest("ignore", metadata=i1("vda"), disks=[disk.device])
    stopd = stopd_for(journal__path=str(small_disk / "stopd.db"))
    use_up_and_free(stopd, 2 * MIB)
    request = stopd.accepted(name, ConfirmStop="true")
    wait_until(lambda: "button" in str(stopd.operation(request)["timeline"]), "the button is pressed", seen=stopd.log)

    fill(small_disk)
    assert gauge(stopd, "stopd_journal_reserve_in_use") == 0
    kit.domain(name).destroy()

    operation = stopd.finished(request)
    assert operation["outcome"] == "Stopped", operation
    assert gauge(stopd, "stopd_journal_reserve_in_use") == 1
    assert "no room to mark what is owed a clear; its reserve is in use" in stopd.log()
    assert os.listdir(small_disk / "owed") == [] and disk.is_zero()
    disks_reported(stopd, ID, "cleared")
    stopd.reported(ID, "Running→Stopping", "Stopping→Stopped")
    os.unlink(small_disk / "filler")
    wait_ready(stopd)


# --- A disk that turns read-only in use ---


class BreakingDisk:
    """A file system that can be made to give up, as after an error of its disk: no write passes any more."""

    def __init__(self, folder):
        image, self.path = folder / "breaking.img", folder / "breaking"
        with open(image, "wb") as file:
            file.truncate(64 * MIB)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        self.path.mkdir()
        self.device = subprocess.run([LOSETUP, "--find", "--show", image], check=True, text=True,
                                     stdout=subprocess.PIPE).stdout.strip()
        self.mount()

    def mount(self):
        subprocess.run(["mount", self.device, self.path], check=True)

    def unmount(self, *options):
        subprocess.run(["umount", *options, self.path], check=True)

    def give_up(self):
        subprocess.run(["mount", "-o", "remount,abort", self.path], check=True)
        with pytest.raises(OSError) as refused:
            (self.path / "probe").write_text("x")
        assert refused.value.errno == errno.EROFS


@pytest.fixture
def breaking_disk(loops, tmp_path):  # noqa: F811 (where there are loop devices)
    disk = BreakingDisk(tmp_path)
    yield disk
    disk.unmount("-l")
    subprocess.run([LOSETUP, "--detach", disk.device], check=True)


@needs_root
def test_a_disk_that_turns_read_only_in_use(guest, loops, stopd_for, breaking_disk):  # noqa: F811
    """Nothing is accepted, forced or cleared that cannot be written down. With a sound disk and a restart all goes on."""
    disk = loops()
    local = guest("ignore", metadata=i1("vda"), disks=[disk.device], start=False)
    kit.start(local)
    slow, forced, new = guest("slow:1", "ignore", "obey")
    kit.wait_ready(local)
    before = disk.bytes()
    stopd = stopd_for(journal__path=str(breaking_disk.path / "stopd.db"), stop__resend="1s")
    grace = Grace(stopd, forced)
    requests = {ID: stopd.accepted(local, ConfirmStop="true"), slow: stopd.accepted(slow)}
    pressed(stopd, requests[ID])

    breaking_disk.give_up()

    # Of the commit that met it nobody can tell what has reached the disk.
    refused = stopd.stop_instance(new, ClientToken="once")
    assert refused.code in ("InternalError", "ServiceUnavailable"), refused
    refused = stopd.stop_instance(new, ClientToken="once")
    assert (refused.status, refused.code) == (503, "ServiceUnavailable"), refused
    kit.destroy(local)
    kit.wait_off(slow)
    grace.outlast()
    for force in ({}, {"ForceStop": "true"}):
        assert stopd.stop_instance(forced, **force).status == 503
    assert stopd.get("/livez").status == 200 and stopd.get("/readyz").status == 503
    assert not kit.is_off(forced) and "powering off" not in kit.console(new)
    assert disk.bytes() == before and os.listdir(breaking_disk.path / "owed") == []
    assert stopd.transitions(ID) == stopd.transitions(forced) == ["Running→Stopping"]
    assert stopd.log().count("the journal cannot be written") == 1, stopd.log()

    assert stopd.stop() == 0
    breaking_disk.unmount()
    breaking_disk.mount()
    stopd.start()

    grace.check(stopd.finished(grace.request))
    for request in requests.values():
        assert stopd.finished(request)["outcome"] == "Stopped"
    disks_reported(stopd, ID, "cleared")
    assert disk.is_zero()
    for name in (ID, slow, forced):
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    assert stopd.finished(stopd.accepted(new, ClientToken="once"))["outcome"] == "Stopped"


# --- A disk that hangs ---


@pytest.fixture
def stalling(daemon):
    """A stopd on libvirt's test driver whose journal can be held, and how to hold it."""
    stopd = daemon(uri="test:///default")
    stall = stopd.path("stall")
    asan = os.environ.get("ASAN_OPTIONS", "detect_leaks=1:exitcode=99")
    stopd.environment = {"STOPD_TEST_STALL": stall, "ASAN_OPTIONS": asan + ":verify_asan_link_order=0",
                         "LD_PRELOAD": os.path.join(BUILD, "tests", "integration", "stall.so")}

    @contextlib.contextmanager
    def held():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stall + ".held")
        open(stall, "w").close()
        try:
            yield lambda: wait_until(lambda: os.path.exists(stall + ".held"), "a sync hangs")
        finally:
            os.unlink(stall)

    return stopd.start(), held


def test_a_commit_that_hangs_holds_up_nothing_else(stalling):
    stopd, held = stalling
    first = stopd.accepted("test", DryRun="false")
    stopd.finished(first)
    with concurrent.futures.ThreadPoolExecutor() as pool, held() as wait_held:
        cancelled = pool.submit(stopd.ask, "POST", f"/v1/instances/test/clear", body='{"confirm":true}')
        waiting = [pool.submit(stopd.get, "/v1/instances") for _ in range(3)]
        # The clear is refused without a commit; what commits next is the sink's cursor.
        wait_held()
        assert stopd.get("/livez").status == 200
        assert stopd.get(f"/v1/operations/{first}").json["outcome"] == "Stopped"
        assert len(stopd.get("/v1/events").json["events"]) == 2
    assert cancelled.result(DEADLINE).status == 403
    assert [each.result(DEADLINE).status for each in waiting] == [200] * 3
    stopd.reported("test", "Running→Stopping", "Stopping→Stopped")


def test_a_command_is_answered_when_its_commit_is_through(stalling):
    stopd, held = stalling
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with held() as wait_held:
            answer = pool.submit(stopd.stop_instance, "test", ClientToken="once")
            wait_held()
            assert stopd.get("/livez").status == 200
            assert not answer.done() and stopd.events() == []
        assert answer.result(DEADLINE).status == 200
    assert stopd.finished(answer.result().json["RequestId"])["outcome"] == "Stopped"
    stopd.reported("test", "Running→Stopping", "Stopping→Stopped")


def test_killed_while_a_commit_hangs(stalling):
    """What was not answered may be there or not; the token tells, and it is done once."""
    stopd, held = stalling
    with concurrent.futures.ThreadPoolExecutor() as pool, held() as wait_held:
        answer = pool.submit(stopd.stop_instance, "test", ClientToken="once")
        wait_held()
        stopd.kill()
        assert answer.exception(DEADLINE)
    stopd.start()
    wait_until(lambda: stopd.instance("test")["certain"], "the domain has been looked at")
    again = stopd.stop_instance("test", ClientToken="once")
    assert again.status == 200, again
    stopd.finished(again.json["RequestId"])
    stopd.check_sink()


# --- What cannot be started on ---


@pytest.fixture
def refused(daemon):
    """Starts a stopd that has to refuse its journal; returns the one line that says why."""
    def start(stopd):
        done = subprocess.run([STOPD, "--config", "/dev/null"]
                              + [f"--set={key}={value}" for key, value in stopd.settings.items()],
                              stderr=subprocess.PIPE, text=True, timeout=DEADLINE)
        assert done.returncode == 75, done
        lines = [line for line in done.stderr.splitlines() if line.startswith("stopd: ")]
        assert len(lines) == 1, done
        assert stopd.settings["journal.path"] in lines[0]
        return lines[0]

    return start


@pytest.fixture
def ended(daemon):
    """A stopd with a journal, which has ended."""
    stopd = daemon(uri="test:///default").start()
    stopd.finished(stopd.accepted("test"))
    assert stopd.stop() == 0
    return stopd


def test_a_damaged_journal_is_refused(ended, refused):
    with open(ended.path("stopd.db"), "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096)
    assert "is damaged" in refused(ended) and ".recover" in refused(ended)


def test_a_newer_journal_is_refused(ended, refused):
    with contextlib.closing(sqlite3.connect(ended.path("stopd.db"))) as db:
        db.execute("PRAGMA user_version = 999")
    assert "newer stopd" in refused(ended) and "install that version" in refused(ended)


@needs_root
def test_a_read_only_disk_is_refused(daemon, refused, small_disk):
    stopd = daemon(uri="test:///default", journal__path=str(small_disk / "stopd.db")).start()
    assert stopd.stop() == 0
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert "Read-only" in refused(stopd)


# --- No descriptors left ---


def test_without_descriptors_clients_wait_and_nothing_is_lost(daemon):
    stopd = daemon(uri="test:///default").start()
    before = UnixConnection(stopd.socket, DEADLINE)
    before.request("GET", "/livez")
    assert before.getresponse().read()
    pid = stopd.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (stopd.free_descriptor(), hard))
    outside = [UnixConnection(stopd.socket, DEADLINE) for _ in range(8)]
    try:
        for each in outside:
            each.request("GET", "/readyz")
        wait_until(lambda: "no file descriptor" in stopd.log(), "it is told", seen=stopd.log)
        before.request("GET", "/?Action=StopInstance&InstanceId=test")
        response = before.getresponse()
        assert (response.status, bool(response.read())) == (200, True)
        stopd.reported("test", "Running→Stopping", "Stopping→Stopped")
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        before.close()
    assert [each.getresponse().status for each in outside] == [200] * 8
    for each in outside:
        each.close()
    assert stopd.log().count("no file descriptor") == 1
    wait_ready(stopd)
