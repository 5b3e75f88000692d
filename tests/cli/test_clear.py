"""Local disks of I1 instances: what stopctl says, asks and returns about their clearing."""

import os

import pytest

from clears import CLEARED, DATA, LOSS, STUCK, cleared, clears, commands, half
from scripted_daemon import (DROP, OTHER_ID, REQUEST_ID, clearing, ctl, disk, error, instance,
                             interrupt, on_terminal, operation, quarantined, run, start, wait_for,
                             without_escapes)


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
