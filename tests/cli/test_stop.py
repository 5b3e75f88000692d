"""stopctl stop: what it does with each answer that the daemon can give (contract section 8), from the outside."""

import json
import os
import re
import time
import uuid

import pytest

from scripted_daemon import (DROP, HANG, OTHER_ID, REQUEST_ID, SOURCE, ctl, error, interrupt,
                             on_terminal, operation, start, underway, wait_for, without_escapes)


# --- stop: what is sent ------------------------------------------------------------------------


def test_a_stop_is_a_stopinstance_and_its_end_is_told(daemon):
    daemon.accepts()
    result = ctl(daemon, "stop", "i-abc")
    assert result.status == 0
    assert result.out == "i-abc: stopped in 3.2 s (guest shut down)\n"
    assert result.err == ""
    form, = daemon.stops()
    token = form.pop("ClientToken")
    assert form == {"Action": "StopInstance", "InstanceId": "i-abc"}
    assert str(uuid.UUID(token)) == token


def test_every_option_arrives(daemon):
    daemon.accepts()
    result = ctl(daemon, "stop", "--force", "i a/ö&b", "--confirm", "--override", "lock,arrears",
                 "--stopped-mode", "StopCharging", "--grace=300", "--on-timeout", "force",
                 "--token", "t-1", "--yes")
    assert result.status == 0
    assert daemon.stops() == [{
        "Action": "StopInstance", "InstanceId": "i a/ö&b", "ClientToken": "t-1",
        "ForceStop": "true", "ConfirmStop": "true", "StoppedMode": "StopCharging",
        "GracePeriod": "300", "OnGraceTimeout": "Force", "Override": "lock,arrears"}]


def test_no_wait_ends_with_the_acceptance(daemon):
    daemon.accepts()
    result = ctl(daemon, "stop", "i-abc", "--no-wait")
    assert (result.status, result.out) == (0, f"i-abc: stopping, RequestId {REQUEST_ID}\n")
    assert len(daemon.requests) == 1


def test_it_asks_again_until_the_operation_has_ended(daemon):
    daemon.accepts(underway(), underway(), operation())
    assert ctl(daemon, "stop", "i-abc").status == 0
    waits = [r for r in daemon.requests if r.path.startswith("/v1/operations/")]
    assert [r.query for r in waits] == [{"wait": "1"}] * 3


def test_a_dry_run_that_passes_is_a_success(daemon):
    daemon.stop((400, error("DryRunOperation", "Request validation has been passed.")))
    result = ctl(daemon, "stop", "i-abc", "--dry-run", "--force")
    assert (result.status, result.err) == (0, "")
    assert result.out == "i-abc: would be stopped: every check passed, nothing was done\n"
    assert daemon.stops()[0]["DryRun"] == "true"


# --- stop: exit statuses -----------------------------------------------------------------------


@pytest.mark.parametrize("http, code, status", [
    (400, "MissingParameter", 64),
    (400, "InvalidParameter", 64),
    (404, "InvalidAction.NotFound", 64),
    (405, "InvalidMethod", 64),
    (413, "RequestTooLarge", 64),
    (404, "InvalidInstanceId.NotFound", 66),
    (429, "Throttling.User", 75),
    (503, "ServiceUnavailable", 75),
    (500, "InternalError", 75),
    (400, "IdempotentParameterMismatch", 76),
    (409, "OperationConflict", 76),
    (403, "InstanceLockedForSecurity", 76),
    (403, "InstanceExpiredOrInArrears", 76),
    (403, "InvalidInstanceId.NotSupport", 76),
    (403, "HibernationConfigured.NotEnabled", 76),
    (403, "InstanceType.ParameterMismatch", 76),
    (403, "IncorrectDiskStatus", 76),
    (403, "IncorrectInstanceStatus", 76),
    (403, "Forbidden", 77),
    # of a daemon that is newer
    (403, "SomethingNew", 76),
    (404, "SomethingNew.NotFound", 66),
    (429, "Throttling.New", 75),
    (504, "GatewayTimeout", 75),
])
def test_an_answers_code_is_told_and_decides_the_exit_status(daemon, http, code, status):
    daemon.stop((http, error(code, "It is so.")))
    result = ctl(daemon, "stop", "i-abc")
    assert result.status == status
    assert result.out == ""
    assert result.err.startswith("stopctl: stop i-abc: ")
    assert f"{code}: It is so" in result.err
    assert result.err.count("\n") == 1


def test_every_refusal_of_the_table_of_errors_has_its_exit_status(daemon):
    with open(os.path.join(SOURCE, "include/stopd/error-list.h"), encoding="utf-8") as table:
        rows = re.findall(r'^ERROR\(\w+,\s+\w+,\s+(\d+),\s+(\d+), "([^"]+)"', table.read(), re.M)
    seen = set()
    assert len(rows) > 30
    for http, status, code in rows:
        if (http, code) in seen or http == "500":
            continue
        seen.add((http, code))
        daemon.stop((int(http), error(code)))
        assert ctl(daemon, "stop", "i-abc").status == int(status), (http, code)


@pytest.mark.parametrize("outcome, code, status", [
    ("Failed", "GracePeriodOver", 70),
    ("Failed", "InstanceStartedAgain", 70),
    ("Failed", "InternalError", 70),
    ("Failed", "SomethingNew", 70),
    ("Cancelled", "Cancelled", 70),
])
def test_a_stop_that_fails_says_why(daemon, outcome, code, status):
    daemon.accepts(operation(outcome=outcome, error={"code": code, "message": "It is so."}))
    result = ctl(daemon, "stop", "i-abc")
    assert (result.status, result.out) == (status, "")
    assert result.err.startswith(f"stopctl: stop i-abc: {outcome.lower()} after 3.2 s: {code}: It is so")
    assert result.err.count("\n") == 1


def test_what_can_be_done_about_an_error_stands_behind_it(daemon):
    daemon.stop((403, error("InstanceLockedForSecurity", "It is locked.")))
    assert ctl(daemon, "stop", "i-abc").err == (
        "stopctl: stop i-abc: InstanceLockedForSecurity: It is locked; "
        "root may pass the lock with --override lock\n")


def test_several_are_stopped_side_by_side_and_the_worst_decides(daemon):
    codes = {"i-locked": (403, error("InstanceLockedForSecurity")),
             "i-none": (404, error("InvalidInstanceId.NotFound"))}
    daemon.stop(lambda request: codes.get(request.form["InstanceId"],
                                          (200, {"RequestId": REQUEST_ID})))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, operation()))
    result = ctl(daemon, "stop", "i-none", "i-a", "i-locked", "i-b", "i-a")
    assert result.status == 76
    assert sorted(result.out.splitlines()) == ["i-a: stopped in 3.2 s (guest shut down)",
                                               "i-b: stopped in 3.2 s (guest shut down)"]
    assert len(result.err.splitlines()) == 2
    assert len({form["ClientToken"] for form in daemon.stops()}) == 4  # i-a is asked for once


def test_many_are_asked_a_bounded_number_at_a_time(daemon):
    def slowly(request):
        time.sleep(0.02)
        return 200, operation()

    daemon.accepts()
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", slowly)
    result = ctl(daemon, "stop", *[f"i-{n}" for n in range(300)])
    assert result.status == 0
    assert len(result.out.splitlines()) == 300
    assert daemon.most_out <= 64


# --- stop: an answer that is lost --------------------------------------------------------------


@pytest.mark.parametrize("lost", [
    (500, error("InternalError")), DROP,
], ids=["InternalError", "broken off"])
def test_a_lost_answer_is_asked_for_again_with_the_same_token(daemon, lost):
    daemon.accepts()
    daemon.stop(lost, lost, (503, error("ServiceUnavailable")), (200, {"RequestId": REQUEST_ID}))
    result = ctl(daemon, "stop", "i-abc", "--grace", "60")
    assert (result.status, result.err) == (0, "")
    assert len(daemon.stops()) == 4
    assert all(form == daemon.stops()[0] for form in daemon.stops())


def test_asking_again_is_bounded_and_leaves_the_token(daemon):
    daemon.stop((500, error("InternalError")))
    result = ctl(daemon, "stop", "i-abc")
    assert result.status == 75
    assert len(daemon.stops()) == 6
    token = daemon.stops()[0]["ClientToken"]
    assert result.err == (
        "stopctl: stop i-abc: whether it was accepted is not known: InternalError: A sentence; "
        f"the same command with --token {token} is safe to give again\n")


def test_a_refusal_is_not_asked_for_again(daemon):
    daemon.stop((503, error("ServiceUnavailable", "libvirt is away.")))
    assert ctl(daemon, "stop", "i-abc").status == 75
    assert len(daemon.stops()) == 1


def test_a_daemon_that_goes_away_meanwhile_is_waited_for(daemon):
    daemon.accepts()
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, underway()), DROP,
              (503, error("ServiceUnavailable")), DROP, (200, operation()))
    result = ctl(daemon, "stop", "i-abc")
    assert (result.status, result.err) == (0, "")


def test_an_operation_that_is_not_there_any_more_ends_the_waiting(daemon):
    daemon.stop((200, {"RequestId": REQUEST_ID}))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (404, error("InvalidRequestId.NotFound")))
    result = ctl(daemon, "stop", "i-abc")
    assert result.status == 66
    assert f"accepted, RequestId {REQUEST_ID}" in result.err


# --- stop: time ---------------------------------------------------------------------------------


def test_a_timeout_ends_the_waiting_and_not_the_stop(daemon):
    daemon.accepts(underway())
    result = ctl(daemon, "stop", "i-abc", "--timeout", "1")
    assert result.status == 124
    assert 0.9 < result.seconds < 5
    assert result.err == (
        "stopctl: stop i-abc: not finished within 1 s, still going on (shutting-down); "
        f"stopctl show {REQUEST_ID} tells how far it is\n")
    assert not any(r.path.endswith("/cancel") for r in daemon.requests)


def test_a_timeout_before_any_answer_does_not_say_that_it_goes_on(daemon):
    daemon.stop(HANG)
    result = ctl(daemon, "stop", "i-abc", "--timeout", "1")
    assert result.status == 124
    assert "nor is it known whether it was accepted" in result.err


def test_what_ended_before_the_timeout_is_told(daemon):
    daemon.stop(lambda request: (200, {"RequestId": {"i-a": REQUEST_ID,
                                                     "i-b": OTHER_ID}[request.form["InstanceId"]]}))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, operation()))
    daemon.on(f"GET /v1/operations/{OTHER_ID}", (200, underway()))
    result = ctl(daemon, "stop", "i-a", "i-b", "--timeout", "1")
    assert result.status == 124
    assert result.out == "i-a: stopped in 3.2 s (guest shut down)\n"
    assert "stop i-b: not finished" in result.err


def test_an_interrupt_says_that_the_stop_goes_on(daemon):
    daemon.accepts(underway())
    child = start("stop", "i-abc", "--socket", daemon.socket)
    wait_for(lambda: len(daemon.requests) >= 3, "the operation is asked for")
    result = interrupt(child)
    assert result.status == 130
    assert result.err == ("stopctl: interrupted; the stop goes on of i-abc: stopctl cancel ID ends it, "
                          "stopctl show ID tells how far it is\n")


def test_an_interrupt_before_the_answer_does_not_claim_to_know(daemon):
    daemon.stop(HANG)
    child = start("stop", "i-abc", "--socket", daemon.socket)
    wait_for(lambda: daemon.requests, "the stop is asked for")
    result = interrupt(child)
    assert result.status == 130
    assert "whether it was accepted is not known of the command for i-abc" in result.err


# --- stop: for programs -------------------------------------------------------------------------


def test_json_is_one_document_with_all_results(daemon):
    daemon.stop(lambda request: (200, {"RequestId": REQUEST_ID})
                if request.form["InstanceId"] == "i-a" else (403, error("SomethingNew", "No.")))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, operation("i-a")))
    result = ctl(daemon, "stop", "i-b", "i-a", "--json")
    assert result.status == 76
    assert result.out.count("\n") == 1
    tokens = {form["InstanceId"]: form["ClientToken"] for form in daemon.stops()}
    assert result.json == {"exitStatus": 76, "results": [
        {"instance": "i-b", "requestId": None, "clientToken": tokens["i-b"], "finished": False,
         "validated": False, "exitStatus": 76,
         "error": {"code": "SomethingNew", "message": "SomethingNew: No."}, "operation": None},
        {"instance": "i-a", "requestId": REQUEST_ID, "clientToken": tokens["i-a"],
         "finished": True, "validated": False, "exitStatus": 0, "error": None,
         "operation": operation("i-a")}]}


def test_json_of_a_timeout_has_the_operation_as_it_was(daemon):
    daemon.accepts(underway())
    result = ctl(daemon, "stop", "i-abc", "--json", "--timeout", "1")
    assert result.json["exitStatus"] == 124
    assert result.json["results"][0]["finished"] is False
    assert result.json["results"][0]["operation"]["phase"] == "shutting-down"


def test_json_of_an_error_is_a_document_too(daemon):
    daemon.on("GET /v1/instances", (503, error("ServiceUnavailable", "The journal is away.")))
    result = ctl(daemon, "status", "--json")
    assert result.status == 75
    assert result.json == {"error": {
        "code": "ServiceUnavailable", "exitStatus": 75,
        "message": "status: ServiceUnavailable: The journal is away; try again in a moment"}}


# --- Consent ------------------------------------------------------------------------------------

LOSS = "stopctl: cutting the power of i-abc: what the guest has not written to its disks is lost\n"


def test_without_a_terminal_a_power_cut_is_announced_and_done(daemon):
    daemon.accepts()
    result = ctl(daemon, "stop", "i-abc", "--force")
    assert (result.status, result.err) == (0, LOSS)


@pytest.mark.parametrize("answer, status", [("y\n", 0), ("Y\n", 0), ("n\n", 76), ("\n", 76)])
def test_on_a_terminal_a_power_cut_is_asked_about(daemon, answer, status):
    daemon.accepts()
    result = on_terminal(daemon, "stop", "i-abc", "--force", answer=answer)
    assert LOSS.strip() in without_escapes(result.err)
    assert "Cut the power? [y/N]" in result.err
    assert result.status == status
    assert len(daemon.stops()) == (status == 0)
    if status:
        assert "nothing was done" in result.err


def test_with_yes_it_is_announced_and_not_asked_about(daemon):
    daemon.accepts()
    result = on_terminal(daemon, "stop", "i-abc", "--force", "--yes")
    assert result.status == 0
    assert LOSS.strip() in result.err and "[y/N]" not in result.err


def test_a_power_cut_after_the_grace_is_announced(daemon):
    daemon.accepts()
    result = ctl(daemon, "stop", "i-abc", "--on-timeout", "force")
    assert result.err.startswith("stopctl: after the grace, cutting the power of i-abc: ")


# --- Progress -----------------------------------------------------------------------------------


def phases(daemon):
    daemon.accepts(underway(phase="queued"), underway(), underway(), operation())


def test_progress_on_a_terminal_is_drawn_in_place(daemon):
    phases(daemon)
    result = on_terminal(daemon, "stop", "i-abc")
    assert result.status == 0
    text = without_escapes(result.err)
    assert re.search(r"i-abc  queued +\d\.\d s", text)
    assert re.search(r"i-abc  shutting-down +\d\.\d s", text)
    assert "\x1b[1A" in result.err and "\x1b[J" in result.err
    assert "\x1b[32mstopped\x1b[0m in 3.2 s" in result.err


def test_what_is_left_of_the_grace_is_shown(daemon):
    daemon.accepts(underway(phase="queued", grace=3600, graceLeft=None),
                   *[underway(grace=3600, graceLeft=3599)] * 2,
                   underway(grace=3600, graceLeft=7), operation())
    text = without_escapes(on_terminal(daemon, "stop", "i-abc").err)
    assert re.search(r"queued +\d\.\d s\r", text)
    assert re.search(r"shutting-down +59 min 58 s left\r", text)  # counted on between two answers
    assert re.search(r"shutting-down +(7\.0|6\.\d) s left\r", text)


def test_a_grace_that_stands_still_has_no_time_left(daemon):
    daemon.accepts(underway(grace=120, graceLeft=None), operation())
    assert "left" not in on_terminal(daemon, "stop", "i-abc").err


def test_no_color_takes_the_colours_and_not_the_progress(daemon):
    phases(daemon)
    result = on_terminal(daemon, "stop", "i-abc", env={"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*m", result.err)
    assert "\x1b[1A" in result.err
    assert "i-abc: stopped in 3.2 s" in result.err


def test_a_terminal_that_cannot_move_gets_a_line_for_each_change(daemon):
    phases(daemon)
    result = on_terminal(daemon, "stop", "i-abc", env={"TERM": "dumb"})
    assert result.err.replace("\r\n", "\n") == (
        "i-abc: queued\ni-abc: shutting-down\ni-abc: stopped in 3.2 s (guest shut down)\n")


def test_progress_does_not_get_into_a_pipe(daemon):
    phases(daemon)
    result = on_terminal(daemon, "stop", "i-abc", "--json", out_to_pipe=True)
    assert json.loads(result.out)["exitStatus"] == 0
    assert "shutting-down" in result.err


def test_no_more_lines_than_the_terminal_has_and_none_wider(daemon):
    phases(daemon)
    ids = [f"i-{'x' * 60}-{n}" for n in range(12)]
    result = on_terminal(daemon, "stop", *ids, rows=6, columns=40)
    assert "and 8 more" in without_escapes(result.err)
    drawn = [line for line in without_escapes(result.err).split("\n") if "shutting" in line]
    assert drawn and all(len(line.strip("\r")) < 40 for line in drawn)
    assert "\x1b[6A" not in result.err


def test_what_a_tenant_wrote_cannot_move_the_cursor(daemon):
    daemon.on("GET /v1/instances", (200, {"instances": [
        {"instanceId": "i-\x1b[2J", "name": "a\nb\x07", "state": "Running", "detail": "\x9b1A",
         "certain": True, "operation": None}]}))
    result = ctl(daemon, "status")
    assert "\x1b" not in result.out and "\x07" not in result.out and "\x9b" not in result.out
    assert len(result.out.splitlines()) == 2
