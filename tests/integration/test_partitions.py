"""Local disks that are partitions of one disk: cleared one after the other, none in the other's way."""

import os
import subprocess

import pytest

from daemon import wait_until
from test_local_disks import ID, MIB, disks_reported, i1, loops, states, stopd_for  # noqa: F401: fixtures


@pytest.fixture
def partitions(loops):  # noqa: F811
    """Three of 4 MiB each on one loop device, as their paths."""
    loop = loops(size=16 * MIB)
    made = [f"{loop.device}p{number}" for number in (1, 2, 3)]
    for number, _ in enumerate(made):
        subprocess.run(["addpart", loop.device, str(number + 1), str((1 + 4 * number) * 2048), str(4 * 2048)],
                       check=True)
    wait_until(lambda: all(os.path.exists(each) for each in made), "the partitions' nodes are there")
    yield loop, made
    for number, _ in enumerate(made):
        subprocess.run(["delpart", loop.device, str(number + 1)], check=False)


def test_partitions_of_one_disk_are_not_in_each_others_way(guest, partitions, stopd_for):  # noqa: F811
    loop, made = partitions
    name = guest("obey", metadata=i1("vda", "vdb", "vdc"), disks=made)
    # Slow enough for all of them to be under way at once, were they let.
    stopd = stopd_for(local_storage__methods="overwrite", local_storage__max_mib_per_s="4")

    operation = stopd.finished(stopd.accepted(name, ConfirmStop="true"), deadline=120)

    assert operation["outcome"] == "Stopped", operation
    assert states(operation) == ["cleared"] * 3
    disks_reported(stopd, ID, *["cleared"] * 3)
    assert not any(loop.bytes()[MIB:13 * MIB]) and any(loop.bytes()[13 * MIB:])
