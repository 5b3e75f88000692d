"""Local disks of I1-class instances are cleared before Stopped, or the stop says why not (rules 2, 3 and 7)."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import host
import kit
from daemon import BUILD, stopctl, wait_until

MIB = 1 << 20
LOSETUP = os.path.join(os.path.dirname(kit.__file__), "losetup")
ID = "i-local"


class Loop:
    """A loop device of our own, filled with what a tenant left."""

    def __init__(self, folder, name, size=8 * MIB):
        self.path = os.path.join(folder, name)
        with open(self.path, "wb") as file:
            file.write(os.urandom(1 << 16) * (size >> 16))
        self.size = size
        self.device = subprocess.run([LOSETUP, "--find", "--show", self.path], check=True,
                                     text=True, stdout=subprocess.PIPE).stdout.strip()

    def bytes(self):
        with open(self.device, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return file.read(self.size)

    def is_zero(self):
        return not any(self.bytes())

    def detach(self):
        subprocess.run([LOSETUP, "--detach", self.device], check=True)


@pytest.fixture
def loops(tmp_path):
    if os.geteuid() != 0 or not pathlib.Path("/dev/loop-control").is_char_device():
        pytest.skip("needs root and loop devices")
    made = []

    def make(count=1, size=8 * MIB):
        made.extend(Loop(tmp_path, f"disk{len(made)}", size) for _ in range(count))
        return made[-1] if count == 1 else made[-count:]

    yield make
    for each in made:
        each.detach()


@pytest.fixture
def stopd_for(daemon):
    def start(**settings):
        settings = {"local_storage__devices": "/dev/loop*",
                    "local_storage__helper": "spawn:" + os.path.join(BUILD, "executor", "wipe", "stopd-wipe"),
                    **settings}
        return daemon(**settings).start()

    return start


def i1(*targets, **attributes):
    """Metadata of an I1-class instance with these local disks."""
    return kit.instance_xml({"id": ID, "type": "ecs.i1.xlarge", **attributes},
                            local_disks=[target if isinstance(target, dict) else {"target": target}
                                         for target in targets])


def disk_events(stopd, instance):
    return [event["type"].split(".")[2] for event in stopd.events(instance)
            if event["type"].startswith("stopd.storage.")]


def disks_reported(stopd, instance, *kinds):
    """Waits for exactly these events of disks in the sink."""
    wait_until(lambda: len(disk_events(stopd, instance)) >= len(kinds), f"{kinds} are reported", seen=stopd.log)
    assert disk_events(stopd, instance) == list(kinds)


def states(operation):
    return [disk["state"] for disk in operation["storage"]]


def in_phase(stopd, request, *phases):
    return wait_until(lambda: (lambda o: o if o["phase"] in phases else None)(stopd.operation(request)),
                      f"phase {phases}", seen=lambda: f"{stopd.operation(request)}\n{stopd.log()}")


def test_cleared_verified_and_certified_before_stopped(guest, loops, stopd_for):
    system, first, second = loops(3)
    name = guest("obey", metadata=i1("vdb", "vdc"),
                 disks=[system.device, first.device, second.device], fill=("vdb", "vdc"))
    kept = system.bytes()
    stopd = stopd_for()
    assert stopd.stop_instance(name).code == "InstanceType.ParameterMismatch"
    assert stopd.stop_instance(name, ConfirmStop="true", DryRun="true").code == "DryRunOperation"

    operation = stopd.finished(stopd.accepted(name, ConfirmStop="true"))

    assert operation["outcome"] == "Stopped", operation
    assert states(operation) == ["cleared", "cleared"]
    assert first.is_zero() and second.is_zero()
    assert system.bytes() == kept, "the system disk was touched"
    stopd.reported(ID, "Running→Stopping", "Stopping→Stopped")
    types = [event["type"] for event in stopd.events(ID)]
    assert types == ["stopd.instance.state.v1", "stopd.storage.cleared.v1",
                     "stopd.storage.cleared.v1", "stopd.instance.state.v1"]
    assert stopd.events(ID)[-1]["data"]["reason"] == "guest shut down; local disks cleared"
    signed = stopd.get(f"/v1/certificates/{operation['requestId']}").json["certificates"]
    assert [each["target"] for each in signed] == ["vdb", "vdc"]
    reported = {event["data"]["target"]: event["data"]["certificate"]
                for event in stopd.events(ID) if "cleared" in event["type"]}
    assert reported == {each["target"]: each["certificate"] for each in signed}
    assert os.listdir(stopd.path("owed")) == [], "a marker is left"
    assert stopd.instance(name)["owed"] is None


def test_cleared_by_a_helper_behind_a_socket(guest, loops, stopd_for, tmp_path):
    """As in production, where the service manager starts one for each connection."""
    if not shutil.which("systemd-socket-activate"):
        pytest.skip("needs systemd-socket-activate")
    disks = loops(2)
    name = guest("obey", metadata=i1("vda", "vdb"), disks=[disk.device for disk in disks], fill=("vda", "vdb"))
    path = tmp_path / "wipe.sock"
    with subprocess.Popen(["systemd-socket-activate", "--accept", "--inetd", "--listen", path,
                           os.path.join(BUILD, "executor", "wipe", "stopd-wipe")], start_new_session=True) as server:
        try:
            wait_until(path.exists, "the socket is there")
            stopd = stopd_for(local_storage__helper=f"unix:{path}")
            operation = stopd.finished(stopd.accepted(name, ConfirmStop="true"))
        finally:
            os.killpg(server.pid, signal.SIGTERM)

    assert operation["outcome"] == "Stopped", operation
    assert states(operation) == ["cleared", "cleared"]
    assert all(disk.is_zero() for disk in disks)
    disks_reported(stopd, ID, "cleared", "cleared")


def test_a_certificate_is_verified_offline(guest, loops, stopd_for, tmp_path):
    name = guest("obey", metadata=i1("vda"), disks=[loops().device])
    stopd = stopd_for()
    request = stopd.accepted(name, ConfirmStop="true")
    stopd.finished(request)
    saved, key = tmp_path / "certificate.json", tmp_path / "key.pem"
    saved.write_text(stopctl(stopd, "certificate", request, "--json").stdout)
    key.write_text(stopctl(stopd, "certificate", "--key").stdout)

    good = stopctl(stopd, "certificate", "--verify", str(saved), "--with", str(key))
    assert good.returncode == 0, good
    saved.write_text(saved.read_text().replace("vda", "vdz"))
    bad = stopctl(stopd, "certificate", "--verify", str(saved), "--with", str(key))
    assert bad.returncode == 71, bad


@pytest.mark.parametrize("wrong", [{"serial": "NOT-IT"}, {"eui64": "0025385b71b01234"}])
def test_a_disk_that_is_not_the_one_named_is_refused_before_anything(guest, loops, stopd_for, wrong):
    disk = loops()
    name = guest("obey", metadata=i1({"target": "vda", **wrong}), disks=[disk.device])
    before = disk.bytes()
    stopd = stopd_for()

    refused = stopd.stop_instance(name, ConfirmStop="true", ForceStop="true")

    assert (refused.status, refused.code) == (403, "IncorrectDiskStatus"), refused
    assert "vda" in refused.json["Message"] and next(iter(wrong)) in refused.json["Message"]
    assert stopd.instance(name)["state"] == "Running" and not kit.is_off(name)
    assert disk.bytes() == before


def test_a_disk_that_no_method_can_clear_is_refused_before_anything(guest, loops, stopd_for):
    disk = loops()
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    before = disk.bytes()
    stopd = stopd_for(local_storage__level="purge", local_storage__methods="nvme-sanitize-block,overwrite")

    refused = stopd.stop_instance(name, ConfirmStop="true", ForceStop="true")

    assert (refused.status, refused.code) == (403, "IncorrectDiskStatus"), refused
    for said in ("vda", "level purge", "local_storage.methods", "nvme-sanitize-block: ", "overwrite: "):
        assert said in refused.json["Message"], refused
    assert stopd.instance(name)["state"] == "Running" and not kit.is_off(name)
    assert disk.bytes() == before
    stopd.stop()

    stopd = stopd_for(local_storage__methods="nvme-format-user-data,write-zeroes")
    assert stopd.finished(stopd.accepted(name, ConfirmStop="true", ForceStop="true"))["outcome"] == "Stopped"
    assert disk.is_zero()


def test_a_disk_that_is_another_than_while_the_instance_ran_is_refused(guest, loops, stopd_for):
    disk = loops()
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    before = disk.bytes()
    stopd = stopd_for(log__level="debug")
    wait_until(lambda: f"{ID}: its 1 local disks are known" in stopd.log(), "its disks are identified",
               seen=stopd.log)

    os.truncate(disk.path, 2 * disk.size)
    subprocess.run([LOSETUP, "--set-capacity", disk.device], check=True)

    refused = stopd.stop_instance(name, ConfirmStop="true")
    assert (refused.status, refused.code) == (403, "IncorrectDiskStatus"), refused
    assert f"vda ({disk.device})" in refused.json["Message"], refused
    assert f"its size was {disk.size} and is {2 * disk.size}" in refused.json["Message"], refused
    assert stopd.instance(name)["state"] == "Running" and not kit.is_off(name)
    assert disk.bytes() == before

    # Who means it restarts stopd.
    stopd.kill()
    stopd.start()
    disk.size *= 2
    assert stopd.finished(stopd.accepted(name, ConfirmStop="true"))["outcome"] == "Stopped"


def test_a_disk_that_cannot_be_found_is_refused(guest, loops, stopd_for):
    name = guest("obey", metadata=i1(), disks=[loops().device])
    stopd = stopd_for(local_storage__devices="/dev/nvme*n*")
    assert stopd.stop_instance(name, ConfirmStop="true").code == "IncorrectDiskStatus"
    other = guest("obey", metadata=i1("vdx", id="i-other"), disks=[loops().device])
    assert stopd.stop_instance(other, ConfirmStop="true").code == "IncorrectDiskStatus"


def test_without_local_disk_elements_the_globs_decide(guest, loops, stopd_for, tmp_path):
    disk = loops()
    image = tmp_path / "system.img"
    image.write_bytes(b"keep" * (MIB // 4))
    name = guest("obey", metadata=i1(), disks=[str(image), disk.device])
    stopd = stopd_for()

    operation = stopd.finished(stopd.accepted(name, ConfirmStop="true"))

    assert [each["target"] for each in operation["storage"]] == ["vdb"]
    assert disk.is_zero() and image.read_bytes() == b"keep" * (MIB // 4)


def test_killed_while_clearing_it_goes_on_and_ends_stopped(guest, loops, stopd_for):
    disk = loops(size=48 * MIB)
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    stopd = stopd_for(local_storage__methods="overwrite", local_storage__max_mib_per_s="8")
    request = stopd.accepted(name, ConfirmStop="true")
    for _ in range(3):
        in_phase(stopd, request, "clearing", "verifying")
        wait_until(lambda: stopd.operation(request)["storage"][0]["done"] > 0, "some of it is cleared")
        cancel = stopd.ask("POST", f"/v1/operations/{request}/cancel")
        assert cancel.code == "IncorrectInstanceStatus" and "clear" in cancel.json["Message"]
        assert stopd.instance(name)["owed"] == request
        assert len(os.listdir(stopd.path("owed"))) == 1
        stopd.kill()
        stopd.start()

    operation = stopd.finished(request, deadline=120)

    assert operation["outcome"] == "Stopped", operation
    assert disk.is_zero()
    stopd.reported(ID, "Running→Stopping", "Stopping→Stopped")
    assert disk_events(stopd, ID).count("cleared") == 1
    assert stopd.events(ID)[-1]["data"]["reason"] == "guest shut down; local disks cleared"


def test_held_by_somebody_it_is_reported_and_tried_again(guest, loops, stopd_for):
    disk = loops()
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    stopd = stopd_for()
    with open(disk.device, "rb"):
        request = stopd.accepted(name, ConfirmStop="true")
        in_phase(stopd, request, "clearing")
        wait_until(lambda: "failed" in disk_events(stopd, ID), "the failure is reported",
                   seen=stopd.log)
        operation = stopd.operation(request)
        assert operation["state"] == "Stopping" and operation["storage"][0]["problem"], operation
        assert str(os.getpid()) in operation["storage"][0]["problem"], operation
        assert not disk.is_zero()

    assert stopctl(stopd, "retry", name).returncode == 0

    assert stopd.finished(request)["outcome"] == "Stopped"
    assert disk.is_zero()
    stopd.reported(ID, "Running→Stopping", "Stopping→Stopped")


def test_named_by_another_domain_it_is_not_touched(guest, loops, stopd_for):
    disk = loops()
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    other = guest("obey", start=False, disks=[disk.device])
    before = disk.bytes()
    stopd = stopd_for()

    request = stopd.accepted(name, ConfirmStop="true")
    wait_until(lambda: "failed" in disk_events(stopd, ID), "the failure is reported", seen=stopd.log)

    assert other in stopd.operation(request)["storage"][0]["problem"]
    assert disk.bytes() == before
    kit.remove(other)
    stopd.ask("POST", f"/v1/operations/{request}/retry")
    assert stopd.finished(request)["outcome"] == "Stopped"
    assert disk.is_zero()


@pytest.fixture
def pool(tmp_path):
    """A storage pool, which is a folder."""
    folder = tmp_path / "pool"
    folder.mkdir()
    with contextlib.closing(kit.connect()) as libvirt:
        made = libvirt.storagePoolDefineXML(
            f"<pool type='dir'><name>local</name><target><path>{folder}</path></target></pool>")
        made.create()
        yield made, folder
        with contextlib.suppress(kit.libvirt.libvirtError):
            made.destroy()
        with contextlib.suppress(kit.libvirt.libvirtError):
            made.undefine()


def define_with(name, disk):
    """A domain that is only defined, with this disk."""
    with contextlib.closing(kit.connect()) as libvirt:
        libvirt.defineXML(f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>"
                          f"<os><type arch='x86_64'>hvm</type></os><devices>{disk}</devices></domain>")
    return name


@pytest.mark.parametrize("how", ["volume", "volume of an inactive pool", "backing chain"])
def test_named_by_another_domain_on_the_way_it_is_not_touched(guest, loops, pool, stopd_for, how):
    made, folder = pool
    disk = loops()
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    (folder / "link").symlink_to(disk.device)
    made.refresh()
    if how == "backing chain":
        named = ("<disk type='file'><driver name='qemu' type='qcow2'/><source file='/nowhere/overlay.qcow2'/>"
                 f"<backingStore type='block'><format type='raw'/><source dev='{disk.device}'/></backingStore>"
                 "<target dev='vdc' bus='virtio'/></disk>")
    else:
        named = ("<disk type='volume'><driver name='qemu' type='raw'/><source pool='local' volume='link'/>"
                 "<target dev='vdc' bus='virtio'/></disk>")
    if "inactive" in how:
        made.destroy()
    other = define_with("by-the-way", named)
    before = disk.bytes()
    stopd = stopd_for()
    try:
        request = stopd.accepted(name, ConfirmStop="true")
        wait_until(lambda: "failed" in disk_events(stopd, ID), "the failure is reported", seen=stopd.log)
        problem = stopd.operation(request)["storage"][0]["problem"]
        assert f"is named by domain {other} too (vdc, as " in problem, problem
        assert disk.bytes() == before
    finally:
        kit.remove(other)
    stopd.ask("POST", f"/v1/operations/{request}/retry")
    assert stopd.finished(request)["outcome"] == "Stopped"
    assert disk.is_zero()


def test_while_a_volume_cannot_be_told_nothing_is_touched(guest, loops, stopd_for):
    """Unknown is not "not named"; it is nobody's failure either, and stands in the open."""
    disk = loops()
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    before = disk.bytes()
    other = define_with("no-pool", "<disk type='volume'><source pool='no-such-pool' volume='x'/>"
                                   "<target dev='vdc' bus='virtio'/></disk>")
    stopd = stopd_for()
    try:
        request = stopd.accepted(name, ConfirmStop="true")
        detail = wait_until(lambda: stopd.operation(request)["detail"], "it says what it waits for", seen=stopd.log)
        for said in ("vda", "vdc", other, "no-such-pool"):
            assert said in detail, detail
        operation = stopd.operation(request)
        assert (operation["phase"], operation["storage"][0]["tries"]) == ("clearing", 0), operation
        assert disk.bytes() == before and disk_events(stopd, ID) == []
    finally:
        kit.remove(other)
    stopd.ask("POST", f"/v1/operations/{request}/retry")
    operation = stopd.finished(request)
    assert operation["outcome"] == "Stopped" and operation["detail"] is None, operation


def test_a_marker_that_cannot_be_read_keeps_nobody_from_starting(daemon):
    stopd = daemon(uri="test:///default")
    os.mkdir(stopd.path("owed"), 0o700)
    marker = stopd.path("owed/6695eb01-f6a4-8304-79aa-97f2502e193f.vdb.json")
    with open(marker, "w", encoding="ascii") as file:
        file.write("{")

    stopd.start()

    assert marker in stopd.log() and "take the file away by hand" in stopd.log(), stopd.log()
    assert os.path.exists(marker)


def test_disks_that_changed_after_acceptance_are_not_guessed(guest, loops, stopd_for):
    disk, added = loops(2)
    name = guest("slow:2", metadata=i1(), disks=[disk.device])
    before = disk.bytes()
    stopd = stopd_for()
    request = stopd.accepted(name, ConfirmStop="true")
    kit.domain(name).attachDeviceFlags(
        f"<disk type='block' device='disk'><driver name='qemu' type='raw'/>"
        f"<source dev='{added.device}'/><target dev='vdz' bus='virtio'/></disk>", 2)

    operation = in_phase(stopd, request, "quarantined")

    assert operation["state"] == "Stopping" and "changed" in operation["detail"], operation
    assert disk.bytes() == before
    disks_reported(stopd, ID, "failed")
    assert stopctl(stopd, "stop", name, "--confirm").returncode == 76


def test_off_by_itself_its_disks_are_kept_until_an_operator_clears_them(guest, loops, stopd_for):
    disk = loops()
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    before = disk.bytes()
    stopd = stopd_for()
    kit.press(name)
    kit.wait_off(name)
    stopd.reported(ID, "Running→Stopped")
    assert stopd.events(ID)[-1]["data"]["localStorage"] == "kept"
    assert disk.bytes() == before

    assert stopd.stop_instance(name, ConfirmStop="true").code == "IncorrectInstanceStatus"
    body = json.dumps({"confirm": False})
    assert stopd.ask("POST", f"/v1/instances/{name}/clear", body=body).status == 400
    cleared = stopctl(stopd, "clear", name, "--confirm", "--yes")

    assert cleared.returncode == 0, cleared
    assert disk.is_zero()
    stopd.reported(ID, "Running→Stopped")
    assert disk_events(stopd, ID) == ["cleared"]


def test_no_domain_starts_on_a_disk_that_is_owed(guest, loops, stopd_for):
    disk = loops(size=48 * MIB)
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    stopd = stopd_for(local_storage__methods="overwrite", local_storage__max_mib_per_s="6")
    with host.qemu_hook(stopd.path("owed")):
        wait_until(stopd.is_ready, "stopd has its libvirt back")
        request = stopd.accepted(name, ConfirmStop="true")
        in_phase(stopd, request, "clearing", "verifying")
        wait_until(lambda: os.listdir(stopd.path("owed")), "the marker is there")
        for _ in ("alive", "dead"):
            with pytest.raises(kit.libvirt.libvirtError) as refused:
                kit.domain(name).create()
            assert request in str(refused.value), refused.value
            stopd.kill()
        stopd.start()
        assert stopd.finished(request, deadline=120)["outcome"] == "Stopped"
        kit.start(name)
        kit.wait_ready(name)
