"""Contract section 6, webhooks: a receiver that fails in each way, and what becomes of the events."""

import json
import random

from daemon import stopctl, wait_until
from receiver import DROP, HANG
from webhooks import (is_failing, letters, metric, post, receiver, refuses,  # noqa: F401
                      sequences, settled, sink, stop, stopd)


# --- What is sent ---

def test_events_are_posted_as_structured_cloudevents(stopd, receiver, tmp_path):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    hook = receiver()
    daemon = stopd(hook, token_file=token)
    stop(daemon, 1, headers={"traceparent": parent})
    stop(daemon, 2)
    settled(daemon, 4)

    assert [post.event for post in hook.posts] == daemon.events()
    assert sequences(hook.posts) == [1, 2, 3, 4]
    for each in hook.posts:
        assert each.headers["Content-Type"] == "application/cloudevents+json"
        assert each.headers["Authorization"] == "Bearer s3cret"
        assert each.path == "/events?of=stopd"
        assert each.headers["traceparent"] == each.event.get("traceparent")
    assert [each.headers["traceparent"] for each in hook.posts] == [parent, parent, None, None]
    operations = daemon.get("/v1/operations").json["operations"]
    assert {each["instanceId"]: each["traceparent"] for each in operations} == {
        "i-1": parent, "i-2": None}
    assert len(hook.connections) == 1, "the connection is kept"


# --- What fails ---

def test_failures_are_tried_again_in_order(stopd, receiver):
    hook = receiver()
    answers = {
        1: [500, 502],
        2: [(503, {"Retry-After": "0"}, b"not now")],
        3: [408],
        # A kept connection that has ended is nobody's failure, and a new one is made at once.
        4: [DROP, DROP],
        5: [(307, {"Location": "http://127.0.0.1:9/elsewhere"}, b"")],
        6: [(429, {"Retry-After": "6"}, b"slowly")],
    }
    hook.answer = lambda post: answers[post.sequence].pop(0) if answers[post.sequence] else 204
    daemon = stopd(hook)
    stop(daemon, 1, 2, 3)
    settled(daemon, 6)

    assert sequences(hook.posts) == [1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6]
    assert len({post.event["id"] for post in hook.posts}) == 6
    assert hook.posts[-1].at - hook.posts[-2].at >= 6, "Retry-After is honoured"
    assert metric(daemon, "stopd_sink_failures_total") == 7
    assert metric(daemon, "stopd_sink_dead_letters") == 0
    assert letters(daemon) == []
    wait_until(lambda: sink(daemon)["failingSince"] is None, "it is well again")
    assert sink(daemon)["error"] == "the receiver answered 429: slowly"
    told = [line for line in daemon.log().splitlines() if "sink hook" in line]
    assert len(told) == 2 * 6, told  # of a failure once, and once of its end
    assert "answered 500" in told[0] and "well again" in told[1]


def test_a_date_is_a_pause_too(stopd, receiver):
    hook = receiver()
    hook.answer = lambda post: (503, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}, b"")
    daemon = stopd(hook)
    stop(daemon, 1)
    is_failing(daemon, "503")
    assert len(hook.posts) == 1
    assert daemon.stop() == 0  # it does not wait for that


def test_a_receiver_that_hangs_is_given_up_and_tried_again(stopd, receiver):
    hook = receiver()
    hook.answer = lambda post: HANG if len(hook.posts) == 1 else 204
    daemon = stopd(hook)
    stop(daemon, 1)
    is_failing(daemon, "did not answer in time")
    settled(daemon, 2)
    assert sequences(hook.posts) == [1, 1, 2]


def test_a_receiver_that_hangs_does_not_hold_up_the_end(stopd, receiver):
    hook = receiver()
    hook.answer = lambda post: HANG
    daemon = stopd(hook)
    stop(daemon, 1)
    wait_until(lambda: hook.posts, "it hangs")
    assert daemon.stop() == 0
    assert "hangs and was left" not in daemon.log()
    hook.answer = lambda post: 204
    daemon.begin(off=[1])
    settled(daemon, 2)
    assert sequences(hook.taken()) == [1, 2]


def test_an_answer_without_end_is_an_answer(stopd, receiver):
    hook = receiver()
    hook.answer = lambda post: (200, {}, b"x" * (8 << 20)) if post.sequence == 1 else 204
    daemon = stopd(hook)
    stop(daemon, 1)
    settled(daemon, 2)
    assert sequences(hook.posts) == [1, 2]


# --- Dead letters ---

def test_what_is_refused_is_kept_and_the_rest_goes_on(stopd, receiver):
    hook = receiver()
    hook.answer = refuses("i-2")
    daemon = stopd(hook)
    stop(daemon, 1, 2, 3)
    settled(daemon, 6)

    assert sequences(hook.posts) == [1, 2, 3, 4, 5, 6]
    kept = letters(daemon)
    assert [each["sequence"] for each in kept] == [3, 4]
    assert [each["event"] for each in kept] == daemon.events("i-2")
    assert {each["reason"] for each in kept} == {"the receiver answered 400: no such thing"}
    assert not any(each["replay"] for each in kept)
    assert sink(daemon)["deadLetters"] == 2
    assert sink(daemon)["failingSince"] is None
    assert metric(daemon, "stopd_sink_dead_letters") == 2
    assert metric(daemon, "stopd_sink_refused_total") == 2
    assert metric(daemon, "stopd_sink_failures_total") == 0
    told = [line for line in daemon.log().splitlines() if "set aside" in line]
    assert len(told) == 2 and "no such thing" in told[0], told
    assert "event 3" in told[0] and "i-2" in told[0]


def test_dead_letters_outlive_the_program_and_are_sent_again_or_dropped(stopd, receiver):
    hook = receiver()
    hook.answer = refuses("i-2", 410)
    daemon = stopd(hook)
    stop(daemon, 2, 1)
    settled(daemon, 4)
    daemon.kill()
    daemon.begin(off=[1, 2])
    settled(daemon, 4)
    assert [each["sequence"] for each in letters(daemon)] == [1, 2]

    # Refused again, it stays.
    refused = metric(daemon, "stopd_sink_refused_total")
    assert post(daemon, "hook/dead-letters/2/replay").json == {"sink": "hook", "deadLetters": 1}
    wait_until(lambda: metric(daemon, "stopd_sink_refused_total") > refused, "it is refused again")
    assert [each["sequence"] for each in letters(daemon)] == [1, 2]

    hook.answer = lambda post: 204
    assert post(daemon, "hook/dead-letters/1/drop").json["deadLetters"] == 1
    assert post(daemon, "hook/dead-letters/all/replay").json["deadLetters"] == 1
    wait_until(lambda: not letters(daemon), "it is delivered", seen=daemon.log)
    # The receiver counts what it has answered, a moment later than stopd reads the answer.
    wait_until(lambda: 2 in sequences(hook.taken()), "it was taken", seen=lambda: sequences(hook.posts))
    assert sequences(hook.taken()).count(2) == 1
    assert sequences(hook.taken()).count(1) == 0
    assert sink(daemon)["deadLetters"] == 0


def test_what_is_to_be_sent_again_is_so_over_kill_9(stopd, receiver):
    hook = receiver()
    hook.answer = refuses("i-1")
    daemon = stopd(hook)
    stop(daemon, 1)
    settled(daemon, 2)
    hook.answer = lambda post: 503
    assert post(daemon, "hook/dead-letters/all/replay").json["deadLetters"] == 2
    daemon.kill()
    hook.answer = lambda post: 204
    daemon.begin(off=[1])
    wait_until(lambda: not letters(daemon), "both are delivered", seen=daemon.log)
    assert sorted(set(sequences(hook.taken()))) == [1, 2]


def test_errors_of_commands_for_sinks(stopd, receiver):
    daemon = stopd(receiver())
    for path in ("nosuch/dead-letters/all/replay", "nosuch/dead-letters/1/drop"):
        assert post(daemon, path).code == "InvalidSink.NotFound"
    assert post(daemon, "nosuch/replay", '{"after": 0}').status == 404
    assert daemon.get("/v1/sinks/nosuch/dead-letters").code == "InvalidSink.NotFound"
    assert post(daemon, "hook/dead-letters/7/replay").code == "InvalidSequence.NotFound"
    assert post(daemon, "hook/dead-letters/x/drop").code == "InvalidSequence.NotFound"
    assert post(daemon, "hook/dead-letters/all/drop").json["deadLetters"] == 0
    for body in (None, "{}", "7", '{"after": "1"}', '{"after": -1}', '{"after": 0, "x": 1}',
                 '{"after": 1}'):
        assert post(daemon, "hook/replay", body).code == "InvalidParameter", body


def test_a_sink_that_is_no_longer_configured_leaves_its_dead_letters(stopd, receiver):
    hook = receiver()
    hook.answer = refuses("i-1")
    daemon = stopd(hook)
    stop(daemon, 1)
    settled(daemon, 2)
    daemon.stop()
    daemon.settings = {key: value for key, value in daemon.settings.items() if ".hook." not in key}
    daemon.begin(off=[1])
    assert sink(daemon) == {"name": "hook", "type": None, "deadLetters": 2}
    assert metric(daemon, "stopd_sink_dead_letters") == 2
    assert len(letters(daemon)) == 2
    assert post(daemon, "hook/dead-letters/all/replay").code == "OperationConflict"
    assert post(daemon, "hook/dead-letters/all/drop").json["deadLetters"] == 2
    assert daemon.get("/v1/sinks/hook/dead-letters").status == 404


# --- Sending again what was delivered ---

def test_delivered_events_are_sent_again(stopd, receiver):
    hook = receiver()
    daemon = stopd(hook)
    stop(daemon, 1, 2)
    settled(daemon, 4)
    assert post(daemon, "hook/replay", '{"after": 2}').json == {"sink": "hook", "after": 2}
    wait_until(lambda: len(hook.taken()) == 6, "two come again")
    stop(daemon, 3)
    settled(daemon, 6)
    assert sequences(hook.posts) == [1, 2, 3, 4, 3, 4, 5, 6]
    by_sequence = {}
    for each in hook.posts:
        assert by_sequence.setdefault(each.sequence, each.text) == each.text


def test_sending_again_goes_on_over_kill_9(stopd, receiver):
    hook = receiver()
    daemon = stopd(hook)
    stop(daemon, 1, 2)
    settled(daemon, 4)
    hook.answer = lambda post: 503
    for name in ("hook", "file"):
        assert post(daemon, name + "/replay", '{"after": 1}').status == 200
    wait_until(lambda: len(daemon.events()) == 7, "the file has them once more")
    daemon.kill()
    hook.answer = lambda post: 204
    daemon.begin(off=[1, 2])
    settled(daemon, 4)
    assert sequences(hook.taken()) == [1, 2, 3, 4, 2, 3, 4]
    # The file's last event says nothing until the cursor has moved again: they may be there twice.
    written = [int(event["sequence"]) for event in daemon.events()]
    assert written in ([1, 2, 3, 4] + [2, 3, 4], [1, 2, 3, 4] + 2 * [2, 3, 4])


# --- Everything at once ---

def test_over_kill_9_each_event_is_taken_or_a_dead_letter(stopd, receiver):
    """Rule 4 and section 6: none is lost or doubled, whatever the receiver does and whenever stopd dies."""
    dice = random.Random(4)
    domains = 24
    hook = receiver()
    daemon = stopd(hook, domains=domains)
    fate = {}  # an event that is refused is refused again when it is sent again after a crash

    def answer(post):
        if dice.random() < 0.1:
            return dice.choice([500, DROP, (429, {"Retry-After": "1"}, b"")])
        return fate.setdefault(post.event["id"], 400 if dice.random() < 0.3 else 204)

    hook.answer = answer
    for n in range(1, domains + 1):
        request = daemon.accepted(f"i-{n}", ForceStop="true")
        if n % 3 == 0:
            seen = len(hook.posts)
            wait_until(lambda: len(hook.posts) > seen or sink(daemon)["lag"] == 0, "something is sent",
                       seen=daemon.log)
            daemon.kill()
            daemon.start()
        daemon.finished(request)
    last = metric(daemon, "stopd_events_sequence", labels="")
    settled(daemon, last)

    kept = [each["sequence"] for each in letters(daemon)]
    taken = set(sequences(hook.taken()))
    assert len(kept) == len(set(kept))
    assert set(kept) == {post.sequence for post in hook.posts if fate.get(post.event["id"]) == 400}
    assert taken | set(kept) == set(range(1, last + 1))
    assert not taken & set(kept)
    hook.check_order()

    hook.answer = lambda post: 204
    assert post(daemon, "hook/dead-letters/all/replay").json["deadLetters"] == len(kept)
    wait_until(lambda: not letters(daemon), "all are delivered", seen=daemon.log)
    by_sequence = {}
    for each in hook.taken():
        assert by_sequence.setdefault(each.sequence, each.text) == each.text
    assert sorted(by_sequence) == list(range(1, last + 1))


def test_stopctl(stopd, receiver):
    hook = receiver()
    hook.answer = refuses("i-2")
    daemon = stopd(hook)
    stop(daemon, 1, 2, 3)
    settled(daemon, 6)
    listed = stopctl(daemon, "events", "--dead-letters")
    assert listed.returncode == 0 and "no such thing" in listed.stdout, listed
    told = stopctl(daemon, "events", "--dead-letters", "hook", "--json").stdout.splitlines()
    assert [json.loads(line)["sequence"] for line in told] == [3, 4]
    assert stopctl(daemon, "events", "--drop", "hook", "3").returncode == 0
    hook.answer = lambda post: 204
    assert stopctl(daemon, "events", "--replay", "hook", "--all").returncode == 0
    wait_until(lambda: not letters(daemon), "it is delivered")
    assert stopctl(daemon, "events", "--replay", "hook", "--after", "4").returncode == 0
    wait_until(lambda: sequences(hook.taken()) == [1, 2, 5, 6, 4, 5, 6], "two come again",
               seen=lambda: f"{sequences(hook.taken())}")
    assert stopctl(daemon, "events", "--replay", "nosuch", "--after", "0").returncode == 66
