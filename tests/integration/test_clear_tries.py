"""A clear that fails again and again: each try is reported, past them the disk waits for an operator (rule 3)."""

import contextlib
import os
import stat

import pytest

from daemon import BUILD, stopctl, wait_until
from test_local_disks import ID, disk_events, i1, in_phase, loops, states, stopd_for  # noqa: F401 (fixtures)

WIPE = os.path.join(BUILD, "executor", "wipe", "stopd-wipe")
TRIES = 8  # of a disk, until it is quarantined


@pytest.fixture
def failing(tmp_path):
    """A helper that ends without a last word where it is asked for the target that the file names."""
    program, named = tmp_path / "helper", tmp_path / "fails-for"
    program.write_text(f"""#!/bin/sh
[ ! -e {named} ] && exec {WIPE}
read -r request
case $request in
*'"target":'*"\\"$(cat {named})\\""*) echo "the helper is broken" >&2; exit 71 ;;
esac
printf '%s\\n' "$request" | {WIPE}
""")
    program.chmod(stat.S_IRWXU)
    return program, named


def failures(stopd, target):
    return [event["data"] for event in stopd.events(ID)
            if event["type"] == "stopd.storage.failed.v1" and event["data"]["target"] == target]


def tried(stopd, request, times):
    """Waits until both disks have failed so often."""
    wait_until(lambda: all(len(failures(stopd, target)) >= times for target in ("vda", "vdb")),
               f"{times} tries are reported", seen=lambda: f"{stopd.operation(request)}\n{stopd.log()}")
    operation = stopd.operation(request)
    assert [len(failures(stopd, target)) for target in ("vda", "vdb")] == [times] * 2, operation
    assert operation["state"] == "Stopping" and operation["outcome"] is None, operation
    return operation


def test_past_its_tries_a_disk_is_quarantined_and_retry_ends_it_stopped(guest, loops, stopd_for, failing):  # noqa: F811
    """One is held by another program, the other's helper is broken. Over a restart of stopd the tries are counted on,
    and the next one does not wait."""
    program, named = failing
    held, broken = loops(2)
    before = [disk.bytes() for disk in (held, broken)]
    name = guest("obey", metadata=i1("vda", "vdb"), disks=[held.device, broken.device])
    stopd = stopd_for(local_storage__helper=f"spawn:{program}")
    with contextlib.ExitStack() as hold:
        hold.enter_context(open(held.device, "rb"))
        request = stopd.accepted(name, ConfirmStop="true")
        named.write_text("vdb")
        for number in range(1, TRIES):
            operation = tried(stopd, request, number)
            assert operation["phase"] == "clearing", operation
            assert [disk["tries"] for disk in operation["storage"]] == [number] * 2, operation
            stopd.kill()
            stopd.start()
        tried(stopd, request, TRIES)

        operation = in_phase(stopd, request, "quarantined")
        assert states(operation) == ["quarantined"] * 2 and operation["state"] == "Stopping", operation
        assert str(os.getpid()) in operation["storage"][0]["problem"], operation
        assert "last word" in operation["storage"][1]["problem"], operation
        assert operation["storage"][0]["problem"] in operation["detail"], operation
        assert failures(stopd, "vda")[-1]["requestId"] == request
        assert [disk.bytes() for disk in (held, broken)] == before
        # Nothing is tried any more, not by a restart either, and no domain may start on them.
        stopd.kill()
        stopd.start()
        wait_until(lambda: stopd.instance(name)["certain"], "the domain has been looked at")
        assert in_phase(stopd, request, "quarantined")["storage"] == operation["storage"]
        assert stopctl(stopd, "may-start", name).returncode == 76
        assert len(os.listdir(stopd.path("owed"))) == 2
        assert stopctl(stopd, "stop", name, "--confirm").returncode == 76

    assert stopd.ask("POST", f"/v1/operations/{request}/retry").status == 200
    wait_until(lambda: states(stopd.operation(request)) == ["cleared", "waiting"], "the first is cleared",
               seen=lambda: f"{stopd.operation(request)}\n{stopd.log()}")
    operation = stopd.operation(request)
    assert operation["storage"][1]["tries"] == 1 and operation["state"] == "Stopping", operation
    assert held.is_zero() and broken.bytes() == before[1]
    named.unlink()
    assert stopctl(stopd, "retry", request).returncode == 0

    operation = stopd.finished(request)
    assert operation["outcome"] == "Stopped" and held.is_zero() and broken.is_zero(), operation
    stopd.reported(ID, "Running→Stopping", "Stopping→Stopped")
    told = disk_events(stopd, ID)
    assert told[:2 * TRIES] == ["failed"] * 2 * TRIES and told[-1] == "cleared", told
    assert sorted(told[2 * TRIES:-1]) == ["cleared", "failed"], told
    assert os.listdir(stopd.path("owed")) == []
