"""The host is rebooted: no domain runs any more, and libvirt knows of none how it ended (rule 5).

Made of what stopd can see of it: every QEMU dies at once while libvirtd is away, libvirt's memory of what ran is
taken from it, and stopd comes back where the kernel says another boot id.
"""

import glob
import os
import signal
import uuid

import libvirt
import pytest

import host
import kit
from test_ends import SLOW, boot, reason_of
from test_local_disks import MIB, in_phase, loops, stopd_for  # noqa: F401 (fixtures)
from daemon import wait_until
from test_states import pressed

BOOT_ID = "/proc/sys/kernel/random/boot_id"


@pytest.fixture
def reboot(tmp_path):
    """Takes the power from guests and stopd; what is started then is on another boot. Of one guest the process stays:
    by chance one of the new boot has its pid and its start time."""
    left = []

    def take_power(stopd, *domains, by_chance):
        stopd.kill()
        left.append(kit.pid(by_chance))
        with host.libvirtd_away():
            for domain in domains:
                os.kill(kit.pid(domain), signal.SIGKILL)
            for path in glob.glob("/run/libvirt/qemu/*.xml") + glob.glob("/run/libvirt/qemu/*.pid"):
                os.unlink(path)
        boot_id = tmp_path / "boot_id"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        stopd.within = ["unshare", "--mount", "sh", "-c", f'mount --bind {boot_id} {BOOT_ID} && exec "$@"', "sh"]

    yield take_power
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def test_after_a_reboot_stops_end_clears_go_on_and_what_was_missed_is_told(guest, loops, stopd_for,  # noqa: F811
                                                                         reboot):
    made = boot(guest, loops, off={}, again={}, clearing={"behaviour": "obey", "size": 16 * MIB})
    off, again = made["off"][0], made["again"][0]
    silent, autostarted = guest("ignore", "ignore")
    before = made["again"][1].bytes()
    stopd = stopd_for(**SLOW)
    requests = {kind: stopd.accepted(f"i-{kind}", ConfirmStop="true", GracePeriod="600") for kind in made}
    for kind in "off", "again":
        pressed(stopd, requests[kind])
    in_phase(stopd, requests["clearing"], "clearing")
    wait_until(lambda: stopd.operation(requests["clearing"])["storage"][0]["done"] > 0, "some of it is cleared")

    reboot(stopd, off, again, autostarted, by_chance=silent)
    assert kit.domain(off).state() == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN]
    kit.start(again, autostarted)
    stopd.settings["local_storage.max_mib_per_s"] = "0"
    stopd.start()

    ended = {kind: stopd.finished(request) for kind, request in requests.items()}
    for kind in "off", "clearing":
        assert ended[kind]["outcome"] == "Stopped" and made[kind][1].is_zero(), ended
        stopd.reported(f"i-{kind}", "Running→Stopping", "Stopping→Stopped")
    assert reason_of(stopd, "i-off") == "off, cause unknown; local disks cleared"
    assert reason_of(stopd, "i-clearing") == "guest shut down; local disks cleared"
    assert ended["again"]["outcome"] == "Failed", ended
    assert ended["again"]["error"]["code"] == "InstanceStartedAgain", ended
    assert not kit.is_off(again) and made["again"][1].bytes() == before
    stopd.reported("i-again", "Running→Stopping", "Stopping→Running")
    stopd.reported(silent, "Running→Stopped")
    stopd.reported(autostarted, "Running→Stopped", "Stopped→Running")
