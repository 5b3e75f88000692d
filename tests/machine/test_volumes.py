"""Volumes of device mapper on a namespace: the kernel hands their ioctls down, and they are none."""

import pytest
from conftest import EUI_OURS
from disk import MIB
from test_devices import mapper  # noqa: F401: a fixture
from wipe import cleared

FORMATS = ["nvme-format-crypto", "nvme-format-user-data"]


@pytest.mark.parametrize("size", [16 * MIB, None], ids=["a piece of it", "all of it"])
def test_a_volume_on_a_namespace_is_no_namespace(machine, disks, wipe, mapper, size):  # noqa: F811
    machine.fill(disks.ours, disks.neighbour)
    namespace = machine.find(disks.ours)
    size = size or disks.ours.size
    volume = mapper("whole", f"0 {size // 512} linear {namespace} 0")
    assert machine.ask(f"nvme id-ns {volume}") == machine.ask(f"nvme id-ns {namespace}"), "ioctls are not handed down"
    identity = wipe.identity(volume)
    assert "nsid" not in identity and "eui64" not in identity, identity
    assert f"{EUI_OURS:016x}" not in str(identity)

    outcome = wipe.clear(volume, identity={"size": str(size)})

    cleared(outcome, "write-zeroes")
    assert [one["method"] for one in outcome.one("method")["passedOver"]] == FORMATS
    assert outcome.one("claimed")["driver"] == "block"
    assert disks.ours.not_zero() == ([(size, disks.ours.size)] if size < disks.ours.size else [])
    assert not disks.neighbour.changed()
