"""What the small machine's disks do: the ground that the other tests stand on."""

import pytest
from disk import MIB
from faulty import LIE
from machine import swap, wait_for


def test_each_disk_is_found_by_serial_and_nsid(machine, disks):
    found = [machine.find(namespace.disk) for namespace in machine.namespaces]
    assert all(found) and len(set(found)) == len(found), found


def test_a_pattern_written_outside_is_read_inside_and_the_other_way_round(machine, disks):
    machine.fill(disks.ours)
    device = machine.find(disks.ours)
    inside = machine.ask(f"head -c 8192 {device} | tail -c 4096 | sha256sum | cut -d' ' -f1")
    machine.run("cat >/tmp/block", stdin=disks.ours.block(4096))
    assert inside == machine.ask("sha256sum </tmp/block | cut -d' ' -f1")
    machine.run(f"dd if=/dev/zero of={device} bs=4096 seek=3 count=1 oflag=direct")
    assert disks.ours.changed() == [(3 * 4096, 4 * 4096)]


@pytest.mark.parametrize("ses", [0, 1, 2, 7])
def test_format_clears_one_namespace_whatever_ses_says(machine, disks, ses):
    machine.fill(disks.ours, disks.neighbour)
    device = machine.find(disks.ours)
    assert "fna       : 0" in machine.ask(f"nvme id-ctrl {device} | grep fna")
    machine.run(f"nvme admin-passthru {device} --opcode=0x80 --namespace-id=1 --cdw10={ses << 9}")
    assert not disks.ours.not_zero()
    assert not disks.neighbour.changed()


def test_format_goes_by_nsid_and_not_by_descriptor(machine, disks):
    machine.fill(disks.ours, disks.neighbour)
    device = machine.find(disks.ours)
    machine.run(f"nvme admin-passthru {device} --opcode=0x80 --namespace-id=2")
    assert not disks.ours.changed()
    assert not disks.neighbour.not_zero()


def test_a_discard_may_succeed_and_leave_every_byte(machine, disks):
    machine.fill(disks.ours, disks.ignore)
    machine.run(f"blkdiscard {machine.find(disks.ours)}; blkdiscard {machine.find(disks.ignore)}")
    assert not disks.ours.not_zero()
    assert not disks.ignore.changed()


def test_a_faulty_disk_lies_about_a_format(machine, disks):
    machine.fill(disks.faulty)
    device = machine.find(disks.faulty)
    with disks.faulty.fails("zero", how=LIE):
        machine.run(f"nvme format --force {device}")
    assert not disks.faulty.changed()
    machine.run(f"nvme format --force {device}")
    assert not disks.faulty.not_zero()


def test_after_a_format_that_failed_only_a_format_is_taken(machine, disks):
    device = machine.find(disks.faulty)
    write = f"dd if=/dev/zero of={device} bs=4096 count=1 oflag=direct"
    with disks.faulty.fails("zero"):
        machine.run(f"nvme format --force {device}", status=1)
    machine.run(write, status=1)
    machine.run(f"nvme reset {device[:-2]}")
    machine.run(write, status=1)
    machine.run(f"nvme format --force {device}")
    machine.run(write)


def test_a_faulty_disk_breaks_where_it_is_told(machine, disks):
    machine.fill(disks.faulty)
    device = machine.find(disks.faulty)
    with disks.faulty.fails("write", start=4 * MIB, end=4 * MIB + 4096):
        machine.run(f"dd if=/dev/zero of={device} bs=64k oflag=direct", status=1)
    assert disks.faulty.changed() == [(0, 4 * MIB)]


def test_a_throttled_disk_is_slow(machine, disks):
    machine.fill(disks.ours)
    device = machine.find(disks.ours)
    machine.throttle(disks.ours, MIB // 16)  # half a minute for all of it
    job = machine.start(f"dd if=/dev/zero of={device} bs=64k count=32 oflag=direct")
    some = wait_for(disks.ours.changed, "the first bytes")
    assert some != [(0, 2 * MIB)]
    machine.throttle(disks.ours, 0)
    assert job.wait().status == 0
    assert disks.ours.changed() == [(0, 2 * MIB)]


def test_namespaces_come_back_under_each_other_s_name(machine, disks):
    one, two = machine.find(disks.swap1), machine.find(disks.swap2)
    controller = one[:-2]
    swap(machine, controller)
    assert (machine.find(disks.swap1), machine.find(disks.swap2)) == (two, one)
    swap(machine, controller, order=(1, 2))
    assert (machine.find(disks.swap1), machine.find(disks.swap2)) == (one, two)


def test_a_power_cut_with_a_write_on_its_way(machine, disks):
    machine.fill(disks.faulty)
    device = machine.find(disks.faulty)
    with disks.faulty.holds("write", start=2 * MIB) as held:
        machine.start(f"dd if=/dev/zero of={device} bs=64k oflag=direct")
        held()
        machine.cut_power()
    machine.boot()
    assert disks.faulty.changed() == [(0, 2 * MIB)]


def test_two_paths_make_one_disk(machine, disks):
    assert machine.ask("ls /dev/nvme*n* | wc -l") == str(len(machine.namespaces))
    machine.fill(disks.paths)
    machine.run(f"nvme format --force {machine.find(disks.paths)}")
    assert not disks.paths.not_zero()
