"""What an operator of the host can see and do beside stopd."""

import contextlib
import os
import signal
import stat
import xml.etree.ElementTree

import kit


def lifecycle(name):
    """on_poweroff and on_reboot of the running guest."""
    definition = xml.etree.ElementTree.fromstring(kit.domain(name).XMLDesc())
    return {key: definition.findtext(key) for key in ("on_poweroff", "on_reboot")}


@contextlib.contextmanager
def libvirtd_away():
    """libvirtd is killed, and held away for the time of the block; guests live on."""
    kit.kill_libvirtd(hold=True)
    try:
        yield
    finally:
        kit.release_libvirtd()


@contextlib.contextmanager
def hook(text):
    """This is libvirt's hook. libvirtd looks for it when it starts."""
    path = "/etc/libvirt/hooks/qemu"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, stat.S_IRWXU)
    kit.kill_libvirtd(signal.SIGTERM)
    kit.wait_libvirtd()
    try:
        yield
    finally:
        os.unlink(path)
        kit.kill_libvirtd(signal.SIGTERM)
        kit.wait_libvirtd()


def qemu_hook(markers):
    """Ours, with the markers in this folder."""
    source = os.path.join(os.path.dirname(__file__), "..", "..", "contrib", "hooks", "qemu")
    program = os.path.join(os.environ["STOPD_BUILD"], "executor", "hook", "stopd-may-start")
    with open(source, encoding="utf-8") as file:
        text = file.read()
    for was, now in (("folder=/var/lib/stopd/owed", f"folder={markers}"),
                     ("program=/usr/sbin/stopd-may-start", f"program={program}")):
        assert was in text
        text = text.replace(was, now)
    return hook(text)
