"""A journal that is lost is a new epoch: nothing is cleared by it, and what was owed stays owed."""

import glob
import os
import subprocess

import kit
from daemon import BUILD, stopctl, wait_until
from test_local_disks import ID, MIB, disks_reported, i1, in_phase, loops, stopd_for  # noqa: F401 (fixtures)

MAY_START = os.path.join(BUILD, "executor", "hook", "stopd-may-start")


def hook_says(stopd, name):
    """Its refusal to let the domain start; "": none."""
    done = subprocess.run([MAY_START, "--folder", stopd.path("owed"), name, "prepare", "begin", "-"], text=True,
                          input=kit.domain(name).XMLDesc(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == (76 if done.stderr else 0), done
    return done.stderr


def lose_journal(stopd):
    folder = stopd.path("lost")
    os.mkdir(folder)
    for path in glob.glob(stopd.settings["journal.path"] + "*"):
        os.rename(path, os.path.join(folder, os.path.basename(path)))
    os.rename(stopd.events_path, os.path.join(folder, "events.jsonl"))


def test_what_a_lost_journal_owed_a_clear_stays_owed_until_an_operator_clears_it(guest, loops, stopd_for):  # noqa: F811
    """The stop itself is forgotten, and nothing is made up in its place."""
    disk, other = loops(size=24 * MIB), loops()
    name = guest("obey", metadata=i1("vda"), disks=[disk.device])
    bystander = guest("obey", disks=[other.device])
    stopd = stopd_for(local_storage__methods="overwrite", local_storage__max_mib_per_s="4")
    request = stopd.accepted(name, ConfirmStop="true")
    in_phase(stopd, request, "clearing")
    wait_until(lambda: stopd.operation(request)["storage"][0]["done"] > 0, "some of it is cleared")
    stopd.kill()
    lose_journal(stopd)
    in_use = ["fuser", "-s", disk.device]
    wait_until(lambda: subprocess.run(in_use, check=False).returncode != 0, "its helper is gone")
    half = disk.bytes()
    assert any(half)

    stopd.start()

    wait_until(lambda: stopd.instance(name)["certain"], "the domain has been looked at")
    assert stopd.get(f"/v1/operations/{request}").status == 404
    for _ in "first", "again":
        told = [line for line in stopd.log().splitlines() if request in line and "does not know" in line]
        assert len(told) == 1, stopd.log()
        for word in (disk.device, ID, stopd.path("owed"), f"stopctl clear {ID} --confirm"):
            assert word in told[0], told
        instance = stopd.instance(name)
        assert (instance["state"], instance["operation"], instance["owed"]) == ("Stopped", None, request), instance
        assert stopd.instance(bystander)["owed"] is None
        refused = stopctl(stopd, "may-start", name)
        assert refused.returncode == 76 and request in refused.stderr, refused
        assert request in hook_says(stopd, name) and hook_says(stopd, bystander) == ""
        assert len(os.listdir(stopd.path("owed"))) == 1
        assert stopd.stop_instance(name, ConfirmStop="true").code == "IncorrectInstanceStatus"
        assert disk.bytes() == half and stopd.events() == []
        stopd.kill()
        os.truncate(stopd.log_path, 0)
        stopd.start()
        wait_until(lambda: stopd.instance(name)["certain"], "the domain has been looked at")

    stopd.settings["local_storage.max_mib_per_s"] = "0"
    stopd.stop()
    stopd.start()
    cleared = stopctl(stopd, "clear", ID, "--confirm", "--yes")
    assert cleared.returncode == 0, cleared
    disks_reported(stopd, ID, "cleared")
    assert disk.is_zero() and stopd.transitions(ID) == []
    assert os.listdir(stopd.path("owed")) == [] and stopd.instance(name)["owed"] is None
    assert stopctl(stopd, "may-start", name).returncode == 0 and hook_says(stopd, name) == ""
