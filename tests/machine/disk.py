"""The disks of the small machine, as they are seen from outside, and the controllers before them.

Theory of operation. The disks are files of this side. QEMU goes to them through this side's page
cache, so what the machine has written is seen here at once, and what is written here is seen there as
soon as the kernel in there has forgotten what it cached: data are put down and looked at from outside,
and no program in the machine is trusted with it. Each 4 KiB of a disk's pattern tells which disk and
which place it belongs to.

Sizes are bytes unless they say MiB.
"""

import dataclasses
import functools
import random
import struct

MIB = 1 << 20
BLOCK = 4096


class Disk:
    """A backing file, its pattern, and what has become of it."""

    server = ""  # what stands between QEMU and the file, and what it is about

    def __init__(self, folder, name, mib=16):
        self.name = name
        self.path = f"{folder}/{name}.raw"
        self.size = mib * MIB
        with open(self.path, "wb") as file:
            file.truncate(self.size)

    def __repr__(self):
        return f"Disk({self.name})"

    @functools.cached_property
    def _noise(self):
        return random.Random(self.name).randbytes(BLOCK - 16)

    def block(self, offset):
        """What the pattern has at this multiple of 4 KiB."""
        return struct.pack("<8sQ", self.name[:8].encode(), offset) + self._noise

    def fill(self, start=0, end=None):
        """Writes the pattern. A machine that has the disk must forget() what it cached of it."""
        with open(self.path, "r+b") as file:
            file.seek(start)
            file.write(b"".join(self.block(at) for at in range(start, end or self.size, BLOCK)))

    def extents(self, wanted):
        """Where wanted(offset, block) holds, as [(first byte, byte behind the last)]."""
        found = []
        with open(self.path, "rb") as file:
            for at in range(0, self.size, BLOCK):
                if not wanted(at, file.read(BLOCK)):
                    continue
                if found and found[-1][1] == at:
                    found[-1] = (found[-1][0], at + BLOCK)
                else:
                    found.append((at, at + BLOCK))
        return found

    def not_zero(self):
        zeros = bytes(BLOCK)
        return self.extents(lambda at, block: block != zeros)

    def kept(self):
        """Where the pattern still is."""
        return self.extents(lambda at, block: block == self.block(at))

    def changed(self):
        return self.extents(lambda at, block: block != self.block(at))

    def blockdev(self, **options):
        """What QEMU is told of it."""
        return {"driver": "raw", "node-name": self.name, **options,
                "file": {"driver": "file", "filename": self.path}}


@dataclasses.dataclass
class Namespace:
    """An NVMe namespace on a disk. Identifiers that are None stay at QEMU's own choice."""

    disk: Disk
    nsid: int = 1
    eui64: int = None
    uuid: str = None
    discard: str = "unmap"
    block_size: int = 512
    options: dict = dataclasses.field(default_factory=dict)  # more of QEMU's nvme-ns

    def device(self, bus):
        ids = {"eui64": self.eui64, "uuid": self.uuid}
        return {"driver": "nvme-ns", "id": f"{self.disk.name}-ns", "bus": bus,
                "drive": self.disk.name, "nsid": self.nsid,
                "logical_block_size": self.block_size, "physical_block_size": self.block_size,
                **{key: value for key, value in ids.items() if value is not None}, **self.options}


@dataclasses.dataclass
class Controller:
    """An NVMe controller. With a subsystem its namespaces can be attached and detached, and belong
    to all controllers of the subsystem unless they say shared=False."""

    serial: str
    namespaces: list = dataclasses.field(default_factory=list)
    subsystem: str = None
    options: dict = dataclasses.field(default_factory=dict)  # more of QEMU's nvme
