"""Guests are stopped and started again and again while stopd and libvirtd are killed at random (rules 4 and 5).

STOPD_SOAK_SECONDS and STOPD_SOAK_GUESTS make it a campaign; what was done is printed at its end."""

import http.client
import os
import random
import threading
import time

import ledger
import kit
from ledger import Command
from daemon import wait_until

SECONDS = float(os.environ.get("STOPD_SOAK_SECONDS", "15"))
GUESTS = int(os.environ.get("STOPD_SOAK_GUESTS", "4"))
# What they do with the button; one that ignores it is stopped by force.
BEHAVIOURS = ("obey", "slow:1", "reboot", "ignore")


class Guest:
    """One guest's round: running, then stopping, then booting, then running again."""

    def __init__(self, name, forced):
        self.name, self.forced = name, forced
        self.starts = 0
        self.requests = []
        self.command = self.request = None
        self.is_booting = False

    def advance(self, stopd, libvirtd_stays):
        """One small step, as far as stopd is there to answer."""
        if self.is_booting:
            self.is_booting = "stopd-guest: ready" not in kit.console(self.name)
        elif self.request is None:
            self.ask(stopd)
        elif stopd.operation(self.request)["phase"] == "done":
            self.end(stopd, libvirtd_stays)

    def ask(self, stopd):
        if self.command is None:
            self.command = Command(self.name, GracePeriod="600", **({"ForceStop": "true"} if self.forced else {}))
        answer = self.command.ask(stopd)
        # Its start may be still to be noticed.
        if answer is None or (answer.code == "IncorrectInstanceStatus"
                              and stopd.instance(self.name)["state"] == "Stopped"):
            return
        assert answer.status == 200, answer
        self.request = self.command.request
        self.requests.append(self.request)

    def end(self, stopd, libvirtd_stays):
        operation = stopd.operation(self.request)
        assert operation["outcome"] == "Stopped", operation
        with libvirtd_stays:
            kit.wait_libvirtd()
            assert kit.is_off(self.name), f"{self.name} is Stopped and not off"
            kit.start(self.name)
        self.command = self.request = None
        self.starts += 1
        self.is_booting = True


class Killer(threading.Thread):
    """Kills stopd every second or two, libvirtd in one of seven times. Only while a guest is being started libvirtd stays:
    of what it has half begun it makes something else each time."""

    def __init__(self, stopd, chance):
        super().__init__(daemon=True)
        self.daemon_of_stops, self.chance = stopd, chance
        self.stopd = self.libvirtd = 0
        self.libvirtd_stays = threading.Lock()
        self.error = None
        self.over = threading.Event()

    def run(self):
        try:
            while not self.over.wait(self.chance.uniform(0.5, 2.5)):
                self.kill()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def kill(self):
        if self.chance.random() < 0.15:
            with self.libvirtd_stays:
                kit.kill_libvirtd()
            self.libvirtd += 1
        self.daemon_of_stops.kill()
        self.daemon_of_stops.start(wait=False)
        self.stopd += 1

    def end(self):
        self.over.set()
        self.join()
        if self.error:
            raise self.error


def answers(stopd):
    try:
        return stopd.get("/livez").status == 200
    except (OSError, http.client.HTTPException):
        return False


def test_killed_at_random_nothing_is_lost_doubled_or_out_of_order(daemon, guest):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    kinds = [BEHAVIOURS[number % len(BEHAVIOURS)] for number in range(GUESTS)]
    guests = [Guest(name, kind == "ignore") for name, kind in zip(guest(*kinds), kinds)]
    stopd = daemon().start()
    killer = Killer(stopd, random.Random(seed))
    until = time.monotonic() + SECONDS

    killer.start()
    try:
        while time.monotonic() < until and killer.is_alive():
            for each in guests:
                try:
                    each.advance(stopd, killer.libvirtd_stays)
                except (OSError, http.client.HTTPException):
                    wait_until(lambda: answers(stopd), "a stopd answers", seen=stopd.log)
    finally:
        killer.end()
    wait_until(stopd.is_ready, "stopd is there again", seen=stopd.log)
    for each in guests:
        if each.request:
            assert stopd.finished(each.request, deadline=300)["outcome"] == "Stopped"
    starts = sum(each.starts for each in guests)
    stops = sum(len(each.requests) for each in guests)
    wait_until(lambda: len(stopd.events()) >= 2 * stops + starts, "all is reported", seen=stopd.log)
    stopd.check_sink()
    for each in guests:
        ledger.check(stopd, each.name, each.requests, each.starts)
    print(f"{GUESTS} guests, {SECONDS:.0f} s: {stops} stops and {starts} starts, {len(stopd.events())} events, none lost, doubled "
          f"or out of order; stopd was killed {killer.stopd} times, libvirtd {killer.libvirtd} times")
    assert stops >= GUESTS
