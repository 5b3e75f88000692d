"""Whatever dies in the middle, a stop goes on and each transition is reported once (rules 4 and 5)."""

import json
import random

import host
import kit
from daemon import wait_until
from grace import Grace


def words(operation):
    return [line["what"] for line in operation["timeline"]]


def test_killed_in_the_middle_the_stop_goes_on(daemon, guest):
    name, stopd = guest("slow:3"), daemon().start()
    request = stopd.accepted(name)
    wait_until(lambda: "button" in words(stopd.operation(request)), "the button is pressed")

    stopd.kill()
    stopd.start()

    operation = stopd.finished(request)
    assert operation["outcome"] == "Stopped", operation
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_the_guest_goes_off_while_stopd_is_dead(daemon, guest):
    name, stopd = guest("slow:1"), daemon().start()
    request = stopd.accepted(name)
    wait_until(lambda: "button" in words(stopd.operation(request)), "the button is pressed")
    stopd.kill()
    kit.wait_off(name)

    stopd.start()

    assert stopd.finished(request)["outcome"] == "Stopped"
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_missed_transitions_are_reported_once(daemon, guest):
    name, stopd = guest("obey"), daemon().start()
    stopd.stop()
    kit.press(name)
    kit.wait_off(name)
    stopd.start()
    stopd.reported(name, "Running→Stopped")
    stopd.kill()
    kit.start(name)
    kit.wait_ready(name)
    stopd.start()
    stopd.kill()
    stopd.start()
    stopd.reported(name, "Running→Stopped", "Stopped→Running")
    stopd.stop()
    kit.destroy(name)
    kit.start(name)
    kit.wait_ready(name)
    stopd.start()
    stopd.reported(name, "Running→Stopped", "Stopped→Running", "Running→Stopped", "Stopped→Running")


def test_started_again_by_somebody_the_stop_fails(daemon, guest):
    name, stopd = guest("slow:1"), daemon().start()
    request = stopd.accepted(name)
    wait_until(lambda: "button" in words(stopd.operation(request)), "the button is pressed")
    stopd.kill()
    kit.wait_off(name)
    kit.start(name)
    kit.wait_ready(name)

    stopd.start()

    operation = stopd.finished(request)
    assert operation["outcome"] == "Failed", operation
    assert operation["error"]["code"] == "InstanceStartedAgain"
    assert not kit.is_off(name), "the new run was stopped"
    stopd.reported(name, "Running→Stopping", "Stopping→Running")


def test_the_grace_does_not_run_while_stopd_is_away(daemon, guest):
    name, stopd = guest("ignore"), daemon(stop__resend="1s").start()
    grace = Grace(stopd, name)
    stopd.kill()
    presses = kit.console(name).count("stopd-guest: button")
    grace.outlast()
    stopd.start()

    grace.check(stopd.finished(grace.request))

    assert kit.console(name).count("stopd-guest: button") > presses, "no button preceded the cut"
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_the_grace_does_not_run_while_libvirtd_is_away(daemon, guest):
    """Nor while both are."""
    names, stopd = guest("ignore", "ignore"), daemon(stop__resend="1s").start()
    alone, both = names
    grace = Grace(stopd, alone)
    with host.libvirtd_away():
        wait_until(lambda: stopd.get("/readyz").status == 503, "stopd has noticed")
        grace.outlast()

    grace.check(stopd.finished(grace.request))

    stopd.reported(alone, "Running→Stopping", "Stopping→Stopped")
    grace = Grace(stopd, both)
    with host.libvirtd_away():
        stopd.kill()
        stopd.start(wait=False)
        grace.outlast()

    grace.check(stopd.finished(grace.request))

    stopd.reported(both, "Running→Stopping", "Stopping→Stopped")


def test_killed_again_and_again_nothing_is_lost_or_doubled(daemon, guest):
    names, stopd = guest(*["slow:1"] * 6), daemon().start()
    dice = random.Random(4)
    requests = {}
    for name in names:
        requests[name] = stopd.accepted(name, ClientToken=f"token-{name}")
        stopd.kill()
        stopd.start(wait=dice.random() < 0.5)
        wait_until(stopd.is_ready, "stopd is ready", seen=stopd.log)
        replayed = stopd.stop_instance(name, ClientToken=f"token-{name}")
        assert replayed.status == 200 and replayed.json["RequestId"] == requests[name]

    for name in names:
        assert stopd.finished(requests[name])["outcome"] == "Stopped"
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_terminated_it_leaves_the_stop_in_the_journal(daemon, guest):
    name, stopd = guest("slow:3"), daemon().start()
    request = stopd.accepted(name)

    assert stopd.stop() == 0
    stopd.start()

    assert stopd.finished(request)["outcome"] == "Stopped"
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_libvirtd_dies_and_comes_back(daemon, guest):
    name, stopd = guest("slow:4"), daemon().start()
    request = stopd.accepted(name)
    wait_until(lambda: "button" in words(stopd.operation(request)), "the button is pressed")

    with host.libvirtd_away():
        wait_until(lambda: stopd.get("/readyz").status == 503, "stopd has noticed")
        assert stopd.stop_instance(name).status == 503
        assert stopd.instance(name)["certain"] is False

    operation = stopd.finished(request)
    assert operation["outcome"] == "Stopped", operation
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_the_sink_goes_on_where_it_was(daemon, guest):
    """What was delivered before the cursor was kept is not delivered again."""
    name, stopd = guest("obey"), daemon().start()
    stopd.finished(stopd.accepted(name))
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    stopd.kill()
    with open(stopd.events_path, "ab") as file:
        file.write(b'{"torn')
    stopd.start()
    kit.start(name)
    kit.wait_ready(name)
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped", "Stopped→Running")
    with open(stopd.events_path, encoding="utf-8") as file:
        assert all(json.loads(line) for line in file)
