"""Domains in awkward states, before a stop and in the middle of one (contract sections 3 and 4)."""

import subprocess

import libvirt
import pytest

import host
import kit
from daemon import wait_until
from test_faults import needs_faults

PANIC = "<panic model='isa'/>"


def words(operation):
    return [line["what"] for line in operation["timeline"]]


def pressed(stopd, request):
    return wait_until(lambda: (lambda o: o if "button" in words(o) else None)(stopd.operation(request)),
                      "the button is pressed", seen=lambda: f"{stopd.operation(request)}\n{stopd.log()}")


def shown(stopd, name, **members):
    return wait_until(lambda: (lambda i: i if members.items() <= i.items() else None)(stopd.instance(name)),
                      f"{name} is shown as {members}", seen=lambda: f"{stopd.instance(name)}\n{stopd.log()}")


def in_libvirtds_world(*command):
    """Runs it where libvirtd and its guests see what comes of it."""
    subprocess.run(["nsenter", "--target", str(kit.libvirtd_pid()), "--mount", *command], check=True)


@pytest.fixture
def small(tmp_path):
    """An image of 4 MiB on a file system that has room for one."""
    folder = tmp_path / "small"
    folder.mkdir()
    in_libvirtds_world("mount", "-t", "tmpfs", "-o", "size=1m", "none", folder)
    in_libvirtds_world("truncate", "-s", "4M", folder / "image")
    yield folder / "image"
    in_libvirtds_world("umount", "-l", folder)


def test_a_suspended_guest_is_woken_first(daemon, guest):
    name, stopd = guest("obey"), daemon(stop__resend="2s").start()
    kit.suspend_to_memory(name)
    shown(stopd, name, state="Running", detail="pmsuspended")

    operation = stopd.finished(stopd.accepted(name))

    assert operation["outcome"] == "Stopped", operation
    assert words(operation).index("waking") < words(operation).index("button"), operation
    assert "power cut" not in words(operation)
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_a_guest_that_a_full_disk_has_paused_is_stopped_by_force_only(daemon, guest, small):
    name = guest("obey", disks=[str(small)], fill=["vda"], start=False)
    stopd = daemon().start()
    kit.start(name)
    shown(stopd, name, state="Running", detail="paused")
    assert kit.domain(name).state()[1] == libvirt.VIR_DOMAIN_PAUSED_IOERROR

    refused = stopd.stop_instance(name)

    assert refused.code == "IncorrectInstanceStatus" and "paused" in refused.json["Message"]
    operation = stopd.finished(stopd.accepted(name, ForceStop="true"))
    assert operation["outcome"] == "Stopped", operation
    stopd.reported(name, "Stopped→Running", "Running→Stopping", "Stopping→Stopped")


def test_a_guest_that_has_crashed_is_ended(daemon, guest):
    """Before the stop, and in the middle of it."""
    before, during = guest("ignore", "ignore", on_crash="preserve", devices=PANIC)
    stopd = daemon().start()
    kit.panic(before)
    shown(stopd, before, state="Running", detail="crashed")

    requests = [stopd.accepted(before), stopd.accepted(during)]
    pressed(stopd, requests[1])
    kit.panic(during)

    for name, request in zip((before, during), requests):
        operation = stopd.finished(request)
        assert operation["outcome"] == "Stopped", operation
        assert ["crashed" in line["detail"] for line in operation["timeline"]
                if line["what"] == "power cut"] == [True], operation
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_a_guest_that_is_saved_in_the_middle_is_not_stopped(daemon, guest, tmp_path):
    managed, filed = guest("ignore", "ignore")
    stopd = daemon().start()
    requests = [stopd.accepted(name) for name in (managed, filed)]
    for request in requests:
        pressed(stopd, request)

    kit.domain(managed).managedSave()
    kit.domain(filed).save(str(tmp_path / "image"))

    for name, request in zip((managed, filed), requests):
        operation = stopd.finished(request)
        assert operation["outcome"] == "Failed" and operation["state"] == "Stopped", operation
        assert operation["error"]["code"] == "InstanceSaved"
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
        shown(stopd, name, state="Stopped", detail="saved")
    # libvirt forgets over a restart that the one was saved, for the file is not its own; stopd does not.
    stopd.stop()
    with host.libvirtd_away():
        pass
    stopd.start()
    for name in (managed, filed):
        shown(stopd, name, state="Stopped", detail="saved")
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    kit.domain(managed).managedSaveRemove()


def test_a_transient_domain_and_one_that_becomes_so_are_stopped_and_gone(daemon, guest):
    undefined = guest("slow:2")
    transient = guest("obey", start=False)
    definition = kit.domain(transient).XMLDesc()
    kit.domain(transient).undefine()
    kit.connect().createXML(definition)
    kit.wait_ready(transient)
    stopd = daemon().start()

    requests = [stopd.accepted(name) for name in (undefined, transient)]
    pressed(stopd, requests[0])
    kit.domain(undefined).undefine()

    for name, request in zip((undefined, transient), requests):
        operation = stopd.finished(request)
        assert operation["outcome"] == "Stopped", operation
        assert operation["timeline"][-1]["detail"] == "guest shut down"
        stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
        wait_until(lambda: stopd.get(f"/v1/instances/{name}").status == 404, f"{name} is gone")


def test_of_a_transient_instance_that_went_unseen_its_event_is_whole(daemon, guest):
    """Rule 7: nothing of it is left when stopd comes back, and its event still says what it had."""
    name = guest("obey", start=False, metadata=kit.instance_xml(
        {"id": "i-gone", "type": "ecs.i1.xlarge", "public-ip": "203.0.113.7"}))
    definition = kit.domain(name).XMLDesc()
    kit.domain(name).undefine()
    kit.connect().createXML(definition)
    stopd = daemon().start()
    shown(stopd, "i-gone", state="Running")
    stopd.stop()
    kit.destroy(name)

    stopd.start()

    stopd.reported("i-gone", "Running→Stopped")
    data = stopd.events("i-gone")[-1]["data"]
    assert data["localStorage"] == "kept", data
    assert data["resources"] == {"vcpus": 1, "memoryKiB": 128 << 10, "publicIp": "203.0.113.7",
                                 "released": False}


def test_a_domain_goes_by_its_new_name_and_a_stop_by_its_process(daemon, guest):
    """Defined anew in the middle of its stop, which goes on; then renamed, and known by that name."""
    name = guest("slow:2")
    stopd = daemon().start()
    request = stopd.accepted(name)
    pressed(stopd, request)
    kit.connect().defineXML(kit.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace(
        "<vcpu placement='static'>1<", "<vcpu placement='static'>2<"))

    assert stopd.finished(request)["outcome"] == "Stopped"
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    renamed = f"{name}-renamed"
    kit.domain(name).rename(renamed)
    try:
        wait_until(lambda: stopd.get(f"/v1/instances/{renamed}").status == 200, "its new name is known")
        assert stopd.get(f"/v1/instances/{name}").status == 404
    finally:
        kit.domain(renamed).undefine()


def lock(name, flag):
    element = kit.instance_xml({"id": name}, locks=["security"]).replace(
        f"xmlns:ecs='{kit.NAMESPACE}'", "").replace("ecs:", "")
    kit.domain(name).setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, element, "ecs", kit.NAMESPACE, flag)


@pytest.mark.parametrize("how", ["cancelled", "forced"])
def test_a_lock_while_a_stop_waits_for_its_turn_ends_it(daemon, guest, how):
    """In either metadata. The first holds the line; behind it a soft stop, one with an override, and both locks."""
    first, live, config, overridden = guest("ignore", "obey", "obey", "obey")
    stopd = daemon(stop__parallel="1").start()
    head = stopd.accepted(first)
    pressed(stopd, head)
    requests = {name: stopd.accepted(name) for name in (live, config)}
    forced_through = stopd.accepted(overridden, Override="lock")
    assert all(stopd.operation(request)["phase"] == "queued" for request in requests.values())

    lock(live, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    lock(config, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    lock(overridden, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    for name in (live, config, overridden):
        shown(stopd, name, locks=["security"])
    assert stopd.stop_instance(live, ForceStop="true").code == "InstanceLockedForSecurity"
    if how == "cancelled":
        assert stopd.ask("POST", f"/v1/operations/{head}/cancel").status == 200
    else:
        stopd.accepted(first, ForceStop="true")

    for name, request in requests.items():
        operation = stopd.finished(request)
        assert operation["outcome"] == "Failed" and operation["state"] == "Running", operation
        assert operation["error"]["code"] == "InstanceLockedForSecurity", operation
        assert "button" not in words(operation) and "power cut" not in words(operation), operation
        stopd.reported(name, "Running→Stopping", "Stopping→Running")
        assert kit.domain(name).state()[0] == libvirt.VIR_DOMAIN_RUNNING
        assert "powering off" not in kit.console(name)
    assert stopd.finished(forced_through)["outcome"] == "Stopped"


@needs_faults
@pytest.mark.parametrize("flag", [libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG])
def test_a_lock_that_no_event_has_told_of_holds_a_power_cut_back(daemon, guest, flag):
    name, stopd = guest("obey"), daemon(hypervisor__faults="changed:lost:100%").start()
    shown(stopd, name, state="Running", locks=[])
    lock(name, flag)

    operation = stopd.finished(stopd.accepted(name, ForceStop="true"))

    assert operation["outcome"] == "Failed" and operation["state"] == "Running", operation
    assert operation["error"]["code"] == "InstanceLockedForSecurity", operation
    assert kit.domain(name).state()[0] == libvirt.VIR_DOMAIN_RUNNING
    stopd.reported(name, "Running→Stopping", "Stopping→Running")
    assert stopd.finished(stopd.accepted(name, ForceStop="true", Override="lock"))["outcome"] == "Stopped"


def test_a_lock_in_either_metadata_refuses(daemon, guest):
    name, stopd = guest("obey"), daemon().start()
    for flag in (libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_AFFECT_LIVE):
        lock(name, flag)
        shown(stopd, name, locks=["security"])
        for parameters in ({}, {"ForceStop": "true"}):
            assert stopd.stop_instance(name, **parameters).code == "InstanceLockedForSecurity"
        kit.domain(name).setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, "ecs", kit.NAMESPACE, flag)
        shown(stopd, name, locks=[])

    assert stopd.finished(stopd.accepted(name))["outcome"] == "Stopped"
