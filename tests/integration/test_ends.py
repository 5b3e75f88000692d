"""What an end means while a stop is under way, and for the disks of an I1 instance (rules 2, 5, 6 and 7)."""

import os
import signal

import libvirt
import pytest

import host
import kit
from daemon import stopctl, wait_until
from test_local_disks import MIB, disk_events, disks_reported, i1, in_phase, loops, stopd_for  # noqa: F401 (fixtures)
from test_states import PANIC, pressed, shown, words

SLOW = {"local_storage__methods": "overwrite", "local_storage__max_mib_per_s": "2"}


def boot(guest, loops, **kinds):  # noqa: F811
    """I1 guests, each with a disk of its own: (domain, disk) by the name that its id is made of."""
    made = {}
    for kind, options in kinds.items():
        options = dict(options)
        disk = loops(size=options.pop("size", 8 * MIB))
        made[kind] = (guest(options.pop("behaviour", "ignore"), start=False,
                            disks=[disk.device, *options.pop("more", ())],
                            metadata=i1("vda", id=f"i-{kind}"), **options), disk)
    kit.start(*(domain for domain, _ in made.values()))
    kit.wait_ready(*(domain for domain, _ in made.values()))
    return made


def make_transient(domain):
    """Of a domain that is off; returns what it is created from."""
    definition = kit.domain(domain).XMLDesc()
    kit.domain(domain).undefine()
    return definition


def reason_of(stopd, instance):
    return [event["data"]["reason"] for event in stopd.events(instance)
            if event["type"] == "stopd.instance.state.v1"][-1]


def test_whatever_ends_a_guest_in_the_middle_it_is_stopped_with_that_cause(guest, loops, stopd_for):  # noqa: F811
    """The consent to a clear stands. The last one goes by its own will while it waits for its turn."""
    made = boot(guest, loops, destroyed={}, killed={}, reset={}, panicked={"devices": PANIC},
                willing={"behaviour": "obey"})
    stopd = stopd_for(stop__parallel="4")
    requests = {kind: stopd.accepted(f"i-{kind}", ConfirmStop="true") for kind in made}
    for kind in ("destroyed", "killed", "reset", "panicked"):
        pressed(stopd, requests[kind])
    assert stopd.operation(requests["willing"])["phase"] == "queued"

    kit.press(made["willing"][0])
    in_phase(stopd, requests["willing"], "clearing", "verifying", "done")
    kit.destroy(made["destroyed"][0])
    os.kill(kit.pid(made["killed"][0]), signal.SIGKILL)
    kit.reset(made["reset"][0])
    kit.panic(made["panicked"][0])

    causes = {"destroyed": "destroyed by another hand", "killed": "guest crashed", "reset": "guest shut down",
              "panicked": "guest crashed", "willing": "guest shut down by itself"}
    for kind, (domain, disk) in made.items():
        operation = stopd.finished(requests[kind])
        assert operation["outcome"] == "Stopped" and "power cut" not in words(operation), operation
        assert disk.is_zero() and kit.is_off(domain)
        stopd.reported(f"i-{kind}", "Running→Stopping", "Stopping→Stopped")
        assert disk_events(stopd, f"i-{kind}") == ["cleared"]
        assert reason_of(stopd, f"i-{kind}") == f"{causes[kind]}; local disks cleared"


def test_what_libvirtd_itself_has_ended_is_stopped_with_that_cause(guest, loops, stopd_for, tmp_path):  # noqa: F811
    """It kills a guest that it cannot take up again; and a start that fails is all that it knows of a domain then."""
    system = tmp_path / "system"
    system.write_bytes(bytes(MIB))
    made = boot(guest, loops, daemon={}, failed={"behaviour": "slow:1", "more": [system]})
    ended, failed = (made[kind][0] for kind in ("daemon", "failed"))
    stopd = stopd_for()
    requests = {kind: stopd.accepted(f"i-{kind}", ConfirmStop="true") for kind in made}
    for request in requests.values():
        pressed(stopd, request)
    stopd.kill()
    kit.wait_off(failed)
    with host.hook(f'#!/bin/sh\n[ "$1 $2" != "{ended} reconnect" ]\n'):
        wait_until(lambda: kit.is_off(ended), "libvirtd has ended it")
        system.unlink()
        with pytest.raises(libvirt.libvirtError):
            kit.start(failed)
        assert [kit.domain(name).state()[1] for name in (ended, failed)] == [
            libvirt.VIR_DOMAIN_SHUTOFF_DAEMON, libvirt.VIR_DOMAIN_SHUTOFF_FAILED]

        stopd.start()

        causes = {"daemon": "ended by the hypervisor's daemon", "failed": "hypervisor failure"}
        for kind, (_, disk) in made.items():
            operation = stopd.finished(requests[kind])
            assert operation["outcome"] == "Stopped" and "power cut" not in words(operation), operation
            disks_reported(stopd, f"i-{kind}", "cleared")
            assert disk.is_zero()
            stopd.reported(f"i-{kind}", "Running→Stopping", "Stopping→Stopped")
            assert reason_of(stopd, f"i-{kind}") == f"{causes[kind]}; local disks cleared"


def test_an_instance_that_is_gone_is_cleared_by_what_was_journalled(guest, loops, stopd_for):  # noqa: F811
    """Transient, or undefined or renamed while its disk is cleared."""
    made = boot(guest, loops, undefined={"behaviour": "obey"}, renamed={"behaviour": "obey"})
    disk = loops()
    transient = guest("obey", start=False, disks=[disk.device], metadata=i1("vda", id="i-transient"))
    definition = make_transient(transient)
    kit.connect().createXML(definition)
    kit.wait_ready(transient)
    made["transient"] = (transient, disk)
    stopd = stopd_for(**SLOW)
    requests = {kind: stopd.accepted(f"i-{kind}", ConfirmStop="true") for kind in made}
    for request in requests.values():
        in_phase(stopd, request, "clearing", "verifying")

    kit.domain(made["undefined"][0]).undefine()
    kit.domain(made["renamed"][0]).rename("renamed")

    try:
        for kind, (_, disk) in made.items():
            operation = stopd.finished(requests[kind])
            assert operation["outcome"] == "Stopped" and disk.is_zero(), operation
            stopd.reported(f"i-{kind}", "Running→Stopping", "Stopping→Stopped")
            assert reason_of(stopd, f"i-{kind}") == "guest shut down; local disks cleared"
        assert shown(stopd, "renamed", state="Stopped")["instanceId"] == "i-renamed"
        for kind in "undefined", "transient":
            wait_until(lambda: stopd.get(f"/v1/instances/i-{kind}").status == 404, f"i-{kind} is gone")
    finally:
        kit.domain("renamed").undefine()


@pytest.mark.parametrize("how", ["seen", "unseen", "unseen, forgotten", "unseen, and a start has failed since"])
def test_saved_its_disks_are_kept_and_nobody_clears_them_by_mistake(guest, loops, stopd_for, tmp_path, how):  # noqa: F811
    systems = {kind: tmp_path / f"system-{kind}" for kind in ("managed", "filed")}
    for system in systems.values():
        system.write_bytes(bytes(MIB))
    made = boot(guest, loops, **{kind: {"more": [system]} for kind, system in systems.items()})
    managed, filed = (made[kind][0] for kind in ("managed", "filed"))
    before = {kind: disk.bytes() for kind, (_, disk) in made.items()}
    stopd = stopd_for()
    requests = {kind: stopd.accepted(f"i-{kind}", ConfirmStop="true") for kind in made}
    for request in requests.values():
        pressed(stopd, request)
    if "unseen" in how:
        stopd.kill()

    kit.domain(managed).managedSave()
    kit.domain(filed).save(str(tmp_path / "image"))

    if "forgotten" in how:
        with host.libvirtd_away():
            pass
        assert kit.domain(filed).state()[1] == libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN
    if "failed" in how:
        for kind, (domain, _) in made.items():
            systems[kind].unlink()
            with pytest.raises(libvirt.libvirtError):
                kit.start(domain)
        assert kit.domain(filed).state()[1] == libvirt.VIR_DOMAIN_SHUTOFF_FAILED
    if "unseen" in how:
        stopd.start()
    try:
        for kind, (_, disk) in made.items():
            operation = stopd.finished(requests[kind])
            assert operation["outcome"] == "Failed" and operation["error"]["code"] == "InstanceSaved", operation
            stopd.reported(f"i-{kind}", "Running→Stopping", "Stopping→Stopped")
            shown(stopd, f"i-{kind}", detail="saved", owed=None)
            refused = stopctl(stopd, "clear", f"i-{kind}", "--confirm", "--yes")
            assert refused.returncode == 76 and "saved" in refused.stderr, refused
            assert disk.bytes() == before[kind] and disk_events(stopd, f"i-{kind}") == []
    finally:
        kit.domain(managed).managedSaveRemove()


def test_started_again_nothing_more_is_cleared(guest, loops, stopd_for):  # noqa: F811
    """Before anybody has seen that it was off, and in the middle of a clear where no hook keeps it from that."""
    made = boot(guest, loops, unseen={"behaviour": "slow:1"}, clearing={"behaviour": "obey", "size": 48 * MIB})
    unseen, clearing = (made[kind][0] for kind in ("unseen", "clearing"))
    before = made["unseen"][1].bytes()
    stopd = stopd_for(**SLOW)
    requests = {"clearing": stopd.accepted("i-clearing", ConfirmStop="true")}
    wait_until(lambda: stopd.operation(requests["clearing"])["storage"][0]["done"] > 0, "some of it is cleared")
    kit.start(clearing)
    failed = stopd.finished(requests["clearing"])
    requests["unseen"] = stopd.accepted("i-unseen", ConfirmStop="true")
    pressed(stopd, requests["unseen"])
    stopd.kill()
    kit.wait_off(unseen)
    kit.start(unseen)
    kit.wait_ready(unseen)
    stopd.start()

    for kind, request in requests.items():
        operation = stopd.finished(request)
        assert operation["outcome"] == "Failed", operation
        assert operation["error"]["code"] == "InstanceStartedAgain", operation
        assert not kit.is_off(made[kind][0]), "the new run was stopped"
        stopd.reported(f"i-{kind}", "Running→Stopping", "Stopping→Running")
        assert "cleared" not in disk_events(stopd, f"i-{kind}")
        shown(stopd, f"i-{kind}", state="Running", owed=None)
    assert made["unseen"][1].bytes() == before
    assert os.listdir(stopd.path("owed")) == []
    # The tail of the other one was still to come, and nobody is at it any more.
    done = failed["storage"][0]["done"]
    assert 0 < done < 40 * MIB, failed
    assert any(made["clearing"][1].bytes()[-MIB:])


def run_again(domain, disk, data):
    """A run of it that leaves this on its disk, and goes off by itself."""
    kit.start(domain)
    kit.wait_ready(domain)
    with open(disk.device, "r+b") as device:
        device.write(data)
        os.fsync(device)
    kit.press(domain)
    kit.wait_off(domain)


def test_started_again_and_off_again_unseen_it_keeps_what_the_later_run_has_left(guest, loops, stopd_for, tmp_path):  # noqa: F811
    """libvirt tells of the last run alone. A start that has failed is none: that instance is cleared."""
    system = tmp_path / "system"
    system.write_bytes(bytes(MIB))
    made = boot(guest, loops, again={"behaviour": "slow:1"}, failed={"behaviour": "slow:1", "more": [system]})
    again, failed = (made[kind][0] for kind in ("again", "failed"))
    stopd = stopd_for()
    requests = {kind: stopd.accepted(f"i-{kind}", ConfirmStop="true") for kind in made}
    for request in requests.values():
        pressed(stopd, request)
    stopd.kill()
    kit.wait_off(again, failed)
    data = os.urandom(MIB)
    run_again(again, made["again"][1], data)
    system.unlink()
    with pytest.raises(libvirt.libvirtError):
        kit.start(failed)

    stopd.start()

    operation = stopd.finished(requests["failed"])
    assert operation["outcome"] == "Stopped" and made["failed"][1].is_zero(), operation
    operation = stopd.finished(requests["again"])
    assert operation["outcome"] == "Failed", operation
    assert operation["error"]["code"] == "InstanceStartedAgain", operation
    stopd.reported("i-again", "Running→Stopping", "Stopping→Running", "Running→Stopped")
    assert stopd.events("i-again")[-1]["data"]["localStorage"] == "kept"
    assert reason_of(stopd, "i-again") == "guest shut down by itself"
    assert disk_events(stopd, "i-again") == [] and made["again"][1].bytes().startswith(data)
    shown(stopd, "i-again", state="Stopped", owed=None)
    cleared = stopctl(stopd, "clear", "i-again", "--confirm", "--yes")
    assert cleared.returncode == 0 and made["again"][1].is_zero(), cleared
