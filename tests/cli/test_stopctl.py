"""What stopctl does with each answer that the daemon can give: contract section 8, from the outside."""

import json
import os
import re
import subprocess
import threading
import time
import uuid

import pytest

from scripted_daemon import (DROP, HANG, REQUEST_ID, SOURCE, STOPCTL, Stream, ctl, environment, error,
                             interrupt, on_terminal, operation, run, start, underway, wait_for,
                             without_escapes)

OTHER_ID = "11111111-2222-4333-8444-555555555555"


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


# --- Not reached --------------------------------------------------------------------------------


def test_no_daemon(daemon):
    path = os.path.join(daemon.directory, "none.sock")
    result = run("stop", "i-a", "i-b", "--socket", path)
    assert result.status == 69
    assert result.err == (f"stopctl: cannot reach stopd at {path}: No such file or directory; "
                          "is it running? (systemctl status stopd)\n")


def test_a_socket_that_nobody_listens_on(daemon):
    daemon.end()
    result = run("status", "--socket", daemon.socket)
    assert result.status == 69
    assert "Connection refused; is it running?" in result.err


def test_a_socket_that_the_caller_may_not_open(daemon):
    os.chmod(daemon.socket, 0o600)
    os.chmod(daemon.directory, 0o755)
    more = {}
    if os.geteuid() == 0:
        more = {"user": 65534, "group": 65534, "extra_groups": []}
        try:
            subprocess.run([STOPCTL, "version"], check=True, capture_output=True, **more)
        except (OSError, subprocess.CalledProcessError) as trouble:
            pytest.skip(f"another user cannot run {STOPCTL}: {trouble}")
    else:
        os.chmod(daemon.socket, 0)
    result = run("status", "--socket", daemon.socket, **more)
    assert result.status == 77
    assert f"cannot open the socket of stopd, {daemon.socket}: Permission denied" in result.err


def test_something_else_on_the_socket(daemon):
    daemon.on("GET /v1/instances", (200, b"<html>"))
    assert ctl(daemon, "status").status == 69
    daemon.on("GET /v1/instances", (502, b"<html>"))
    result = ctl(daemon, "status")
    assert result.status == 69
    assert "does not talk like stopd (HTTP status 502)" in result.err


def test_a_proxy_of_the_environment_is_not_asked(daemon):
    daemon.on("GET /v1/instances", (200, {"instances": []}))
    proxy = {"http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"}
    assert ctl(daemon, "status", env=proxy).status == 0


def test_the_socket_comes_from_the_configuration(daemon):
    daemon.on("GET /v1/instances", (200, {"instances": []}))
    path = os.path.join(daemon.directory, "stopd.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"[api]\nsocket = {daemon.socket}\n")
    assert run("status", "--config", path).status == 0
    assert run("--config", path, "status").status == 0


def test_a_named_configuration_has_to_be_good(daemon):
    path = os.path.join(daemon.directory, "stopd.conf")
    assert run("status", "--config", path).status == 78
    with open(path, "w", encoding="utf-8") as file:
        file.write("[api]\nsokket = /x\n")
    result = run("status", "--config", path)
    assert result.status == 78
    assert f"{path}:2: unknown key api.sokket" in result.err


# --- status, show, cancel -----------------------------------------------------------------------

INSTANCES = {"instances": [
    {"instanceId": "i-abc", "name": "web-1", "uuid": OTHER_ID, "state": "Running",
     "detail": None, "certain": True, "operation": None, "type": None},
    {"instanceId": "i-abcdef", "name": "größe", "uuid": OTHER_ID, "state": "Stopping",
     "detail": "paused", "certain": False, "operation": REQUEST_ID, "type": "ecs.i1.xlarge"},
]}


def test_status_is_a_table(daemon):
    daemon.on("GET /v1/instances", (200, INSTANCES))
    result = ctl(daemon, "status")
    assert (result.status, result.err) == (0, "")
    assert result.out == (
        "ID        NAME   STATE      DETAIL  PHASE  OPERATION\n"
        "i-abc     web-1  Running    -       -      -\n"
        f"i-abcdef  größe  Stopping?  paused  -      {REQUEST_ID}\n")
    assert ctl(daemon, "status", "--json").json == INSTANCES


def test_status_of_one(daemon):
    one = INSTANCES["instances"][0]
    daemon.on("GET /v1/instances/i-abc", (200, one))
    daemon.on("GET /v1/instances/i-none", (404, error("InvalidInstanceId.NotFound", "No such one.")))
    assert ctl(daemon, "status", "i-abc").out.splitlines()[1] == "i-abc  web-1  Running  -       -      -"
    assert ctl(daemon, "status", "i-abc", "--json").json == one
    result = ctl(daemon, "status", "i-none")
    assert result.status == 66
    assert result.err == ("stopctl: status of i-none: InvalidInstanceId.NotFound: No such one; "
                          "stopctl status lists the instances of this host\n")


SHOWN = f"""\
RequestId:    {REQUEST_ID}
Instance:     i-abc
State:        Stopped
Phase:        done
Outcome:      Stopped
Power cut:    not commanded
StoppedMode:  KeepCharging
Commanded by: unix:uid=0(root)
Accepted:     2026-11-24 10:23:45
Off:          2026-11-24 10:23:48 (+3.2 s)
Finished:     2026-11-24 10:23:48 (+3.2 s)
Timeline:
  +0.0 s  accepted  -
  +0.1 s  button    ACPI
  +3.2 s  off       guest shut down
"""


def test_show_tells_the_timeline(daemon):
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, operation()))
    assert ctl(daemon, "show", REQUEST_ID).out == SHOWN
    assert ctl(daemon, "show", REQUEST_ID, "--json").json == operation()


def test_show_of_an_instance_is_its_newest_stop(daemon):
    daemon.on("GET /v1/operations", (200, {"operations": [operation(), operation(request=OTHER_ID)]}))
    assert ctl(daemon, "show", "i-abc").out == SHOWN
    assert daemon.requests[0].query == {"instance": "i-abc"}


def test_show_finds_an_instance_by_its_other_names(daemon):
    def of_the_id(request):
        found = [operation()] if request.query["instance"] == "i-abc" else []
        return 200, {"operations": found}

    daemon.on("GET /v1/operations", of_the_id)
    daemon.on("GET /v1/instances/web-1", (200, INSTANCES["instances"][0]))
    daemon.on(f"GET /v1/operations/{OTHER_ID}", (404, error("InvalidRequestId.NotFound")))
    daemon.on(f"GET /v1/instances/{OTHER_ID}", (200, INSTANCES["instances"][0]))
    assert ctl(daemon, "show", "web-1").out == SHOWN
    assert ctl(daemon, "show", OTHER_ID).out == SHOWN


def test_show_of_what_was_never_stopped(daemon):
    daemon.on("GET /v1/operations", (200, {"operations": []}))
    daemon.on("GET /v1/instances/i-abc", (200, INSTANCES["instances"][0]))
    result = ctl(daemon, "show", "i-abc")
    assert result.status == 66
    assert result.err == ("stopctl: show i-abc: no stop of it is known; "
                          "finished stops are kept for journal.retain\n")


def cancellable(daemon, *ends):
    daemon.on("GET /v1/operations", (200, {"operations": [underway()]}))
    daemon.on(f"POST /v1/operations/{REQUEST_ID}/cancel", (200, underway()))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", *[(200, end) for end in ends])


def test_cancel_waits_for_what_comes_of_it(daemon):
    cancellable(daemon, underway(), operation(outcome="Cancelled"))
    result = ctl(daemon, "cancel", "i-abc")
    assert (result.status, result.out) == (0, "i-abc: cancelled, it runs on\n")
    assert daemon.requests[0].query == {"instance": "i-abc"}


def test_cancel_goes_by_request_too(daemon):
    cancellable(daemon, underway(), operation(outcome="Cancelled"))
    result = ctl(daemon, "cancel", REQUEST_ID, "--json")
    assert result.status == 0
    assert result.json["outcome"] == "Cancelled"


def test_cancel_that_came_too_late_says_so(daemon):
    cancellable(daemon, operation())
    result = ctl(daemon, "cancel", "i-abc")
    assert result.status == 76
    assert result.err.startswith("stopctl: cancel i-abc: too late, the stop has ended: Stopped")


def test_cancel_that_is_refused(daemon):
    cancellable(daemon, underway())
    daemon.on(f"POST /v1/operations/{REQUEST_ID}/cancel",
              (403, error("IncorrectInstanceStatus", "The power is being cut.")))
    result = ctl(daemon, "cancel", "i-abc")
    assert result.status == 76
    assert "IncorrectInstanceStatus: The power is being cut" in result.err


def test_cancel_of_what_is_not_being_stopped(daemon):
    daemon.on("GET /v1/operations", (200, {"operations": []}))
    daemon.on("GET /v1/instances/i-abc", (200, INSTANCES["instances"][0]))
    result = ctl(daemon, "cancel", "i-abc")
    assert result.status == 76
    assert "no stop of it is under way" in result.err


# --- events, watch ------------------------------------------------------------------------------


def event(sequence, when="2026-11-24T10:23:45.123Z", **data):
    document = {"instanceId": "i-abc", "from": "Running", "to": "Stopping", "reason": "StopInstance",
                "requestId": REQUEST_ID}
    document.update(data)
    return {"specversion": "1.0", "id": str(uuid.UUID(int=sequence)), "source": "/hosts/h",
            "type": "stopd.instance.state.v1", "subject": "i-abc", "time": when,
            "datacontenttype": "application/json", "sequence": f"{sequence:020}", "data": document}


def pages(daemon, last, size=2):
    def page(request):
        after = int(request.query["after"])
        return 200, {"events": [event(n) for n in range(after + 1, min(after + size, last) + 1)]}

    daemon.on("GET /v1/events", page)


def test_events_are_read_page_by_page(daemon):
    pages(daemon, 5)
    result = ctl(daemon, "events")
    assert result.status == 0
    assert result.out.splitlines() == [
        f"2026-11-24 10:23:45      {n}  i-abc: Running -> Stopping, StopInstance (RequestId {REQUEST_ID})"
        for n in range(1, 6)]
    lines = ctl(daemon, "events", "--json", "--after", f"{3:020}").out.splitlines()
    assert [json.loads(line) for line in lines] == [event(4), event(5)]


def test_a_failure_and_a_type_to_come_are_told_too(daemon):
    failure = event(1)
    failure["type"] = "stopd.operation.failed.v1"
    failure["data"] = {"instanceId": "i-abc", "requestId": REQUEST_ID, "outcome": "Failed",
                       "code": "GracePeriodOver", "message": "It is so."}
    other = event(2)
    other["type"], other["data"] = "stopd.instance.moved.v1", {}
    daemon.on("GET /v1/events", (200, {"events": [failure, other]}), (200, {"events": []}))
    assert ctl(daemon, "events").out.splitlines() == [
        "2026-11-24 10:23:45      1  i-abc: stop Failed, GracePeriodOver: It is so. "
        f"(RequestId {REQUEST_ID})",
        "2026-11-24 10:23:45      2  i-abc: stopd.instance.moved.v1"]


def streams(daemon, *batches):
    """Each connection gets a batch of events and is broken off; the last one stays open."""
    left = list(batches)

    def write(file):
        batch = left.pop(0) if left else []
        for e in batch:
            text = f": alive\n\nid: {e['sequence']}\nevent: x\ndata: {json.dumps(e)}\n\n"
            for start_at in range(0, len(text), 37):  # in pieces that have nothing to do with lines
                file.write(text[start_at:start_at + 37].encode())
                file.flush()
        if not left:
            daemon.ended.wait(30)

    def answer(request):
        if request.headers["Accept"] == "text/event-stream":
            return Stream(write)
        return 200, {"events": []}

    daemon.on("GET /v1/events", answer)


def read_lines(child, n):
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(child.stdout.readline() for _ in range(n)))
    reader.start()
    reader.join(30)
    assert not reader.is_alive(), f"only {lines}"
    return lines


def test_following_goes_on_behind_the_last_event_after_a_break(daemon):
    streams(daemon, [event(1), event(2)], [event(2), event(3)])
    child = start("events", "--json", "--follow", "--socket", daemon.socket)
    lines = read_lines(child, 3)
    interrupt(child)
    assert [json.loads(line) for line in lines] == [event(1), event(2), event(3)]
    opened = [r for r in daemon.requests if r.headers["Accept"] == "text/event-stream"]
    assert [r.query.get("after") for r in opened] == ["0", "2"]


def test_a_daemon_that_is_away_is_waited_for_and_that_is_said_once(daemon):
    def write(*events):
        return Stream(lambda file: [file.write(f"data: {json.dumps(e)}\n\n".encode())
                                    for e in events])

    def last(file):
        file.write(f"data: {json.dumps(event(2))}\n\n".encode())
        daemon.ended.wait(30)

    daemon.on("GET /v1/events", (200, {"events": []}), write(event(1)), DROP, DROP, Stream(last))
    child = start("events", "--json", "--follow", "--socket", daemon.socket)
    lines = read_lines(child, 2)
    result = interrupt(child)
    assert [json.loads(line) for line in lines] == [event(1), event(2)]
    assert result.err == "stopctl: events: the daemon is away, waiting for it\n"


def test_watch_begins_now(daemon):
    ahead = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + 60))
    streams(daemon, [event(1), event(2, when=ahead)])
    child = start("watch", "--json", "--socket", daemon.socket)
    lines = read_lines(child, 1)
    interrupt(child)
    assert json.loads(lines[0])["sequence"] == f"{2:020}"


def test_watch_of_no_daemon(daemon):
    assert run("watch", "--socket", "/nowhere/s").status == 69


# --- Usage --------------------------------------------------------------------------------------

VERBS = ("stop, status, show, watch, cancel, clear, retry, may-start, certificate, events, version, "
         "help")


@pytest.mark.parametrize("arguments, message", [
    ([], f"no verb; there are {VERBS}; see stopctl help"),
    (["plan"], f"unknown verb 'plan'; there are {VERBS}; see stopctl help"),
    (["stop"], "stop: which instance?; see stopctl help stop"),
    (["stop", "i-a", "--forse"], "stop: unknown option --forse; see stopctl help stop"),
    (["stop", "i-a", "--grace"], "stop: --grace needs a value; see stopctl help stop"),
    (["stop", "i-a", "--grace", "0"], "stop: --grace must be a whole number of seconds from 1 to "
                                      "86400, not '0'; see stopctl help stop"),
    (["stop", "i-a", "--on-timeout", "x"], "stop: --on-timeout must be fail or force, not 'x'; "
                                           "see stopctl help stop"),
    (["stop", "i-a", "i-b", "--token", "t"], "stop: --token is for one instance: each command has "
                                             "its own; see stopctl help stop"),
    (["show"], "show: ID|REQUEST is missing; see stopctl help show"),
    (["status", "a", "b"], "status: 'b' is too much; see stopctl help status"),
    (["events", "--after", "x"], "events: --after must be an event's sequence, not 'x'; "
                                 "see stopctl help events"),
    (["clear", "--confirm"], "clear: which instance?; see stopctl help clear"),
    (["clear", "i-a", "i-b", "--confirm"], "clear: 'i-b' is too much; see stopctl help clear"),
    (["clear", "i-a"], "clear: --confirm is missing: it agrees to the loss, for good, of what is on "
                       "the instance's local disks; see stopctl help clear"),
    (["clear", "i-a", "--confirm", "--timeout", "x"],
     "clear: --timeout must be a whole number of seconds from 1 to 86400, not 'x'; "
     "see stopctl help clear"),
    (["retry"], "retry: ID|REQUEST is missing; see stopctl help retry"),
    (["may-start"], "may-start: ID is missing; see stopctl help may-start"),
    (["certificate"], "certificate: ID|REQUEST is missing; see stopctl help certificate"),
    (["certificate", "--key", "i-a"], "certificate: 'i-a' is too much; see stopctl help certificate"),
    (["certificate", "--verify", "f"], "certificate: --verify FILE and --with KEY go together; "
                                       "see stopctl help certificate"),
    (["certificate", "i-a", "--with", "k"], "certificate: --verify FILE and --with KEY go together; "
                                            "see stopctl help certificate"),
    (["certificate", "--key", "--verify", "f", "--with", "k"],
     "certificate: --key and --verify are two things: one at a time; see stopctl help certificate"),
    (["help", "plan"], "help: there is no verb 'plan'; see stopctl help help"),
    (["status", "--socket", "/" + "x" * 200], "status: --socket must be a path of 1 to 107 characters"),
])
def test_usage_errors(daemon, arguments, message):
    result = run(*arguments)
    assert (result.status, result.out) == (64, "")
    assert result.err == f"stopctl: {message}\n"


HELP = """\
Usage: stopctl VERB [ARGUMENT...] [OPTION...]

Stop virtual machines properly, and see how it goes.

  stop        ID...         Stop instances.
  status      [ID]          The instances of this host, or one, and their states.
  show        ID|REQUEST    One stop, its local disks and its timeline.
  watch                     What happens on this host, as it happens.
  cancel      ID|REQUEST    Call a stop off before its guest is off.
  clear       ID --confirm  Clear the local disks that an instance kept.
  retry       ID|REQUEST    Try a clear again that could not be done.
  may-start   ID            Whether no clear of its local disks is owed.
  certificate ID|REQUEST    The proof that local disks were cleared.
  events                    The events that were reported.
  version                   The version of stopctl.
  help        [VERB]        What the verbs are, and each one's options.

      --json            machine-readable output: one document, or one a line
      --socket PATH     the daemon's socket (default: api.socket of the configuration)
      --config FILE     read this configuration instead of /etc/stopd
  -h, --help            this text
      --version         the same as the verb

stopctl help VERB tells a verb's options; stopctl(1) what the exit statuses mean.
"""


def test_help(daemon):
    for arguments in (["help"], ["--help"], ["-h"]):
        result = run(*arguments)
        assert (result.status, result.out, result.err) == (0, HELP, "")


def test_each_verb_has_help_and_stands_in_the_manual_and_the_completion(daemon):
    with open(os.path.join(SOURCE, "contrib/man/stopctl.1"), encoding="utf-8") as file:
        manual = file.read()
    with open(os.path.join(SOURCE, "contrib/completion/stopctl.bash"), encoding="utf-8") as file:
        completion = file.read()
    for verb in run("help", "--json").json["verbs"]:
        text = run("help", verb["name"]).out
        assert text.startswith(f"Usage: stopctl {verb['name']}")
        assert run(verb["name"], "--help").out == text
        assert f".It Cm {verb['name']}" in manual
        assert re.search(rf"\b{verb['name']}\b", completion)
        for option in re.findall(r"^ +(?:-h, )?--([a-z-]+)", text, re.M):
            assert f"Fl Fl {option}" in manual, option
            assert f"--{option}" in completion, option


def test_version(daemon):
    result = run("version")
    assert result.status == 0
    assert re.fullmatch(r"stopctl \d+\.\d+\.\d+\n", result.out)
    assert run("--version").out == result.out
    assert f"stopctl {run('version', '--json').json['version']}\n" == result.out


def test_what_cannot_be_written_is_an_error(daemon):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([STOPCTL, "version"], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment(), check=False)
    assert done.returncode == 74
    assert done.stderr == "stopctl: cannot write standard output: No space left on device\n"


# --- Completion ---------------------------------------------------------------------------------


def complete(daemon, *words):
    """What bash offers for the last of these words."""
    script = (f"source {SOURCE}/contrib/completion/stopctl.bash; compopt() {{ :; }}; "
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _stopctl; printf "%s\\n" "${COMPREPLY[@]}"')
    env = environment(PATH=f"{os.path.dirname(STOPCTL)}:/usr/bin:/bin")
    done = subprocess.run(["bash", "-c", script, "bash", "stopctl", *words], env=env, text=True,
                          capture_output=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_knows_verbs_options_and_instances(daemon):
    daemon.on("GET /v1/instances", (200, INSTANCES))
    assert complete(daemon, "s") == ["stop", "status", "show"]
    assert complete(daemon, "c") == ["cancel", "clear", "certificate"]
    assert complete(daemon, "certificate", "--k") == ["--key"]
    assert complete(daemon, "--socket", daemon.socket, "clear", "i-abcd") == ["i-abcdef"]
    assert complete(daemon, "events", "--") == ["--json", "--socket", "--config", "--help",
                                                "--after", "--follow", "--dead-letters", "--replay",
                                                "--drop", "--all"]
    assert complete(daemon, "--socket", daemon.socket, "stop", "i-abcd") == ["i-abcdef"]
    assert complete(daemon, "stop", "--on-timeout", "f") == ["fail", "force"]
    assert complete(daemon, "--socket", "/nowhere/s", "stop", "") == []
    daemon.on("GET /v1/sinks", (200, {"sinks": [{"name": "hook", "deadLetters": 2}]}))
    daemon.on("GET /v1/sinks/hook/dead-letters",
              (200, {"deadLetters": [{"sequence": 1}, {"sequence": 2}]}), (200, {"deadLetters": []}))
    assert complete(daemon, "--socket", daemon.socket, "events", "--replay", "h") == ["hook"]
