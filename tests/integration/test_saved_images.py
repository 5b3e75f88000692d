"""Disks that another domain's saved image names, and no definition of it: they are that domain's."""

import contextlib
import pathlib

import kit
from daemon import wait_until
from test_local_disks import ID, disk_events, i1, loops, stopd_for  # noqa: F401: fixtures

IMAGES = pathlib.Path("/var/lib/libvirt/qemu/save")


def attach(name, device, target):
    """To the run that there is, and to no later one."""
    with contextlib.closing(kit.connect()) as libvirt:
        libvirt.lookupByName(name).attachDeviceFlags(
            f"<disk type='block'><driver name='qemu' type='raw'/><source dev='{device}'/>"
            f"<target dev='{target}' bus='virtio'/></disk>", kit.libvirt.VIR_DOMAIN_AFFECT_LIVE)


@contextlib.contextmanager
def saved(name):
    """Saved until the end of it, as managed by libvirt. Yields the image's path."""
    with contextlib.closing(kit.connect()) as libvirt:
        domain = libvirt.lookupByName(name)
        domain.managedSave()
        try:
            yield IMAGES / f"{name}.save"
        finally:
            domain.managedSaveRemove()


def test_named_by_another_domains_saved_image_it_is_not_touched(guest, loops, stopd_for):  # noqa: F811
    disk = loops()
    other = guest("obey")
    attach(other, disk.device, "vdd")
    with saved(other):
        name = guest("obey", metadata=i1("vda"), disks=[disk.device])
        before = disk.bytes()
        stopd = stopd_for()
        request = stopd.accepted(name, ConfirmStop="true")
        wait_until(lambda: "failed" in disk_events(stopd, ID), "the failure is reported", seen=stopd.log)
        problem = stopd.operation(request)["storage"][0]["problem"]
        assert f"is named by domain {other} too (vdd, as " in problem, problem
        assert disk.bytes() == before
    stopd.ask("POST", f"/v1/operations/{request}/retry")
    assert stopd.finished(request)["outcome"] == "Stopped"
    assert disk.is_zero()


def test_while_a_saved_image_cannot_be_read_nothing_is_touched(guest, loops, stopd_for):  # noqa: F811
    """Unknown is not "not named"."""
    disk = loops()
    other = guest("obey")
    with saved(other) as image:
        good = image.read_bytes()
        image.write_bytes(b"nothing that libvirt has written" * 100)
        name = guest("obey", metadata=i1("vda"), disks=[disk.device])
        before = disk.bytes()
        stopd = stopd_for()
        request = stopd.accepted(name, ConfirmStop="true")
        detail = wait_until(lambda: stopd.operation(request)["detail"], "it says what it waits for", seen=stopd.log)
        assert f"the saved image of domain {other} names cannot be told" in detail, detail
        assert disk.bytes() == before and disk_events(stopd, ID) == []
        image.write_bytes(good)
        stopd.ask("POST", f"/v1/operations/{request}/retry")
        assert stopd.finished(request)["outcome"] == "Stopped"
        assert disk.is_zero()
