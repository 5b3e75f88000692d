"""The guest agent as a power button: it obeys, refuses, is absent or dead, or takes the word and does nothing."""

import kit


def words(operation):
    return [line["what"] for line in operation["timeline"]]


def test_an_agent_shuts_its_guest_down(daemon, guest):
    name, stopd = guest("ignore", agent="obey"), daemon(stop__method="agent").start()
    kit.wait_agent(name)

    operation = stopd.finished(stopd.accepted(name))

    assert operation["outcome"] == "Stopped", operation
    assert "stopd-guest: agent" in kit.console(name)
    assert "stopd-guest: button" not in kit.console(name)
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_an_agent_that_refuses_gives_way_to_acpi(daemon, guest):
    """It answers that it may not: an administrator has disabled the command."""
    name, stopd = guest("obey", agent="refuse"), daemon(stop__method="agent,acpi").start()
    kit.wait_agent(name)

    operation = stopd.finished(stopd.accepted(name))

    assert operation["outcome"] == "Stopped", operation
    assert "agent refuses" in words(operation), operation
    console = kit.console(name)
    assert console.index("stopd-guest: agent") < console.index("stopd-guest: button"), console
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_an_agent_that_cannot_be_had_gives_way_to_acpi_or_fails_the_stop(daemon, guest):
    """Dead in three ways: its channel is served by nobody; it says nothing at all; it was told to shut
    down and does not, which for libvirt is a call of a minute."""
    absent, mute, idle = [guest("obey", agent=agent, start=False)
                          for agent in ("absent", "mute", "ignore")]
    alone = "i-alone"
    domain = guest("obey", agent="absent", start=False,
                   metadata=kit.instance_xml({"id": alone}, stop={"method": "agent"}))
    kit.start(absent, mute, idle, domain)
    kit.wait_ready(absent, mute, idle, domain)
    stopd = daemon(stop__method="agent,acpi", hypervisor__call_timeout="8s").start()

    requests = {name: stopd.accepted(name) for name in (absent, mute, idle, alone)}

    for name in (absent, mute, idle):
        operation = stopd.finished(requests[name])
        assert operation["outcome"] == "Stopped", operation
        assert "agent does not answer" in words(operation), operation
        assert "stopd-guest: button" in kit.console(name)
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    failed = stopd.finished(requests[alone])
    assert failed["outcome"] == "Failed" and failed["state"] == "Running", failed
    assert failed["error"]["code"] == "GuestAgentAbsent"
    assert not kit.is_off(domain) and "stopd-guest: button" not in kit.console(domain)
    stopd.reported(alone, "Running→Stopping", "Stopping→Running")
