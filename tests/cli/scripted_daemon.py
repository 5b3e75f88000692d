"""A daemon that answers what a test tells it to, on a Unix socket, and a way to run stopctl against it."""

import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import socketserver
import struct
import subprocess
import termios
import threading
import time
import urllib.parse

import pytest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STOPD_BUILD", os.path.join(SOURCE, "build"))
STOPCTL = os.path.join(BUILD, "executor", "stopctl")
REQUEST_ID = "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"
OTHER_ID = "11111111-2222-4333-8444-555555555555"
DEADLINE = 30

DROP = object()  # break off without an answer
HANG = object()  # no answer before the daemon ends


class Stream:
    """An answer that write(file) writes, event by event."""

    def __init__(self, write):
        self.write = write


# An answer to GET /v1/instances: one that runs, one that is being stopped and is not certain.
INSTANCES = {"instances": [
    {"instanceId": "i-abc", "name": "web-1", "uuid": OTHER_ID, "state": "Running",
     "detail": None, "certain": True, "operation": None, "type": None},
    {"instanceId": "i-abcdef", "name": "größe", "uuid": OTHER_ID, "state": "Stopping",
     "detail": "paused", "certain": False, "operation": REQUEST_ID, "type": "ecs.i1.xlarge"},
]}


def error(code, message="A sentence."):
    return {"RequestId": REQUEST_ID, "HostId": "host-1", "Code": code, "Message": message}


def operation(instance="i-abc", request=REQUEST_ID, phase="done", outcome="Stopped", **more):
    """The document of contract section 5, of a stop that took 3.2 seconds."""
    finished = outcome is not None
    document = {
        "requestId": request,
        "instanceId": instance,
        "action": "StopInstance",
        "state": {"Stopped": "Stopped", None: "Stopping"}.get(outcome, "Running"),
        "phase": phase,
        "outcome": outcome,
        "error": None,
        "detail": None,
        "forceStop": False,
        "forcedBy": None,
        "stoppedMode": "KeepCharging",
        "acceptedAt": "2026-11-24T10:23:45.000Z",
        "offAt": "2026-11-24T10:23:48.200Z" if outcome == "Stopped" else None,
        "finishedAt": "2026-11-24T10:23:48.200Z" if finished else None,
        "principal": "unix:uid=0(root)",
        "timeline": [
            {"at": "2026-11-24T10:23:45.000Z", "what": "accepted", "detail": None},
            {"at": "2026-11-24T10:23:45.100Z", "what": "button", "detail": "ACPI"},
        ],
        "storage": [],
    }
    if outcome == "Stopped":
        document["timeline"].append(
            {"at": "2026-11-24T10:23:48.200Z", "what": "off", "detail": "guest shut down"})
    document.update(more)
    return document


def underway(instance="i-abc", phase="shutting-down", **more):
    """A stop that was accepted just now."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    return operation(instance, phase=phase, outcome=None, acceptedAt=now, **more)


def instance(name="i-abc", owed=None, underway=None):
    """An entry of GET /v1/instances, for one that is being stopped or owes a clear."""
    return {"instanceId": name, "name": name, "uuid": OTHER_ID, "state": "Stopping", "detail": None,
            "certain": True, "type": "ecs.i1.xlarge", "locks": [], "problem": None,
            "operation": underway or owed, "owed": owed}


def disk(target="vdb", state="waiting", **more):
    """An element of an operation's storage: a disk of 1 GiB."""
    document = {
        "target": target,
        "device": f"/dev/{target.replace('vd', 'nvme')}n1",
        "identity": {"serial": f"S4EWNX0{target[-1].upper()}", "size": str(1 << 30)},
        "bytes": 1 << 30,
        "method": None if state == "waiting" else "write-zeroes",
        "done": 0,
        "verified": 0,
        "state": state,
        "mibPerS": 0,
        "secondsLeft": 0,
        "tries": 0,
        "problem": None,
    }
    if state in ("verifying", "cleared"):
        document["done"] = 1 << 30
    document.update(more)
    return document


def clearing(*disks, phase="clearing", **more):
    """A stop whose guest is off, and whose local disks are being cleared."""
    return underway(phase=phase, storage=list(disks), **more)


def quarantined(**more):
    """One disk is cleared, the other cannot be."""
    stuck = disk("vdc", "quarantined", tries=8, problem="write-zeroes: Input/output error")
    return clearing(disk("vdb", "cleared"), stuck, phase="quarantined", **more)


class Request:
    def __init__(self, method, target, headers, body):
        self.method = method
        self.path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        self.headers = headers
        self.form = self.document = None
        if headers.get("Content-Type") == "application/json":
            self.document = json.loads(body)
        else:
            self.form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def address_string(self):
        return "unix"

    def handle_any(self):
        length = int(self.headers.get("Content-Length", 0))
        request = Request(self.command, self.path, self.headers, self.rfile.read(length))
        daemon = self.server.daemon_of_test
        with daemon.lock:
            daemon.requests.append(request)
            daemon.out += 1
            daemon.most_out = max(daemon.most_out, daemon.out)
        try:
            self.answer(daemon, daemon.find_answer(request))
        finally:
            with daemon.lock:
                daemon.out -= 1

    do_GET = do_POST = handle_any

    def answer(self, daemon, answer):
        if answer is DROP:
            self.close_connection = True
            return
        if answer is HANG:
            daemon.ended.wait(DEADLINE)
            self.close_connection = True
            return
        if isinstance(answer, Stream):
            self.stream(answer.write)
            return
        status, document = answer
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, write):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        write(self.wfile)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 512
    block_on_close = False

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("unix", 0)

    def handle_error(self, request, client_address):
        pass  # a client that goes away is part of many tests


class Daemon:
    """What it answers is told by method and path; of several answers the last one stays.

    An answer is (status, document), DROP, HANG, a Stream, or a function of the request that gives one.
    """

    def __init__(self, directory):
        self.socket = os.path.join(directory, "stopd.sock")
        self.directory = directory
        self.requests, self.answers = [], {}
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.out = self.most_out = 0
        self.server = Server(self.socket, Handler)
        self.server.daemon_of_test = self
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def end(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()

    def on(self, what, *answers):
        """on("GET /v1/instances", (200, {…}), …)"""
        self.answers[what] = list(answers)
        return self

    def find_answer(self, request):
        with self.lock:
            for key in (f"{request.method} {request.path}", f"{request.method} *"):
                answers = self.answers.get(key)
                if answers:
                    answer = answers.pop(0) if len(answers) > 1 else answers[0]
                    break
            else:
                return 404, error("InvalidAction.NotFound")
        return answer(request) if callable(answer) else answer

    def stop(self, *answers):
        return self.on("POST /", *answers)

    def accepts(self, *operations):
        """Accepts a stop; then the operation is each of these, a request each."""
        self.stop((200, {"RequestId": REQUEST_ID}))
        return self.on(f"GET /v1/operations/{REQUEST_ID}",
                       *[(200, o) for o in operations or (operation(),)])

    def stops(self):
        return [r.form for r in self.requests if r.method == "POST" and r.path == "/"]


class Result:
    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit status {self.status}\n--- out\n{self.out}\n--- err\n{self.err}"


def environment(**more):
    env = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    env.update((k, v) for k, v in os.environ.items() if k.endswith("SAN_OPTIONS"))
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


def run(*arguments, env=None, **more):
    """Runs stopctl without a terminal anywhere."""
    begin = time.monotonic()
    done = subprocess.run([STOPCTL, *arguments], capture_output=True, text=True, timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, env=environment(**(env or {})), **more)
    return Result(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)


def hear_interrupts():
    """What a shell starts in the background ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments, env=None):
    return subprocess.Popen([STOPCTL, *arguments], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=environment(**(env or {})), preexec_fn=hear_interrupts)


def run_on_terminal(*arguments, answer=None, env=None, rows=24, columns=80, out_to_pipe=False):
    """Runs stopctl on a terminal of this size; answer: what is typed at the question."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    begin = time.monotonic()
    child = subprocess.Popen([STOPCTL, *arguments], stdin=slave, stderr=slave,
                             stdout=subprocess.PIPE if out_to_pipe else slave,
                             env=environment(**(env or {})), start_new_session=True)
    os.close(slave)
    screen = b""
    while True:
        if not select.select([master], [], [], DEADLINE)[0]:
            child.kill()
            pytest.fail(f"nothing on the terminal any more, after {screen!r}")
        try:
            data = os.read(master, 65536)
        except OSError:  # EIO: the last one that had it open is gone
            break
        screen += data
        if answer is not None and b"[y/N]" in screen:
            os.write(master, answer.encode())
            answer = None
    out = child.stdout.read().decode() if out_to_pipe else ""
    status = child.wait(DEADLINE)
    os.close(master)
    return Result(status, out, screen.decode(), time.monotonic() - begin)


def ctl(daemon, *arguments, **more):
    return run(*arguments, "--socket", daemon.socket, **more)


def on_terminal(daemon, *arguments, **more):
    return run_on_terminal(*arguments, "--socket", daemon.socket, **more)


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE} s: {what}"
        time.sleep(0.01)


def interrupt(child):
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=DEADLINE)
    return Result(child.returncode, out, err, 0)


def without_escapes(text):
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
