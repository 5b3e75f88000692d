"""A stopd under test: started, killed, asked, and what it wrote.

Every wait here is for a condition and has a deadline; one that is missed says what was seen.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse
import xml.etree.ElementTree

BUILD = os.environ["STOPD_BUILD"]
STOPD = os.path.join(BUILD, "executor", "stopd")
STOPCTL = os.path.join(BUILD, "executor", "stopctl")
DEADLINE = 60


def wait_until(condition, what, deadline=DEADLINE, seen=lambda: ""):
    """Returns the first true value of condition()."""
    until = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < until, f"not within {deadline} s: {what}\n{seen()}"
        time.sleep(0.01)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def xml(self):
        return xml.etree.ElementTree.fromstring(self.text)

    @property
    def code(self):
        return self.json.get("Code")

    def __repr__(self):
        return f"{self.status} {self.text}"


class Daemon:
    """One stopd with a folder of its own; it can be started again on the same journal."""

    def __init__(self, folder, uri, **settings):
        self.folder = str(folder)
        self.socket = self.path("stopd.sock")
        self.events_path = self.path("events.jsonl")
        self.log_path = self.path("stopd.log")
        self.settings = {
            "hypervisor.uri": uri,
            "api.socket": self.socket,
            "api.socket_group": "root",
            "journal.path": self.path("stopd.db"),
            "upstream.file.type": "file",
            "upstream.file.url": self.events_path,
            "log.format": "json",
        }
        self.settings.update({key.replace("__", "."): value for key, value in settings.items()})
        self.config = "/dev/null"
        self.environment = {}
        self.within = []  # what goes before its command, to run it elsewhere
        self.process = None

    def path(self, name):
        return os.path.join(self.folder, name)

    # --- Life ---

    def start(self, wait=True):
        arguments = [*self.within, STOPD, "--config", self.config]
        for key, value in self.settings.items():
            arguments += ["--set", f"{key}={value}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(arguments, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.environment})
        if wait:
            wait_until(self.is_ready, "stopd is ready", seen=self.log)
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"stopd ended with {self.process.returncode}\n{self.log()}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("/readyz").status == 200
        return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit status."""
        if self.process is None or self.process.returncode is not None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("stopd did not end on SIGTERM\n" + self.log()) from None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def assert_sane(self):
        """No sanitizer that it is built with has found anything."""
        log = self.log()
        for word in ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer"):
            assert word not in log, log

    def free_descriptor(self):
        """The number that its next file gets; a limit of as much leaves it none. A file that is open for a moment is
        waited for."""
        def lowest():
            taken = {int(name) for name in os.listdir(f"/proc/{self.process.pid}/fd")}
            return next(number for number in range(len(taken) + 1) if number not in taken)

        seen = [lowest()]

        def is_settled():
            seen.append(lowest())
            return seen[-1] == seen[-2]

        wait_until(is_settled, "its open files stay the same", seen=lambda: seen)
        return seen[-1]

    # --- Asking ---

    def ask(self, method, target, body=None, headers=None, timeout=DEADLINE):
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, target, **options):
        return self.ask("GET", target, **options)

    def stop_instance(self, instance, **parameters):
        """StopInstance; a parameter's value is its text."""
        query = urllib.parse.urlencode({"Action": "StopInstance", "InstanceId": instance, **parameters})
        return self.get("/?" + query)

    def accepted(self, instance, **parameters):
        """The RequestId of a StopInstance that has to be accepted."""
        answer = self.stop_instance(instance, **parameters)
        assert answer.status == 200, answer
        return answer.json["RequestId"]

    def operation(self, request_id, wait=0):
        answer = self.get(f"/v1/operations/{request_id}?wait={wait}", timeout=wait + DEADLINE)
        assert answer.status == 200, answer
        return answer.json

    def finished(self, request_id, deadline=DEADLINE):
        """The operation, when it is over."""
        until = time.monotonic() + deadline
        while True:
            operation = self.operation(request_id, wait=5)
            if operation["phase"] == "done":
                return operation
            assert time.monotonic() < until, f"not over: {operation}\n{self.log()}"

    def instance(self, name):
        return self.get(f"/v1/instances/{name}").json

    # --- What it reported ---

    def events(self, instance=None):
        """What stands in the sink, in the order in which it stands there."""
        try:
            with open(self.events_path, encoding="utf-8") as file:
                whole = file.read().split("\n")[:-1]  # a line that is still being written is none yet
                events = [json.loads(line) for line in whole]
        except FileNotFoundError:
            return []
        return [event for event in events if instance in (None, event["subject"])]

    def transitions(self, instance):
        return [f"{event['data']['from']}→{event['data']['to']}" for event in self.events(instance)
                if event["type"] == "stopd.instance.state.v1"]

    def reported(self, instance, *transitions, deadline=DEADLINE):
        """Waits for exactly these transitions in the sink, and checks the sink as a whole."""
        wait_until(lambda: len(self.transitions(instance)) >= len(transitions),
                   f"{instance} reported {transitions}", deadline,
                   seen=lambda: f"{self.transitions(instance)}\n{self.log()}")
        assert self.transitions(instance) == list(transitions)
        self.check_sink()

    def check_sink(self):
        """Rule 4: each event once, sequences rising by one, each instance's transitions a chain."""
        events = self.events()
        ids = [event["id"] for event in events]
        assert len(ids) == len(set(ids)), "an event stands twice in the sink"
        sequences = [int(event["sequence"]) for event in events]
        assert sequences == list(range(1, len(events) + 1)), f"sequences {sequences}"
        state = {}
        for event in events:
            if event["type"] != "stopd.instance.state.v1":
                continue
            data = event["data"]
            assert data["from"] == state.get(data["instanceId"], data["from"]), events
            assert data["from"] != data["to"], event
            state[data["instanceId"]] = data["to"]


def stopctl(daemon, *arguments, **options):
    return subprocess.run([STOPCTL, "--socket", daemon.socket, *arguments], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **options)
