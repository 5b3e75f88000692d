"""stopctl events with sinks: dead letters, and sending again."""

import json

import pytest

from scripted_daemon import ctl, error, run


def letter(sequence, instance="i-abc", replay=False, reason="the receiver answered 400: no"):
    return {"sequence": sequence, "at": "2026-11-24T10:23:45.123Z", "reason": reason, "replay": replay,
            "event": {"subject": instance, "type": "stopd.instance.state.v1",
                      "sequence": f"{sequence:020}"}}


def sinks(daemon, **letters):
    """Sinks with these dead letters each."""
    daemon.on("GET /v1/sinks", (200, {"sinks": [
        {"name": name, "type": "webhook", "deadLetters": len(of)} for name, of in letters.items()]}))
    for name, of in letters.items():
        daemon.on(f"GET /v1/sinks/{name}/dead-letters", lambda request, of=of: (200, {
            "deadLetters": [each for each in of if each["sequence"] > int(request.query["after"])][:2]}))


def test_dead_letters_of_all_sinks_are_listed(daemon):
    sinks(daemon, hook=[letter(3), letter(4), letter(5, "i-def", replay=True)], quiet=[],
          other=[letter(9, reason="it\x1b[2Jwas\nso")])
    result = ctl(daemon, "events", "--dead-letters")
    assert result.status == 0, result
    heads, *rows = result.out.splitlines()
    assert heads.split() == ["SINK", "SEQUENCE", "REFUSED", "INSTANCE", "TYPE", "STATE", "REASON"]
    assert [row.split()[:2] for row in rows] == [["hook", "3"], ["hook", "4"], ["hook", "5"],
                                                 ["other", "9"]]
    assert "kept" in rows[1] and "sent again" in rows[2] and "i-def" in rows[2]
    assert rows[0].endswith("the receiver answered 400: no")
    assert rows[3].endswith("it?[2Jwas?so")
    assert "GET /v1/sinks/quiet/dead-letters" not in [
        f"{each.method} {each.path}" for each in daemon.requests]


def test_dead_letters_of_one_sink_as_documents(daemon):
    sinks(daemon, hook=[letter(3), letter(4), letter(5)], other=[letter(9)])
    result = ctl(daemon, "events", "--dead-letters", "hook", "--json")
    assert result.status == 0, result
    assert [json.loads(line) for line in result.out.splitlines()] == [
        {**letter(n), "sink": "hook"} for n in (3, 4, 5)]


def test_delivered_events_are_sent_again(daemon):
    daemon.on("POST /v1/sinks/hook/replay", (200, {"sink": "hook", "after": 7}))
    result = ctl(daemon, "events", "--replay", "hook", "--after", f"{7:020}")
    assert (result.status, result.out) == (0, "hook: the events behind 7 are sent once more\n")
    assert daemon.requests[0].document == {"after": 7}
    assert ctl(daemon, "events", "--replay", "hook", "--after", "7", "--json").json == {
        "sink": "hook", "after": 7}


@pytest.mark.parametrize("option, verb, told", [
    ("--replay", "replay", "are sent again"), ("--drop", "drop", "dropped")])
def test_dead_letters_are_named_one_by_one(daemon, option, verb, told):
    for n in (3, 5):
        daemon.on(f"POST /v1/sinks/hook/dead-letters/{n}/{verb}",
                  (200, {"sink": "hook", "deadLetters": 1}))
    result = ctl(daemon, "events", option, "hook", "3", f"{5:020}")
    assert (result.status, result.out) == (0, f"hook: 2 dead letters {told}\n")
    assert [each.path.split("/")[-2] for each in daemon.requests] == ["3", "5"]


@pytest.mark.parametrize("option, verb", [("--replay", "replay"), ("--drop", "drop")])
def test_all_dead_letters_are_taken_until_there_are_no_more(daemon, option, verb):
    daemon.on(f"POST /v1/sinks/hook/dead-letters/all/{verb}",
              *[(200, {"sink": "hook", "deadLetters": n}) for n in (1000, 17, 0)])
    result = ctl(daemon, "events", option, "hook", "--all", "--json")
    assert result.status == 0, result
    assert result.json == {"sink": "hook", "deadLetters": 1017}
    assert len(daemon.requests) == 3


def test_a_sink_is_a_segment_of_a_path(daemon):
    daemon.on("POST /v1/sinks/a%2Fb%3F/dead-letters/1/drop", (200, {"deadLetters": 1}))
    assert ctl(daemon, "events", "--drop", "a/b?", "1").status == 0


def test_what_there_is_not(daemon):
    daemon.on("POST /v1/sinks/hook/dead-letters/3/drop",
              (404, error("InvalidSequence.NotFound", "The specified sink has none.")))
    result = ctl(daemon, "events", "--drop", "hook", "3")
    assert (result.status, result.out) == (66, "")
    assert result.err == (
        "stopctl: events of sink hook: 3: InvalidSequence.NotFound: The specified sink has none; "
        "stopctl events --dead-letters lists those that there are\n")
    daemon.on("GET /v1/sinks/x/dead-letters", (404, error("InvalidSink.NotFound", "No.")))
    result = ctl(daemon, "events", "--dead-letters", "x")
    assert result.status == 66
    assert "dead letters: InvalidSink.NotFound: No; upstream.NAME" in result.err


@pytest.mark.parametrize("arguments, message", [
    (["--dead-letters", "a", "b"], "'b' is too much"),
    (["--replay", "a"], "--replay SINK needs --after N, SEQUENCEs or --all"),
    (["--drop", "a"], "--drop SINK needs SEQUENCEs or --all"),
    (["--drop", "a", "1", "--all"], "--drop SINK needs SEQUENCEs or --all"),
    (["--drop", "a", "x"], "a SEQUENCE must be an event's sequence, not 'x'"),
    (["--drop", "a", "--after", "1"], "--after is no way to name dead letters"),
    (["--replay", "a", "--after", "1", "--all"], "--after is no way to name dead letters"),
    (["--replay", "a", "--after", "1", "2"], "--after is no way to name dead letters"),
    (["--dead-letters", "--after", "1"], "--after is no way to name dead letters"),
    (["--replay", "a", "--drop", "a", "1"], "--dead-letters, --replay and --drop are for one at a time"),
    (["--all"], "--all is for --replay and --drop"),
    (["--dead-letters", "--all"], "--all is for --replay and --drop"),
    (["--replay", "a", "--all", "--follow"], "--follow is for events that are listed"),
    (["i-abc"], "'i-abc' is too much"),
])
def test_usage_errors(daemon, arguments, message):
    result = run("events", *arguments)
    assert (result.status, result.out) == (64, "")
    assert result.err == f"stopctl: events: {message}; see stopctl help events\n"
