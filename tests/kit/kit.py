"""Guests for the tests: define, start, watch and remove them under a private libvirtd.

Theory of operation. Run under private-libvirt, whose folder STOPD_KIT_DIR names. A guest is a
domain that boots the kernel of build-guest and does what its behaviour says (see guest-init); it
tells of itself on a console that is a file, and the functions here wait for lines in it. Every wait
has a deadline, and one that is missed says what was seen instead. Each call opens a connection of
its own, so that none suffers from a libvirtd that was killed in between.

Sizes are MiB, times are seconds. Waits return how long they took.
"""

import concurrent.futures
import contextlib
import functools
import os
import signal
import stat
import subprocess
import threading
import time
import uuid as uuid_module
from xml.sax.saxutils import quoteattr

import libvirt
import libvirt_qemu

HERE = os.path.dirname(os.path.realpath(__file__))
URI = "qemu:///system"
NAMESPACE = "urn:stopd:instance:1"
POLL = 0.02

# As few devices as a guest can do without; the rest is what makes a boot without KVM shorter.
DOMAIN = """\
<domain type='{accelerator}'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>{metadata}
  <memory unit='MiB'>{memory}</memory>
  <vcpu current='1'>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>{loader}
    <kernel>{folder}/vmlinux</kernel>
    <initrd>{folder}/initramfs</initrd>
    <cmdline>{cmdline}</cmdline>
  </os>
  <features><acpi/><apic/><vmport state='off'/></features>
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <on_poweroff>{on_poweroff}</on_poweroff>
  <on_reboot>{on_reboot}</on_reboot>
  <on_crash>{on_crash}</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>{disks}{agent}
    <controller type='usb' model='none'/>
    <serial type='file'><source path={console}/><target port='0'/></serial>
    <memballoon model='none'/>{devices}
  </devices>
</domain>
"""

AGENT = """
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"""

# console is the answer to all; quiet spares the console; panic=1 makes a panic a reboot. The rest
# leaves out work: self tests of ciphers, rewriting of locks for one processor, a network, and the
# second processor: a machine that can have only one loses the guest's memory barriers under QEMU
# 7.2's TCG, and with them now and then a request to a virtio device.
CMDLINE = ("console=ttyS0 quiet panic=1 cryptomgr.notests noreplace-smp ipv6.disable=1 "
           "possible_cpus=1")

# Of the <ecs:instance> element; None leaves one out.
INSTANCE_ATTRIBUTES = ("id", "type", "network", "charge", "spot", "status", "economical",
                       "public-ip")
STOP_ATTRIBUTES = ("grace", "method", "on-timeout", "priority")


class Missed(AssertionError):
    """A deadline passed. The text says what was seen until then."""


def missing():
    """Why there can be no guests here, or None: for a test's skip."""
    if os.geteuid() != 0:
        return "needs root"
    if "STOPD_KIT_DIR" not in os.environ:
        return "not run under private-libvirt"
    if not os.access("/usr/bin/qemu-system-x86_64", os.X_OK):
        return "qemu-system-x86 is not installed"
    return None


def directory():
    return os.environ["STOPD_KIT_DIR"]


@functools.lru_cache(maxsize=None)
def guest_folder():
    built = subprocess.run([os.path.join(HERE, "build-guest")], check=True, text=True,
                           stdout=subprocess.PIPE)
    return built.stdout.splitlines()[-1]


@functools.lru_cache(maxsize=None)
def accelerator():
    """A domain's type: kvm where a guest was seen to boot under it, else qemu."""
    with open(os.path.join(os.path.dirname(guest_folder()), "accelerator"),
              encoding="ascii") as file:
        return "kvm" if file.read().split()[1] == "kvm" else "qemu"


def connect():
    libvirt.registerErrorHandler(lambda context, error: None, None)
    return libvirt.open(URI)


def domain(name):
    return connect().lookupByName(name)


# --- definition ------------------------------------------------------------------------------


def _attributes(pairs):
    return "".join(f" {key}={quoteattr(str(value))}" for key, value in pairs if value is not None)


def instance_xml(attributes=None, locks=(), local_disks=(), stop=None):
    """The <ecs:instance> element. Dictionaries hold attributes as they are spelt in XML; a local
    disk is one too, with its "target"."""
    inner = "".join(f"<ecs:lock{_attributes([('reason', reason)])}/>" for reason in locks)
    inner += "".join(f"<ecs:local-disk{_attributes(disk.items())}/>" for disk in local_disks)
    if stop:
        inner += f"<ecs:stop{_attributes(stop.items())}/>"
    return (f"<ecs:instance xmlns:ecs='{NAMESPACE}'{_attributes((attributes or {}).items())}>"
            f"{inner}</ecs:instance>")


def _disk_xml(index, disk):
    if not isinstance(disk, dict):
        disk = {"path": disk}
    path = os.path.abspath(disk["path"])
    target = disk.get("target", "vd" + "abcdefghijklmnopqrstuvwxyz"[index])
    # One that only libvirtd sees is a file.
    is_block = os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode)
    kind, source = ("block", "dev") if is_block else ("file", "file")
    serial = f"<serial>{disk['serial']}</serial>" if "serial" in disk else ""
    return (f"\n    <disk type='{kind}' device='disk'><driver name='qemu' type='raw'/>"
            f"<source {source}={quoteattr(path)}/><target dev='{target}' bus='virtio'/>"
            f"{serial}</disk>")


def xml(name, behaviour="obey", *, metadata=None, disks=(), fill=(), memory=128, uuid=None,
        on_poweroff="destroy", on_reboot="restart", on_crash="destroy", agent=None,
        devices="", cmdline=""):
    """A guest's domain XML. metadata: what <metadata> holds (see instance_xml). disks: raw image
    files or block devices, each a path or {"path", "serial", "target"}; they become vda, vdb and so
    on. fill: the targets that the guest fills before it is ready. agent: "obey", "ignore", "mute" or "refuse"
    for a guest agent of that kind, "absent" for its channel alone. devices: XML of more of them.
    cmdline: more for the kernel."""
    qboot = "/usr/share/qemu/qboot.rom"  # a firmware that does next to nothing
    words = [CMDLINE, f"stopd.guest={behaviour}"]
    if fill:
        words.append("stopd.fill=" + ",".join(fill))
    if agent and agent != "absent":
        words.append(f"stopd.agent={agent}")
    if cmdline:
        words.append(cmdline)
    return DOMAIN.format(
        name=name, accelerator=accelerator(), uuid=uuid or uuid_module.uuid4(),
        metadata=f"\n  <metadata>{metadata}</metadata>" if metadata else "", memory=memory,
        loader=f"\n    <loader type='rom'>{qboot}</loader>" if os.path.exists(qboot) else "",
        folder=guest_folder(), cmdline=" ".join(words), on_poweroff=on_poweroff,
        on_reboot=on_reboot, on_crash=on_crash, agent=AGENT if agent else "", devices=devices,
        disks="".join(_disk_xml(index, disk) for index, disk in enumerate(disks)),
        console=quoteattr(console_path(name)))


def define(name, behaviour="obey", **options):
    """Defines the guest of xml(...) and returns its domain."""
    return connect().defineXML(xml(name, behaviour, **options))


# --- life ------------------------------------------------------------------------------------


def _each(function, names):
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(function, names))


said_before = {}  # on its console, by a guest that goes on where another one was (see ready.py)


def _forget_console(name):
    """What an earlier run said is not an answer."""
    said_before.pop(name, None)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(console_path(name))


def _start(name):
    _forget_console(name)
    domain(name).create()


def _write_port(name, words):
    """Writes to a port of the running machine, as a driver in the guest would."""
    libvirt_qemu.qemuMonitorCommand(domain(name), f"o {words}",
                                    libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)


def suspend_to_memory(name):
    """Sleep type 1 into PM1a control; the machine boots anew when it is woken."""
    _write_port(name, "/w 0x604 0x2400")


def panic(name):
    """Under a <panic model='isa'/> device: what the kernel's driver for it would say."""
    _write_port(name, "/b 0x505 1")


def start(*names):
    """Starts guests, several at once. They are not ready then."""
    _each(_start, names)


def saved_path(name):
    return os.path.join(directory(), f"{name}.saved")


def save(*names):
    """Keeps each guest as it is now, and ends it."""
    _each(lambda name: domain(name).save(saved_path(name)), names)


def _restore(name):
    _forget_console(name)
    connect().restore(saved_path(name))


def restore(*names):
    """Starts guests as save() kept them, as often as one likes, in a fraction of the time of a boot.
    What is on their disks is not brought back."""
    _each(_restore, names)


def press(name):
    """Presses the power button, once."""
    domain(name).shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)


def _tolerant(action, *fine):
    try:
        action()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in fine:
            raise


def _destroy(name):
    _tolerant(domain(name).destroy, libvirt.VIR_ERR_OPERATION_INVALID)


def destroy(*names):
    """Cuts the power. One that is off already is fine."""
    _each(_destroy, names)


def reset(name):
    """Presses the reset button. Where that ends the guest, its process may be gone before it has answered."""
    _tolerant(lambda: domain(name).reset(), libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_OPERATION_FAILED,
              libvirt.VIR_ERR_INTERNAL_ERROR)


def _remove(name):
    _tolerant(lambda: _destroy(name), libvirt.VIR_ERR_NO_DOMAIN)
    _tolerant(lambda: domain(name).undefine(), libvirt.VIR_ERR_NO_DOMAIN)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(saved_path(name))


def remove(*names):
    """Cuts the power and forgets the definition. One that does not exist is fine."""
    _each(_remove, names)


def pid(name):
    """QEMU's pid, or None."""
    try:
        with open(f"/run/libvirt/qemu/{name}.pid", encoding="ascii") as file:
            return int(file.read())
    except (FileNotFoundError, ValueError):
        return None


def process_runs(number):
    """Whether there is such a process. A zombie has ended."""
    try:
        with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- what it says ----------------------------------------------------------------------------


def console_path(name):
    return os.path.join(directory(), "console", f"{name}.log")


def console(name):
    before = said_before.get(name, "")
    try:
        with open(console_path(name), encoding="utf-8", errors="replace") as file:
            return before + file.read().replace("\r\n", "\n")
    except FileNotFoundError:
        return before


def _describe(name):
    tail = "\n    ".join(console(name).splitlines()[-8:]) or "(nothing)"
    return f"\n  {name}: QEMU's pid is {pid(name)}; its console's last lines:\n    {tail}"


def _wait(names, condition, what, timeout):
    begun = time.monotonic()
    waiting = list(names)
    while waiting := [name for name in waiting if not condition(name)]:
        if time.monotonic() - begun > timeout:
            raise Missed(f"not {what} after {timeout} s:" + "".join(map(_describe, waiting)))
        time.sleep(POLL)
    return time.monotonic() - begun


def wait_console(*names, text, times=1, timeout=60):
    """Waits until each guest has said text, so many times."""
    return _wait(names, lambda name: console(name).count(text) >= times, f"said '{text}'", timeout)


def wait_ready(*names, boots=1, timeout=120):
    """Waits until each guest would hear the power button; boots=2: after its first reboot."""
    return wait_console(*names, text="stopd-guest: ready", times=boots, timeout=timeout)


def wait_agent(*names, timeout=120):
    """Waits until each guest's agent answers libvirt, if only that it does not know the word."""
    def answers(name):
        try:
            libvirt_qemu.qemuAgentCommand(domain(name), '{"execute": "guest-ping"}', 5, 0)
        except libvirt.libvirtError as error:
            return error.get_error_code() != libvirt.VIR_ERR_AGENT_UNRESPONSIVE
        return True

    return _wait(names, answers, "answering by its agent", timeout)


def is_off(name):
    """Whether libvirt says that the guest is off or unknown. False when libvirt cannot be asked."""
    try:
        return not domain(name).isActive()
    except libvirt.libvirtError as error:
        return error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN


def wait_off(*names, timeout=60):
    """Waits until libvirt says that each guest is off and its process has ended."""
    pids = {name: pid(name) for name in names}
    return _wait(names, lambda name: not process_runs(pids[name]) and is_off(name), "off", timeout)


# --- another host ----------------------------------------------------------------------------


class Host:
    """A second libvirtd on this machine, which libvirt takes for another host. enter: what goes
    before a command that is to run there; it finds that libvirtd as qemu:///system."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "host.pid"), encoding="ascii") as file:
            inside = int(file.read())
        self.enter = ["nsenter", "--target", str(inside), "--mount", "--"]
        self.uri = f"qemu+unix:///system?socket=/proc/{inside}/root/run/libvirt/libvirt-sock"

    def connect(self):
        return libvirt.open(self.uri)

    def remove(self, name):
        """Cuts the power of a guest that has come here. One that is not here is fine."""
        with contextlib.closing(self.connect()) as connection:
            _tolerant(lambda: connection.lookupByName(name).destroy(), libvirt.VIR_ERR_NO_DOMAIN)


@contextlib.contextmanager
def another_host():
    """A Host, with nothing in it, that ends with the block and takes along what is there."""
    folder = os.path.join(directory(), "another")
    command = [os.environ["STOPD_KIT_PROGRAM"], "--host-pids", "--dir", folder, "--",
               "sh", "-c", "echo up; exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if not process.stdout.readline():
            raise Missed(f"another libvirtd: did not come up, see {folder}/libvirtd.log")
        yield Host(folder)
        process.stdin.close()


class Migration:
    """A guest's way to another host, which lasts until it is told to hurry or to end."""

    SLOW = 1  # MiB a second: a guest has tens of them

    def __init__(self, name, host, *flags, live=True):
        self.name = name
        self.host = host
        self.flags = libvirt.VIR_MIGRATE_UNSAFE  # its disks are shared
        if live:  # else the guest stands still meanwhile
            self.flags |= libvirt.VIR_MIGRATE_LIVE
        for flag in flags:
            self.flags |= flag
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        source = domain(self.name)
        arriving = source.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE).replace(
            console_path(self.name), os.path.join(self.host.folder, "console", f"{self.name}.log"))
        parameters = {libvirt.VIR_MIGRATE_PARAM_URI: f"unix://{self.host.folder}/{self.name}.sock",
                      libvirt.VIR_MIGRATE_PARAM_DEST_XML: arriving,
                      libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: self.SLOW}
        try:
            source.migrate3(self.host.connect(), parameters, self.flags)
        except libvirt.libvirtError as error:
            self.error = error

    def wait_begun(self, timeout=60):
        """Waits until memory is on its way."""
        def has_begun():
            if not self.thread.is_alive():
                raise Missed(f"{self.name}: its migration ended before it began: {self.error}")
            return domain(self.name).jobStats().get(libvirt.VIR_DOMAIN_JOB_DATA_PROCESSED, 0) > 0
        _wait([self.name], lambda name: has_begun(), "migrating", timeout)
        return self

    def _ended(self, timeout=60):
        self.thread.join(timeout)
        if self.thread.is_alive():
            raise Missed(f"{self.name}: its migration has not ended after {timeout} s")

    def arrive(self):
        """Hurries it on, and returns when the guest runs on the other host."""
        domain(self.name).migrateSetMaxSpeed(4096)
        self._ended()
        if self.error:
            raise self.error

    def end(self):
        """Has it given up, and returns when that is done. One that has ended, however, is fine."""
        if self.thread.is_alive():
            _tolerant(lambda: domain(self.name).abortJob(), libvirt.VIR_ERR_OPERATION_INVALID)
        self._ended()

    def fail(self):
        """Has it given up, and returns when it has failed."""
        self.end()
        if not self.error:
            raise Missed(f"{self.name}: its migration was to fail, and the guest has arrived")


# --- libvirtd --------------------------------------------------------------------------------


def libvirtd_pid():
    """The private libvirtd's pid, or None while there is none."""
    try:
        with open(os.path.join(directory(), "libvirtd.pid"), encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return None


def _wait_libvirtd(condition, what, timeout=60):
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > timeout:
            raise Missed(f"libvirtd: not {what} after {timeout} s")
        time.sleep(POLL)
    return time.monotonic() - begun


def _answers():
    try:
        connect().close()
        return True
    except libvirt.libvirtError:
        return False


def kill_libvirtd(number=signal.SIGKILL, hold=False):
    """Ends libvirtd; guests live on. It is started again at once, or with hold=True not before
    release_libvirtd()."""
    old = libvirtd_pid()
    if hold:
        open(os.path.join(directory(), "hold"), "w", encoding="ascii").close()
    os.kill(old, number)
    _wait_libvirtd(lambda: libvirtd_pid() != old, "gone")


def release_libvirtd():
    """Lets a libvirtd that was held away come back, and waits until it answers."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory(), "hold"))
    return wait_libvirtd()


def wait_libvirtd():
    """Waits until libvirtd answers."""
    return _wait_libvirtd(_answers, "answering")
