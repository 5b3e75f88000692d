"""What the tests with a nats-server share: the server, a host of many small domains, and what must hold
of every stream of events."""

import os

import pytest

import kit
import nats
from daemon import BUILD, wait_until

HOST = "host-7"
ANSWERS = "answers.control"


@pytest.fixture
def nats_server(tmp_path):
    """Makes nats-servers; they end with the test."""
    why = nats.missing()
    if why:
        pytest.skip(why)
    made = []

    def make(**options):
        folder = tmp_path / f"nats{len(made)}"
        folder.mkdir()
        made.append(nats.Server(folder, **options))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def node(folder, n=1):
    """The file of a test:/// host with so many running domains, d1, d2 and so on."""
    domains = "".join(
        f"<domain type='test'><name>d{i}</name><uuid>00000000-0000-4000-8000-{i:012d}</uuid>"
        f"<memory>1024</memory><os><type>hvm</type></os></domain>" for i in range(1, n + 1))
    path = os.path.join(str(folder), "node.xml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"<node>{domains}</node>")
    return f"test://{path}"


def settings(server, *sections, create=True):
    told = {"host.id": HOST}
    for section in sections:
        told.update(server.settings(section))
        if section != "commands":
            told[f"{section}.type"] = "nats"
            if create:
                told[f"{section}.create"] = "yes"
    return told


def reported(stopd):
    """Every event of the host, by its own account."""
    events, after = [], 0
    while True:
        more = stopd.get(f"/v1/events?after={after}&limit=1000").json["events"]
        if not more:
            return events
        events += more
        after = int(more[-1]["sequence"])


def check_stream(messages, events):
    """Each event once, with its id, under its subject, and each instance's in order."""
    assert len(messages) == len(events), f"{len(messages)} messages, {len(events)} events"
    bodies = {message.json["id"]: message for message in messages}
    assert len(bodies) == len(messages), "an event stands twice in the stream"
    for event in events:
        message = bodies[event["id"]]
        assert message.json == event
        assert message.headers["Nats-Msg-Id"] == event["id"]
        assert message.subject.startswith(f"stopd.event.{HOST}.{event['subject']}."), message
    last = {}
    for message in messages:
        event = message.json
        assert last.get(event["subject"], "") < event["sequence"], f"out of order: {event}"
        last[event["subject"]] = event["sequence"]


def all_arrived(stopd, client, deadline=60):
    """Waits until the stream holds as many events as were reported, and checks them."""
    wait_until(lambda: client.count() >= len(reported(stopd)) > 0, "all events are in the stream", deadline,
               seen=lambda: f"{client.count()} of {len(reported(stopd))}\n{stopd.log()[-3000:]}")
    check_stream(client.stored(), reported(stopd))


def metric(stopd, name):
    for line in stopd.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    raise AssertionError(f"no metric {name}")


def complaints(stopd, *words):
    """The lines of the log, of errors, that have all these words."""
    return [line for line in stopd.log().splitlines()
            if '"level":"error"' in line and all(word in line for word in words)]


__all__ = ["ANSWERS", "BUILD", "HOST", "all_arrived", "check_stream", "complaints", "kit", "metric", "nats",
           "nats_server", "node", "reported", "settings"]
