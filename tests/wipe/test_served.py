"""stopd-wipe behind a Unix socket, served as the service manager does with Accept=yes: the same protocol on it."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import HERE, MIB, needs_tool

DEADLINE = 60
UNITS = HERE.parent.parent / "contrib" / "systemd"


def wait_until(condition, what):
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, f"not within {DEADLINE} s: {what}"
        time.sleep(0.01)


class Connection:
    """A client of the socket: one request, then lines."""

    def __init__(self, path, request):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(str(path))
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        self.file = self.socket.makefile()

    def lines(self):
        return [json.loads(line) for line in self.file]

    def next(self, event):
        for line in self.file:
            if json.loads(line)["event"] == event:
                return json.loads(line)
        raise AssertionError(f"it ended without {event}")

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def served(wipe, folder):
    """The socket; connections are served by stopd-wipe until the test is over."""
    needs_tool("systemd-socket-activate")
    path = folder / "stopd-wipe.sock"
    server = subprocess.Popen([str(HERE / "see-all"), shutil.which("systemd-socket-activate"), "--accept", "--inetd",
                               "--listen", str(path), str(wipe.program)], start_new_session=True,
                              stderr=subprocess.PIPE, text=True)
    wait_until(path.exists, "the socket is there")
    yield path
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    server.wait(DEADLINE)


def holders(path):
    """The processes that have this file open."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.path.realpath(fd) == str(path) for fd in (process / "fd").iterdir()):
                found.append(int(process.name))
    return found


def test_a_served_helper_clears_and_certifies(wipe, served, make_file):
    file = make_file()
    lines = Connection(served, wipe.request(file)).lines()
    assert [line["event"] for line in lines if line["event"] != "progress"] == \
        ["claimed", "method", "cleared", "verified", "certificate"], lines
    assert lines[-1]["certificate"]["method"] == "overwrite"
    assert file.is_zero()


def test_its_refusal_is_told_like_any(wipe, served, make_file):
    file = make_file()
    before = file.content()
    lines = Connection(served, wipe.request(file, identity={"size": file.size + 1})).lines()
    assert [line["event"] for line in lines] == ["error"], lines
    assert (lines[0]["outcome"], lines[0]["guard"]) == ("refused", "identity")
    assert file.content() == before


def test_connections_are_served_side_by_side(wipe, served, make_file):
    slow, quick = make_file(64 * MIB), make_file()
    first = Connection(served, wipe.request(slow, maxMibPerS=1))
    first.next("progress")
    assert Connection(served, wipe.request(quick)).lines()[-1]["event"] == "certificate"
    assert quick.is_zero()
    assert Connection(served, wipe.request(slow)).lines()[-1]["outcome"] == "refused", "the first one has it still"
    first.close()


def test_a_client_that_hangs_up_ends_it_and_another_goes_on(wipe, served, make_file):
    file = make_file(48 * MIB)
    first = Connection(served, wipe.request(file, maxMibPerS=4))
    resume = None
    while not resume:
        resume = first.next("progress").get("resume")
    assert holders(file.path)
    first.close()
    wait_until(lambda: not holders(file.path), "the helper has let go of the file")
    assert not file.is_zero()

    lines = Connection(served, wipe.request(file, resume=resume)).lines()
    assert lines[-1]["event"] == "certificate", lines
    assert file.is_zero()


@pytest.mark.parametrize("unit", ["stopd-wipe.socket", "stopd-wipe@.service", "stopd.service"])
def test_the_units_are_understood(unit, folder):
    """As far as the service manager's own tool can tell; it looks for the programs too, so they get one."""
    needs_tool("systemd-analyze")
    for name in ("stopd-wipe.socket", "stopd-wipe@.service", "stopd.service"):
        (folder / name).write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", (UNITS / name).read_text()))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(folder / unit)],
                          capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done


def test_the_unit_hides_no_path_and_no_process_from_the_helper():
    """What cannot be seen would count as not there: a disk that another names, or has open, would be cleared."""
    for name in ("stopd-wipe@.service", "stopd.service"):
        settings = dict(line.split("=", 1) for line in (UNITS / name).read_text().splitlines()
                        if "=" in line and not line.startswith("#"))
        for hiding in ("ProtectProc", "ProcSubset", "PrivateTmp", "PrivateDevices", "PrivateMounts", "RootDirectory",
                       "InaccessiblePaths", "TemporaryFileSystem", "PrivateUsers"):
            assert hiding not in settings, f"{name}: {hiding}"
        assert settings.get("ProtectHome", "no") in ("no", "read-only"), name
