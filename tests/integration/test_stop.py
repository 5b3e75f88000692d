"""Real guests, stopped: contract section 4 as an operator and a control plane see it."""

import datetime
import os
import signal

import host
import kit
from daemon import wait_until


def words(operation):
    return [line["what"] for line in operation["timeline"]]


def time_of(operation, what):
    """When it was first."""
    return datetime.datetime.fromisoformat(next(line["at"] for line in operation["timeline"] if line["what"] == what))


def test_a_soft_stop_ends_off_and_is_reported_once(daemon, guest):
    name, stopd = guest("obey"), daemon().start()
    pid = kit.pid(name)

    operation = stopd.finished(stopd.accepted(name))

    assert operation["outcome"] == "Stopped" and operation["state"] == "Stopped", operation
    assert operation["error"] is None and operation["offAt"] and operation["finishedAt"]
    assert words(operation) == ["accepted", "shutting-down", "button", "off"], operation
    assert not kit.process_runs(pid), "Stopped, and QEMU is still there"
    assert kit.is_off(name)
    assert "stopd-guest: powering off" in kit.console(name)
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    assert stopd.instance(name)["state"] == "Stopped"
    assert stopd.stop_instance(name).code == "IncorrectInstanceStatus"


def test_stopping_from_the_answer_on(daemon, guest):
    name, stopd = guest("slow:2"), daemon().start()

    request = stopd.accepted(name)

    assert stopd.instance(name)["state"] == "Stopping"
    assert stopd.get(f"/?Action=DescribeInstanceStatus&InstanceId.1={name}").json[
        "InstanceStatuses"]["InstanceStatus"] == [{"InstanceId": name, "Status": "Stopping"}]
    assert stopd.stop_instance(name).code == "IncorrectInstanceStatus"
    operation = stopd.finished(request)
    assert operation["outcome"] == "Stopped", operation
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_a_guest_that_ignores_the_button_runs_on_after_its_grace(daemon, guest):
    name, stopd = guest("ignore"), daemon(stop__resend="1s").start()

    operation = stopd.finished(stopd.accepted(name, GracePeriod="3"))

    assert operation["outcome"] == "Failed" and operation["state"] == "Running", operation
    assert operation["error"]["code"] == "GracePeriodOver"
    assert "power cut" not in words(operation)
    assert not kit.is_off(name)
    assert host.lifecycle(name) == {"on_poweroff": "destroy", "on_reboot": "restart"}
    stopd.reported(name, "Running→Stopping", "Stopping→Running")
    failed = [event for event in stopd.events(name) if event["type"] == "stopd.operation.failed.v1"]
    assert [event["data"]["requestId"] for event in failed] == [operation["requestId"]]

    forced = stopd.finished(stopd.accepted(name, ForceStop="true"))

    assert forced["outcome"] == "Stopped" and forced["forceStop"] is True, forced
    assert kit.is_off(name)
    stopd.reported(name, "Running→Stopping", "Stopping→Running", "Running→Stopping",
                   "Stopping→Stopped")


def test_the_power_is_cut_after_the_grace_where_the_command_consents(daemon, guest):
    name, stopd = guest("ignore"), daemon().start()

    operation = stopd.finished(stopd.accepted(name, GracePeriod="2", OnGraceTimeout="Force"))

    assert operation["outcome"] == "Stopped", operation
    assert words(operation)[-2:] == ["power cut", "off"], operation
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_the_metadata_consents_and_sets_the_grace(daemon, guest):
    """And it takes a consent back that the configuration gives."""
    name, kept = [guest("ignore", start=False, metadata=kit.instance_xml(
        {"id": f"i-{action}"}, stop={"grace": "2", "on-timeout": action})) for action in ("force", "fail")]
    house = guest("ignore", start=False)
    kit.start(name, kept, house)
    kit.wait_ready(name, kept, house)
    stopd = daemon().start()

    operation = stopd.finished(stopd.accepted("i-force"))

    assert operation["instanceId"] == "i-force"
    assert operation["outcome"] == "Stopped" and "power cut" in words(operation), operation
    assert kit.is_off(name)
    stopd.stop()
    stopd = daemon(stop__on_timeout="force", stop__grace="2s").start()
    requests = [stopd.accepted("i-fail"), stopd.accepted(house)]
    refused, cut = [stopd.finished(request) for request in requests]
    assert refused["error"]["code"] == "GracePeriodOver" and not kit.is_off(kept), refused
    assert cut["outcome"] == "Stopped" and "power cut" in words(cut), cut


def test_a_soft_stop_goes_over_to_a_power_cut_and_both_ids_name_it(daemon, guest):
    name, stopd = guest("ignore"), daemon().start()
    soft = stopd.accepted(name)
    wait_until(lambda: "button" in words(stopd.operation(soft)), "the button is pressed")

    forced = stopd.accepted(name, ForceStop="true")

    assert forced != soft
    assert stopd.finished(forced) == stopd.finished(soft)
    operation = stopd.finished(soft)
    assert operation["requestId"] == soft and operation["forcedBy"] == forced
    assert operation["outcome"] == "Stopped" and operation["forceStop"] is True
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_a_cancelled_stop_leaves_the_guest_as_it_was(daemon, guest):
    name, stopd = guest("ignore", on_poweroff="restart"), daemon().start()
    request = stopd.accepted(name)
    wait_until(lambda: "button" in words(stopd.operation(request)), "the button is pressed")
    assert host.lifecycle(name) == {"on_poweroff": "destroy", "on_reboot": "destroy"}

    assert stopd.ask("POST", f"/v1/operations/{request}/cancel").status == 200

    operation = stopd.finished(request)
    assert operation["outcome"] == "Cancelled" and operation["state"] == "Running", operation
    assert not kit.is_off(name)
    assert host.lifecycle(name) == {"on_poweroff": "restart", "on_reboot": "restart"}
    stopd.reported(name, "Running→Stopping", "Stopping→Running")
    assert stopd.ask("POST", f"/v1/operations/{request}/cancel").code == "IncorrectInstanceStatus"


def test_guests_that_reboot_or_panic_on_the_button_end_off(daemon, guest):
    names, stopd = guest("reboot", "panic"), daemon().start()

    operations = [stopd.finished(request) for request in [stopd.accepted(name) for name in names]]

    for name, operation in zip(names, operations):
        assert operation["outcome"] == "Stopped", operation
        assert kit.console(name).count("stopd-guest: ready") == 1, "it has booted again"
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_a_restart_on_power_off_does_not_keep_a_guest_on(daemon, guest):
    name, stopd = guest("obey", on_poweroff="restart"), daemon().start()

    operation = stopd.finished(stopd.accepted(name))

    assert operation["outcome"] == "Stopped", operation
    assert kit.is_off(name)


def test_a_power_cut_of_a_guest_that_would_obey(daemon, guest):
    name, stopd = guest("obey"), daemon().start()

    operation = stopd.finished(stopd.accepted(name, ForceStop="true"))

    assert words(operation) == ["accepted", "power cut", "off"], operation
    assert "stopd-guest: button" not in kit.console(name)
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_a_paused_guest_is_stopped_by_force_only(daemon, guest):
    name, stopd = guest("obey"), daemon().start()
    kit.domain(name).suspend()
    wait_until(lambda: stopd.instance(name)["detail"] == "paused", "stopd has seen it")

    refused = stopd.stop_instance(name)

    assert refused.code == "IncorrectInstanceStatus" and "paused" in refused.json["Message"]
    assert stopd.finished(stopd.accepted(name, ForceStop="true"))["outcome"] == "Stopped"


def test_a_guest_that_stands_still_in_the_middle_has_what_is_left_of_its_grace(daemon, guest):
    """Paused, its power is cut by consent and not before; suspended, it is woken and pressed again."""
    paused, suspended = guest("ignore", "slow:10")
    stopd = daemon(stop__resend="1s").start()
    requests = [stopd.accepted(paused, GracePeriod="10", OnGraceTimeout="Force"), stopd.accepted(suspended)]
    for request in requests:
        wait_until(lambda: "button" in words(stopd.operation(request)), "the button is pressed")

    kit.domain(paused).suspend()
    kit.suspend_to_memory(suspended)

    cut, woken = [stopd.finished(request) for request in requests]
    assert cut["outcome"] == "Stopped" and words(cut)[-2:] == ["power cut", "off"], cut
    assert time_of(cut, "power cut") - time_of(cut, "button") >= datetime.timedelta(seconds=10), cut
    assert woken["outcome"] == "Stopped" and "waking" in words(woken) and "power cut" not in words(woken), woken
    for name in paused, suspended:
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_ten_are_stopped_together(daemon, guest):
    names, stopd = guest(*["obey"] * 10), daemon().start()

    requests = [stopd.accepted(name) for name in names]

    for name, request in zip(names, requests):
        assert stopd.finished(request)["outcome"] == "Stopped"
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_no_more_than_the_bound_are_in_shutdown_at_once(daemon, guest):
    names, stopd = guest(*["slow:1"] * 3), daemon(stop__parallel="1").start()

    requests = [stopd.accepted(name) for name in names]
    seen = []
    while True:
        # One answer, one moment: asked one by one they would be of several.
        listed = {each["requestId"]: each["phase"]
                  for each in stopd.get("/v1/operations").json["operations"]}
        phases = [listed[request] for request in requests]
        seen.append(phases)
        assert phases.count("shutting-down") <= 1, seen
        if phases == ["done"] * 3:
            break
    assert ["shutting-down", "queued", "queued"] in seen, seen
    for name in names:
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_what_nobody_commanded_is_reported_too(daemon, guest):
    name = guest("poweroff:0", start=False)
    stopd = daemon().start()

    kit.start(name)
    kit.wait_ready(name)
    kit.wait_off(name)

    stopd.reported(name, "Stopped→Running", "Running→Stopped")
    assert stopd.events(name)[-1]["data"]["reason"] == "guest shut down by itself"
    assert stopd.events(name)[-1]["data"]["requestId"] is None
    # What libvirt has only paused is Running all the time; a process that dies is told as such.
    kit.start(name)
    stopd.reported(name, "Stopped→Running", "Running→Stopped", "Stopped→Running")
    kit.domain(name).suspend()
    wait_until(lambda: stopd.instance(name)["detail"] == "paused", "stopd has seen it")
    os.kill(kit.pid(name), signal.SIGKILL)
    stopd.reported(name, *["Stopped→Running", "Running→Stopped"] * 2)
    assert stopd.events(name)[-1]["data"]["reason"] == "guest crashed"
