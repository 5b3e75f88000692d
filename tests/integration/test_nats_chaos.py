"""The server and stopd are killed at random, while commands come in and events go out.

STOPD_CHAOS_SECONDS: for how long (default 10). STOPD_CHAOS_SEED: the order of it; printed when it fails.
libvirt's test driver forgets with stopd's process that domains were stopped, so a command may end with "started
again"; what must hold is that each was taken once, and that every event is in the stream once and in order."""

import os
import random
import signal
import threading
import time

from daemon import wait_until
from nats_support import HOST, all_arrived, metric, nats_server, node, settings  # noqa: F401

SECONDS = float(os.environ.get("STOPD_CHAOS_SECONDS", "10"))
SEED = int(os.environ.get("STOPD_CHAOS_SEED", str(random.randrange(10**6))))
DOMAINS = 400
PACE = 0.003  # seconds between two commands, so that those of minutes are settled within minutes
# nats-server 2.9.10 that was killed may try for ever to hand out what its stream has deleted, says so, and hands out
# nothing else. The cure is an administrator's: the consumer is deleted, and stopd makes it anew.
DELETED = "deleted message"
STUCK = 40  # seconds; what was handed out to a stopd that was killed is handed out again after 30


class Sender(threading.Thread):
    """Sends commands for as long as it may, through a server that comes and goes, each with an id of its own."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.sent, self.stopping = server, [], threading.Event()

    def run(self):
        client, number = None, 0
        while not self.stopping.is_set():
            try:
                client = client or self.server.client()
                name = f"d{number % DOMAINS + 1}"
                client.put({"InstanceId": name, "ForceStop": number % 3 == 0}, HOST,
                           {"Nats-Msg-Id": f"command-{number}"})
                self.sent.append(number)
                number += 1
                self.stopping.wait(PACE)
            except (OSError, ConnectionError):
                client = None


def test_what_is_killed_loses_and_doubles_nothing(tmp_path, daemon, nats_server):
    dice = random.Random(SEED)
    print(f"STOPD_CHAOS_SEED={SEED}")
    server = nats_server().start()
    server.client().make_commands(duplicate_window=3600 * 10**9)
    stopd = daemon(uri=node(tmp_path, DOMAINS), **settings(server, "upstream.bus", "commands")).start()
    sender = Sender(server)
    sender.start()
    kills, until = {"server": 0, "stopd": 0, "both": 0, "pause": 0}, time.monotonic() + SECONDS
    while time.monotonic() < until:
        victim = dice.choice(list(kills))
        kills[victim] += 1
        # How much it gets done in between is left to chance; nothing is concluded from it.
        pause = time.monotonic() + dice.random()
        wait_until(lambda: time.monotonic() > pause, "a moment has passed")
        if victim == "pause":
            server.kill(signal.SIGKILL)
            pause = time.monotonic() + 2 * dice.random()
            wait_until(lambda: time.monotonic() > pause, "a moment has passed")
            server.start()
            continue
        if victim in ("stopd", "both"):
            stopd.kill()
        if victim in ("server", "both"):
            server.kill()
            server.start()
        if victim in ("stopd", "both"):
            stopd.start()
    sender.stopping.set()
    sender.join()
    client = server.client()

    moved = {"to": None, "at": 0.0, "remade": 0}

    def is_settled():
        # A work queue that was killed may keep what its consumer has acknowledged; the consumer knows.
        try:
            consumer = client.consumer(HOST)
        except ValueError:
            return False  # it is being made anew
        if consumer["num_pending"] == consumer["num_ack_pending"] == 0:
            return True
        if moved["to"] != consumer["ack_floor"]:
            moved.update(to=consumer["ack_floor"], at=time.monotonic())
        elif time.monotonic() - moved["at"] > STUCK and DELETED in server.log():
            client.api(f"CONSUMER.DELETE.STOPD_COMMANDS.{HOST}")
            moved.update(at=time.monotonic(), remade=moved["remade"] + 1)
        return False

    wait_until(is_settled, "every command is settled", 300,
               seen=lambda: f"{client.consumer(HOST)}\n{stopd.log()[-2000:]}")
    wait_until(lambda: metric(stopd, 'stopd_operations{phase="queued"}') == 0, "no stop is queued")
    all_arrived(stopd, client, 180)
    asked = {f"d{number % DOMAINS + 1}" for number in sender.sent}
    assert asked == {m.json["subject"] for m in client.stored()} & asked, "a command was lost"
    print(f"{len(sender.sent)} commands, {client.count()} events, kills {kills}, "
          f"{moved['remade']} times the server was stuck")
