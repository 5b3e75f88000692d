"""A journal whose disk fails, on libvirt's test driver and on real guests."""

import os
import subprocess

import pytest

import kit
from daemon import wait_until

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
