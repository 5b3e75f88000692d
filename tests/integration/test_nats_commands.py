"""Commands from a real nats-server's work queue: done once, answered alike however often they come."""

import json
import os
import time

import pytest

import kit
import nats_credentials
from daemon import wait_until
from nats_support import (ANSWERS, HOST, all_arrived, complaints, metric, nats, nats_server, node,  # noqa: F401
                          settings)

SINK = "upstream.bus"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Control:
    """A control plane: sends commands, and hears the answers."""

    def __init__(self, server, **options):
        self.client = server.client(**options)
        self.client.subscribe(ANSWERS)

    def send(self, body, host=HOST, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        # Past the server's own window, where the id is one that it knows.
        return wait_until(lambda: self.client.put(body, host, {"Stopd-Reply": ANSWERS, **headers}),
                          "the command is stored")

    def answer(self, deadline=60):
        return self.client.wait_for(ANSWERS, deadline).json

    def ask(self, body, **headers):
        self.send(body, **headers)
        return self.answer()

    def left(self):
        """How many commands the queue still holds."""
        return self.client.count(nats.COMMANDS)

    def is_empty(self):
        wait_until(lambda: self.left() == 0, "the queue is empty",
                   seen=lambda: self.client.stream(nats.COMMANDS))


@pytest.fixture
def host(tmp_path, daemon, nats_server):
    """A server, a stopd with so many domains that takes commands from it, and who sends them."""

    def make(n=3, more="", start=True, consumer=None, user=None, **more_settings):
        server = nats_server(more=more)
        server.start(**(user or {}))
        control = Control(server, **(user or {}))
        control.client.make_commands(duplicate_window=100_000_000)
        if consumer:
            control.client.api(f"CONSUMER.DURABLE.CREATE.{nats.COMMANDS}.{HOST}", stream_name=nats.COMMANDS,
                               config={"durable_name": HOST, "ack_policy": "explicit", "deliver_policy": "all",
                                       "filter_subject": f"stopd.command.{HOST}.StopInstance",
                                       "replay_policy": "instant", **consumer})
        told = {**settings(server, SINK, "commands"), **more_settings}
        uri = told.pop("uri", None) or node(tmp_path, n)
        if user:
            for key in ("commands.nats_url", f"{SINK}.url"):
                told[key] = server.url.replace("://", "://stopd:s@")
        stopd = daemon(uri=uri, **told)
        if start:
            stopd.start()
        return server, stopd, control

    return make


def test_a_command_is_done_answered_and_gone(host):
    server, stopd, control = host()
    answer = control.ask({"InstanceId": "d1", "ForceStop": True, "Version": "2014-05-26"}, traceparent=PARENT)
    assert list(answer) == ["RequestId"]
    operation = stopd.finished(answer["RequestId"])
    assert (operation["outcome"], operation["forceStop"]) == ("Stopped", True)
    assert operation["principal"] == "nats:STOPD_COMMANDS"
    control.is_empty()
    all_arrived(stopd, control.client)
    assert {m.json["traceparent"] for m in control.client.stored()} == {PARENT}


@pytest.mark.parametrize("body, code", [
    (b"", "InvalidParameter"),
    (b"InstanceId=d1", "InvalidParameter"),
    (b'["d1"]', "InvalidParameter"),
    (b'{"InstanceId":"d1"', "InvalidParameter"),
    (b'{"InstanceId":"d1"} {}', "InvalidParameter"),
    (b'{"InstanceId":"d1","InstanceId":"d2"}', "InvalidParameter"),
    (b'{"InstanceId":"d1","ForceStop":{}}', "InvalidParameter"),
    (b'{"InstanceId":"d1","GracePeriod":1.5}', "InvalidParameter"),
    (b'{"InstanceId":"d1\\u0000"}', "InvalidParameter"),
    (b'{"InstanceId":"d1","ForceStop":"maybe"}', "InvalidParameter"),
    (b'{"InstanceId":"d1","ForcStop":true}', "InvalidParameter"),
    (b'{"InstanceId":"d1","Override":"lock"}', "Forbidden"),
    (b'{"InstanceId":"d1","Action":"StartInstance"}', "InvalidAction.NotFound"),
    (b"{}", "MissingParameter"),
    (b'{"InstanceId":null}', "MissingParameter"),
    (b'{"InstanceId":"' + b"d" * 65536 + b'"}', "RequestTooLarge"),
    (b'{"InstanceId":"nobody"}', "InvalidInstanceId.NotFound"),
    (b'{"InstanceId":"d1","Hibernate":true}', "HibernationConfigured.NotEnabled"),
    (b'{"InstanceId":"d1","DryRun":true}', "DryRunOperation"),
])
def test_what_is_refused_is_told_and_does_not_come_again(shared_host, body, code):
    stopd, control = shared_host
    answer = control.ask(body)
    assert answer["Code"] == code, answer
    assert sorted(answer) == ["Code", "HostId", "Message", "RequestId"] and answer["HostId"] == HOST
    control.is_empty()
    assert stopd.instance("d1")["state"] == "Running"


@pytest.fixture(scope="module")
def shared_host(tmp_path_factory):
    """One for all rows of a table that change nothing."""
    from daemon import Daemon

    why = nats.missing()
    if why:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("shared")
    server = nats.Server(folder).start()
    control = Control(server)
    control.client.make_commands()
    (folder / "stopd").mkdir()
    stopd = Daemon(folder / "stopd", node(folder, 1), **settings(server, "commands")).start()
    yield stopd, control
    try:
        assert stopd.stop() == 0, stopd.log()
    finally:
        server.stop()


@pytest.mark.parametrize("subject", ["stopd.event.host-7.d1.state", "$JS.API.STREAM.DELETE.STOPD_COMMANDS"])
def test_an_answer_goes_nowhere_that_its_sender_might_not_speak_to_himself(shared_host, subject):
    stopd, control = shared_host
    control.client.subscribe(subject)
    control.send({"InstanceId": "nobody"}, Stopd_Reply=subject)
    control.is_empty()
    assert control.ask({"InstanceId": "nobody"})["Code"] == "InvalidInstanceId.NotFound"
    assert not [m for m in control.client.waiting if m.subject == subject]


@pytest.mark.parametrize("status", ["100", "404", "409"])
def test_what_a_command_says_in_a_header_is_not_the_servers_word(shared_host, status):
    """A server's own word has no body and such a header, and nowhere to be acknowledged at."""
    stopd, control = shared_host
    control.send(b"", Status=status)
    assert control.answer()["Code"] == "InvalidParameter"
    control.is_empty()
    assert not complaints(stopd), stopd.log()


def test_a_token_or_an_id_that_comes_again_gets_the_first_answer(host):
    server, stopd, control = host()
    for body, headers in (({"InstanceId": "d1", "ClientToken": "t-1"}, {}),
                          ({"InstanceId": "d2"}, {"Nats_Msg_Id": "a message, " + "é" * 100})):
        first = control.ask(body, **headers)
        stopd.finished(first["RequestId"])
        assert control.ask(body, **headers) == first
        other = control.ask({**body, "ForceStop": True}, **headers)
        assert other["Code"] == "IdempotentParameterMismatch", other
    # Two commands that are the same in all but their place are two.
    stopd.finished(control.ask({"InstanceId": "d3"})["RequestId"])
    assert control.ask({"InstanceId": "d3"})["Code"] == "IncorrectInstanceStatus"


USERS = ("authorization {{ users = [ {{ user: kit, password: kit }}, {{ user: stopd, password: s, {0} }} ] }}\n")
KIT = {"user": "kit", "password": "kit"}


def test_an_acknowledgement_that_is_lost_changes_nothing(host):
    """Not even when the command has become too old meanwhile."""
    server, stopd, control = host(more=USERS.format('permissions: { publish: { deny: ["$JS.ACK.>"] } }'), user=KIT,
                                  consumer={"ack_wait": 1_000_000_000}, **{"commands.max_age": "10s"})
    answers, begun = [control.ask({"InstanceId": "d1"})], time.monotonic()
    while time.monotonic() < begun + 11:
        answers.append(control.answer())
    answers.append(control.answer())
    assert len({a["RequestId"] for a in answers}) == 1, answers
    assert control.left() == 1
    server.configure(USERS.format(""))
    server.reload()
    control.is_empty()
    operations = stopd.get("/v1/operations?instance=d1").json["operations"]
    assert [o["requestId"] for o in operations] == [answers[0]["RequestId"]]


def test_a_host_needs_no_more_rights_than_the_manual_says(host):
    """stopd(8), Permissions; with its consumer and the stream of events to be made."""
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "contrib", "man", "stopd.8"), encoding="utf-8") as f:
        section = f.read().split(".Ss Permissions")[1].split(".Sh ")[0]
    literal = "".join(part.split(".Ed")[0] for part in section.split(".Bd -literal -offset indent\n")[1:])
    publish = [line.replace("HOST", HOST).replace("COMMANDS.CONSUMER", f"COMMANDS.{HOST}") for line in literal.split()]
    assert len(publish) == 7, publish
    allowed = f'permissions: {{ publish: {json.dumps(publish + [ANSWERS])}, subscribe: ["_INBOX.stopd.{HOST}.>"] }}'
    server, stopd, control = host(more=USERS.format(allowed), user=KIT)
    stopd.finished(control.ask({"InstanceId": "d1"})["RequestId"])
    assert control.ask({"InstanceId": "nobody"})["Code"] == "InvalidInstanceId.NotFound"
    control.is_empty()
    all_arrived(stopd, control.client)
    assert not complaints(stopd), stopd.log()


def test_a_refusal_that_could_not_be_confirmed_is_not_told(host):
    server, stopd, control = host(more=USERS.format('permissions: { publish: { deny: ["$JS.ACK.>"] } }'), user=KIT,
                                  consumer={"ack_wait": 1_000_000_000})
    control.send({"InstanceId": "nobody"})
    wait_until(lambda: metric(stopd, 'stopd_queue_commands_total{outcome="refused"}') >= 2, "it came twice",
               seen=stopd.log)
    assert control.left() == 1  # and whatever was published before has been read by then
    assert not control.client.waiting
    server.configure(USERS.format(""))
    server.reload()
    assert control.answer()["Code"] == "InvalidInstanceId.NotFound"
    control.is_empty()


def test_a_command_that_is_too_old_is_refused(host):
    server, stopd, control = host(start=False, **{"commands.max_age": "1s"})
    control.send({"InstanceId": "d1", "ForceStop": "true"})
    sent = time.monotonic()
    wait_until(lambda: time.monotonic() > sent + 1.5, "it is too old")
    stopd.start()
    assert control.answer()["Code"] == "InvalidTimeStamp.Expired"
    control.is_empty()
    assert stopd.instance("d1")["state"] == "Running"
    stopd.finished(control.ask({"InstanceId": "d1", "ForceStop": "true"})["RequestId"])


def test_while_libvirt_is_away_commands_wait(host, tmp_path):
    uri = f"test://{tmp_path}/later.xml"
    server, stopd, control = host(start=False, uri=uri)
    stopd.start(wait=False)
    wait_until(lambda: os.path.exists(stopd.socket), "it is up")
    control.send({"InstanceId": "d1"})
    wait_until(lambda: metric(stopd, 'stopd_queue_commands_total{outcome="deferred"}') >= 1, "it was put off",
               seen=stopd.log)
    assert control.left() == 1 and not control.client.waiting
    os.rename(node(tmp_path, 1)[len("test://"):], uri[len("test://"):])
    stopd.finished(control.answer()["RequestId"])
    control.is_empty()


def test_other_hosts_commands_are_left_alone(host):
    server, stopd, control = host()
    control.send({"InstanceId": "d1"}, host="host-8")
    stopd.finished(control.ask({"InstanceId": "d2"})["RequestId"])
    assert control.left() == 1 and stopd.instance("d1")["state"] == "Running"


def test_a_consumer_that_is_not_for_this_host_alone_is_refused(host):
    server, stopd, control = host(consumer={"filter_subject": "stopd.command.>"})
    wait_until(lambda: metric(stopd, "stopd_queue_failures_total") >= 2, "it was tried more than once",
               seen=stopd.log)
    assert len(complaints(stopd, f"consumer {HOST}", "stopd.command.>")) == 1, stopd.log()


def test_a_queue_that_is_missing_is_complained_of_once(tmp_path, daemon, nats_server):
    server = nats_server().start()
    stopd = daemon(uri=node(tmp_path, 1), **settings(server, "commands")).start()
    wait_until(lambda: metric(stopd, "stopd_queue_failures_total") >= 2, "it was tried more than once",
               seen=stopd.log)
    assert len(complaints(stopd, "STOPD_COMMANDS")) == 1, stopd.log()
    control = Control(server)
    control.client.make_commands()
    stopd.finished(control.ask({"InstanceId": "d1"})["RequestId"])
    assert "are taken from nats:STOPD_COMMANDS again" in stopd.log()


def test_many_commands_at_once_are_all_done(host):
    server, stopd, control = host(n=600)
    for i in range(1, 601):
        control.client.publish(f"stopd.command.{HOST}.StopInstance", json.dumps({"InstanceId": f"d{i}"}).encode(),
                               headers={"Stopd-Reply": ANSWERS})
    requests = {control.answer()["RequestId"] for _ in range(600)}
    assert len(requests) == 600
    control.is_empty()
    for request in requests:
        assert stopd.finished(request)["outcome"] == "Stopped"
    all_arrived(stopd, control.client)


def test_a_credentials_file_opens_the_door(tmp_path, daemon, nats_server):
    operator = nats_credentials.Operator(tmp_path)
    server = nats_server(more=operator.configuration)
    door = {"credentials": operator.user("control")}
    server.start(**door)
    control = Control(server, **door)
    control.client.make_commands()
    told = settings(server, SINK, "commands")
    without = daemon(uri=node(tmp_path, 1), **told).start()
    wait_until(lambda: complaints(without, "sink bus") and complaints(without, "no commands are taken"), "it complains",
               seen=without.log)
    without.stop()
    told[f"{SINK}.credentials"] = told["commands.credentials"] = operator.user("stopd").path
    stopd = daemon(uri=node(tmp_path, 1), **told).start()
    stopd.finished(control.ask({"InstanceId": "d1"})["RequestId"])
    all_arrived(stopd, control.client)


def test_a_real_guest_is_stopped_by_a_command_and_its_end_reported(guest, daemon, nats_server):
    name = guest("obey", metadata=kit.instance_xml({"id": "i-bp67acfmxazb4ph"}))
    server = nats_server().start()
    control = Control(server)
    control.client.make_commands()
    stopd = daemon(**settings(server, SINK, "commands")).start()
    request = control.ask({"InstanceId": "i-bp67acfmxazb4ph", "GracePeriod": 60})["RequestId"]
    assert stopd.finished(request, 120)["outcome"] == "Stopped"
    kit.wait_off(name)
    control.is_empty()
    all_arrived(stopd, control.client)
    assert [m.subject for m in control.client.stored()] == [f"stopd.event.{HOST}.i-bp67acfmxazb4ph.state"] * 2
