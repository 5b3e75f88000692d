"""The kit keeps its word: each behaviour, libvirtd's comings and goings, and that nothing is left.

Runs under private-libvirt: private-libvirt -- /usr/bin/python3 -m pytest tests/kit
"""

import contextlib
import os
import signal
import subprocess
import time

import libvirt
import pytest

import kit

pytestmark = pytest.mark.skipif(kit.missing() is not None, reason=str(kit.missing()))


@pytest.fixture
def guest():
    """Defines and starts a guest, waits until it is ready, removes it in the end."""
    names = []

    def run(behaviour, **options):
        name = f"kit-{behaviour.replace(':', '-')}"
        names.append(name)
        kit.define(name, behaviour, **options)
        kit.start(name)
        kit.wait_ready(name)
        return name

    yield run
    kit.remove(*names)


def lines(name):
    return [line.removeprefix("stopd-guest: ") for line in kit.console(name).splitlines()
            if line.startswith("stopd-guest: ")]


def test_obey(guest):
    name = guest("obey")
    kit.press(name)
    kit.wait_off(name)
    assert lines(name) == ["ready", "button", "powering off"]
    assert kit.domain(name).state() == [libvirt.VIR_DOMAIN_SHUTOFF,
                                        libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN]


def test_comes_back_as_it_was_saved_as_often_as_one_likes(guest):
    name = guest("obey")
    kit.save(name)
    for _ in range(2):
        kit.restore(name)
        kit.press(name)
        kit.wait_off(name)
        assert lines(name) == ["button", "powering off"]


def test_slow_counts_from_the_first_button(guest):
    """Pressed again all the time, it would not end if it counted from the last."""
    name = guest("slow:2")
    begun = time.monotonic()
    while not kit.is_off(name):
        assert time.monotonic() - begun < 60, kit.console(name)
        with contextlib.suppress(libvirt.libvirtError):  # it has just ended
            kit.press(name)
        time.sleep(0.2)
    assert time.monotonic() - begun >= 2
    said = lines(name)
    assert said[0] == "ready" and said.count("button") > 1 and "powering off" in said, said


def test_ignore_takes_note_of_every_button(guest):
    name = guest("ignore")
    for times in (1, 2, 3):
        kit.press(name)
        kit.wait_console(name, text="button", times=times)
    assert not kit.is_off(name)


def test_deaf_hears_nothing(guest):
    name = guest("deaf")
    kit.press(name)
    with pytest.raises(kit.Missed):
        kit.wait_console(name, text="button", timeout=1)
    assert not kit.is_off(name)


@pytest.mark.parametrize("behaviour, word", [("reboot", "rebooting"), ("panic", "crashing")])
def test_comes_back_from_the_button(guest, behaviour, word):
    name = guest(behaviour)
    before = kit.pid(name)
    kit.press(name)
    kit.wait_ready(name, boots=2)
    assert lines(name) == ["ready", "button", word, "ready"]
    assert kit.pid(name) == before


def test_powers_off_by_itself(guest):
    name = guest("poweroff:1")
    kit.wait_off(name)
    assert lines(name) == ["ready", "powering off"]


@pytest.mark.parametrize("behaviour, word", [("reboot:1", "rebooting"), ("crash:1", "crashing")])
def test_comes_back_by_itself(guest, behaviour, word):
    name = guest(behaviour)
    kit.wait_ready(name, boots=2)
    assert lines(name)[:3] == ["ready", word, "ready"]


def test_fills_its_disks(guest, tmp_path):
    disks = [tmp_path / "a", tmp_path / "b"]
    for disk in disks:
        disk.touch()
        os.truncate(disk, 3 << 20)
    name = guest("obey", disks=[disks[0], {"path": disks[1], "serial": "S1"}], fill=["vda", "vdb"])
    assert lines(name) == ["filled vda", "filled vdb", "ready"]
    for disk, letter in zip(disks, "ab"):
        assert disk.read_bytes() == f"stopd fill vd{letter}.\n".encode() * ((3 << 20) // 16)


@pytest.mark.parametrize("agent", ["obey", "mute"])
def test_agent(guest, agent):
    name = guest("ignore", agent=agent)
    if agent == "obey":
        kit.wait_agent(name)
        kit.domain(name).shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
        kit.wait_off(name)
        assert lines(name) == ["ready", "agent", "powering off"]
    else:
        with pytest.raises(libvirt.libvirtError) as caught:
            kit.domain(name).shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
        assert caught.value.get_error_code() == libvirt.VIR_ERR_AGENT_UNRESPONSIVE


def test_guests_outlive_libvirtd(guest):
    name = guest("obey")
    before = kit.pid(name)
    kit.kill_libvirtd(hold=True)
    with pytest.raises(libvirt.libvirtError):
        kit.connect()
    assert kit.libvirtd_pid() is None and kit.process_runs(before)
    kit.release_libvirtd()
    kit.kill_libvirtd()
    kit.wait_libvirtd()
    assert kit.domain(name).isActive() and kit.pid(name) == before
    kit.press(name)
    kit.wait_off(name)


def test_orphans_are_reaped_at_once():
    orphan = int(subprocess.check_output("sleep 0.2 >/dev/null & echo $!", shell=True, text=True))
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{orphan}"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- a second private-libvirt inside this one -----------------------------------------------------


def nested(directory, *command):
    program = os.readlink("/proc/1/exe")
    return subprocess.Popen([program, "--dir", directory, "--", *command], stdout=subprocess.PIPE,
                            text=True)


def processes_naming(text):
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/cmdline", "rb") as file:
                if text.encode() in file.read():
                    found.append(int(number))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 5), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_signal_leaves_nothing(tmp_path, number, code):
    guest = os.path.join(kit.HERE, "guest")
    run = nested(tmp_path / "kit", "sh", "-ec", f"""
        {guest} define kit-nested
        {guest} start kit-nested
        trap 'exit 5' TERM
        echo up
        while :; do sleep 0.05; done""")
    assert run.stdout.readline() == "up\n"
    assert processes_naming("guest=kit-nested")
    run.send_signal(number)
    assert run.wait(timeout=30) == code
    deadline = time.monotonic() + 5
    while left := processes_naming(str(tmp_path)) + processes_naming("guest=kit-nested"):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def test_exit_codes(tmp_path):
    for command, code in ((["sh", "-c", "exit 7"], 7), (["/nonexistent"], 127),
                          (["sh", "-c", "kill -SEGV $$"], 128 + signal.SIGSEGV)):
        assert nested(tmp_path / "kit", *command).wait(timeout=60) == code


def test_domains_are_not_shared(tmp_path, guest):
    name = guest("ignore")
    run = nested(tmp_path / "kit", "virsh", "list", "--all", "--name")
    assert run.communicate(timeout=60)[0].split() == []
    assert not kit.is_off(name)
