"""Disks of real controllers that another domain, off now, passes through by their PCI address."""

from wipe import cleared, refused

IGNORE, PATHS = {"serial": "IGNORE"}, {"serial": "PATHS"}


def addresses(machine, serial):
    """Of the controllers with this serial number, by the kernel's own word."""
    return machine.ask('for c in /sys/class/nvme/*; do read -r serial <$c/serial; '
                       f'[ "$serial" = {serial} ] && basename $(readlink -f $c/device); done; true').split()


def passed_through(*found):
    return [{"domain": "web-7", "pci": address} for address in found]


def test_a_disk_whose_controller_another_domain_passes_through(machine, disks, wipe):
    machine.fill(disks.ignore)
    device, (address,) = machine.find(disks.ignore), addresses(machine, "IGNORE")
    refused(wipe.clear(device, identity=IGNORE, others=passed_through("ffff:65:00.0", address)),
            "other-domain", "web-7")
    assert not disks.ignore.changed()
    cleared(wipe.clear(device, identity=IGNORE, others=passed_through(*addresses(machine, "WIDE"))))
    assert not disks.ignore.not_zero()


def test_either_of_the_controllers_that_lead_to_it(machine, disks, wipe):
    machine.fill(disks.paths)
    device, found = machine.find(disks.paths), addresses(machine, "PATHS")
    assert len(found) == 2, found
    for address in found:
        refused(wipe.clear(device, identity=PATHS, others=passed_through(address)), "other-domain", "web-7")
    assert not disks.paths.changed()
