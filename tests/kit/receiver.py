"""A webhook receiver that answers what a test tells it to, and remembers all that it was sent.

It may speak TLS, with another certificate from one connection to the next.
"""

import contextlib
import http.server
import json
import socket
import ssl
import threading
import time

DROP = object()  # the connection ends without an answer
HANG = object()  # no answer before the receiver closes


def tls_context(certificate, client_ca=None):
    """certificate has .cert and .key; client_ca: clients have to show one that it has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


class Post:
    def __init__(self, handler, body):
        self.at = time.monotonic()
        self.path = handler.path
        self.headers = handler.headers
        self.connection = handler.number
        self.certificate = handler.certificate
        self.text = body.decode()
        self.event = json.loads(self.text)
        self.sequence = int(self.event["sequence"])
        self.instance = self.event["subject"]
        self.status = None  # that it was answered with, whole


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    certificate = None

    def setup(self):
        receiver = self.server.receiver
        context = receiver.tls
        if context:
            self.request.settimeout(30)
            self.request = context.wrap_socket(self.request, server_side=True)
            self.certificate = self.request.getpeercert()
        self.number = receiver.add_connection(self.request)
        super().setup()

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        receiver = self.server.receiver
        post = Post(self, self.rfile.read(int(self.headers["Content-Length"])))
        answer = receiver.take(post)
        if answer is HANG:
            receiver.closing.wait()
        if answer is DROP or answer is HANG:
            self.close_connection = True
            self.request.shutdown(socket.SHUT_RDWR)
            return
        status, headers, body = (answer, {}, b"") if isinstance(answer, int) else answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        receiver.answered(post, status)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that does not like our certificate, or was cut off: its own test looks at that."""
        self.receiver.count_broken()


class Receiver:
    """answer(post) says what a request is answered with: a status, (status, headers, body), DROP or
    HANG. It is called for one request at a time."""

    def __init__(self, tls=None):
        self.tls = tls
        self.answer = lambda post: 204
        self.posts = []
        self.connections = []
        self.broken = 0
        self.closing = threading.Event()
        self.changed = threading.Condition()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.receiver = self
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.server.server_address[1]}/events?of=stopd"

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.disconnect()
        self.server.server_close()

    def disconnect(self):
        """Ends every connection, so that the next request makes a new one."""
        with self.changed:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    # --- The handlers' side ---

    def add_connection(self, connection):
        with self.changed:
            self.connections.append(connection)
            return len(self.connections)

    def count_broken(self):
        with self.changed:
            self.broken += 1
            self.changed.notify_all()

    def take(self, post):
        with self.changed:
            self.posts.append(post)
            self.changed.notify_all()
            return self.answer(post)

    def answered(self, post, status):
        with self.changed:
            post.status = status
            self.changed.notify_all()

    # --- What a test asks ---

    def taken(self):
        """What was answered with 2xx, in the order in which it came."""
        with self.changed:
            return [post for post in self.posts if post.status and 200 <= post.status <= 299]

    def check_order(self):
        """Each instance's events arrived in order; who is sent twice counts where it came first."""
        last, seen = {}, set()
        for post in self.taken():
            if post.event["id"] in seen:
                continue
            seen.add(post.event["id"])
            assert post.sequence > last.get(post.instance, 0), \
                f"{post.instance}: {post.sequence} after {last[post.instance]}"
            last[post.instance] = post.sequence
