"""contrib/fleet: who may do what by its permissions, what its account sees, and a small fleet that is killed at."""

import json
import os
import subprocess
import sys

import pytest

from daemon import BUILD

FLEET = os.path.join(os.path.dirname(__file__), "..", "..", "contrib", "fleet")
sys.path.insert(0, FLEET)

import account  # noqa: E402
import fleet  # noqa: E402

# The second has characters that subjects and consumers' names may not have.
ME, OTHER = "host-7", "host-8.example.net"
COMMAND = "stopd.command.{}.StopInstance"


def token(host):
    return fleet.permissions.token(host)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    why = fleet.why_not()
    if why:
        pytest.skip(why)
    made = fleet.Server(tmp_path_factory.mktemp("fleet"), [ME, OTHER]).start()
    made.make_streams([ME, OTHER])
    yield made
    made.stop()


def take(client, host):
    """A command of this host's; the message comes under its own subject, and the inbox is where it went."""
    name = fleet.permissions.consumer_name(host)
    client.publish(f"$JS.API.CONSUMER.MSG.NEXT.STOPD_COMMANDS.{name}", b'{"batch":1,"expires":10000000000}',
                   f"{client.inbox}.take")
    return client.wait_for(COMMAND.format(token(host)))


@pytest.mark.parametrize("host", [ME, OTHER])
def test_a_host_may_do_what_it_must(server, host):
    control, client = server.client(), server.host_client(host)
    answers = f"answers.{token(host)}.1"
    control.subscribe(answers)
    control.put({"InstanceId": "d1"}, token(host))
    message = take(client, host)
    assert message.json == {"InstanceId": "d1"}
    assert client.request(message.reply, b"+ACK").body == b""
    client.publish(answers, b"an answer")
    assert control.wait_for(answers).body == b"an answer"
    subject = f"stopd.event.{token(host)}.d1.state"
    assert client.request(subject, b"{}", {"Nats-Msg-Id": f"an id of {host}"}).json["seq"] > 0
    info = client.request(f"$JS.API.CONSUMER.INFO.STOPD_COMMANDS.{fleet.permissions.consumer_name(host)}").json
    assert info["num_pending"] == info["num_ack_pending"] == 0


FOREIGN = [
    f"stopd.event.{token(OTHER)}.d1.state",
    f"$JS.API.DIRECT.GET.STOPD_EVENTS.stopd.event.{token(OTHER)}.d1.state",
    f"$JS.API.DIRECT.GET.STOPD_EVENTS.stopd.event.{ME}.d1.state",
    "$JS.API.DIRECT.GET.STOPD_EVENTS",
    "$JS.API.STREAM.MSG.GET.STOPD_EVENTS",
    f"answers.{token(OTHER)}.1",
    COMMAND.format(ME),
    COMMAND.format(token(OTHER)),
    f"$JS.API.CONSUMER.MSG.NEXT.STOPD_COMMANDS.{fleet.permissions.consumer_name(OTHER)}",
    f"$JS.API.CONSUMER.INFO.STOPD_COMMANDS.{fleet.permissions.consumer_name(OTHER)}",
    f"$JS.ACK.STOPD_COMMANDS.{fleet.permissions.consumer_name(OTHER)}.1.1.1.1.0",
    f"$JS.API.CONSUMER.DURABLE.CREATE.STOPD_COMMANDS.{ME}",
    "$JS.API.CONSUMER.CREATE.STOPD_COMMANDS",
    "$JS.API.CONSUMER.CREATE.STOPD_EVENTS",
    f"$JS.API.CONSUMER.DELETE.STOPD_COMMANDS.{fleet.permissions.consumer_name(OTHER)}",
    "$JS.API.STREAM.CREATE.MINE",
    f"$JS.stopd.API.CONSUMER.MSG.NEXT.STOPD_COMMANDS.{fleet.permissions.consumer_name(OTHER)}",
    "$JS.stopd.API.STREAM.DELETE.STOPD_EVENTS",
    *(f"$JS.API.STREAM.{verb}.{stream}" for verb in ("UPDATE", "DELETE", "PURGE", "MSG.DELETE", "INFO")
      for stream in ("STOPD_EVENTS", "STOPD_COMMANDS")),
]


@pytest.mark.parametrize("subject", FOREIGN)
def test_a_host_may_not_speak_elsewhere(server, subject):
    with pytest.raises(ConnectionError, match="Permissions Violation for Publish"):
        server.host_client(ME).request(subject, b"{}")


def test_what_the_server_answers_a_host_elsewhere_is_not_of_the_hosts_choosing(server):
    """The subject that an answer goes to is not looked at by the server: it may be another host's."""
    control, client = server.client(), server.host_client(ME)
    chosen, command = b'{"InstanceId":"chosen"}', COMMAND.format(token(OTHER))
    control.put(chosen, ME)
    for subject in (f"stopd.event.{ME}.d2.state", f"$JS.API.CONSUMER.INFO.STOPD_COMMANDS.{ME}",
                    f"$JS.API.CONSUMER.MSG.NEXT.STOPD_COMMANDS.{ME}"):
        client.publish(subject, chosen, command)
    client.request(f"$JS.API.CONSUMER.INFO.STOPD_COMMANDS.{ME}")  # all before it has been done by then
    name, told = fleet.permissions.consumer_name(OTHER), []
    while len(told) < 2:
        told.append(take(control, OTHER))
    assert not [m for m in told if b"chosen" in m.body], told
    assert control.consumer(name)["num_pending"] == 0


@pytest.mark.parametrize("subject", [">", "stopd.>", "answers.>", "_INBOX.>", "_INBOX.*.*.>", "$JS.>", COMMAND.format(ME),
                                     f"_INBOX.stopd.{token(OTHER)}.>", "stopd.event.>"])
def test_a_host_may_not_listen_elsewhere(server, subject):
    client = server.host_client(ME)
    client.subscribe(subject)
    with pytest.raises(ConnectionError, match="Permissions Violation for Subscription"):
        client.request(f"$JS.API.CONSUMER.INFO.STOPD_COMMANDS.{ME}")


def test_the_control_plane_may_write_no_events(server):
    with pytest.raises(ConnectionError, match="Permissions Violation for Publish"):
        server.client().request(f"stopd.event.{ME}.d1.state", b"{}")


def test_nobody_unknown_gets_in(server, tmp_path):
    stranger = fleet.Authority(tmp_path).issue("control")
    unlisted = server.authority.issue("host-9")
    for made in (stranger, unlisted):
        with pytest.raises(OSError):
            server.client_of((made.cert, made.key)).request("$JS.API.INFO")


# --- The account ---


class Message:
    def __init__(self, event):
        self.json, self.body = event, json.dumps(event)
        self.headers, self.subject = {"Nats-Msg-Id": event["id"]}, f"stopd.event.h.{event['subject']}.state"


def events(request, *, sequence=1):
    """Of a stop that went well."""
    return [{"id": f"id-{sequence + i}", "source": "/hosts/h", "subject": "d1", "sequence": f"{sequence + i:020}",
             "type": account.STATE, "data": {"from": a, "to": b, "requestId": request}}
            for i, (a, b) in enumerate([("Running", "Stopping"), ("Stopping", "Stopped")])]


def accounted(messages, answers=("R",)):
    a, commands = account.Account(), []
    for i, answer in enumerate(answers):
        commands.append(account.Command(i, "h", "d1"))
        if answer:
            commands[-1].hear({"RequestId": answer})
    for event in messages:
        a.take(Message(event), 0.0)
    return len(a.losses(commands, ["h"])), len(a.doubles(commands)), a.twice


def test_the_account_sees_what_is_lost_and_what_is_doubled():
    begun, ended = events("R")
    assert accounted([begun, ended]) == (0, 0, 0)
    assert accounted([begun, ended, ended]) == (0, 0, 1)  # which de-duplication drops
    assert accounted([begun]) == (1, 0, 0)
    lost, doubled, _ = accounted([ended])
    assert lost == 2 and doubled > 0  # never reported Stopping, and a number is missing
    assert accounted([begun, ended], [None, "R"])[0] == 1
    assert accounted([begun, ended], ["R", "R"])[1] == 1
    assert accounted([ended, begun])[1] > 0
    assert accounted([begun, ended, {**ended, "id": "another"}])[1] > 0
    assert accounted([begun, ended, *events("S", sequence=3)])[1] > 0  # from Running, and nobody asked for S


# --- The whole of it ---


def test_a_small_fleet_loses_and_doubles_nothing_when_it_is_killed_at():
    why = fleet.why_not()
    if why:
        pytest.skip(why)
    done = subprocess.run([sys.executable, os.path.join(FLEET, "run"), "--hosts", "6", "--domains", "30", "--seconds", "8",
                           "--kill"], env={**os.environ, "STOPD_BUILD": BUILD}, text=True, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert "lost: 0" in done.stdout and "doubled after de-duplication: 0" in done.stdout, done.stdout
