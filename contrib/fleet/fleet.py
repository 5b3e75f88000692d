"""A fleet on one machine: its certificates, its nats-server as server.conf has it, and many stopd on test:/// domains."""

import contextlib
import json
import os
import pathlib
import runpy
import shutil
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
os.environ.setdefault("STOPD_BUILD", str(TOP / "build"))
sys.path[:0] = [str(TOP / "tests/kit"), str(TOP / "tests/integration")]

import nats  # noqa: E402
from authority import CLIENT, SERVER, Authority  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402

permissions = types.SimpleNamespace(**runpy.run_path(str(HERE / "permissions"), run_name="permissions"))


class Server(nats.Server):
    """One nats-server of server.conf, with the streams of the JSON files but for their replicas."""

    def __init__(self, folder, hosts):  # pylint: disable=super-init-not-called
        self.folder = str(folder)
        self.port = nats.free_port()
        self.process = None
        self.authority = authority = Authority(self.folder)
        self.certificates = types.SimpleNamespace(ca=authority.cert)
        own = authority.issue("server", "DNS:localhost", "IP:127.0.0.1", purposes=(SERVER, CLIENT))
        self.pairs = {name: (made.cert, made.key)
                      for name in [*hosts, "control"] for made in [authority.issue(name)]}
        self.client_pair = self.pairs["control"]
        shutil.copy(HERE / "server.conf", self.path("nats.conf"))
        self.write("users.conf", permissions.users(hosts))
        self.write("node.conf", f'server_name: "fleet"\nclient_port: {self.port}\nstore: "{self.path("store")}"\n'
                                f'tls_cert: "{own.cert}"\ntls_key: "{own.key}"\ntls_ca: "{authority.cert}"\n')

    def start(self, **options):
        """Many hosts come back at once, and this is one small machine: with more patience than for a test."""
        self.start_unseen()
        wait_until(self.answers, "nats-server answers", 300, seen=self.log)
        return self

    def answers(self):
        assert self.process.poll() is None, self.log()
        with contextlib.suppress(OSError, ValueError):
            with contextlib.closing(self.client()) as client:
                return client.api("INFO")
        return None

    def write(self, name, text):
        pathlib.Path(self.path(name)).write_text(text, encoding="utf-8")

    def make_streams(self, hosts):
        client = self.client()
        for name in (nats.EVENTS, nats.COMMANDS):
            wanted = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
            client.api(f"STREAM.CREATE.{name}", **{**wanted, "num_replicas": 1})
        for host in hosts:
            told = permissions.consumer(host)
            client.api(f"CONSUMER.DURABLE.CREATE.{nats.COMMANDS}.{told['config']['durable_name']}", **told)
        client.close()

    def host_client(self, host):
        """Who holds a host's certificate."""
        return self.client_of(self.pairs[host], inbox=f"_INBOX.stopd.{permissions.token(host)}.kit")

    def client_of(self, pair, **options):
        door = types.SimpleNamespace(port=self.port, certificates=self.certificates, client_pair=pair)
        return nats.Client(door, **options)


def make_node(folder, n):
    """The file of a test:/// host with so many running domains."""
    path = pathlib.Path(folder, "node.xml")
    path.write_text("<node>" + "".join(
        f"<domain type='test'><name>d{i}</name><uuid>00000000-0000-4000-8000-{i:012d}</uuid>"
        "<memory>1024</memory><os><type>hvm</type></os></domain>" for i in range(1, n + 1)) + "</node>", encoding="utf-8")
    return f"test://{path}"


class Host(Daemon):
    def __init__(self, server, folder, name, uri):
        os.mkdir(folder)
        cert, key = server.pairs[name]
        told = {"host.id": name, "upstream.bus.type": "nats", "upstream.bus.url": server.url,
                "commands.nats_url": server.url, "log.level": "warning"}
        for section in ("upstream.bus", "commands"):
            told.update({f"{section}.tls_ca": server.certificates.ca, f"{section}.tls_cert": cert,
                         f"{section}.tls_key": key})
        super().__init__(folder, uri, **told)
        self.name = name
        for key in ("upstream.file.type", "upstream.file.url"):
            del self.settings[key]


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def why_not():
    """Why there can be no fleet here, or None."""
    if not pathlib.Path(os.environ["STOPD_BUILD"], "executor/stopd").exists():
        return f"there is no stopd in {os.environ['STOPD_BUILD']}: build, or set STOPD_BUILD"
    return nats.missing()


__all__ = ["Authority", "Host", "Server", "make_node", "nats", "permissions", "processor_seconds", "resident_kib", "why_not"]
