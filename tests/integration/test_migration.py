"""Domains that migrate, away and to here (contract, section 4, rules 6 and 7).

The other host is a second libvirtd on this machine; a guest is on its way until the test ends that.
"""

import contextlib
import os

import libvirt
import pytest

import host
import kit
from daemon import stopctl, wait_until
from grace import Grace
from test_local_disks import ID, disk_events, i1, loops, stopd_for  # noqa: F401 (fixtures)
from test_states import pressed, shown, words


@pytest.fixture(scope="module")
def elsewhere():
    why = kit.missing()
    if why:
        pytest.skip(why)
    with kit.another_host() as other:
        yield other


@pytest.fixture
def migration(elsewhere):
    """Begins migrations, and ends what is left of them."""
    begun = []

    def begin(name, *flags, **how):
        begun.append(kit.Migration(name, elsewhere, *flags, **how))
        return begun[-1].wait_begun()

    yield begin
    for each in begun:
        with contextlib.suppress(libvirt.libvirtError):
            each.end()
        elsewhere.remove(each.name)


@pytest.fixture
def stopd_elsewhere(daemon, elsewhere):
    """A stopd on the other host."""
    stopd = daemon()
    stopd.within = elsewhere.enter
    return stopd.start()


def runs(elsewhere, name):
    with contextlib.closing(elsewhere.connect()) as connection:
        return connection.lookupByName(name).state()[0] == libvirt.VIR_DOMAIN_RUNNING


def refused(stopd, name, **parameters):
    """That it is in migration is the reason."""
    answer = stopd.stop_instance(name, **parameters)
    assert (answer.status, answer.code) == (403, "IncorrectInstanceStatus"), answer
    assert "is being migrated" in answer.json["Message"], answer


def waits_for_migration(stopd, request):
    return wait_until(lambda: (lambda o: o if "in migration" in words(o) else None)(stopd.operation(request)),
                      "it is seen to migrate", seen=lambda: f"{stopd.operation(request)}\n{stopd.log()}")


def test_in_migration_a_stop_is_refused_and_after_a_failed_one_accepted(daemon, guest, migration):
    name, stopd = guest("obey"), daemon().start()
    moving = migration(name)
    shown(stopd, name, state="Running", detail="migrating")

    refused(stopd, name)
    refused(stopd, name, ForceStop="true")
    refused(stopd, name, DryRun="true")
    for arguments in (["stop", name], ["stop", name, "--force", "--yes"]):
        done = stopctl(stopd, *arguments)
        assert done.returncode == 76 and "is being migrated" in done.stderr, done
    assert moving.thread.is_alive(), moving.error
    assert stopd.events(name) == [] and "button" not in kit.console(name)

    moving.fail()
    shown(stopd, name, state="Running", detail=None)
    assert stopd.finished(stopd.accepted(name))["outcome"] == "Stopped"
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_it_is_started_where_it_arrives_and_stopped_nowhere(daemon, guest, migration, elsewhere, stopd_elsewhere):
    """Not before it runs there; one that does not arrive was never there."""
    here, there = daemon().start(), stopd_elsewhere
    name = guest("obey", start=False)
    shown(here, name, state="Stopped")
    kit.start(name)
    kit.wait_ready(name)
    here.reported(name, "Stopped→Running")
    migration(name).fail()
    moving = migration(name)
    shown(there, name, state="Pending", detail="migrating")
    refused(there, name)
    refused(there, name, ForceStop="true")
    refused(here, name, ForceStop="true")
    assert there.events() == []

    moving.arrive()

    shown(there, name, state="Running", detail=None)
    there.reported(name, "Pending→Running")
    assert there.events(name)[-1]["data"]["reason"] == "started"
    shown(here, name, state="Stopped")
    here.reported(name, "Stopped→Running")
    assert here.stop_instance(name).code == "IncorrectInstanceStatus"
    assert runs(elsewhere, name)
    assert there.finished(there.accepted(name))["outcome"] == "Stopped"
    there.reported(name, "Pending→Running", "Running→Stopping", "Stopping→Stopped")
    here.reported(name, "Stopped→Running")


@pytest.mark.parametrize("by", ["the administrator", "the migration"])
def test_what_stands_still_as_it_leaves_in_the_first_picture_of_a_host_was_not_started(daemon, guest, migration, by):
    name = guest("obey")
    if by == "the administrator":
        kit.domain(name).suspend()
    moving = migration(name, live=by == "the administrator")
    assert kit.domain(name).state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER if
                                        by == "the administrator" else libvirt.VIR_DOMAIN_PAUSED_MIGRATION]
    stopd = daemon().start()
    shown(stopd, name, state="Running", detail="migrating")

    moving.fail()
    if by == "the administrator":
        kit.domain(name).resume()

    shown(stopd, name, state="Running", detail=None)
    assert stopd.events() == []
    assert stopd.finished(stopd.accepted(name))["outcome"] == "Stopped"
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


@pytest.mark.parametrize("how", ["seen", "unseen", "seen, undefined", "unseen, undefined", "unseen, forgotten"])
def test_migrated_away_in_the_middle_the_stop_fails_and_nothing_is_cleared(guest, loops, stopd_for, migration,
                                                                           elsewhere, how):
    disk = loops()
    name = guest("ignore", metadata=i1("vda"), disks=[disk.device])
    before = disk.bytes()
    stopd = stopd_for(stop__resend="1s")
    request = stopd.accepted(name, ConfirmStop="true")
    pressed(stopd, request)
    moving = migration(name, *[libvirt.VIR_MIGRATE_UNDEFINE_SOURCE] * ("undefined" in how))
    waits_for_migration(stopd, request)
    refused(stopd, name, ForceStop="true", ConfirmStop="true")
    if "unseen" in how:
        stopd.kill()

    moving.arrive()

    if "forgotten" in how:
        with host.libvirtd_away():
            pass
        assert kit.domain(name).state()[1] == libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN
    if "unseen" in how:
        stopd.start()
    operation = stopd.finished(request)
    assert operation["outcome"] == "Failed", operation
    assert operation["error"]["code"] == "InstanceMigrated" and "migrated" in operation["error"]["message"]
    assert "power cut" not in words(operation)
    stopd.reported(ID, "Running→Stopping", "Stopping→Running")
    assert [event["type"] for event in stopd.events(ID)] == [
        "stopd.instance.state.v1", "stopd.instance.state.v1", "stopd.operation.failed.v1"]
    assert disk_events(stopd, ID) == [] and os.listdir(stopd.path("owed")) == []
    assert runs(elsewhere, name) and disk.bytes() == before
    # Nothing is made up for later, and nobody clears what left.
    stopd.kill()
    stopd.start()
    if "undefined" in how:
        assert stopd.get(f"/v1/instances/{ID}").status == 404
    else:
        shown(stopd, ID, state="Stopped", owed=None)
    stopd.reported(ID, "Running→Stopping", "Stopping→Running")
    assert disk.bytes() == before


def test_a_migration_that_fails_in_the_middle_only_holds_the_stop_up(daemon, guest, migration):
    """The grace stands still meanwhile: no button could be pressed."""
    name, stopd = guest("ignore"), daemon(stop__resend="1s").start()
    grace = Grace(stopd, name)
    moving = migration(name)
    waiting = waits_for_migration(stopd, grace.request)
    grace.outlast()
    assert "migrated" in waiting["detail"] and not kit.is_off(name), waiting

    moving.fail()

    operation = stopd.finished(grace.request)
    assert operation["detail"] is None, operation
    grace.check(operation)
    told = words(operation)
    assert told.index("in migration") < told.index("power cut"), operation
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")


def test_libvirtd_dies_in_the_middle_of_a_migration(daemon, guest, migration):
    name, stopd = guest("obey"), daemon().start()
    migration(name)
    shown(stopd, name, detail="migrating")

    with host.libvirtd_away():
        wait_until(lambda: stopd.get("/readyz").status == 503, "stopd has noticed")

    shown(stopd, name, state="Running", detail=None, certain=True)
    assert stopd.finished(stopd.accepted(name))["outcome"] == "Stopped"
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
