"""What the tests of the small machine share: one boot of it, and stopd-wipe handed in.

STOPD_BUILD is the build directory; without it only the machine itself is tested."""

import os
import subprocess

import machine as small
import pytest
from disk import MIB, Controller, Disk, Namespace
from faulty import FaultyDisk
from wipe import Wipe

HERE = os.path.dirname(os.path.realpath(__file__))

EUI_OURS, EUI_NEIGHBOUR = 0x0025385B71B01234, 0x0025385B71B05678
UUID_OURS = "6f1d2c3b-4a59-4687-9baf-c0d1e2f30415"


@pytest.fixture(scope="session")
def holder(tmp_path_factory):
    program = str(tmp_path_factory.mktemp("holder") / "holder")
    subprocess.run(["cc", "-static", "-O1", "-o", program, f"{HERE}/holder.c"], check=True)
    return program


class Disks:
    """The disks of the machine; each says what it is there for."""

    def __init__(self, folder):
        self.ours = FaultyDisk(folder, "ours", 32)
        self.neighbour = Disk(folder, "neighbour")  # on the same controller as ours
        self.ignore = Disk(folder, "ignore")        # discards are taken and ignored
        self.wide = Disk(folder, "wide")            # blocks of 4096 bytes
        self.meta = Disk(folder, "meta")            # 8 bytes of metadata behind each block
        self.zoned = Disk(folder, "zoned")
        self.faulty = FaultyDisk(folder, "faulty", 32)
        self.swap1 = FaultyDisk(folder, "swap1", 32)  # can be attached and detached
        self.swap2 = Disk(folder, "swap2")
        self.paths = Disk(folder, "paths")          # behind two controllers

    def controllers(self):
        return [
            Controller("TWO", [Namespace(self.ours, 1, EUI_OURS, UUID_OURS),
                               Namespace(self.neighbour, 2, EUI_NEIGHBOUR)]),
            Controller("IGNORE", [Namespace(self.ignore, discard="ignore")]),
            Controller("WIDE", [Namespace(self.wide, block_size=4096)]),
            Controller("META", [Namespace(self.meta, options={"ms": 8})]),
            Controller("ZONED", [Namespace(self.zoned, options={"zoned": True,
                                                                "zoned.zone_size": 4 * MIB})]),
            Controller("FAULTY", [Namespace(self.faulty)]),
            Controller("SWAP", [Namespace(self.swap1, 1, options={"shared": False}),
                                Namespace(self.swap2, 2, options={"shared": False})],
                       subsystem="swap"),
            Controller("PATHS", [Namespace(self.paths)], subsystem="paths"),
            Controller("PATHS", subsystem="paths"),
        ]


@pytest.fixture(scope="session")
def disks(tmp_path_factory):
    return Disks(str(tmp_path_factory.mktemp("disks")))


def find_wipe():
    """The program under test, or None."""
    build = os.environ.get("STOPD_BUILD", "")
    for place in ("executor/wipe/stopd-wipe", "executor/stopd-wipe", "stopd-wipe"):
        if build and os.access(f"{build}/{place}", os.X_OK):
            return f"{build}/{place}"
    return None


@pytest.fixture(scope="session")
def booted(tmp_path_factory, disks, holder):
    if why := small.missing():
        pytest.skip(why)
    programs = [holder] + ([find_wipe()] if find_wipe() else [])
    one = small.Machine(tmp_path_factory.mktemp("machine"), disks.controllers(), programs)
    one.boot()
    yield one
    one.cut_power()


@pytest.fixture
def machine(request, booted):
    """The machine; booted anew where a test before has failed and may have left things in it."""
    if request.session.testsfailed != getattr(booted, "failures", 0) or not booted.is_well():
        booted.cut_power()
        booted.boot()
        booted.failures = request.session.testsfailed
    return booted


@pytest.fixture
def wipe(machine):
    if not find_wipe():
        pytest.skip("STOPD_BUILD names no build directory with stopd-wipe in it")
    return Wipe(machine)
