"""A real nats-server for the tests, with certificates of its own, and a small client to look at it with.

Theory of operation. Everything lies in one folder, so that a server that was killed comes back with
what it had stored. The client speaks the text protocol itself, on one thread: it is apart from the
library that is under test, and reads what the server says as it says it. Every wait has a deadline.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import time

SERVER = "/usr/sbin/nats-server"
DEADLINE = 30
EVENTS = "STOPD_EVENTS"
COMMANDS = "STOPD_COMMANDS"


def missing():
    """Why there can be no server here, or None: for a test's skip."""
    for program in (SERVER, "openssl"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None


class Certificates:
    """A CA, and what it has signed, in a folder."""

    def __init__(self, folder, name="ca"):
        os.makedirs(folder, exist_ok=True)
        self.folder = str(folder)
        self.name = name
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-days", "2", "-subj", f"/CN={name}", "-keyout", self.path(f"{name}.key"),
                      "-out", self.ca)

    @property
    def ca(self):
        return self.path(f"{self.name}.pem")

    def path(self, name):
        return os.path.join(self.folder, name)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def sign(self, name, alternative):
        """A certificate for both ends of a connection, (cert, key). alternative: as of subjectAltName."""
        cert, key, request = (self.path(f"{name}.{end}") for end in ("pem", "key", "csr"))
        extensions = self.path(f"{name}.ext")
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={alternative}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.path(f"{self.name}.key"),
                      "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", cert)
        return cert, key


def free_port():
    """Of those that the kernel gives to no client: one would keep a server from coming, or from coming back."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        clients = int(file.read().split()[0])
    while True:
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("", random.randrange(clients // 2, clients)))
            return s.getsockname()[1]


class Server:
    """One nats-server with JetStream; tls: mutual. more: lines of its configuration."""

    def __init__(self, folder, tls=True, more=""):
        self.folder = str(folder)
        self.port = free_port()
        self.certificates = Certificates(os.path.join(self.folder, "certificates")) if tls else None
        self.process = None
        lines = [f"listen: 127.0.0.1:{self.port}", f'jetstream {{ store_dir: "{self.path("store")}" }}']
        if tls:
            cert, key = self.certificates.sign("server", "DNS:localhost,IP:127.0.0.1")
            lines.append(f'tls {{ cert_file: "{cert}", key_file: "{key}", ca_file: "{self.certificates.ca}", '
                         f"verify: true, timeout: 10 }}")
            self.client_pair = self.certificates.sign("stopd", "DNS:stopd.example")
        self.base = "\n".join(lines) + "\n"
        self.configure(more)

    def path(self, name):
        return os.path.join(self.folder, name)

    def configure(self, more):
        """Counts from the next start, or reload(), on."""
        with open(self.path("nats.conf"), "w", encoding="utf-8") as file:
            file.write(self.base + more)

    @property
    def url(self):
        return f"{'tls' if self.certificates else 'nats'}://localhost:{self.port}"

    def settings(self, section):
        """What stopd is told, for [upstream.NAME] or [commands]."""
        url = "nats_url" if section == "commands" else "url"
        told = {f"{section}.{url}": self.url}
        if self.certificates:
            cert, key = self.client_pair
            told.update({f"{section}.tls_ca": self.certificates.ca, f"{section}.tls_cert": cert,
                         f"{section}.tls_key": key})
        return told

    # --- Life ---

    def start_unseen(self):
        """Starts it, and does not look whether it answers."""
        with open(self.path("nats.log"), "ab") as log:
            self.process = subprocess.Popen([SERVER, "-c", self.path("nats.conf")], stdout=log, stderr=log)

    def start(self, **options):
        """Starts it, and waits until it answers. options: of the client that asks."""
        self.start_unseen()
        until = time.monotonic() + DEADLINE
        while True:
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(OSError, ConnectionError):
                client = self.client(**options)
                with contextlib.suppress(ValueError):
                    client.api("INFO")
                    client.close()
                    return self
                client.close()
            assert time.monotonic() < until, f"nats-server does not answer\n{self.log()}"
            time.sleep(0.02)

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def log(self):
        with open(self.path("nats.log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def client(self, **options):
        return Client(self, **options)


class Message:
    def __init__(self, subject, reply, headers, body):
        self.subject, self.reply, self.headers, self.body = subject, reply, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.subject} {self.headers} {self.body!r}"


def _parse_headers(block):
    fields = {}
    for line in block.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            fields[name.decode()] = value.strip().decode()
    return fields


class Client:
    def __init__(self, server, user=None, password=None, credentials=None, inbox=None):
        self.buffer = b""
        self.waiting = []  # messages that came while another was waited for
        self.numbers = 0
        sock = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
        self.socket = sock
        info = json.loads(self._line().partition(b" ")[2])
        if server.certificates:
            context = ssl.create_default_context(cafile=server.certificates.ca)
            context.load_cert_chain(*server.client_pair)
            self.socket = context.wrap_socket(sock, server_hostname="localhost")
        options = {"verbose": False, "headers": True, "no_responders": True, "lang": "python", "version": "1",
                   "protocol": 1}
        if user:
            options.update(user=user, **{"pass": password})
        if credentials:
            options.update(credentials.answer(info["nonce"]))
        self._send(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
        while self._line() != b"PONG":
            pass
        self.inbox = inbox or f"_INBOX.kit{os.getpid()}x{id(self)}"
        self._send(f"SUB {self.inbox}.> 1\r\n".encode())

    def close(self):
        self.socket.close()

    # --- The protocol ---

    def _send(self, data):
        self.socket.sendall(data)

    def _receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._receive()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        if line.startswith(b"-ERR"):
            raise ConnectionError(line.decode())
        return line

    def _bytes(self, size):
        while len(self.buffer) < size + 2:
            self._receive()
        data, self.buffer = self.buffer[:size], self.buffer[size + 2:]
        return data

    def _next(self):
        """The next message, whatever it is for."""
        while True:
            words = self._line().split()
            if words[:1] == [b"PING"]:
                self._send(b"PONG\r\n")
            elif words[:1] == [b"MSG"]:
                body = self._bytes(int(words[-1]))
                return Message(words[1].decode(), words[3].decode() if len(words) == 5 else None, {}, body)
            elif words[:1] == [b"HMSG"]:
                block = self._bytes(int(words[-1]))
                size = int(words[-2])
                return Message(words[1].decode(), words[3].decode() if len(words) == 6 else None,
                               _parse_headers(block[:size]), block[size:])

    def publish(self, subject, body=b"", reply="", headers=None):
        if headers:
            block = ("NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
            self._send(f"HPUB {subject} {reply} {len(block)} {len(block) + len(body)}\r\n".encode()
                       + block + body + b"\r\n")
        else:
            self._send(f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n")

    def subscribe(self, subject):
        self.numbers += 1
        self._send(f"SUB {subject} {self.numbers + 1}\r\n".encode())

    def wait_for(self, subject, deadline=DEADLINE):
        """The next message on this very subject."""
        self.socket.settimeout(deadline)
        while True:
            for message in self.waiting:
                if message.subject == subject:
                    self.waiting.remove(message)
                    return message
            self.waiting.append(self._next())

    def request(self, subject, body=b"", headers=None, deadline=DEADLINE):
        self.numbers += 1
        inbox = f"{self.inbox}.{self.numbers}"
        self.publish(subject, body, inbox, headers)
        return self.wait_for(inbox, deadline)

    # --- JetStream ---

    def api(self, call, **body):
        """A call of the JetStream API; an error is an exception."""
        answer = self.request(f"$JS.API.{call}", json.dumps(body).encode() if body else b"")
        if answer.headers.get("Status") or "error" in answer.json:
            raise ValueError(f"{call}: {answer}")
        return answer.json

    def make_stream(self, name, subject, **options):
        return self.api(f"STREAM.CREATE.{name}", name=name, subjects=[subject], storage="file",
                        num_replicas=1, **{"retention": "limits", **options})

    def make_commands(self, **options):
        return self.make_stream(COMMANDS, "stopd.command.>", retention="workqueue", **options)

    def make_events(self, **options):
        return self.make_stream(EVENTS, "stopd.event.>", **options)

    def stream(self, name):
        return self.api(f"STREAM.INFO.{name}")

    def count(self, name=EVENTS):
        """How many messages a stream holds; 0 where there is no stream."""
        answer = self.request(f"$JS.API.STREAM.INFO.{name}").json
        return answer["state"]["messages"] if "state" in answer else 0

    def consumer(self, name, stream=COMMANDS):
        return self.api(f"CONSUMER.INFO.{stream}.{name}")

    def stored(self, name=EVENTS):
        """Every message of a stream, in its order."""
        state = self.stream(name)["state"]
        if not state["messages"]:
            return []
        durable = f"kit{self.numbers}"
        self.numbers += 1
        self.api(f"CONSUMER.DURABLE.CREATE.{name}.{durable}", stream_name=name, config={
            "durable_name": durable, "ack_policy": "none", "deliver_policy": "all", "replay_policy": "instant"})
        found = []
        while len(found) < state["messages"]:
            inbox = f"{self.inbox}.{self.numbers}"
            self.numbers += 1
            want = min(1000, state["messages"] - len(found))
            self.publish(f"$JS.API.CONSUMER.MSG.NEXT.{name}.{durable}",
                         json.dumps({"batch": want, "expires": DEADLINE * 10**9}).encode(), inbox)
            for _ in range(want):
                message = self._next()
                assert message.subject.startswith("stopd.") or not message.headers.get("Status"), message
                found.append(message)
        self.api(f"CONSUMER.DELETE.{name}.{durable}")
        return found

    def put(self, body, host, headers=None, subject=None):
        """Stores a command; returns its place in the stream, 0 for one that the server knows already."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        answer = self.request(subject or f"stopd.command.{host}.StopInstance", body, headers).json
        assert "seq" in answer, answer
        return 0 if answer.get("duplicate") else answer["seq"]
