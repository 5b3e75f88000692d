"""What the tests of stopd-wipe share: the program, and devices that they make themselves.

The program is found in the build folder: STOPD_BUILD, else ./build beside the sources. Only loop devices whose backing
file a test has just made are ever handed to it; each is checked again right before, and taken down again whatever
happens."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("STOPD_BUILD", HERE.parent.parent / "build"))
MIB = 1 << 20
LOSETUP = str(HERE.parent / "kit" / "losetup")


def find_program(name):
    for path in sorted(BUILD.glob(f"**/{name}")):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    pytest.exit(f"{name} is not built below {BUILD} (set STOPD_BUILD)", returncode=2)


@pytest.fixture(autouse=True)
def needs_root():
    if os.geteuid() != 0:
        pytest.skip("needs root: loop devices, and looking at every process's open files")


def needs_tool(*names):
    for name in names:
        if not shutil.which(name):
            pytest.skip(f"needs {name}")


class Run:
    """One run of stopd-wipe that has ended."""

    def __init__(self, status, output, errors):
        self.status, self.errors = status, errors
        self.lines = [json.loads(line) for line in output.splitlines()]

    def of(self, event):
        return [line for line in self.lines if line["event"] == event]

    def one(self, event):
        found = self.of(event)
        assert len(found) == 1, f"{len(found)} lines of {event} in {self}"
        return found[0]

    @property
    def error(self):
        return self.one("error")

    @property
    def certificate(self):
        assert self.lines[-1]["event"] == "certificate", str(self)
        return self.lines[-1]["certificate"]

    @property
    def resume(self):
        return [line["resume"] for line in self.of("progress") if "resume" in line][-1]

    def __str__(self):
        return f"exit {self.status}\n" + "\n".join(json.dumps(line)[:600] for line in self.lines) + self.errors


class Wipe:
    """Runs the program, where every process can be looked at (see see-all)."""

    def __init__(self):
        self.program = find_program("stopd-wipe")
        self.faulty = find_program("stopd-wipe-faulty")

    def command(self, *arguments, fault=None):
        start = [self.faulty, fault] if fault else [self.program]
        return [str(a) for a in [HERE / "see-all", *start, *arguments]]

    def run(self, *arguments, fault=None, prefix=(), **kwargs):
        done = subprocess.run([*prefix, *self.command(*arguments, fault=fault)], capture_output=True, text=True,
                              timeout=120, **kwargs)
        return Run(done.returncode, done.stdout, done.stderr)

    def ask(self, request, fault=None):
        """The protocol on descriptors 0 and 1."""
        return self.run(input=json.dumps(request) + "\n", fault=fault)

    def clear(self, device, *options, fault=None, allow=None, identity=None, **kwargs):
        device.check()
        allow = [device.path] if allow is None else allow
        identity = [f"size={device.size}"] if identity is None else identity
        return self.run("--clear", device.path, *[f"--identity={i}" for i in identity],
                        *[f"--allow={a}" for a in allow], *options, fault=fault, **kwargs)

    def request(self, device, **members):
        device.check()
        return {"version": 1, "verb": "clear", "device": str(device.path), "identity": {"size": device.size},
                "methods": ["overwrite"], "allow": {"devices": [str(device.path)], "files": [str(device.path)]},
                **members}


class File:
    """An image file full of bytes that nobody else has."""

    def __init__(self, path, size, data=True, seed=1):
        self.path, self.size = pathlib.Path(path), size
        with open(path, "wb") as f:
            f.truncate(size)
            if data:
                self.fill(f, seed)

    def fill(self, f, seed):
        noise = random.Random(seed).randbytes(MIB)
        for at in range(0, self.size, MIB):
            f.write((at.to_bytes(8, "big") + noise[8:])[:self.size - at])

    @property
    def image(self):
        return self.path

    def check(self):
        assert self.path.is_file()

    def content(self):
        return self.image.read_bytes()

    def is_zero(self):
        return not any(memoryview(self.content()))

    def close(self):
        pass


class Loop(File):
    """A loop device on such a file."""

    def __init__(self, path, size, *options, **kwargs):
        super().__init__(path, size, **kwargs)
        self.backing = pathlib.Path(path).resolve()
        found = subprocess.run([LOSETUP, "--find", "--show", *options, str(self.backing)], capture_output=True,
                               text=True)
        if found.returncode:
            pytest.skip(f"no loop device to be had: {found.stderr.strip()}")
        self.path = pathlib.Path(found.stdout.strip())

    @property
    def image(self):
        return self.backing

    @property
    def name(self):
        return self.path.name

    def check(self):
        """It is ours: a loop device, and on our own file."""
        assert self.path.match("/dev/loop*")
        below = pathlib.Path(f"/sys/block/{self.name}/loop/backing_file").read_text().strip()
        assert below == str(self.backing), f"{self.path} stands on {below}"

    def content(self):
        os.sync()
        return super().content()

    def close(self):
        backing = pathlib.Path(f"/sys/block/{self.name}/loop/backing_file")
        if backing.exists() and backing.read_text().split(" (deleted)")[0].strip() == str(self.backing):
            subprocess.run([LOSETUP, "--detach", str(self.path)], check=False)


@pytest.fixture
def wipe():
    return Wipe()


@pytest.fixture
def folder():
    """On a real file system, for loops and for O_DIRECT."""
    path = tempfile.mkdtemp(prefix="stopd-wipe-test-", dir="/var/tmp")
    yield pathlib.Path(path)
    shutil.rmtree(path)


@pytest.fixture
def make_loop(folder):
    made = []

    def make(size=64 * MIB, *options, **kwargs):
        made.append(Loop(folder / f"disk{len(made)}.img", size, *options, seed=len(made) + 1, **kwargs))
        return made[-1]

    yield make
    for device in reversed(made):
        device.close()


@pytest.fixture
def loop(make_loop):
    return make_loop()


@pytest.fixture
def make_file(folder):
    def make(size=24 * MIB + 777, **kwargs):
        return File(folder / f"image{len(list(folder.iterdir()))}.raw", size, **kwargs)

    return make
