"""stopd-wipe on real NVMe controllers. What became of the data is read in the backing files."""

import contextlib

import pytest
from conftest import EUI_NEIGHBOUR, EUI_OURS, UUID_OURS
from disk import BLOCK, MIB
from faulty import LIE
from machine import attach, swap, wait_for
from wipe import DONE, NOT_CLEARED, USAGE, Outcome, cleared, held_by, last_resume, refused

OURS = {"serial": "TWO", "nsid": 1, "eui64": f"{EUI_OURS:016x}"}
FORMAT = "nvme-format-user-data"
# A write of at least this is the clear's: canaries are blocks, of which neighbours become one write.
PIECE = 64 * BLOCK


# The ladder


def test_format_is_chosen_and_crypto_passed_over_for_what_fna_says(machine, disks, wipe):
    machine.fill(disks.ours, disks.neighbour)
    outcome = wipe.clear(machine.find(disks.ours), identity=OURS)
    cleared(outcome, FORMAT)
    passed = outcome.one("method")["passedOver"]
    assert [one["method"] for one in passed] == ["nvme-format-crypto"]
    assert "FNA" in passed[0]["reason"]
    assert not disks.ours.not_zero()
    assert not disks.neighbour.changed()


@pytest.mark.parametrize("method", ["write-zeroes", "overwrite", "discard"])
@pytest.mark.parametrize("verify", ["sample", "full"])
def test_one_method_alone(machine, disks, wipe, method, verify):
    machine.fill(disks.ours, disks.neighbour)
    outcome = wipe.clear(machine.find(disks.ours), identity=OURS, methods=[method], verify=verify)
    cleared(outcome, method)
    assert not disks.ours.not_zero()
    assert not disks.neighbour.changed()


def test_the_lba_format_is_kept(machine, disks, wipe):
    machine.fill(disks.wide)
    device = machine.find(disks.wide)
    before = machine.ask(f"nvme id-ns {device}")
    cleared(wipe.clear(device, identity={"serial": "WIDE"}), FORMAT)
    assert machine.ask(f"nvme id-ns {device}") == before
    assert machine.ask(f"blockdev --getss {device}") == "4096"
    assert not disks.wide.not_zero()


def test_metadata_goes_with_the_data(machine, disks, wipe):
    machine.fill(disks.meta)
    cleared(wipe.clear(machine.find(disks.meta), identity={"serial": "META"}), FORMAT)
    assert not disks.meta.not_zero()


def test_a_zoned_namespace_is_refused_or_cleared_but_never_half(machine, disks, wipe):
    machine.fill(disks.zoned)
    outcome = wipe.clear(machine.find(disks.zoned), identity={"serial": "ZONED"})
    assert disks.zoned.not_zero() if outcome.status else not disks.zoned.not_zero(), outcome


def test_an_ignored_discard_is_caught_and_the_next_does_it(machine, disks, wipe):
    machine.fill(disks.ignore)
    outcome = wipe.clear(machine.find(disks.ignore), identity={"serial": "IGNORE"},
                         methods=["discard", "overwrite"])
    cleared(outcome, "overwrite")
    assert outcome.setbacks == [("discard", "lied")]
    assert not disks.ignore.not_zero()


def test_an_ignored_discard_alone_is_not_cleared(machine, disks, wipe):
    machine.fill(disks.ignore)
    outcome = wipe.clear(machine.find(disks.ignore), identity={"serial": "IGNORE"}, methods=["discard"])
    assert outcome.status == NOT_CLEARED, outcome
    assert outcome.one("error")["outcome"] == "failed", outcome
    assert disks.ignore.not_zero()


def test_a_format_that_lies_is_caught_and_the_next_does_it(machine, disks, wipe):
    machine.fill(disks.faulty)
    with disks.faulty.fails("zero", how=LIE):
        outcome = wipe.clear(machine.find(disks.faulty), identity={"serial": "FAULTY"})
    cleared(outcome, "overwrite")
    assert outcome.setbacks == [(FORMAT, "lied"), ("write-zeroes", "lied")]
    assert not disks.faulty.not_zero()


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_format_that_fails_is_tried_again(machine, disks, wipe, goes_on):
    """This disk answers all else with Format In Progress until a Format has come to its end."""
    machine.fill(disks.faulty)
    device, identity = machine.find(disks.faulty), {"serial": "FAULTY"}
    try:
        with disks.faulty.fails("zero"):
            outcome = wipe.clear(device, identity=identity)
        assert outcome.status == NOT_CLEARED, outcome
        assert outcome.setbacks[0] == (FORMAT, "failed"), outcome
        assert disks.faulty.kept()
        resume = outcome.resume if goes_on else None
        cleared(wipe.clear(device, identity=identity, resume=resume), FORMAT)
        assert not disks.faulty.not_zero()
    finally:
        machine.run(f"nvme format --force {device}")


@pytest.mark.parametrize("how", [LIE, 5])
def test_one_bad_block_is_not_cleared_until_it_is_good_again(machine, disks, wipe, how):
    machine.fill(disks.faulty)
    bad = 11 * MIB + 4096
    device, members = machine.find(disks.faulty), {"identity": {"serial": "FAULTY"},
                                                   "methods": ["overwrite"]}
    with disks.faulty.fails("write", start=bad, end=bad + 4096, how=how):
        outcome = wipe.clear(device, **members)
    assert outcome.status == NOT_CLEARED, outcome
    assert disks.faulty.not_zero()
    cleared(wipe.clear(device, **members), "overwrite")
    assert not disks.faulty.not_zero()


def test_a_block_that_cannot_be_read_back_is_not_cleared(machine, disks, wipe):
    machine.fill(disks.faulty)
    with disks.faulty.fails("read", start=20 * MIB, end=20 * MIB + 4096):
        outcome = wipe.clear(machine.find(disks.faulty), identity={"serial": "FAULTY"})
    assert outcome.status == NOT_CLEARED, outcome


@pytest.mark.parametrize("methods", [None, ["nvme-sanitize-crypto", "nvme-sanitize-block"]])
def test_purge_is_not_met_by_less(machine, disks, wipe, methods):
    machine.fill(disks.ours)
    outcome = wipe.clear(machine.find(disks.ours), identity=OURS, level="purge", methods=methods)
    refused(outcome, "ladder")
    assert not disks.ours.changed()


# By hand


def test_a_plan_changes_nothing(machine, disks, wipe):
    machine.fill(disks.ours)
    device = machine.find(disks.ours)
    outcome = Outcome(machine.run(f"stopd-wipe --plan {device}"))
    assert outcome.one("plan")["method"] == FORMAT
    assert outcome.one("plan")["identity"]["eui64"] == OURS["eui64"]
    assert not disks.ours.changed()


def test_a_clear_by_hand(machine, disks, wipe):
    machine.fill(disks.ours, disks.neighbour)
    device = machine.find(disks.ours)
    outcome = Outcome(machine.run(f"stopd-wipe --clear {device} --identity serial=TWO "
                                  f"--identity eui64={OURS['eui64']} --methods write-zeroes,overwrite "
                                  "--verify full"))
    cleared(outcome, "write-zeroes")
    assert not disks.ours.not_zero()
    assert not disks.neighbour.changed()


# Identity


def test_all_that_an_nvme_namespace_says_of_itself(machine, disks, wipe):
    identity = wipe.identity(machine.find(disks.ours))
    assert OURS.items() <= identity.items()
    assert identity["size"] == disks.ours.size
    assert identity["model"] == "QEMU NVMe Ctrl"
    assert identity["uuid"] == UUID_OURS.replace("-", "")


@pytest.mark.parametrize("key, value", [
    ("eui64", f"{EUI_NEIGHBOUR:016x}"), ("serial", "ONE"), ("nsid", 2), ("size", MIB),
    ("uuid", "6f1d2c3b-4a59-4687-9baf-c0d1e2f30416"),
    ("nguid", "00112233445566778899aabbccddeeff"), ("model", "another")])
def test_another_identity_is_refused(machine, disks, wipe, key, value):
    machine.fill(disks.ours, disks.neighbour)
    outcome = wipe.clear(machine.find(disks.ours), identity={**OURS, key: value})
    refused(outcome, "identity", key)
    assert not disks.ours.changed() and not disks.neighbour.changed()


def test_a_clear_needs_an_identity(machine, disks, wipe):
    machine.fill(disks.ours)
    device = machine.find(disks.ours)
    assert wipe.clear(device).status == USAGE
    assert wipe.clear(device, identity={"model": "QEMU NVMe Ctrl"}).status == USAGE
    assert machine.run(f"stopd-wipe --clear {device}", status=None).status == USAGE
    assert not disks.ours.changed()


def test_a_number_that_is_not_the_nsid(machine, disks, wipe):
    """Under nvmeXn1 there is namespace 2: what is cleared is what was opened."""
    controller = machine.find(disks.swap1)[:-2]
    swap(machine, controller)
    try:
        machine.fill(disks.swap1, disks.swap2)
        device = f"{controller}n1"
        refused(wipe.clear(device, identity={"serial": "SWAP", "nsid": 1}), "identity", "nsid")
        cleared(wipe.clear(device, identity={"serial": "SWAP", "nsid": 2}), FORMAT)
        assert not disks.swap1.changed()
        assert not disks.swap2.not_zero()
    finally:
        swap(machine, controller, (1, 2))


# While it goes on


@pytest.mark.parametrize("method, command", [("overwrite", "write"), ("write-zeroes", "zero")])
def test_namespaces_swapped_under_a_clear(machine, disks, wipe, method, command):
    machine.fill(disks.swap1, disks.swap2)
    device = machine.find(disks.swap1)
    members = {"identity": {"serial": "SWAP", "nsid": 1}, "methods": [method]}
    with disks.swap1.holds(command, start=20 * MIB, least=PIECE) as held:
        job = wipe.start(device, **members)
        held()
        leaving = machine.start(f"exec nvme detach-ns {device[:-2]} -n 1 -c 0")
        wait_for(leaving.hangs, "the controller to be frozen for it")
    leaving.wait()
    outcome = wipe.end(job)
    machine.run(f"nvme detach-ns {device[:-2]} -n 2 -c 0")
    assert outcome.status == NOT_CLEARED, outcome
    attach(machine, device[:-2], (2, 1))
    try:
        assert not disks.swap2.changed()
        refused(wipe.clear(device, resume=outcome.resume, **members), "identity", "nsid")
        cleared(wipe.clear(machine.find(disks.swap1), resume=outcome.resume, **members), method)
        assert not disks.swap1.not_zero()
        assert not disks.swap2.changed()
    finally:
        swap(machine, device[:-2], (1, 2))


@contextlib.contextmanager
def going_on(machine, disks, wipe, members):
    """A slow overwrite of ours that has come a little way, with some 20 s to go. Yields its Job; ends in
    its usual pace."""
    machine.fill(disks.ours, disks.neighbour)
    with disks.ours.slows("write", 0.3, least=PIECE):
        job = wipe.start(machine.find(disks.ours), **members)
        wait_for(lambda: disks.ours.changed()[:1] > [(0, MIB)], "the first MiB")
        yield job


def test_a_controller_reset_under_a_clear(machine, disks, wipe):
    members = {"identity": OURS, "methods": ["overwrite"]}
    with going_on(machine, disks, wipe, members) as job:
        machine.run(f"nvme reset {machine.find(disks.ours)[:-2]}")
    outcome = wipe.end(job)
    if outcome.status != DONE:
        assert outcome.status == NOT_CLEARED, outcome
        cleared(wipe.clear(machine.find(disks.ours), resume=outcome.resume, **members))
    assert not disks.ours.not_zero()
    assert not disks.neighbour.changed()


def test_a_controller_that_goes_away_and_comes_back(machine, disks, wipe):
    members = {"identity": OURS, "methods": ["overwrite"]}
    with going_on(machine, disks, wipe, members) as job:
        machine.run(f"echo 1 >/sys/class/nvme/{machine.find(disks.ours)[5:-2]}/device/remove")
    outcome = wipe.end(job)
    assert outcome.status == NOT_CLEARED, outcome
    machine.run("echo 1 >/sys/bus/pci/rescan")
    device = wait_for(lambda: machine.find(disks.ours), "the disk")
    cleared(wipe.clear(device, resume=outcome.resume, **members))
    assert not disks.ours.not_zero()
    assert not disks.neighbour.changed()


def test_a_format_may_take_longer_than_the_kernel_s_own_time_out(machine, disks, wipe):
    machine.fill(disks.faulty)
    parameter = "/sys/module/nvme_core/parameters/admin_timeout"
    usual = machine.ask(f"cat {parameter}")
    machine.run(f"echo 3 >{parameter}")  # enough for all that is no Format, on a busy host too
    with disks.faulty.holds("zero") as held:
        job = wipe.start(machine.find(disks.faulty), identity={"serial": "FAULTY"})
        held()
        now = float(machine.ask("cut -d' ' -f1 /proc/uptime"))
        wait_for(lambda: float(machine.ask("cut -d' ' -f1 /proc/uptime")) > now + 5, "5 s in there")
        assert job.status is None
    outcome = wipe.end(job)
    machine.run(f"echo {usual} >{parameter}")
    cleared(outcome, FORMAT)
    assert not outcome.setbacks
    assert not disks.faulty.not_zero()


def test_two_at_once_on_one_controller(machine, disks, wipe):
    machine.fill(disks.ours, disks.neighbour)
    jobs = [wipe.start(machine.find(disk), identity={"eui64": f"{eui:016x}"}, methods=[method])
            for disk, eui, method in ((disks.ours, EUI_OURS, "overwrite"),
                                      (disks.neighbour, EUI_NEIGHBOUR, FORMAT))]
    for job in jobs:
        cleared(wipe.end(job))
    assert not disks.ours.not_zero()
    assert not disks.neighbour.not_zero()


def test_two_at_once_on_one_namespace(machine, disks, wipe):
    machine.fill(disks.faulty)
    device, identity = machine.find(disks.faulty), {"serial": "FAULTY"}
    with disks.faulty.holds("write", start=MIB, least=PIECE) as held:
        job = wipe.start(device, identity=identity, methods=["overwrite"])
        held()
        refused(wipe.clear(device, identity=identity), "open", str(job.pid))
    cleared(wipe.end(job), "overwrite")


def test_a_slow_disk_has_a_moving_bar(machine, disks, wipe):
    machine.fill(disks.ours)
    machine.throttle(disks.ours, 8 * MIB)
    job = wipe.start(machine.find(disks.ours), identity=OURS, methods=["overwrite"])
    wait_for(lambda: [line for line in job.lines if line["event"] == "cleared"], "all written")
    machine.throttle(disks.ours, 0)
    outcome = wipe.end(job)
    cleared(outcome, "overwrite")
    slow = [line for line in outcome.all("progress") if line["phase"] == "clearing"]
    done = [line["done"] for line in slow]
    assert done == sorted(done) and len(set(done)) >= 5, done  # it takes four seconds
    assert all(line["total"] == disks.ours.size for line in slow)
    assert any(line.get("secondsLeft") and 0 < line["mibPerS"] <= 16 for line in slow), slow
    assert not disks.ours.not_zero()


def test_a_bound_of_speed_is_kept(machine, disks, wipe):
    machine.fill(disks.ours)
    outcome = wipe.clear(machine.find(disks.ours), identity=OURS, methods=["overwrite"], maxMibPerS=16)
    cleared(outcome, "overwrite")
    assert outcome.one("cleared")["milliseconds"] >= 1500, outcome  # for 32 MiB
    assert not disks.ours.not_zero()


@pytest.mark.parametrize("method, command", [("overwrite", "write"), ("write-zeroes", "zero")])
def test_killed_in_the_middle_and_resumed(machine, disks, wipe, method, command):
    machine.fill(disks.faulty)
    device = machine.find(disks.faulty)
    members = {"identity": {"serial": "FAULTY"}, "methods": [method]}
    with disks.faulty.holds(command, start=20 * MIB, least=PIECE) as held:
        job = wipe.start(device, **members)
        held()
        job.kill()
        resume = last_resume(job.lines)
        durable = resume["durable"]
        assert 0 < durable <= 20 * MIB
        assert not [extent for extent in disks.faulty.not_zero() if extent[0] < durable]
        assert disks.faulty.kept()
    wait_for(lambda: job.status is not None, "its end")
    disks.faulty.seen.clear()
    outcome = wipe.clear(device, resume=resume, **members)
    cleared(outcome, method)
    assert outcome.one("method")["resumedAt"] == durable
    assert not [request for request in disks.faulty.seen
                if request[0] == command and request[1] < durable]
    assert not disks.faulty.not_zero()


@pytest.mark.parametrize("methods", [["overwrite"], None])
def test_killed_at_many_places_and_resumed(machine, disks, wipe, methods):
    """The requests of a run that is left alone are counted, then others are killed at some of them.
    No two runs have quite as many."""
    members = {"identity": {"serial": "FAULTY"}, "methods": methods}
    machine.fill(disks.faulty)
    device = machine.find(disks.faulty)
    disks.faulty.seen.clear()
    cleared(wipe.clear(device, **members))
    count = len(disks.faulty.seen)
    for place in (1, count // 4, count // 2, 7 * count // 8):
        machine.fill(disks.faulty)
        disks.faulty.seen.clear()
        with disks.faulty.holds_request(place) as held:
            job = wipe.start(device, **members)
            held()
            job.kill()
            resume = last_resume(job.lines)
        wait_for(lambda: job.status is not None, "its end")
        cleared(wipe.clear(device, resume=resume, **members))
        assert not disks.faulty.not_zero(), f"killed at request {place} of {count}"


@pytest.mark.parametrize("methods, command, where", [
    (None, "zero", {}), (["overwrite"], "write", {"start": 20 * MIB, "least": PIECE}),
    (["overwrite"], "flush", {})])
def test_the_power_cut_in_the_middle_and_resumed(machine, disks, wipe, methods, command, where):
    machine.fill(disks.faulty)
    members = {"identity": {"serial": "FAULTY"}, "methods": methods}
    with disks.faulty.holds(command, **where) as held:
        job = wipe.start(machine.find(disks.faulty), **members)
        held()
        resume = last_resume(job.lines)
        machine.cut_power()
    machine.boot()
    outcome = wipe.clear(machine.find(disks.faulty), resume=resume, **members)
    cleared(outcome)
    assert not disks.faulty.not_zero()


# Who else is there


def test_open_through_the_controller_or_the_generic_node(machine, disks, wipe):
    machine.fill(disks.ours)
    device = machine.find(disks.ours)
    for node in (device[:-2], device.replace("/nvme", "/ng")):
        with held_by(machine, "fd", node) as job:
            refused(wipe.clear(device, identity=OURS), "open", str(job.pid))
    assert not disks.ours.changed()


def test_an_intruder_stops_it_half_way(machine, disks, wipe):
    machine.fill(disks.faulty)
    device = machine.find(disks.faulty)
    members = {"identity": {"serial": "FAULTY"}, "methods": ["overwrite"]}
    with contextlib.ExitStack() as until_then:
        held = until_then.enter_context(disks.faulty.holds("write", start=MIB, least=PIECE))
        job = wipe.start(device, **members)
        held()
        with held_by(machine, "fd", device) as intruder:
            until_then.close()
            outcome = wipe.end(job)
            assert outcome.status == NOT_CLEARED, outcome
            line = outcome.one("error")
            assert line["outcome"] == "stopped" and str(intruder.pid) in line["culprit"], outcome
    assert disks.faulty.kept()
    cleared(wipe.clear(device, resume=outcome.resume, **members))
    assert not disks.faulty.not_zero()


def test_a_namespace_behind_two_controllers(machine, disks, wipe):
    machine.fill(disks.paths)
    device = machine.find(disks.paths)
    cleared(wipe.clear(device, identity={"serial": "PATHS"}))
    assert not disks.paths.not_zero()
