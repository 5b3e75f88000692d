"""A stopd with a webhook receiver as its sink, on libvirt's test driver: each stop is two events."""

import pytest

from daemon import wait_until
from receiver import Receiver


@pytest.fixture
def receiver():
    made = []

    def make(**options):
        made.append(Receiver(**options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def write_domains(node, number, off=()):
    """The world of libvirt's test driver, which forgets at each start what became of it."""
    node.write_text("<node>" + "".join(
        f"<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"
        f"<name>i-{n}</name><uuid>00000000-0000-4000-8000-{n:012d}</uuid>"
        f"<memory>1024</memory><os><type>hvm</type></os>"
        f"<test:runstate>{5 if n in off else 1}</test:runstate></domain>"
        for n in range(1, number + 1)) + "</node>")


@pytest.fixture
def stopd(tmp_path, daemon):
    """Makes a stopd with running domains i-1, i-2 … and the receiver as its sink "hook"."""

    def make(receiver, domains=4, **settings):
        node = tmp_path / "node.xml"
        write_domains(node, domains)
        settings = {"upstream__hook__" + key: value for key, value in settings.items()}
        made = daemon(uri=f"test://{node}", upstream__hook__type="webhook",
                      upstream__hook__url=receiver.url, **settings)
        made.begin = lambda off: (write_domains(node, domains, off), made.start())
        return made.start()

    return make


def stop(stopd, *numbers, **options):
    for n in numbers:
        answer = stopd.get(f"/?InstanceId=i-{n}&ForceStop=true", **options)
        assert answer.status == 200, answer
        stopd.finished(answer.json["RequestId"])


def sink(stopd):
    sinks = stopd.get("/v1/sinks").json["sinks"]
    return next(each for each in sinks if each["name"] == "hook")


def metric(stopd, name, labels='{sink="hook"}'):
    for line in stopd.get("/metrics").text.splitlines():
        if line.split()[0] == name + labels:
            return int(line.split()[1])
    return None


def letters(stopd):
    answer = stopd.get("/v1/sinks/hook/dead-letters?limit=1000")
    assert answer.status == 200, answer
    return answer.json["deadLetters"]


def post(stopd, path, body=None):
    return stopd.ask("POST", "/v1/sinks/" + path, body=body)


def settled(stopd, last):
    """Waits until the sink has all up to this sequence, or has refused it."""
    wait_until(lambda: sink(stopd)["delivered"] >= last, f"{last} is delivered or set aside",
               seen=lambda: f"{sink(stopd)}\n{stopd.log()}")


def sequences(posts):
    return [each.sequence for each in posts]


def is_failing(stopd, words):
    """Waits until the sink fails, and says this of why."""
    wait_until(lambda: sink(stopd)["failingSince"] and words in sink(stopd)["error"],
               f"it fails for: {words}", seen=lambda: f"{sink(stopd)}\n{stopd.log()}")


def refuses(instance, status=400):
    return lambda post: (status, {}, b"no\nsuch thing") if post.instance == instance else 204
