"""A stopd that listens on the network, and clients that show it a certificate."""

import contextlib
import http.client
import re
import socket
import ssl
import urllib.parse

from authority import SERVER, Authority
from daemon import DEADLINE, Answer, wait_until

CONTROL = "spiffe://example.net/control"


def domains(folder, *names):
    """A libvirt test:/// URI with these domains, all running."""
    of_each = "".join(
        f"<domain type='test'><name>{name}</name><uuid>00000000-0000-4000-8000-{number:012d}</uuid>"
        f"<memory>1024</memory><os><type>hvm</type></os></domain>"
        for number, name in enumerate(names, 1))
    path = folder / "node.xml"
    path.write_text(f"<node>{of_each}</node>")
    return f"test://{path}"


class Network:
    """What a stopd with api.listen needs, who may call it, and how."""

    def __init__(self, folder):
        folder = folder / "tls"
        folder.mkdir()
        self.folder = folder
        self.ca = Authority(folder)
        self.server = self.ca.issue("server", "IP:127.0.0.1", purposes=(SERVER,))
        self.control = self.ca.issue("control", "DNS:some.example.net", f"URI:{CONTROL}")
        self.watcher = self.ca.issue("watcher", "DNS:watcher.example.net", purposes=())
        self.by_address = self.ca.issue("address", "IP:192.0.2.7")
        self.stranger = self.ca.issue("stranger", "DNS:stranger.example.net")
        self.settings = {
            "api__listen": "127.0.0.1:0",
            "api__tls_cert": self.server.cert,
            "api__tls_key": self.server.key,
            "api__tls_client_ca": self.ca.cert,
            "api__tls_clients": f"{CONTROL},192.0.2.7",
            "api__tls_readers": "watcher.example.net",
        }

    def context(self, who, cafile=None):
        context = ssl.create_default_context(cafile=cafile or self.ca.cert)
        if who:
            context.load_cert_chain(who.cert, who.key)
        return context

    def connect(self, stopd, who, **options):
        """An HTTPS connection; the handshake is over, as this side sees it."""
        connection = http.client.HTTPSConnection("127.0.0.1", port_of(stopd), timeout=DEADLINE,
                                                 context=self.context(who), **options)
        connection.connect()
        return connection

    def get(self, stopd, who, target, headers=None):
        with contextlib.closing(self.connect(stopd, who)) as connection:
            return get_on(connection, target, headers)

    def stop(self, stopd, who, instance, **parameters):
        query = urllib.parse.urlencode({"Action": "StopInstance", "InstanceId": instance, **parameters})
        return self.get(stopd, who, "/?" + query)

    def is_refused(self, stopd, who):
        """Does a handshake, or the first read after it, fail?"""
        try:
            self.get(stopd, who, "/livez")
        except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
            return True
        return False


def get_on(connection, target, headers=None):
    connection.request("GET", target, headers=headers or {})
    return Answer(connection.getresponse())


def port_of(stopd):
    """The port that was taken, as the last start's log says."""
    ports = wait_until(lambda: re.findall(r"(?:127\.0\.0\.1|\[::1\]):(\d+) (?:with mutual TLS|over plain)",
                                          stopd.log()), "the log says the port", seen=stopd.log)
    return int(ports[-1])


def dial(stopd, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", port_of(stopd)), timeout=DEADLINE,
                                    source_address=(source, 0))
