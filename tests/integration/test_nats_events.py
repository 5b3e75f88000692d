"""Events to a real nats-server: once each, in order for each instance, whatever becomes of the server."""

import os
import shutil
import signal
import subprocess

import pytest

from daemon import BUILD, STOPD, wait_until
from nats_support import (HOST, all_arrived, complaints, metric, nats, nats_server, node,  # noqa: F401
                          settings)

SINK = "upstream.bus"
LAG = 'stopd_sink_lag_events{sink="bus"}'
FAILURES = 'stopd_sink_failures_total{sink="bus"}'


def stop_all(stopd, n):
    for request in [stopd.accepted(f"d{i}") for i in range(1, n + 1)]:
        stopd.finished(request)


def loaded(stopd):
    with open(f"/proc/{stopd.process.pid}/maps", encoding="ascii") as file:
        return {os.path.basename(line.split()[-1]) for line in file if "/" in line}


def is_of_nats(name):
    return name.startswith(("stopd-nats", "libnats", "libssl"))


def test_nothing_of_nats_is_loaded_where_it_is_not_configured(tmp_path, daemon, nats_server):
    plain = daemon(uri=node(tmp_path)).start()
    assert not [name for name in loaded(plain) if is_of_nats(name)]
    server = nats_server().start()
    configured = daemon(uri=node(tmp_path), **settings(server, SINK)).start()
    assert [name for name in loaded(configured) if name == "stopd-nats.so"]


def test_without_the_module_it_says_what_to_install(tmp_path):
    alone = tmp_path / "stopd"
    shutil.copy(STOPD, alone)
    ended = subprocess.run([alone, "--config", "/dev/null", "--set", "hypervisor.uri=test:///default",
                            "--set", f"api.socket={tmp_path}/s", "--set", "api.socket_group=root",
                            "--set", f"journal.path={tmp_path}/j.db", "--set", "upstream.bus.type=nats",
                            "--set", "upstream.bus.url=nats://localhost:1"],
                           stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.returncode == 78, ended.stderr
    assert "upstream.bus" in ended.stderr and "install" in ended.stderr, ended.stderr


def test_each_event_stands_once_in_the_stream_under_its_subject(tmp_path, daemon, nats_server):
    server = nats_server().start()
    stopd = daemon(uri=node(tmp_path, 40), **settings(server, SINK)).start()
    stop_all(stopd, 40)
    client = server.client()
    all_arrived(stopd, client)
    assert {m.subject for m in client.stored()} == {f"stopd.event.{HOST}.d{i}.state" for i in range(1, 41)}
    config = client.stream(nats.EVENTS)["config"]
    assert (config["subjects"], config["storage"], config["discard"]) == (["stopd.event.>"], "file", "new")


def test_a_character_that_a_subject_cannot_have_is_escaped(tmp_path, daemon, nats_server):
    server = nats_server().start()
    stopd = daemon(uri="test:///default", **{**settings(server, SINK), "host.id": "host.7"}).start()
    stopd.finished(stopd.accepted("test"))
    client = server.client()
    wait_until(lambda: client.count() == 2, "both events are in the stream", seen=stopd.log)
    assert {m.subject for m in client.stored()} == {"stopd.event.host%2E7.test.state"}


def test_a_server_that_comes_later_gets_all(tmp_path, daemon, nats_server):
    server = nats_server()
    stopd = daemon(uri=node(tmp_path, 20), **settings(server, SINK)).start()
    stop_all(stopd, 20)
    wait_until(lambda: metric(stopd, FAILURES) >= 2, "it was tried more than once", seen=stopd.log)
    assert metric(stopd, LAG) == 40
    server.start()
    all_arrived(stopd, server.client())
    assert len(complaints(stopd, "sink bus", "connecting to the NATS server")) == 1, stopd.log()
    wait_until(lambda: metric(stopd, LAG) == 0, "nothing is behind")
    assert "sink bus is well again" in stopd.log()


def test_a_stream_that_is_missing_is_complained_of_once(tmp_path, daemon, nats_server):
    server = nats_server().start()
    stopd = daemon(uri=node(tmp_path, 5), **settings(server, SINK, create=False)).start()
    stop_all(stopd, 5)
    wait_until(lambda: metric(stopd, FAILURES) >= 2, "it was tried more than once", seen=stopd.log)
    assert len(complaints(stopd, "sink bus")) == 1, stopd.log()
    assert complaints(stopd, "make the stream STOPD_EVENTS"), stopd.log()
    client = server.client()
    client.make_events()
    all_arrived(stopd, client)


def test_a_stream_that_is_full_loses_nothing(tmp_path, daemon, nats_server):
    server = nats_server().start()
    client = server.client()
    client.make_events(discard="new", max_msgs=7)
    stopd = daemon(uri=node(tmp_path, 10), **settings(server, SINK)).start()
    stop_all(stopd, 10)
    wait_until(lambda: metric(stopd, FAILURES) >= 2, "it was tried more than once", seen=stopd.log)
    assert len(complaints(stopd, "sink bus")) == 1, stopd.log()
    assert complaints(stopd, "STOPD_EVENTS takes no more", "maximum messages exceeded"), stopd.log()
    config = client.stream(nats.EVENTS)["config"]
    client.api(f"STREAM.UPDATE.{nats.EVENTS}", **{**config, "max_msgs": -1})
    all_arrived(stopd, client)


def test_what_arrived_behind_a_gap_is_not_sent_again(tmp_path, daemon, nats_server):
    """Also where the server has long forgotten the ids: a full stream may stay so for days."""
    server = nats_server().start()
    client = server.client()
    # Full for one instance at a time: a second event of a subject is refused, others are taken.
    client.make_events(discard="new", max_msgs_per_subject=1, discard_new_per_subject=True,
                       duplicate_window=100_000_000)
    stopd = daemon(uri=node(tmp_path, 10), **settings(server, SINK)).start()
    stop_all(stopd, 10)
    wait_until(lambda: metric(stopd, FAILURES) >= 2, "it was tried more than once", seen=stopd.log)
    config = client.stream(nats.EVENTS)["config"]
    client.api(f"STREAM.UPDATE.{nats.EVENTS}",
               **{**config, "discard_new_per_subject": False, "max_msgs_per_subject": -1})
    all_arrived(stopd, client)


def test_a_stream_that_is_forbidden_is_told_in_the_servers_words(tmp_path, daemon, nats_server):
    server = nats_server()
    cert_user = "authorization {{ users = [ {{ user: kit, password: kit }}, {{ user: stopd, password: s, {0} }} ] }}\n"
    server.configure(cert_user.format('permissions: { publish: { deny: ["stopd.event.>"] } }'))
    server.start(user="kit", password="kit")
    told = settings(server, SINK, create=False)
    told[f"{SINK}.url"] = server.url.replace("://", "://stopd:s@")
    client = server.client(user="kit", password="kit")
    client.make_events()
    stopd = daemon(uri=node(tmp_path, 3), **told).start()
    stop_all(stopd, 3)
    wait_until(lambda: metric(stopd, FAILURES) >= 2, "it was tried more than once", seen=stopd.log)
    assert len(complaints(stopd, "sink bus")) == 1, stopd.log()
    assert complaints(stopd, "Permissions Violation"), stopd.log()
    assert "s@" not in stopd.log(), "a password stands in the log"
    assert client.count() == 0
    server.configure(cert_user.format(""))
    server.reload()
    all_arrived(stopd, client)


@pytest.mark.parametrize("wrong", ["name", "ca", "client"])
def test_a_certificate_that_is_wrong_is_refused(tmp_path, daemon, nats_server, wrong):
    server = nats_server()
    told = settings(server, SINK)
    foreign = nats.Certificates(tmp_path / "foreign", "foreign")
    if wrong == "name":
        server.certificates.sign("server", "DNS:other.example")
    elif wrong == "ca":
        told[f"{SINK}.tls_ca"] = foreign.ca
    else:
        told[f"{SINK}.tls_cert"], told[f"{SINK}.tls_key"] = foreign.sign("stopd", "DNS:stopd.example")
    server.start_unseen()
    stopd = daemon(uri=node(tmp_path, 1), **told).start()
    stop_all(stopd, 1)
    wait_until(lambda: complaints(stopd, "sink bus", "connecting to the NATS server"), "it complains",
               seen=stopd.log)
    assert metric(stopd, LAG) == 2


def test_it_ends_while_the_server_hangs(tmp_path, daemon, nats_server):
    server = nats_server().start()
    stopd = daemon(uri=node(tmp_path, 2), **settings(server, SINK, "commands")).start()
    client = server.client()
    client.make_commands()
    wait_until(lambda: metric(stopd, "stopd_queue_connected") == 1, "commands are taken", seen=stopd.log)
    server.process.send_signal(signal.SIGSTOP)
    stop_all(stopd, 2)
    assert stopd.stop() == 0
    server.process.send_signal(signal.SIGCONT)
    stopd.start()
    all_arrived(stopd, client)


def test_a_long_backlog_arrives_once_though_the_server_is_killed(tmp_path, daemon, nats_server):
    server = nats_server().start()
    stopd = daemon(uri=node(tmp_path), **settings(server, SINK))
    subprocess.run([os.path.join(BUILD, "tests", "bench", "relay-drain"), "fill", stopd.path("stopd.db"),
                    "20000", "300"], check=True)
    stopd.start()
    for share in (0.1, 0.3, 0.6):
        client = server.client()
        wait_until(lambda: client.count() > share * 20000, f"{share} of it is there", seen=stopd.log)
        server.kill()
        server.start()
    client = server.client()
    wait_until(lambda: metric(stopd, LAG) == 0, "nothing is behind", 120, seen=stopd.log)
    messages = client.stored()
    ids = [m.headers["Nats-Msg-Id"] for m in messages]
    assert len(ids) == len(set(ids)) >= 20000
    last = {}
    for m in messages:
        event = m.json
        assert last.get(event["subject"], "") < event["sequence"], f"out of order: {event}"
        last[event["subject"]] = event["sequence"]
