"""What QEMU says of its guests, in its own words and order: a power button is POWERDOWN there."""

import threading

import libvirt
import libvirt_qemu

import kit


class QemuEvents:
    """Hears all of them, from the moment on that it is made."""

    def __init__(self):
        libvirt.virEventRegisterDefaultImpl()
        self.heard = []
        self.changed = threading.Condition()
        self.connection = kit.connect()
        libvirt_qemu.qemuMonitorEventRegister(self.connection, None, None, self._take, None)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            libvirt.virEventRunDefaultImpl()

    def _take(self, _connection, domain, event, *_):
        with self.changed:
            self.heard.append((domain.name(), event))
            self.changed.notify_all()

    def of(self, name, since=0):
        return [event for who, event in self.heard[since:] if who == name]

    def settled(self, name, since=0, timeout=60):
        """What was said of a running guest, up to the effect of all that has been asked of libvirt before: it is
        paused for a moment, which has to wait for that, and is told behind it."""
        with self.changed:
            begun = len(self.heard)
        domain = kit.domain(name)
        domain.suspend()
        domain.resume()

        def has_paused():
            said = self.of(name, begun)
            return "STOP" in said and "RESUME" in said[said.index("STOP"):]

        with self.changed:
            assert self.changed.wait_for(has_paused, timeout), f"{name}: no word of its pause: {self.of(name)}"
            return self.of(name, since)
