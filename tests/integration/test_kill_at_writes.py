"""stopd is killed at each write that it makes to its journal, in every way, and the account is right (rules 1 to 5).

A life: a stopd with a journal of its own stops guests, softly, by force, and with a local disk to be cleared, while its
log grows past its bound; ends in the middle in good order and is started again; the guests come back; it ends. One life
is let be, and its writes are counted (tests/kit/kill-at-write.c). Then the same is lived again with kills at a few of
them, spread over it, in which the next process goes on counting.

contrib/check does that for some writes, and at least once in each place: making the schema, a commit, a checkpoint, the
one at the end. STOPD_LONG=1: for all, in every way. STOPD_KILLS="17 before,40 odd": one life
with these kills; a life that fails prints its own."""

import collections
import contextlib
import glob
import http.client
import itertools
import os
import random
import shutil
import signal
import sqlite3
import tempfile

import libvirt

import ledger
import kit
from ledger import Command
from daemon import BUILD, Daemon, wait_until
from qemu_events import QemuEvents
from test_local_disks import ID, MIB, i1, loops  # noqa: F401

LIVES = 6  # of contrib/check
KILLS = 6  # in one life, at the least
PLACES = "schema", "commit", "checkpoint", "closing checkpoint"
AIMS = 10  # at one of them, which another life's writes may be past or not have reached
WAYS = {"write": ("before", "sector", "odd", "lost", "after"), "truncate": ("before", "lost", "after"),
        "sync": ("before", "lost", "after"), "unlink": ("before", "lost", "after")}
LOG_PAGES = 990  # a commit moves them at 1000
SOON = 25  # writes, from one kill to the next

Guest = collections.namedtuple("Guest", "name instance parameters reason disk", defaults=(None,))
SHUTDOWN, DESTROYED = libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED


class Life:
    """One stopd, in as many processes as it takes."""

    def __init__(self, stopd, guests, kills, heard):
        self.stopd, self.guests = stopd, guests
        self.heard, self.heard_before = heard, len(heard.heard)
        self.ends = []  # the last write before an end in good order was asked for, and the last one when it came
        self.died = 0
        self.commands = {guest.name: Command(guest.name, **guest.parameters) for guest in guests}
        self.writes_path = stopd.path("writes")
        asan = os.environ.get("ASAN_OPTIONS", "detect_leaks=1:exitcode=99")
        stopd.environment = {
            "LD_PRELOAD": os.path.join(BUILD, "tests", "kit", "kill-at-write.so"),
            "ASAN_OPTIONS": asan + ":verify_asan_link_order=0", "STOPD_TEST_WRITES": self.writes_path,
            "STOPD_TEST_JOURNAL": os.path.realpath(stopd.settings["journal.path"]),
            "STOPD_TEST_KILLS": ",".join(f"{number} {way}" for number, way in kills)}

    def writes(self):
        """Each write so far, as words: its number, call, file, offset and size."""
        with open(self.writes_path, encoding="ascii") as file:
            return [line.split() for line in file]

    def places(self):
        """Where each write so far belongs to. The schema is made with a rollback journal, what comes later with a log."""
        writes = self.writes()
        schema = max(int(number) for number, _, file, *_ in writes if file.endswith("-journal"))

        def place(number, call, file):
            if number <= schema:
                return "schema"
            if file.endswith("-wal") and call != "unlink":
                return "commit"
            return "closing checkpoint" if any(asked < number <= came for asked, came in self.ends) else "checkpoint"

        return [place(int(number), call, file) for number, call, file, *_ in writes]

    def revive(self):
        status = self.stopd.process.poll()
        if status is not None:
            assert status == -signal.SIGKILL, f"stopd ended with {status}\n{self.stopd.log()}"
            self.died += 1
            self.stopd.start(wait=False)

    def insist(self, action, what):
        """Waits for a true value of what may be asked in vain whenever stopd is dead."""
        def attempt():
            self.revive()
            with contextlib.suppress(OSError, http.client.HTTPException):
                return action()
            return None

        return wait_until(attempt, what, seen=self.stopd.log)

    def wait_ready(self):
        self.insist(lambda: self.stopd.get("/readyz").status == 200, "stopd is ready")

    def end(self):
        """SIGTERM, until one ends by that and not by a kill on the way."""
        status = None
        while status != 0:
            self.wait_ready()
            asked_at = len(self.writes())
            self.stopd.process.send_signal(signal.SIGTERM)
            status = self.stopd.process.wait(timeout=60)
            self.ends.append((asked_at, len(self.writes())))
            assert status in (0, -signal.SIGKILL), f"stopd ended with {status}\n{self.stopd.log()}"

    def answered(self, guest):
        """Its command, asked until there is an answer, has to be accepted; the same one each time."""
        def ask():
            try:
                return self.commands[guest.name].ask(self.stopd)
            except ConnectionResetError:
                self.stopd.process.wait(timeout=60)
                if not self.is_journalled(guest):
                    self.check_untouched(guest)
                raise

        answer = self.insist(ask, f"{guest.name}: an answer")
        assert answer.status == 200, f"{guest.name}: {answer}\n{self.stopd.log()}"

    def is_journalled(self, guest):
        """What the next stopd will find of a command; it is left as it is."""
        with tempfile.TemporaryDirectory() as folder:
            for path in glob.glob(self.stopd.settings["journal.path"] + "*"):
                if not path.endswith((".reserve", ".lock", "-shm")):
                    shutil.copy(path, folder)
            with contextlib.closing(sqlite3.connect(os.path.join(folder, "stopd.db"))) as journal:
                question = "SELECT count(*) FROM operation WHERE instance_id = ?"
                return journal.execute(question, (guest.instance,)).fetchone()[0] > 0

    def check_untouched(self, guest):
        """Whatever was on its way to the guest when stopd died has arrived."""
        try:
            said = self.heard.settled(guest.name, self.heard_before)
        except libvirt.libvirtError as error:  # it cannot be paused
            said = [str(error), *self.heard.of(guest.name, self.heard_before)]
        assert "POWERDOWN" not in said and not kit.is_off(guest.name), \
            f"{guest.name} is told to stop, and the journal does not know: {said}\n{self.stopd.log()}"

    def is_stopped(self, guest):
        request = self.commands[guest.name].request

        def ended():
            operation = self.stopd.operation(request)
            return operation if operation["phase"] == "done" else None

        operation = self.insist(ended, f"{guest.name} is stopped")
        assert operation["outcome"] == "Stopped", f"{operation}\n{self.stopd.log()}"
        state, reason = kit.domain(guest.name).state()
        assert (state, reason) == (libvirt.VIR_DOMAIN_SHUTOFF, guest.reason), f"{guest}: {state} {reason}"
        assert kit.console(guest.name).count("powering off") == (guest.reason == SHUTDOWN), kit.console(guest.name)
        if guest.disk:
            assert guest.disk.is_zero(), f"{guest.name} is Stopped, and its disk is not clear"
            signed = self.insist(lambda: self.stopd.get(f"/v1/certificates/{request}").json, "the certificates")
            assert [each["target"] for each in signed["certificates"]] == ["vda"], signed

    def grow_log(self):
        """One of the next commits has to move the log's pages into the file, and a later one to begin the log anew."""
        with contextlib.closing(sqlite3.connect(self.stopd.settings["journal.path"], isolation_level=None)) as journal:
            journal.execute("PRAGMA wal_autocheckpoint = 0")
            journal.execute("PRAGMA synchronous = OFF")
            for at in range(LOG_PAGES):
                journal.execute("INSERT OR REPLACE INTO heartbeat (only, at) VALUES (1, ?)", (at,))

    def live(self):
        self.stopd.start(wait=False)
        self.wait_ready()
        self.grow_log()
        for guest in self.guests:
            self.answered(guest)
        self.end()
        self.stopd.start(wait=False)
        for guest in self.guests:
            self.is_stopped(guest)
        start_again(self.guests)
        self.insist(lambda: all(ledger.transitions(self.stopd, guest.instance)[-1:] == [("Stopped", "Running", None)]
                                for guest in self.guests), "all is reported")
        # They run again; what they were told before is no reason to stop them.
        for guest in self.guests:
            self.answered(guest)
        self.end()


def start_again(guests):
    for guest in guests:
        if guest.disk:
            with open(guest.disk.device, "r+b") as file:
                file.write(b"a tenant's words" * (guest.disk.size // 16))
    kit.restore(*(guest.name for guest in guests))


def check(life):
    """The account of a life that is over: the sink's file, and the journal as SQLite has it."""
    stopd = life.stopd
    stopd.check_sink()
    for guest in life.guests:
        ledger.check(stopd, guest.instance, [life.commands[guest.name].request], starts=1)
        types = [event["type"].split(".")[2] for event in stopd.events(guest.instance)]
        cleared = [number for number, kind in enumerate(types) if kind == "cleared"]
        ends = [number for number, kind in enumerate(types) if kind == "state"]
        assert len(cleared) == bool(guest.disk) and all(ends[0] < number < ends[1] for number in cleared), types
    assert {event["subject"] for event in stopd.events()} == {guest.instance for guest in life.guests}
    owed = stopd.path("owed")
    assert not os.path.exists(owed) or os.listdir(owed) == [], "a marker is left"
    with contextlib.closing(sqlite3.connect(stopd.settings["journal.path"])) as journal:
        def ask(question):
            return journal.execute(question).fetchall()

        sent = [(int(event["sequence"]), event["id"]) for event in stopd.events()]
        assert ask("PRAGMA integrity_check") == [("ok",)] and ask("PRAGMA foreign_key_check") == []
        assert ask("SELECT sequence, id FROM event ORDER BY sequence") == sent
        assert ask("SELECT sequence FROM cursor") == [(sent[-1][0],)]
        requests = sorted(command.request for command in life.commands.values())
        for table in "operation", "token":
            assert sorted(row[0] for row in ask(f"SELECT request_id FROM {table}")) == requests, table


def plan(writes, chance):
    """The lives to be lived, each as its kills: one in each part of its writes, and at times another one soon after."""
    kills = [(int(number), way) for number, call, *_ in writes for way in WAYS[call]]
    size = -(-len(kills) // KILLS)
    parts = [kills[begin:begin + size] for begin in range(0, len(kills), size)]
    for part in parts:
        chance.shuffle(part)
    lives = list(itertools.zip_longest(*parts))
    for life in lives if "STOPD_LONG" in os.environ else lives[:LIVES]:
        planned = dict(filter(None, life))
        if chance.random() < 0.5:
            planned.setdefault(chance.choice(list(planned)) + chance.randint(1, SOON), chance.choice(WAYS["write"]))
        yield sorted(planned.items())


def test_killed_at_a_write_nothing_is_lost_or_doubled(guest, loops, tmp_path):  # noqa: F811
    disk = loops(size=4 * MIB)
    local = guest("obey", start=False, metadata=i1("vda"), disks=[disk.device])
    kit.start(local)
    bystander, *names = guest("obey", "obey", "ignore", "obey")
    kit.wait_ready(local)
    bystander_pid = kit.pid(bystander)
    guests = [Guest(names[0], names[0], {}, SHUTDOWN),
              Guest(names[1], names[1], {"ForceStop": "true"}, DESTROYED),
              Guest(local, ID, {"ConfirmStop": "true"}, SHUTDOWN, disk),
              Guest(names[2], names[2], {}, SHUTDOWN)]
    kit.save(*(each.name for each in guests))
    start_again(guests)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    tally, hit, heard = collections.Counter(), collections.Counter(), QemuEvents()

    def live(kills):
        folder = tmp_path / f"life{tally['lives']}"
        folder.mkdir()
        stopd = Daemon(folder, kit.URI, local_storage__devices="/dev/loop*",
                       local_storage__helper="spawn:" + os.path.join(BUILD, "executor", "wipe", "stopd-wipe"))
        life = Life(stopd, guests, kills, heard)
        try:
            life.live()
            check(life)
        except BaseException:
            said = ",".join(f"{number} {way}" for number, way in kills)
            print(f'killed {life.died} times; STOPD_KILLS="{said}"; the last writes:')
            print(*life.writes()[-5:], sep="\n")
            raise
        finally:
            if stopd.process.poll() is None:
                stopd.kill()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(stopd.settings["journal.path"] + ".reserve")
        stopd.assert_sane()
        assert kit.pid(bystander) == bystander_pid and "button" not in kit.console(bystander)
        writes = life.writes()
        done = [way for number, way in kills if number <= len(writes)]
        assert life.died == len(done), f"{kills}, {len(writes)} writes, and it was killed {life.died} times"
        tally.update(done, lives=1, kills=len(done), writes=len(writes), missed=len(kills) - len(done))
        places = life.places()
        hit.update(places[number - 1] for number, way in kills[:len(done)])
        return writes, places

    if "STOPD_KILLS" in os.environ:
        live([(int(number), way) for number, way in map(str.split, os.environ["STOPD_KILLS"].split(","))])
        return
    writes, places = live([])
    calls = collections.Counter(f"{call} {file}" for _, call, file, *_ in writes)
    print(f"{len(writes)} writes in a life:", ", ".join(f"{n} {call}" for call, n in sorted(calls.items())))
    chance = random.Random(seed)
    try:
        for kills in plan(writes, chance):
            live(kills)
        for place in PLACES:
            inside = [number for number, each in enumerate(places, 1) if each == place]
            assert inside, f"no write in any {place} where nothing is killed: {collections.Counter(places)}"
            for _ in range(AIMS):
                if not hit[place]:
                    live([(chance.choice(inside), "before")])
            assert hit[place], f"no kill in any {place}: {hit}"
    finally:
        ways = ", ".join(f"{tally[way]} {way}" for way in WAYS["write"])
        print(f"{tally['lives']} lives of {len(guests)} guests, {tally['writes']} writes, "
              f"{tally['kills']} kills ({ways}; in " + ", ".join(f"{place} {hit[place]}" for place in PLACES) + "); "
              f"{tally['missed']} more were planned for writes that their life did not come to. In these lives nothing "
              "was lost, doubled, out of order or cut without consent")
