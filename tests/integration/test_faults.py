"""Calls that fail, hang and come late, answers and events that are lost: every stop ends as it must all the same."""

import subprocess

import pytest

import kit
from daemon import STOPD, stopctl
from test_command_table import domain_xml

# Of calls that hang most come back after their worker was written off.
ROUGH = ("connect:error:20% list:error:10% look:error:15% look:lost:5% look:delay:10%:300 look:hang:4%:2500 "
         "press_button:error:15% press_button:lost:10% press_button:hang:4%:2500 "
         "cut_power:error:20% cut_power:lost:15% cut_power:delay:10%:300 restore:error:20% changed:lost:40%")


def has_faults():
    done = subprocess.run([STOPD, "--config", "/dev/null", "--set", "hypervisor.faults=", "--check-config"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0 or "hypervisor.faults" in done.stderr, done
    return done.returncode == 0


needs_faults = pytest.mark.skipif(not has_faults(), reason="this stopd is built without STOPD_FAULTS")


@needs_faults
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_on_the_test_driver(daemon, tmp_path, seed):
    names = [f"vm{i}" for i in range(30)]
    node = tmp_path / "node.xml"
    node.write_text("<node>" + "".join(domain_xml(name, i + 1, None, "", 1) for i, name in enumerate(names))
                    + "</node>")
    stopd = daemon(uri=f"test://{node}", hypervisor__faults=f"seed={seed} {ROUGH}", hypervisor__call_timeout="1s",
                   hypervisor__destroy_timeout="1s", stop__resend="1s").start()
    requests = {name: stopd.accepted(name, ForceStop=str(i % 3 == 0).lower()) for i, name in enumerate(names)}
    for name, request in requests.items():
        operation = stopd.finished(request, deadline=120)
        assert operation["outcome"] == "Stopped", operation
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


@needs_faults
def test_a_batch_of_real_guests(daemon, guest):
    guests = guest("obey", "slow:1", "obey", "ignore", "ignore")
    *willing, deaf, forced = guests
    stopd = daemon(hypervisor__faults=f"seed=7 {ROUGH}", hypervisor__call_timeout="1s", stop__resend="1s").start()
    requests = {name: stopd.accepted(name, GracePeriod="60") for name in willing}
    # A libvirt that refuses the button as long as the grace fails the stop, so that it is not too short.
    requests[deaf] = stopd.accepted(deaf, GracePeriod="10", OnGraceTimeout="Fail")
    requests[forced] = stopd.accepted(forced, GracePeriod="10", OnGraceTimeout="Force")
    ended = {name: stopd.finished(request, deadline=180) for name, request in requests.items()}
    assert {name: ended[name]["outcome"] for name in ended} == {
        **dict.fromkeys(willing, "Stopped"), deaf: "Failed", forced: "Stopped"}, ended
    assert not kit.is_off(deaf), "its power was cut, and nobody consented"
    assert all(kit.is_off(name) for name in (*willing, forced))
    for name in (*willing, forced):
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    stopd.reported(deaf, "Running→Stopping", "Stopping→Running")


@needs_faults
def test_a_power_cut_whose_answer_is_lost_is_found_out(daemon):
    stopd = daemon(uri="test:///default", hypervisor__faults="cut_power:lost:@1 changed:lost:100%").start()
    assert stopd.finished(stopd.accepted("test", ForceStop="true"))["outcome"] == "Stopped"
    stopd.reported("test", "Running→Stopping", "Stopping→Stopped")
    assert "power cut" in stopctl(stopd, "show", "test").stdout


@needs_faults
def test_a_word_that_is_no_fault_is_refused(tmp_path):
    done = subprocess.run([STOPD, "--config", "/dev/null", "--set", "hypervisor.faults=look:sulk:10%", "--set",
                           "hypervisor.uri=test:///default", "--set", f"journal.path={tmp_path}/stopd.db"],
                          stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 78 and "look:sulk:10%" in done.stderr, done
