"""What hangs is in the open, is never taken for stopped, and holds nobody else up (contract 4.5)."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading

import libvirt
import pytest

import kit
from daemon import DEADLINE, UnixConnection, wait_until
from test_states import shown

HERE = os.path.dirname(__file__)


def words(operation):
    return [line["what"] for line in operation["timeline"]]


@pytest.fixture
def hanging(tmp_path):
    """An image on a file system that takes a write and does not come back from it: whoever waits for it
    is in state D, and no signal ends that. It goes on when `hold` is gone."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("needs /dev/fuse")
    folder, backing, hold = (tmp_path / name for name in ("fuse", "backing", "hold"))
    folder.mkdir()
    backing.write_bytes(bytes(4 << 20))
    hold.touch()
    server = subprocess.Popen(
        ["nsenter", "--target", str(kit.libvirtd_pid()), "--mount", "/usr/bin/python3",
         os.path.join(HERE, "hanging_disk.py"), folder, backing, hold], stderr=sys.stderr)
    seen = ["nsenter", "--target", str(kit.libvirtd_pid()), "--mount", "test", "-e", folder / "image"]
    wait_until(lambda: subprocess.run(seen, check=False).returncode == 0, "the file system is there")
    yield folder / "image", hold
    hold.unlink(missing_ok=True)
    subprocess.run(["nsenter", "--target", str(server.pid), "--mount", "umount", "-l", folder], check=False)
    server.terminate()
    server.wait(timeout=DEADLINE)


def state_of_threads(pid):
    states = ""
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as file:
                states += file.read().rpartition(")")[2].split()[0]
        except OSError:
            pass
    return states


def test_a_guest_whose_process_is_stopped_by_a_signal_holds_up_nobody_and_ends_by_force(daemon, guest):
    """Its monitor does not answer: more calls hang than there are workers, each of which is written off."""
    stopped = guest(*["obey"] * 3)
    others = guest(*["obey"] * 2)
    stopd = daemon(hypervisor__workers="3", hypervisor__call_timeout="2s", stop__resend="1s").start()
    pids = {name: kit.pid(name) for name in stopped}
    for pid in pids.values():
        os.kill(pid, signal.SIGSTOP)

    requests = {name: stopd.accepted(name, GracePeriod="600") for name in stopped}
    wait_until(lambda: stopd.log().count("has not answered") >= len(stopped), "their calls are written off",
               seen=stopd.log)
    for name in others:
        assert stopd.finished(stopd.accepted(name))["outcome"] == "Stopped"
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    for name, request in requests.items():
        operation = stopd.operation(request)
        assert operation["state"] == "Stopping" and operation["detail"], operation
        assert kit.process_runs(pids[name]) and stopd.transitions(name) == ["Running→Stopping"]
    # libvirt asks its process for ten seconds before it kills it.
    forced, *resumed = stopped
    stopd.accepted(forced, ForceStop="true")
    for name in resumed:
        os.kill(pids[name], signal.SIGCONT)

    for name in stopped:
        operation = stopd.finished(requests[name])
        assert operation["outcome"] == "Stopped", operation
        assert ("power cut" in words(operation)) == (name == forced), operation
        assert not kit.process_runs(pids[name])
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_a_guest_whose_monitor_hangs_in_a_long_job_is_stopped_by_force_alone(daemon, guest, tmp_path):
    """Whether it migrates nobody can tell, so neither what it is; but its process is there."""
    name, stopd = guest("obey"), daemon(hypervisor__call_timeout="2s").start()
    shown(stopd, name, state="Running", certain=True)
    pid = kit.pid(name)
    os.kill(pid, signal.SIGSTOP)
    domain = kit.domain(name)

    def dump():
        with contextlib.suppress(libvirt.libvirtError):
            kit.domain(name).coreDump(str(tmp_path / "core"))

    job = threading.Thread(target=dump, daemon=True)
    job.start()
    wait_until(lambda: domain.controlInfo()[0] == libvirt.VIR_DOMAIN_CONTROL_JOB, "the job has begun")
    domain.connect().defineXML(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))  # which makes stopd look
    shown(stopd, name, state="Running", certain=False)

    refused = stopd.stop_instance(name)
    assert (refused.status, refused.code) == (503, "ServiceUnavailable"), refused
    assert stopd.stop_instance(name, DryRun="true").code == "ServiceUnavailable"
    assert stopd.stop_instance(name, ForceStop="true", DryRun="true").code == "DryRunOperation"
    request = stopd.accepted(name, ForceStop="true")

    operation = wait_until(lambda: (lambda o: o if o["outcome"] else None)(stopd.operation(request)),
                           "it has ended", deadline=120, seen=lambda: f"{stopd.operation(request)}\n{stopd.log()}")
    assert operation["outcome"] == "Stopped" and "power cut" in words(operation), operation
    assert not kit.process_runs(pid)
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    job.join(DEADLINE)


def test_without_descriptors_a_stop_waits_and_an_end_is_not_missed(daemon, guest):
    """No process can be asked after, so nothing is done to one and nothing is concluded."""
    name, stopd = guest("obey"), daemon().start()
    pid = stopd.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    held = UnixConnection(stopd.socket, DEADLINE)
    held.request("GET", "/livez")
    assert held.getresponse().read()

    def ask(target):
        held.request("GET", target)
        return held.getresponse().read()

    resource.prlimit(pid, resource.RLIMIT_NOFILE, (stopd.free_descriptor(), hard))
    try:
        request = json.loads(ask(f"/?InstanceId={name}"))["RequestId"]
        stopd.reported(name, "Running→Stopping")
        kit.press(name)
        kit.wait_off(name)
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        held.close()
    operation = stopd.finished(request)
    assert operation["outcome"] == "Stopped" and "button" not in words(operation), operation
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_a_guest_whose_process_cannot_end_is_blocked_and_the_others_are_not(daemon, guest, hanging):
    image, hold = hanging
    stuck = guest("obey", disks=[str(image)], fill=["vda"], start=False)
    others = guest(*["obey"] * 2)
    kit.start(stuck)
    pid = wait_until(lambda: kit.pid(stuck), "its process is there")
    wait_until(lambda: "D" in state_of_threads(pid), "it waits for its disk")
    stopd = daemon(hypervisor__workers="3", hypervisor__destroy_timeout="5s",
                   hypervisor__call_timeout="5s").start()

    # libvirt takes more than a minute to say off.
    request = stopd.accepted(stuck, ForceStop="true")
    for name in others:
        assert stopd.finished(stopd.accepted(name))["outcome"] == "Stopped"
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    blocked = wait_until(lambda: (lambda o: o if f"pid {pid}, " in (o["detail"] or "") else None)(
        stopd.operation(request)), "it says what it waits for", deadline=240,
        seen=lambda: f"{stopd.operation(request)}\n{stopd.log()}")
    # Only its threads hang: it is dead, and its writes are still out.
    assert blocked["phase"] == "blocked" and "state D" in blocked["detail"], blocked
    assert "wchan " in blocked["detail"], blocked
    assert "D" in state_of_threads(pid)
    assert blocked["state"] == "Stopping" and stopd.transitions(stuck) == ["Running→Stopping"]

    hold.unlink()
    operation = stopd.finished(request)
    assert operation["outcome"] == "Stopped", operation
    assert not os.path.exists(f"/proc/{pid}") or not kit.process_runs(pid)
    stopd.reported(stuck, "Running→Stopping", "Stopping→Stopped")


def is_alive(stopd):
    try:
        return stopd.get("/livez").status == 200
    except OSError:
        return False


def check_nothing_is_concluded(stopd, name, request):
    assert stopd.instance(name)["certain"] is False
    assert stopd.stop_instance(name, ForceStop="true").status == 503
    assert stopd.operation(request)["state"] == "Stopping"
    assert stopd.transitions(name) == ["Running→Stopping"]


def test_a_libvirtd_that_hangs_costs_answers_and_nothing_else(daemon, guest):
    """Stopped by a signal, it neither answers nor breaks a connection. stopd goes on answering."""
    name, stopd = guest("ignore"), daemon().start()
    request = stopd.accepted(name, GracePeriod="3", OnGraceTimeout="Force")
    wait_until(lambda: "button" in words(stopd.operation(request)), "the button is pressed")
    pid = kit.libvirtd_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: stopd.get("/readyz").status == 503, "stopd has noticed")
        check_nothing_is_concluded(stopd, name, request)
        # One that starts now hangs on opening its connection, and knows what the journal knows.
        stopd.kill()
        stopd.start(wait=False)
        wait_until(lambda: is_alive(stopd), "stopd answers", seen=stopd.log)
        assert stopd.get("/readyz").status == 503
        check_nothing_is_concluded(stopd, name, request)
    finally:
        os.kill(pid, signal.SIGCONT)

    operation = stopd.finished(request)
    assert operation["outcome"] == "Stopped" and "power cut" in words(operation), operation
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
