"""Local disks of I1 instances: what stopctl says, asks, shows and returns about their clearing."""

import os
import re

import pytest

from scripted_daemon import (DROP, REQUEST_ID, Stream, clearing, ctl, disk, error, interrupt,
                             on_terminal, operation, quarantined, run, start, wait_for,
                             without_escapes)

OTHER_ID = "11111111-2222-4333-8444-555555555555"
CLEARED = [disk("vdb", "cleared"), disk("vdc", "cleared", method="nvme-format-crypto")]
DATA = ("their data are lost for good, and only the application's own redundancy brings them back")
LOSS = f"stopctl: clearing the local disks of i-abc: {DATA}\n"
STUCK = (f"i-abc: not cleared, and quarantined: vdc (/dev/nvmecn1): write-zeroes: Input/output error; "
         f"stopctl show {REQUEST_ID} tells more, and once the cause is gone stopctl retry {REQUEST_ID} "
         "tries again\n")


def cleared(**more):
    return operation(action="ClearLocalDisks", state="Stopped", storage=CLEARED,
                     timeline=[], **more)


def half(target="vdb", done=1 << 29, **more):
    return disk(target, "clearing", done=done, mibPerS=512, secondsLeft=200, **more)


def clears(daemon, *operations):
    """Accepts a clear; then the operation is each of these, a request each."""
    daemon.on("POST /v1/instances/i-abc/clear", (200, {"RequestId": REQUEST_ID}))
    return daemon.on(f"GET /v1/operations/{REQUEST_ID}",
                     *[(200, o) for o in operations or (cleared(),)])


def commands(daemon):
    return [r for r in daemon.requests if r.method == "POST"]


# --- clear --------------------------------------------------------------------------------------


def test_a_clear_is_commanded_and_its_end_is_told(daemon):
    clears(daemon)
    result = ctl(daemon, "clear", "i-abc", "--confirm")
    assert (result.status, result.err) == (0, LOSS)
    assert result.out == ("i-abc: local disks cleared in 3.2 s: vdb by write-zeroes, "
                          "vdc by nvme-format-crypto\n")
    command, = commands(daemon)
    assert command.document == {"confirm": True}


def test_without_confirm_nothing_is_sent(daemon):
    result = ctl(daemon, "clear", "i-abc")
    assert result.status == 64
    assert "it agrees to the loss, for good, of what is on the instance's local disks" in result.err
    assert not daemon.requests


def test_no_wait_ends_with_the_acceptance(daemon):
    clears(daemon)
    result = ctl(daemon, "clear", "i-abc", "--confirm", "--no-wait")
    assert (result.status, result.out) == (
        0, f"i-abc: clearing its local disks, RequestId {REQUEST_ID}\n")
    assert len(daemon.requests) == 1


@pytest.mark.parametrize("answer, status", [("y\n", 0), ("n\n", 76), ("\n", 76)])
def test_on_a_terminal_a_clear_is_asked_about(daemon, answer, status):
    clears(daemon)
    result = on_terminal(daemon, "clear", "i-abc", "--confirm", answer=answer, columns=200)
    assert LOSS.strip() in without_escapes(result.err)
    assert "Clear the local disks? [y/N]" in result.err
    assert result.status == status
    assert len(commands(daemon)) == (status == 0)


def test_with_yes_a_clear_is_announced_and_not_asked_about(daemon):
    clears(daemon)
    result = on_terminal(daemon, "clear", "i-abc", "--confirm", "--yes", columns=200)
    assert result.status == 0
    assert LOSS.strip() in result.err and "[y/N]" not in result.err


@pytest.mark.parametrize("http, code, status", [
    (403, "IncorrectInstanceStatus", 76),
    (403, "IncorrectDiskStatus", 76),
    (403, "InstanceLockedForSecurity", 76),
    (403, "Forbidden", 77),
    (404, "InvalidInstanceId.NotFound", 66),
    (503, "ServiceUnavailable", 75),
])
def test_a_refused_clear_tells_the_code(daemon, http, code, status):
    daemon.on("POST /v1/instances/i-abc/clear", (http, error(code, "It is so.")))
    result = ctl(daemon, "clear", "i-abc", "--confirm")
    assert result.status == status
    assert f"stopctl: clear i-abc: {code}: It is so" in result.err


@pytest.mark.parametrize("lost, status", [(DROP, 69), ((500, error("InternalError")), 75)],
                         ids=["broken off", "InternalError"])
def test_a_clear_whose_answer_is_lost_is_not_sent_again(daemon, lost, status):
    daemon.on("POST /v1/instances/i-abc/clear", lost)
    result = ctl(daemon, "clear", "i-abc", "--confirm")
    assert result.status == status
    assert "clear i-abc: whether it was accepted is not known" in result.err
    assert result.err.endswith("; stopctl show ID tells\n")
    assert len(daemon.requests) == 1


def test_a_timeout_ends_the_waiting_and_not_the_clear(daemon):
    clears(daemon, clearing(half(), action="ClearLocalDisks"))
    result = ctl(daemon, "clear", "i-abc", "--confirm", "--timeout", "1")
    assert result.status == 124
    assert result.err == LOSS + (
        "stopctl: clear i-abc: not finished within 1 s, still going on (clearing 50%); "
        f"stopctl show {REQUEST_ID} tells how far it is\n")


def test_a_clear_that_cannot_be_done(daemon):
    clears(daemon, clearing(half()), quarantined(action="ClearLocalDisks"))
    result = ctl(daemon, "clear", "i-abc", "--confirm")
    assert (result.status, result.out) == (71, "")
    assert result.err == f"{LOSS}stopctl: clear {STUCK}"


def test_a_clear_that_failed(daemon):
    clears(daemon, cleared(outcome="Failed", error={"code": "InstanceStartedAgain",
                                                    "message": "Somebody started it."}))
    result = ctl(daemon, "clear", "i-abc", "--confirm")
    assert result.status == 70
    assert ("stopctl: clear i-abc: failed after 3.2 s: InstanceStartedAgain: Somebody started it."
            in result.err)


def test_a_clear_as_json(daemon):
    clears(daemon)
    result = ctl(daemon, "clear", "i-abc", "--confirm", "--json")
    assert result.status == 0
    assert result.json == {"exitStatus": 0, "results": [
        {"instance": "i-abc", "requestId": REQUEST_ID, "clientToken": None, "finished": True,
         "validated": False, "exitStatus": 0, "error": None, "operation": cleared()}]}


# --- stop ---------------------------------------------------------------------------------------


def test_a_stop_tells_which_disks_were_cleared(daemon):
    daemon.accepts(clearing(half()), operation(storage=CLEARED))
    result = ctl(daemon, "stop", "i-abc", "--confirm")
    assert result.status == 0
    assert result.err == f"stopctl: the stop clears the local disks of i-abc, if any: {DATA}\n"
    assert result.out == ("i-abc: stopped in 3.2 s (guest shut down), local disks cleared: "
                          "vdb by write-zeroes, vdc by nvme-format-crypto\n")


@pytest.mark.parametrize("arguments, question", [
    (["--confirm"], "Clear the local disks? [y/N]"),
    (["--confirm", "--force"], "Cut the power and clear the local disks? [y/N]"),
    (["--confirm", "--on-timeout", "force"], "Clear the local disks? [y/N]"),
])
def test_confirm_is_asked_about_on_a_terminal(daemon, arguments, question):
    daemon.accepts()
    result = on_terminal(daemon, "stop", "i-abc", *arguments, answer="n\n", columns=200)
    assert result.status == 76
    assert question in result.err
    assert "the stop clears the local disks of i-abc, if any" in result.err
    assert ("what the guest has not written" in result.err) == (len(arguments) > 1)
    assert not daemon.requests


def test_a_dry_run_loses_nothing_and_asks_nothing(daemon):
    daemon.stop((400, error("DryRunOperation")))
    result = on_terminal(daemon, "stop", "i-abc", "--confirm", "--dry-run")
    assert result.status == 0
    assert "lost" not in result.err and "[y/N]" not in result.err


def test_a_quarantined_stop_is_not_waited_for(daemon):
    daemon.accepts(clearing(half()), quarantined())
    result = ctl(daemon, "stop", "i-abc")
    assert (result.status, result.out, result.err) == (71, "", f"stopctl: stop {STUCK}")


def test_a_disk_that_is_not_cleared_is_the_worst_of_several(daemon):
    daemon.stop(lambda request: {"i-a": (200, {"RequestId": REQUEST_ID}),
                                 "i-b": (200, {"RequestId": OTHER_ID}),
                                 "i-c": (404, error("InvalidInstanceId.NotFound"))}[
                                     request.form["InstanceId"]])
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, quarantined()))
    daemon.on(f"GET /v1/operations/{OTHER_ID}", (200, operation(outcome="Failed")))
    result = ctl(daemon, "stop", "i-a", "i-b", "i-c", "--json")
    assert result.status == 71
    assert [(r["exitStatus"], r["finished"]) for r in result.json["results"]] == [
        (71, False), (70, True), (66, False)]


def test_an_interrupt_while_disks_are_cleared_offers_no_cancel(daemon):
    daemon.accepts(clearing(half()))
    child = start("stop", "i-abc", "--socket", daemon.socket)
    wait_for(lambda: len(daemon.requests) >= 3, "the operation is asked for")
    result = interrupt(child)
    assert result.status == 130
    assert result.err == ("stopctl: interrupted; local disks are still being cleared of i-abc: "
                          "stopctl show ID tells how far it is\n")


# --- Bars ---------------------------------------------------------------------------------------


def rows(result):
    """The rows that were drawn, without escapes and each once, in order."""
    seen = []
    for row in without_escapes(result.err).replace("\r", "").split("\n"):
        if row not in seen:
            seen.append(row)
    return seen


def test_each_disk_has_a_bar_that_grows(daemon):
    waiting = disk("vdc")
    daemon.accepts(clearing(disk("vdb", "clearing"), waiting),
                   clearing(half(), waiting),
                   clearing(disk("vdb", "verifying", verified=1 << 28, mibPerS=900), waiting,
                            phase="clearing"),
                   clearing(disk("vdb", "cleared"),
                            disk("vdc", "clearing", method="nvme-format-user-data")),
                   operation(storage=CLEARED))
    result = on_terminal(daemon, "stop", "i-abc", columns=100)
    assert result.status == 0
    drawn = rows(result)
    bars = [row for row in drawn if row.startswith("  vd")]
    assert bars == [
        "  vdb  [--------------------]   0%  write-zeroes",
        "  vdc  [--------------------]   0%  waiting",
        "  vdb  [##########----------]  50%  write-zeroes  512 MiB/s  3 min 20 s left",
        "  vdb  [#####---------------]  25%  verifying  900 MiB/s",
        "  vdb  [####################] 100%  cleared by write-zeroes",
        "  vdc  [--------------------]   0%  nvme-format-user-data",
    ]
    phases = [re.sub(r"\d+\.\d s", "T", row) for row in drawn if row.startswith("i-abc  c")]
    assert list(dict.fromkeys(phases)) == ["i-abc  clearing         0%  T", "i-abc  clearing        25%  T",
                                           "i-abc  clearing        50%  T"]
    assert "\x1b[3A" in result.err  # three rows, drawn over themselves
    assert "\x1b[32m[####" in result.err  # what is cleared is green


def test_the_whole_is_told_as_verified_once_all_is_cleared(daemon):
    daemon.accepts(clearing(disk("vdb", "verifying", verified=1 << 28), disk("vdc", "cleared"),
                            phase="verifying"), operation())
    assert re.search(r"i-abc  verifying +62%  \d", without_escapes(on_terminal(
        daemon, "stop", "i-abc").err))


def test_a_disk_that_waits_for_its_next_try_says_why(daemon):
    daemon.accepts(clearing(disk("vdb", tries=2, problem="Input/output error")), operation())
    assert ("  vdb  [----------------]   0%  waiting, 2 tries failed: Input/output error"
            in rows(on_terminal(daemon, "stop", "i-abc")))


def test_there_is_no_bar_before_the_guest_is_off(daemon):
    daemon.accepts(clearing(disk("vdb"), phase="shutting-down"), operation())
    text = without_escapes(on_terminal(daemon, "stop", "i-abc").err)
    assert "shutting-down" in text and "vdb" not in text


def test_bars_are_cut_to_a_narrow_and_low_terminal(daemon):
    many = [half(target=f"vd{c}", problem="x" * 100) for c in "bcdefghi"]
    daemon.accepts(clearing(*many), clearing(*many), operation())
    result = on_terminal(daemon, "stop", "i-abc", rows=6, columns=40)
    drawn = [row for row in rows(result) if row.startswith("  vd")]
    assert len(drawn) == 3 and all(len(row) < 40 for row in drawn)
    assert drawn[0].startswith("  vdb  [#####-----]  50%  write-zer")
    assert "and 5 more" in rows(result)
    assert "\x1b[5A" in result.err and "\x1b[6A" not in result.err


def test_what_a_helper_said_cannot_move_the_cursor(daemon):
    daemon.accepts(clearing(disk("vdb", tries=1, problem="a\x1b[2Jb\nc"), disk("v\x9b1A")),
                   operation())
    result = on_terminal(daemon, "stop", "i-abc")
    assert "1 try failed: a?[2Jb?c" in result.err
    assert "\x1b[2J" not in result.err and "\x9b" not in result.err


def test_bars_without_colours(daemon):
    daemon.accepts(clearing(half()), operation())
    result = on_terminal(daemon, "stop", "i-abc", env={"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*m", result.err)
    assert "[########--------]  50%" in result.err


def test_a_terminal_that_cannot_move_gets_a_line_for_each_change_of_a_disk(daemon):
    daemon.accepts(clearing(half(), disk("vdc")), clearing(half(done=1 << 28), disk("vdc")),
                   clearing(disk("vdb", "cleared"), disk("vdc")), quarantined())
    result = on_terminal(daemon, "stop", "i-abc", env={"TERM": "dumb"}, columns=300)
    assert result.err.replace("\r\n", "\n") == (
        "i-abc: clearing\ni-abc: vdb: write-zeroes\ni-abc: vdc: waiting\n"
        f"i-abc: vdb: cleared by write-zeroes\nstopctl: stop {STUCK}")


def test_without_a_terminal_there_are_only_results(daemon):
    daemon.accepts(clearing(half()), clearing(half()), operation(storage=CLEARED))
    result = ctl(daemon, "stop", "i-abc")
    assert result.err == "" and result.out.count("\n") == 1


# --- cancel -------------------------------------------------------------------------------------

TOO_LATE = ("The guest is off and its local disks are being cleared; the stop can no longer be "
            "cancelled.")


def test_a_clear_is_not_cancelled(daemon):
    daemon.on("GET /v1/operations", (200, {"operations": [clearing(half())]}))
    daemon.on(f"POST /v1/operations/{REQUEST_ID}/cancel",
              (403, error("IncorrectInstanceStatus", TOO_LATE)))
    result = ctl(daemon, "cancel", "i-abc")
    assert result.status == 76
    assert f"stopctl: cancel i-abc: IncorrectInstanceStatus: {TOO_LATE[:-1]}" in result.err


def test_a_cancel_does_not_wait_for_disks_of_a_guest_that_was_quicker(daemon):
    daemon.on("GET /v1/operations", (200, {"operations": [clearing(phase="shutting-down")]}))
    daemon.on(f"POST /v1/operations/{REQUEST_ID}/cancel", (200, clearing(phase="shutting-down")))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, clearing(half())))
    result = ctl(daemon, "cancel", "i-abc")
    assert result.status == 76
    assert "too late, the guest is off and its local disks are being cleared" in result.err
    assert result.seconds < 10


# --- retry --------------------------------------------------------------------------------------


def retries(daemon, *operations):
    stuck = quarantined()
    daemon.on("GET /v1/operations", (200, {"operations": [stuck]}))
    daemon.on(f"POST /v1/operations/{REQUEST_ID}/retry", (200, clearing(half())))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", *[(200, o) for o in operations])


def test_a_retry_waits_for_the_end_of_the_stop(daemon):
    retries(daemon, clearing(half()), operation(storage=CLEARED))
    result = ctl(daemon, "retry", "i-abc")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("i-abc: stopped in 3.2 s (guest shut down), local disks cleared: vdb")
    command, = commands(daemon)
    assert (command.path, command.form) == (f"/v1/operations/{REQUEST_ID}/retry", {})


def test_a_retry_goes_by_request_too(daemon):
    retries(daemon, quarantined(), operation(storage=CLEARED))
    result = ctl(daemon, "retry", REQUEST_ID)
    assert result.status == 0
    assert result.out.startswith("i-abc: stopped")


def test_a_retry_that_fails_again(daemon):
    retries(daemon, quarantined())
    result = ctl(daemon, "retry", "i-abc")
    assert (result.status, result.err) == (71, f"stopctl: retry {STUCK}")


def test_a_retry_without_waiting(daemon):
    retries(daemon)
    result = ctl(daemon, "retry", "i-abc", "--no-wait")
    assert (result.status, result.out) == (
        0, f"i-abc: clearing its local disks, RequestId {REQUEST_ID}\n")


def test_a_retry_whose_answer_is_lost_is_sent_again(daemon):
    retries(daemon, operation(storage=CLEARED))
    daemon.on(f"POST /v1/operations/{REQUEST_ID}/retry", DROP, (200, clearing(half())))
    result = ctl(daemon, "retry", "i-abc")
    assert (result.status, result.err) == (0, "")
    assert len(commands(daemon)) == 2


def test_a_retry_within_a_time(daemon):
    retries(daemon, clearing(half()))
    result = ctl(daemon, "retry", "i-abc", "--timeout", "1")
    assert result.status == 124
    assert "retry i-abc: not finished within 1 s, still going on (clearing 50%)" in result.err


def test_a_retry_of_what_waits_for_none(daemon):
    retries(daemon)
    daemon.on(f"POST /v1/operations/{REQUEST_ID}/retry",
              (403, error("IncorrectInstanceStatus", "No disk waits for a retry.")))
    result = ctl(daemon, "retry", "i-abc")
    assert result.status == 76
    assert "retry i-abc: IncorrectInstanceStatus: No disk waits for a retry" in result.err
    daemon.on("GET /v1/operations", (200, {"operations": [operation()]}))
    daemon.on("GET /v1/instances/i-abc", (200, instance()))
    result = ctl(daemon, "retry", "i-abc")
    assert result.status == 76
    assert "no stop of it is under way" in result.err


# --- may-start ----------------------------------------------------------------------------------


def instance(name="i-abc", owed=None, underway=None):
    return {"instanceId": name, "name": name, "uuid": OTHER_ID, "state": "Stopping", "detail": None,
            "certain": True, "type": "ecs.i1.xlarge", "locks": [], "problem": None,
            "operation": underway or owed, "owed": owed}


def test_what_owes_nothing_may_start(daemon):
    daemon.on("GET /v1/instances/i-abc", (200, instance()))
    result = ctl(daemon, "may-start", "i-abc")
    assert (result.status, result.out, result.err) == (0, "", "")
    assert ctl(daemon, "may-start", "i-abc", "--json").json == {
        "instanceId": "i-abc", "mayStart": True, "owed": None, "storage": []}


def test_what_owes_a_clear_may_not(daemon):
    daemon.on("GET /v1/instances/i-abc", (200, instance(owed=REQUEST_ID)))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}",
              (200, clearing(disk("vdb", "cleared"), half(target="vdc"), disk("vdd"))))
    result = ctl(daemon, "may-start", "i-abc")
    assert (result.status, result.out) == (76, "")
    assert result.err == (
        f"stopctl: may-start i-abc: it may not: RequestId {REQUEST_ID} owes a clear of "
        "vdc (/dev/nvmecn1), vdd (/dev/nvmedn1); its phase is clearing 50%; "
        f"stopctl show {REQUEST_ID} tells more\n")
    result = ctl(daemon, "may-start", "i-abc", "--json")
    assert result.status == 76
    assert (result.json["mayStart"], result.json["owed"]) == (False, REQUEST_ID)
    assert [d["target"] for d in result.json["storage"]] == ["vdb", "vdc", "vdd"]


def test_what_owes_a_clear_that_cannot_be_read_may_not(daemon):
    daemon.on("GET /v1/instances/i-abc", (200, instance(owed=REQUEST_ID)))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (503, error("ServiceUnavailable")))
    result = ctl(daemon, "may-start", "i-abc")
    assert result.status == 76
    assert f"RequestId {REQUEST_ID} owes a clear of its local disks; " in result.err


def test_silence_is_no_leave_to_start(daemon):
    document = instance()
    del document["owed"]
    daemon.on("GET /v1/instances/i-abc", (200, document))
    result = ctl(daemon, "may-start", "i-abc")
    assert result.status == 69
    assert "the daemon does not say whether a clear is owed" in result.err
    daemon.on("GET /v1/instances/i-abc", (404, error("InvalidInstanceId.NotFound")))
    assert ctl(daemon, "may-start", "i-abc").status == 66
    assert run("may-start", "i-abc", "--socket", os.path.join(daemon.directory, "none")).status == 69


# --- show, status -------------------------------------------------------------------------------

STORAGE = f"""\
Storage:
  vdb  /dev/nvmebn1, 1.0 GiB (1073741824 bytes)
       serial S4EWNX0B
       cleared by write-zeroes: 1.0 GiB cleared (100%) and verified
  vdc  /dev/nvmecn1, 894.3 GiB (960197124096 bytes)
       model SAMSUNG MZ, serial S4EWNX0C, eui64 0025385b71b01234
       clearing by overwrite: 411.4 GiB cleared (46%), 0% verified, 512 MiB/s, 16 min 05 s left
       2 tries failed: write-zeroes: Input/output error
  vdd  /dev/nvmedn1, 1.0 GiB (1073741824 bytes)
       serial S4EWNX0D
       waiting: 0 B cleared (0%), 0% verified
Certificate:  stopctl certificate {REQUEST_ID}
"""


def test_show_tells_of_each_disk(daemon):
    large = disk("vdc", "clearing", bytes=960197124096, done=441737000000, method="overwrite",
                 mibPerS=512, secondsLeft=965, tries=2, problem="write-zeroes: Input/output error",
                 identity={"model": "SAMSUNG MZ", "serial": "S4EWNX0C", "eui64": "0025385b71b01234",
                           "size": "960197124096"})
    document = clearing(disk("vdb", "cleared", verified=540 << 20), large, disk("vdd"))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, document))
    result = ctl(daemon, "show", REQUEST_ID)
    assert result.status == 0
    assert STORAGE + "Timeline:\n" in result.out
    assert "Phase:        clearing 46%\n" in result.out
    assert "retry" not in result.out


def test_show_of_a_quarantined_disk_says_how_to_go_on(daemon):
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, quarantined(detail="It is so.")))
    text = ctl(daemon, "show", REQUEST_ID).out
    assert "       quarantined, after write-zeroes: 0 B cleared (0%), 0% verified\n" in text
    assert "       8 tries failed: write-zeroes: Input/output error\n" in text
    assert f"To go on:     stopctl retry {REQUEST_ID}\n" in text
    assert "Waits for:    It is so.\n" in text


def test_show_of_a_clear_has_nothing_of_a_stop(daemon):
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, cleared()))
    text = ctl(daemon, "show", REQUEST_ID).out
    assert "Action:       ClearLocalDisks\n" in text
    assert "Power cut" not in text and "StoppedMode" not in text


def test_status_tells_phases_and_sorts_by_nature(daemon):
    third = "33333333-2222-4333-8444-555555555555"
    daemon.on("GET /v1/instances", (200, {"instances": [
        instance("web10", underway=third), instance("web2", owed=REQUEST_ID), instance("web1"),
        instance("web9", owed=OTHER_ID)]}))
    daemon.on("GET /v1/operations", (200, {"operations": [
        clearing(half(), instance="web2"), clearing(phase="shutting-down", request=third)]}))
    # A clear of kept disks is none of those that are Stopping.
    daemon.on(f"GET /v1/operations/{OTHER_ID}",
              (200, quarantined(instance="web9", requestId=OTHER_ID)))
    result = ctl(daemon, "status")
    table = [line.split() for line in result.out.splitlines()]
    assert [row[0] for row in table] == ["ID", "web1", "web2", "web9", "web10"]
    assert table[0][3:] == ["DETAIL", "PHASE", "OPERATION"]
    assert [row[4:] for row in table[1:]] == [
        ["-", "-"], ["clearing", "50%", REQUEST_ID], ["quarantined", OTHER_ID],
        ["shutting-down", third]]
    assert [r.query for r in daemon.requests if r.path == "/v1/operations"] == [
        {"state": "Stopping", "limit": "1000"}]


def test_status_of_one_has_its_phase(daemon):
    daemon.on("GET /v1/instances/i-abc", (200, instance(owed=REQUEST_ID)))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}",
              (200, clearing(disk("vdb", "verifying", verified=1 << 29), phase="verifying")))
    assert "verifying 50%" in ctl(daemon, "status", "i-abc").out


# --- events, watch ------------------------------------------------------------------------------


def storage_event(kind, sequence=1, **data):
    return {"specversion": "1.0", "type": f"stopd.storage.{kind}.v1", "subject": "i-abc",
            "time": "2026-11-24T10:23:45.123Z", "sequence": f"{sequence:020}",
            "data": {"instanceId": "i-abc", "requestId": REQUEST_ID, "target": "vdb",
                     "device": "/dev/nvme1n1", "identity": {"serial": "S4EWNX0B"}, **data}}


def test_events_of_disks_are_lines(daemon):
    daemon.on("GET /v1/events", (200, {"events": [
        storage_event("failed", 1, message="Input/output error", tries=1, quarantined=False),
        storage_event("failed", 2, message="No method is left", tries=8, quarantined=True),
        storage_event("cleared", 3, certificate={"certificate": {"method": "overwrite"}}),
        storage_event("cleared", 4, identity={}, certificate={})]}), (200, {"events": []}))
    place = "i-abc: vdb (/dev/nvme1n1, serial S4EWNX0B)"
    assert [line[28:] for line in ctl(daemon, "events").out.splitlines()] == [
        f"{place} not cleared, 1 try failed: Input/output error (RequestId {REQUEST_ID})",
        f"{place} not cleared, 8 tries failed, quarantined: No method is left "
        f"(RequestId {REQUEST_ID})",
        f"{place} cleared by overwrite (RequestId {REQUEST_ID})",
        f"i-abc: vdb (/dev/nvme1n1) cleared (RequestId {REQUEST_ID})"]


def test_an_end_that_keeps_the_disks_says_so(daemon):
    event = storage_event("cleared")
    event["type"] = "stopd.instance.state.v1"
    event["data"] = {"from": "Running", "to": "Stopped", "reason": "guest shut down",
                     "localStorage": "kept"}
    daemon.on("GET /v1/events", (200, {"events": [event]}), (200, {"events": []}))
    assert ctl(daemon, "events").out.endswith(
        "i-abc: Running -> Stopped, guest shut down, local disks kept\n")


def test_watch_has_the_bars_of_stops_and_of_clears(daemon):
    # The stream ends, and then stopctl is told to go away.
    daemon.on("GET /v1/events", Stream(lambda file: daemon.ended.wait(3)), (403, error("Forbidden")))
    daemon.on("GET /v1/instances", (200, {"instances": [instance("i-abc", owed=REQUEST_ID),
                                                        instance("i-b", owed=OTHER_ID)]}))
    daemon.on("GET /v1/operations", (200, {"operations": [clearing(half())]}))
    daemon.on(f"GET /v1/operations/{OTHER_ID}",
              (200, clearing(half(target="vdx"), instance="i-b", requestId=OTHER_ID)))
    result = on_terminal(daemon, "watch")
    assert result.status == 77
    text = without_escapes(result.err)
    assert re.search(r"i-abc  clearing +50%", text) and re.search(r"i-b    clearing +50%", text)
    assert "  vdb  [########--------]  50%" in text and "  vdx  [########--------]  50%" in text


# --- Documents of another kind ------------------------------------------------------------------


@pytest.mark.parametrize("storage", [
    None, 7, {}, [None], [7, "x", []], [{"target": 7, "bytes": -1, "identity": [], "tries": "x"}],
    [{"state": "clearing", "done": 1 << 63, "bytes": 1, "identity": {"serial": None, "nsid": 1}}],
    [{"state": "something-new", "method": "x" * 4000, "secondsLeft": (1 << 63) - 1}],
])
def test_storage_of_another_kind_does_no_harm(daemon, storage):
    odd = clearing(phase="verifying")
    odd["storage"] = storage
    daemon.accepts(odd, dict(odd, phase="clearing"), dict(odd, phase="quarantined"))
    assert on_terminal(daemon, "stop", "i-abc").status == 71
    daemon.on("GET /v1/instances/i-abc", (200, instance(owed=REQUEST_ID)))
    assert ctl(daemon, "may-start", "i-abc").status == 76
    assert ctl(daemon, "show", REQUEST_ID).status == 0
    assert ctl(daemon, "status", "i-abc").status == 0
