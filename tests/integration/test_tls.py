"""api.listen from outside: who gets in, what they may do, files that change, clients that are many."""

import contextlib
import http.client
import itertools
import os
import resource
import signal
import ssl
import subprocess
import threading

import pytest

from authority import CLIENT, SERVER, Authority, write
from daemon import STOPD, wait_until
from network import CONTROL, Network, dial, domains, get_on, port_of

METRICS = "/metrics"


@pytest.fixture
def network(tmp_path):
    return Network(tmp_path)


@pytest.fixture
def stopd(tmp_path, daemon, network):
    return daemon(uri=domains(tmp_path, "one", "two", "three", "four"), **network.settings).start()


def metric(stopd, name):
    """The value of the line that begins with this."""
    for line in stopd.get(METRICS).text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    raise AssertionError(f"no {name} in the metrics")


# --- Who gets in ---

def s_client(stopd, network, who, *options):
    """What the server says to a request of openssl's own client."""
    arguments = ["openssl", "s_client", "-connect", f"127.0.0.1:{port_of(stopd)}", "-CAfile",
                 network.ca.cert, "-ign_eof", *options]
    if who:
        arguments += ["-cert", who.cert, "-key", who.key]
    request = "GET /v1/instances HTTP/1.1\r\nHost: stopd\r\nConnection: close\r\n\r\n"
    return subprocess.run(arguments, input=request, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60).stdout


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_only_a_good_certificate_gets_to_http(stopd, network, version):
    def tried(who):
        return s_client(stopd, network, who, version)

    other = Authority(network.folder, "other-ca")
    assert "HTTP/1.1 200 OK" in tried(network.control)
    wrong = {
        "none": None,
        "foreign": other.issue("foreign", f"URI:{CONTROL}"),
        "expired": network.ca.issue("expired", f"URI:{CONTROL}", since=-2, until=-1),
        "early": network.ca.issue("early", f"URI:{CONTROL}", since=1),
        "a server's": network.ca.issue("servers", f"URI:{CONTROL}", purposes=(SERVER,)),
        "the server's own": network.server,
    }
    for name, who in wrong.items():
        answer = tried(who)
        assert "HTTP/1.1" not in answer, f"{name} was answered:\n{answer}"
    # That of both purposes, and that of none in particular, are a client's too.
    both = network.ca.issue("both", f"URI:{CONTROL}", purposes=(SERVER, CLIENT))
    assert "HTTP/1.1 200 OK" in tried(both)
    assert "HTTP/1.1 200 OK" in tried(network.watcher)
    refused = 'stopd_api_connections_unproved_total{listener="network"}'
    wait_until(lambda: metric(stopd, refused) == len(wrong), "each is counted", seen=stopd.log)
    assert "its certificate was not accepted" in stopd.log()


def first_byte_of_the_server(stopd, network, version):
    """What kind of record (22 handshake, 21 alert) the server answers a hello of this version with;
    none: it hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    to_client, from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, from_client)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with dial(stopd) as connection:
        connection.sendall(from_client.read())
        with contextlib.suppress(ConnectionError):
            return connection.recv(1)
    return b""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nothing_older_than_tls_1_2(stopd, network):
    assert first_byte_of_the_server(stopd, network, ssl.TLSVersion.TLSv1_3) == b"\x16"
    assert first_byte_of_the_server(stopd, network, ssl.TLSVersion.TLSv1_2) == b"\x16"
    for old in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
        assert first_byte_of_the_server(stopd, network, old) in (b"", b"\x15")


def test_plain_http_gets_nothing(stopd):
    with dial(stopd) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: stopd\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert not connection.recv(100).startswith(b"HTTP")


# --- What they may do ---

def test_who_may_change_and_who_may_look(stopd, network):
    assert network.stop(stopd, network.watcher, "one").code == "Forbidden"
    assert network.stop(stopd, network.stranger, "one").code == "Forbidden"
    assert network.get(stopd, network.stranger, "/v1/instances").status == 403
    assert network.get(stopd, network.watcher, "/v1/instances").status == 200
    assert network.get(stopd, network.watcher, "/?Action=DescribeInstanceStatus").status == 200
    assert network.get(stopd, network.stranger, "/livez").status == 200
    assert stopd.instance("one")["state"] == "Running"
    # Overriding is root's, on the host.
    assert network.stop(stopd, network.control, "one", Override="lock").code == "Forbidden"


def test_the_journal_says_by_which_name(stopd, network):
    for who, instance, principal in ((network.control, "one", f"tls:URI:{CONTROL}"),
                                     (network.by_address, "two", "tls:IP:192.0.2.7")):
        answer = network.stop(stopd, who, instance)
        assert answer.status == 200, answer
        assert stopd.finished(answer.json["RequestId"])["principal"] == principal
    request_id = stopd.accepted("three")
    assert stopd.finished(request_id)["principal"].startswith("unix:uid=")
    # And still after a restart.
    assert stopd.stop() == 0
    stopd.start()
    principals = {each["instanceId"]: each["principal"]
                  for each in stopd.get("/v1/operations").json["operations"]}
    assert principals["one"] == f"tls:URI:{CONTROL}" and principals["two"] == "tls:IP:192.0.2.7"


def test_a_token_is_one_callers(stopd, network):
    first = network.stop(stopd, network.control, "one", ClientToken="token")
    again = network.stop(stopd, network.control, "one", ClientToken="token")
    assert first.status == again.status == 200 and first.json == again.json
    assert network.stop(stopd, network.by_address, "two", ClientToken="token").status == 200


def test_nobody_is_listed(tmp_path, daemon, network):
    network.settings.update(api__tls_clients="", api__tls_readers="")
    stopd = daemon(uri=domains(tmp_path, "one"), **network.settings).start()
    for target in ("/?Action=StopInstance&InstanceId=one", "/v1/instances", METRICS):
        answer = network.get(stopd, network.control, target)
        assert (answer.status, answer.code) == (403, "Forbidden")


def test_the_rate_is_each_callers(tmp_path, daemon, network):
    stopd = daemon(uri="test:///default", api__rate="1", **network.settings).start()
    with contextlib.closing(network.connect(stopd, network.control)) as connection:
        wait_until(lambda: get_on(connection, "/?InstanceId=nobody").status == 429, "it is throttled")
        assert network.stop(stopd, network.by_address, "nobody").status == 404
        assert stopd.stop_instance("nobody").status == 404


def test_sizes(stopd, network):
    with contextlib.closing(network.connect(stopd, network.control)) as connection:
        assert get_on(connection, "/v1/instances", {"X-Filler": "x" * 17000}).status == 431
    with contextlib.closing(network.connect(stopd, network.control)) as connection:
        connection.request("POST", "/", body="OwnerId=" + "x" * 70000,
                           headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert connection.getresponse().status == 413


# --- Plain, on loopback ---

def test_insecure_loopback(tmp_path, daemon):
    stopd = daemon(uri=domains(tmp_path, "one"), api__listen="[::1]:0", api__insecure_loopback="yes")
    stopd.start()
    connection = http.client.HTTPConnection("::1", port_of(stopd), timeout=60)
    answer = get_on(connection, "/?InstanceId=one")
    assert answer.status == 200, answer
    assert stopd.finished(answer.json["RequestId"])["principal"] == "loopback:::1"
    assert get_on(connection, "/v1/instances", {"Host": "evil.example"}).status == 403
    connection.close()


# --- What is wrong from the start ---

def test_what_is_wrong_from_the_start(stopd, network, tmp_path):
    def fails(**settings):
        arguments = [STOPD, "--config", "/dev/null", "--set", "hypervisor.uri=test:///default",
                     "--set", f"api.socket={tmp_path}/other.sock",
                     "--set", f"journal.path={tmp_path}/other.db"]
        for key, value in {**network.settings, **settings}.items():
            arguments += ["--set", f"{key.replace('__', '.')}={value}"]
        done = subprocess.run(arguments, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == 78, done
        return done.stderr

    assert "api.listen 127.0.0.1:" in fails(api__listen=f"127.0.0.1:{port_of(stopd)}")
    assert "/no/such/file" in fails(api__tls_cert="/no/such/file")
    assert network.control.key in fails(api__tls_key=network.control.key)
    assert "api.tls_client_ca" in fails(api__tls_client_ca=network.server.key)
    assert "loopback" in fails(api__listen="0.0.0.0:0", api__insecure_loopback="yes")


def test_a_key_that_anybody_can_read(tmp_path, daemon, network):
    os.chmod(network.server.key, 0o644)
    stopd = daemon(uri="test:///default", **network.settings).start()
    assert f"api.tls_key {network.server.key}: anybody on this host can read it" in stopd.log()


# --- What changes while it runs ---

EXPIRY = "stopd_api_tls_certificate_expiry_timestamp_seconds"


def serial_shown(network, stopd):
    with contextlib.closing(network.connect(stopd, network.control)) as connection:
        return int(connection.sock.getpeercert()["serialNumber"], 16)


def test_files_that_change_are_loaded_and_drop_nobody(stopd, network):
    old = network.connect(stopd, network.control)
    assert get_on(old, "/v1/instances").status == 200
    kept = old.sock
    before = metric(stopd, EXPIRY)
    renewed = network.ca.issue("server", "IP:127.0.0.1", purposes=(SERVER,), until=48)
    wait_until(lambda: serial_shown(network, stopd) == renewed.certificate.serial_number,
               "the new certificate is shown", seen=stopd.log)
    assert metric(stopd, EXPIRY) > before
    answer = get_on(old, "/?InstanceId=one")
    assert answer.status == 200 and old.sock is kept
    old.close()


def test_broken_files_are_said_once_and_the_former_stay(stopd, network):
    failed = "stopd_api_tls_reload_failed"
    before = serial_shown(network, stopd)
    write(network.server.cert, b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    wait_until(lambda: metric(stopd, failed) == 1, "that they are broken is seen", seen=stopd.log)
    for _ in range(20):
        assert serial_shown(network, stopd) == before
    assert stopd.log().count("stay in force") == 1
    # One of the two that belong together is still no pair.
    renewed = network.ca.issue("other", "IP:127.0.0.1", purposes=(SERVER,))
    with open(renewed.cert, "rb") as file:
        write(network.server.cert, file.read())
    stopd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: stopd.log().count("stay in force") == 2, "a reload tries again", seen=stopd.log)
    assert serial_shown(network, stopd) == before
    with open(renewed.key, "rb") as file:
        write(network.server.key, file.read())
    wait_until(lambda: serial_shown(network, stopd) == renewed.certificate.serial_number,
               "the pair is loaded", seen=stopd.log)
    assert metric(stopd, failed) == 0


def test_a_reload_changes_who_may_call(tmp_path, daemon, network):
    lists = {key: network.settings.pop(key) for key in ("api__tls_clients", "api__tls_client_ca",
                                                        "api__listen")}
    stopd = daemon(uri=domains(tmp_path, "one", "two"), **network.settings)
    stopd.config = stopd.path("stopd.conf")

    def configure(**changes):
        lists.update(changes)
        with open(stopd.config, "w", encoding="utf-8") as file:
            file.write("[api]\n" + "".join(f"{key[5:]} = {value}\n" for key, value in lists.items()))

    def reload():
        n = stopd.log().count("configuration reloaded")
        stopd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: stopd.log().count("configuration reloaded") > n, "reloaded", seen=stopd.log)

    configure()
    stopd.start()
    old = network.connect(stopd, network.control)
    assert get_on(old, "/v1/instances").status == 200
    kept = old.sock
    configure(api__tls_clients="stranger.example.net")
    reload()
    assert get_on(old, "/v1/instances").status == 403
    assert network.stop(stopd, network.stranger, "one").status == 200
    # Another CA: those of the former do not come in any more, and who is in stays.
    other = Authority(network.folder, "other-ca")
    stranger = other.issue("other-stranger", "DNS:stranger.example.net")
    configure(api__tls_client_ca=other.cert)
    reload()
    assert network.stop(stopd, stranger, "two").status == 200
    assert network.is_refused(stopd, network.stranger)
    assert get_on(old, "/livez").status == 200 and old.sock is kept
    configure(api__listen="127.0.0.1:1")
    reload()
    assert "api.listen has changed, and counts from the next start on" in stopd.log()
    assert get_on(old, "/livez").status == 200
    old.close()


# --- Many and slow ---

CROWD = 1000
FEW = 400  # file descriptors that stopd may have
HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(180)


@pytest.fixture
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CROWD + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} file descriptors, may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Connections that begin something, go on with it byte by byte, and never finish."""

    def __init__(self):
        self.connections = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._crawl)

    def _crawl(self):
        for each in itertools.cycle(self.connections):
            if self.over.wait(0.001):
                break
            with contextlib.suppress(OSError):  # it may have been cut
                each.send(b"x")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for each in self.connections:
            each.close()


@pytest.mark.parametrize("from_one_address", [True, False])
@pytest.mark.parametrize("few_descriptors", [True, False])
def test_a_thousand_slow_clients_harm_nobody(tmp_path, daemon, network, descriptors, few_descriptors,
                                             from_one_address):
    names = [f"guest{n}" for n in range(20)]
    stopd = daemon(uri=domains(tmp_path, *names), **network.settings).start()
    if few_descriptors:
        assert stopd.stop() == 0
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, soft[1]))
        stopd.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)
    caller = network.connect(stopd, network.control)
    crowd = Crowd()
    for n in range(CROWD):
        source = "127.0.0.1" if from_one_address else f"127.0.{1 + n % 50}.1"
        connection = dial(stopd, source)
        if n % 20 == 0:  # a slow request of somebody who may only look
            connection = network.context(network.watcher).wrap_socket(
                connection, server_hostname="127.0.0.1")
            connection.sendall(b"GET /v1/instances HTTP/1.1\r\nHost: stopd\r\nX-Filler: ")
        elif n % 3 == 1:  # a handshake that stands still
            connection.sendall(HELLO[:-1])
        connection.setblocking(False)
        crowd.connections.append(connection)
    with crowd:
        for n in range(0, 20, 2):
            # On the host, on a connection that was there before, and on a new one.
            assert stopd.stop_instance(names[n]).status == 200
            assert stopd.get("/readyz").status == 200
            assert get_on(caller, "/v1/instances").status == 200
            assert network.stop(stopd, network.control, names[n + 1]).status == 200
            if few_descriptors:
                assert len(os.listdir(f"/proc/{stopd.process.pid}/fd")) < FEW - 100
        assert metric(stopd, 'stopd_api_connections_cut_total{listener="socket",reason="room"}') == 0
    caller.close()
