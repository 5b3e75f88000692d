"""events and watch: what was reported, and what comes."""

import json
import threading
import time
import uuid

from scripted_daemon import DROP, REQUEST_ID, Stream, ctl, interrupt, run, start


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
