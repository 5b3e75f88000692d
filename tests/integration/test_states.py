"""Domains in awkward states, before a stop and in the middle of one (contract sections 3 and 4)."""

import subprocess

import libvirt
import pytest

import kit
from daemon import wait_until

PANIC = "<panic model='isa'/>"


def words(operation):
    return [line["what"] for line in operation["timeline"]]


def pressed(stopd, request):
    return wait_until(lambda: (lambda o: o if "button" in words(o) else None)(stopd.operation(request)),
                      "the button is pressed", seen=lambda: f"{stopd.operation(request)}\n{stopd.log()}")


def shown(stopd, name, **members):
    return wait_until(lambda: (lambda i: i if members.items() <= i.items() else None)(stopd.instance(name)),
                      f"{name} is shown as {members}", seen=lambda: f"{stopd.instance(name)}\n{stopd.log()}")


@pytest.fixture
def small(tmp_path):
    """A file system with room for one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_suspended_guest_is_woken_first(daemon, guest):
    name, stopd = guest("obey", agent="obey"), daemon(stop__resend="2s").start()
    kit.domain(name).pMSuspendForDuration(libvirt.VIR_NODE_SUSPEND_TARGET_MEM, 0, 0)
    shown(stopd, name, state="Running", detail="pmsuspended")

    operation = stopd.finished(stopd.accepted(name))

    assert operation["outcome"] == "Stopped", operation
    assert words(operation).index("waking") < words(operation).index("button"), operation
    assert "power cut" not in words(operation)
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_a_guest_that_a_full_disk_has_paused_is_stopped_by_force_only(daemon, guest, small):
    image = small / "vda"
    with open(image, "wb") as file:
        file.truncate(4 << 20)
    name = guest("obey", disks=[str(image)], fill=["vda"], start=False)
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
    """Before the stop, and by the button."""
    before = guest("crash:0", on_crash="preserve", devices=PANIC)
    during = guest("panic", on_crash="preserve", devices=PANIC)
    stopd = daemon().start()
    shown(stopd, before, state="Running", detail="crashed")

    operations = [stopd.finished(request) for request in [stopd.accepted(before), stopd.accepted(during)]]

    for name, operation in zip((before, during), operations):
        assert operation["outcome"] == "Stopped", operation
        assert "crashed" in [line["detail"] for line in operation["timeline"]
                             if line["what"] == "power cut"][0]
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


def test_a_lock_in_either_metadata_refuses(daemon, guest):
    name, stopd = guest("obey"), daemon().start()
    lock = kit.instance_xml({"id": name}, locks=["security"]).replace(f"xmlns:ecs='{kit.NAMESPACE}'", "").replace(
        "ecs:", "")
    for flag in (libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_AFFECT_LIVE):
        kit.domain(name).setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, lock, "ecs", kit.NAMESPACE, flag)
        shown(stopd, name, locks=["security"])
        for parameters in ({}, {"ForceStop": "true"}):
            assert stopd.stop_instance(name, **parameters).code == "InstanceLockedForSecurity"
        kit.domain(name).setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, "ecs", kit.NAMESPACE, flag)
        shown(stopd, name, locks=[])

    assert stopd.finished(stopd.accepted(name))["outcome"] == "Stopped"
