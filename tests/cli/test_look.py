"""status, show and cancel: what stands, and what can still be called off."""

from scripted_daemon import INSTANCES, OTHER_ID, REQUEST_ID, ctl, error, operation, underway


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
