"""A small machine with real NVMe controllers, for what cannot be tried on the machine of the tests.

Theory of operation. QEMU without KVM boots the kernel of build-machine in about two seconds. The
programs under test and their libraries are handed in as a second archive behind its RAM disk. A
virtio port for each shell carries scripts in and their status and output back (see machine-init), so
that a test reads as what a user would type; QMP is for what only hardware can do.

A power cut is SIGKILL to QEMU: what the kernel in there had not sent to its disks is lost, the disks
themselves stay as they are.

Sizes are bytes unless they say MiB, times are seconds. Every wait has a deadline, and one that is
missed says what was seen instead, from the program down to the disk.
"""

import contextlib
import ctypes
import dataclasses
import functools
import json
import os
import queue
import re
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.realpath(__file__))
QEMU = "/usr/bin/qemu-system-x86_64"
SHELLS = 4
POLL = 0.05

# For whatever takes seconds: a busy host takes several times as long, and a command that was late by
# the time-out of the kernel in there, 30 s until it aborts it and 30 more until it resets the
# controller, is no failure yet.
DEADLINE = 180
BOOTS = 3
ASIDE = 30  # for a question about something that hangs already

# quiet spares the console; panic=-1 with -no-reboot ends QEMU on a panic; possible_cpus=1 leaves the
# second of SMP out again; the others leave out work.
CMDLINE = ("console=ttyS0 quiet panic=-1 cryptomgr.notests noreplace-smp random.trust_cpu=on "
           "ipv6.disable=1 possible_cpus=1")
# What the kernel does not know goes to its first process, and so to all programs: how sanitizers end theirs.
CMDLINE += "".join(f" {name}={os.environ[name]}" for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ)

# One CPU, but one more that could be plugged in. With a single one QEMU before 8.1 leaves all memory
# barriers of the guest out of the code it makes, as if its devices were not other threads. The NVMe
# driver writes a queue's tail to memory, then reads there whether the controller wants to be told.
# When these two change places, the controller is not told now, nor of anything that follows, and the
# queue stands still until a reset. That does not help where several commands are to be done again:
# Linux 6.1 waits for them before it tells the controller of that memory, and may again not tell it of
# all. virtio's queues rest on such barriers too.
SMP = "1,maxcpus=2"


class Missed(AssertionError):
    """A deadline passed, or the machine went away. The text says what was seen until then."""


class Failed(AssertionError):
    """A script ended with a status that the caller did not expect."""


def missing():
    """Why there can be no machine here, or None: for a test's skip."""
    if not os.access(QEMU, os.X_OK):
        return "qemu-system-x86 is not installed"
    try:
        build()
    except subprocess.CalledProcessError as error:
        return error.stderr.strip() or "build-machine failed"
    return None


@functools.cache
def build():
    """The folder of kernel and RAM disk."""
    done = subprocess.run([f"{HERE}/build-machine"], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def wait_for(condition, what, timeout=DEADLINE):
    """Calls until the answer is true, and returns it."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise Missed(f"not within {timeout} s: {what}; the last answer was {answer!r}")
        time.sleep(POLL)
    return answer


def json_lines(text):
    """A last line that is not whole is not yet there."""
    return [json.loads(line) for line in text.split("\n")[:-1] if line]


# The machine


@dataclasses.dataclass
class Result:
    """What came of a script."""

    script: str
    status: int
    output: str
    error: str

    def __str__(self):
        return f"{self.script}\n  status {self.status}\n  {self.output}\n  {self.error}".rstrip()

    @property
    def lines(self):
        """The output's lines, as JSON."""
        return json_lines(self.output + "\n")


class Machine:
    """One machine, booted as often as one likes on the same disks.

    folder holds its console and its RAM disk; programs are handed in under their own name; memory is
    in MiB. A machine is ended with this process at the latest."""

    def __init__(self, folder, nvme=(), programs=(), memory=768):
        self.folder = str(folder)
        self.nvme = list(nvme)
        self.programs = list(programs)
        self.memory = memory
        self.process = None
        self._qmp = None

    # Power

    def boot(self, timeout=DEADLINE):
        """Returns how long it took until the shells were there."""
        began = time.monotonic()
        self._pack()
        for left in reversed(range(BOOTS)):
            try:
                self._start(timeout)
                break
            except Missed:
                # What a kernel says of ticks that a busy host was late with.
                if not left or "timer doesn't work" not in self.console():
                    raise
        return time.monotonic() - began

    def _start(self, timeout):
        self._shells = queue.Queue()
        ours, theirs = zip(*(socket.socketpair() for _ in range(SHELLS + 1)))
        fds = [end.fileno() for end in theirs]
        with open(f"{self.folder}/qemu.log", "wb") as log:
            self.process = subprocess.Popen(self._command(fds), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, pass_fds=fds, preexec_fn=_die_with_parent)
        for end in theirs:
            end.close()
        try:
            self._qmp = _Qmp(ours[0], timeout)
            for end in ours[1:]:
                shell = _Shell(end)
                shell.read_line(timeout)
                self._shells.put(shell)
        except OSError as error:
            self.cut_power()
            raise Missed(f"the machine did not come up ({error}):\n{self.console()}") from error

    def is_well(self):
        """Whether it runs and none of its shells hangs."""
        return (self.process is not None and self.process.poll() is None and
                self._shells.qsize() == SHELLS)

    def cut_power(self):
        """At once, whatever goes on inside."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
            if self._qmp:
                self._qmp.close()
            while not self._shells.empty():
                self._shells.get().close()

    def console(self):
        """The last that QEMU and the kernel said."""
        said = []
        for name in ("qemu.log", "console"):
            with contextlib.suppress(FileNotFoundError), open(f"{self.folder}/{name}", "rb") as file:
                said += file.read().decode(errors="replace").splitlines()[-40:]
        return "\n".join(said)

    def qmp(self, command, **arguments):
        return self._qmp.call(command, arguments)

    # Inside

    def run(self, script, stdin=b"", timeout=DEADLINE, status=0):
        """Runs a shell script. Fails unless it ends with this status; None accepts all."""
        try:
            shell = self._shells.get(timeout=timeout)
        except queue.Empty:
            raise Missed(f"no shell within {timeout} s: {script}\n{self.console()}") from None
        try:
            result = Result(script, *shell.run(script, stdin, timeout))
        except TimeoutError:
            raise Missed(f"not within {timeout} s: {script}\n{self._stuck()}") from None
        except OSError as error:
            self._shells.put(shell)
            raise Missed(f"{script}: the machine went away: {error}\n{self.console()}") from error
        self._shells.put(shell)
        if status is not None and result.status != status:
            raise Failed(f"expected status {status}: {result}")
        return result

    def ask(self, script, **options):
        """The output of a script, without the line's end."""
        return self.run(script, **options).output.strip()

    def start(self, script, stdin=b""):
        """Begins a script and leaves it running. See Job."""
        return Job(self, script, stdin)

    def layers(self, script):
        """Why something hangs, from the top down: what this script tells in there; the requests that
        the kernel in there waits for; what QEMU has done and since when it is idle; the servers behind
        it; this host. A request that the kernel waits for and nobody below has is lost between them."""
        said = []
        try:
            said += [self.ask(f"{script}; cd /sys/kernel/debug/block; grep . nvme*/hctx*/busy;"
                              "cut -d' ' -f1 /proc/uptime; dmesg | tail -n 20",
                              timeout=ASIDE, status=None)]
        except Missed:
            said += [self.console()]
        try:
            said += [self.qmp("query-status")["status"]]
            for of in self.qmp("query-blockstats"):
                done = " ".join(f"{kind} {of['stats'][f'{kind}_operations']}"
                                for kind in ("rd", "wr", "flush", "unmap"))
                said += [f"QEMU, {of.get('node-name')}: {done}, "
                         f"idle for {of['stats'].get('idle_time_ns', 0) / 1e9:.1f} s"]
        except (OSError, ValueError, AssertionError) as error:
            said += [f"QEMU does not answer: {error!r}"]
        said += [of.disk.server for of in self.namespaces if of.disk.server]
        return "\n".join([*said, f"the host's load: {os.getloadavg()}"])

    def _stuck(self):
        """What a second shell can tell about a first that does not answer."""
        return self.layers("cat /run/shell.*/output /run/shell.*/error; ps -o pid,stat,args;"
                           "for p in /proc/[0-9]*; do grep -q D.*disk $p/status && cat $p/stack; done")

    # Disks

    @property
    def namespaces(self):
        return [namespace for controller in self.nvme for namespace in controller.namespaces]

    def controller_of(self, disk):
        return next(controller for controller in self.nvme
                    for namespace in controller.namespaces if namespace.disk is disk)

    def namespace_of(self, disk):
        return next(namespace for namespace in self.namespaces if namespace.disk is disk)

    def find(self, disk):
        """The path of a disk in there, by serial and NSID as no name can be trusted; or ""."""
        wanted = (self.controller_of(disk).serial, str(self.namespace_of(disk).nsid))
        known = self.ask('for d in /sys/block/nvme*n*; do [ -b /dev/${d##*/} ] && '
                         'read -r serial <$d/device/serial && read -r nsid <$d/nsid && '
                         'echo "$serial $nsid /dev/${d##*/}"; done; true')
        lines = [line.split() for line in known.splitlines()]
        return next((name for *ids, name in lines if tuple(ids) == wanted), "")

    def forget(self, *devices):
        """Drops what the kernel has cached of these, written or not."""
        self.run("".join(f"blockdev --flushbufs {device};" for device in devices) + "true")

    def fill(self, *disks):
        """Writes the patterns from outside, and sees to it that they are seen inside."""
        for disk in disks:
            disk.fill()
        self.forget(*(self.find(disk) for disk in disks))

    def throttle(self, disk, bytes_per_second):
        """From now on; 0: no bound."""
        rates = {key: 0 for key in ("bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")}
        self.qmp("block_set_io_throttle", id=f"{disk.name}-ns", bps=bytes_per_second, **rates)

    # How it is put together

    def _command(self, fds):
        args = [QEMU, "-nodefaults", "-display", "none", "-no-reboot", "-no-user-config",
                "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", SMP,
                "-m", str(self.memory), "-kernel", f"{build()}/vmlinux",
                "-initrd", f"{self.folder}/initramfs", "-append", CMDLINE,
                "-serial", f"file:{self.folder}/console",
                "-chardev", f"socket,id=qmp,fd={fds[0]}", "-mon", "chardev=qmp,mode=control",
                "-device", f"virtio-serial-pci,max_ports={SHELLS + 1}"]
        for number, fd in enumerate(fds[1:], 1):
            args += ["-chardev", f"socket,id=shell.{number},fd={fd}",
                     "-device", f"virtserialport,nr={number},chardev=shell.{number},"
                                f"name=shell.{number}"]
        subsystems = dict.fromkeys(c.subsystem for c in self.nvme if c.subsystem)
        for name in subsystems:
            args += ["-device", f"nvme-subsys,id={name},nqn={name}"]
        for number, controller in enumerate(self.nvme):
            bus = f"nvme-{number}"
            subsystem = {"subsys": controller.subsystem} if controller.subsystem else {}
            args += ["-device", json.dumps({"driver": "nvme", "id": bus, "serial": controller.serial,
                                            **subsystem, **controller.options})]
            for namespace in controller.namespaces:
                args += ["-blockdev", json.dumps(namespace.disk.blockdev(discard=namespace.discard)),
                         "-device", json.dumps(namespace.device(bus))]
        return args

    def _pack(self):
        with open(f"{self.folder}/initramfs", "wb") as out:
            with open(f"{build()}/initramfs", "rb") as base:
                out.write(base.read())
            for name, path in _with_libraries(self.programs):
                with open(path, "rb") as file:
                    out.write(_newc(name, 0o100755, file.read()))
            out.write(_newc("TRAILER!!!", 0, b""))


def detach(machine, controller):
    """Takes both namespaces of a controller away from it, the first of its subsystem. What is on its
    way to them is waited for."""
    for nsid in (1, 2):
        machine.run(f"nvme detach-ns {controller} -n {nsid} -c 0")


def attach(machine, controller, order):
    """Gives them back, each once the one before is there."""
    wait_for(lambda: not machine.ask(f"ls {controller}n* 2>/dev/null || true"), "no namespaces")
    for count, nsid in enumerate(order, 1):
        machine.run(f"nvme attach-ns {controller} -n {nsid} -c 0")
        wait_for(lambda: int(machine.ask(f"ls {controller}n* | wc -l")) == count, "a namespace")


def swap(machine, controller, order=(2, 1)):
    """Lets both come back under names of this order."""
    detach(machine, controller)
    attach(machine, controller, order)


class Job:
    """A script that goes on while the test looks at it. What it has said so far can be read."""

    _count = 0

    def __init__(self, machine, script, stdin=b""):
        Job._count += 1
        self.machine = machine
        self.script = script
        self.folder = f"/run/job.{Job._count}"
        machine.run(f"mkdir {self.folder}; cd {self.folder}; cat >input; cat /proc/uptime >began",
                    stdin=stdin)
        # The shell that waits and the one that is the script: only the latter is killed.
        self.pid = int(machine.ask(
            f"cd {self.folder}; cat >script;"
            "(sh script <input >output 2>error & echo $! >pid; wait $!; echo $? >status.new;"
            "mv status.new status) >/dev/null 2>&1 &"
            "until [ -s pid ]; do usleep 1000; done; cat pid", stdin=script.encode()))

    @property
    def output(self):
        return self.machine.ask(f"cat {self.folder}/output")

    @property
    def lines(self):
        """Of its output the whole lines, as JSON."""
        return json_lines(self.machine.run(f"cat {self.folder}/output").output)

    @property
    def status(self):
        """None while it goes on."""
        text = self.machine.ask(f"cat {self.folder}/status 2>/dev/null || true")
        return int(text) if text else None

    def hangs(self):
        """Whether it waits in the kernel, where nothing interrupts it."""
        return "disk sleep" in self.machine.ask(f"grep State: /proc/{self.pid}/status || true")

    def kill(self, name="KILL"):
        self.machine.run(f"kill -{name} {self.pid}")

    def wait(self, timeout=DEADLINE):
        """Its Result."""
        try:
            wait_for(lambda: self.status is not None, f"the end of {self.script}", timeout)
        except Missed as missed:
            raise Missed(f"{missed}\n{self._state()}") from None
        error = self.machine.ask(f"cat {self.folder}/error")
        return Result(self.script, self.status, self.output, error)

    def _state(self):
        """Where it is stuck, and the last that all said."""
        return self.machine.layers(
            f"cd {self.folder}; echo began at $(cut -d' ' -f1 began) s; tail -n 5 output error;"
            f"cd /proc/{self.pid} && for t in task/*; do grep State: $t/status; cat $t/stack; done")


class _Shell:
    def __init__(self, end):
        self.end = end
        self.file = end.makefile("rb")

    def close(self):
        self.file.close()
        self.end.close()

    def read_line(self, timeout):
        self.end.settimeout(timeout)
        line = self.file.readline()
        if not line:
            raise ConnectionResetError("QEMU has ended")
        return line

    def run(self, script, stdin, timeout):
        script = script.encode()
        self.end.settimeout(timeout)
        self.end.sendall(b"%d %d\n" % (len(script), len(stdin)) + script + stdin)
        status, output, error = map(int, self.read_line(timeout).split())
        return (status, self.file.read(output).decode(errors="replace"),
                self.file.read(error).decode(errors="replace"))


class _Qmp:
    def __init__(self, end, timeout):
        end.settimeout(timeout)
        self.end = end
        self.file = end.makefile("rw", encoding="utf-8")
        self.file.readline()
        self.call("qmp_capabilities", {})

    def close(self):
        self.file.close()
        self.end.close()

    def call(self, command, arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise Missed("QEMU has ended")
            answer = json.loads(line)
            if "error" in answer:
                raise Failed(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _with_libraries(programs):
    """The programs and all that ldd names, as {(name in the machine, file here)}."""
    found = set()
    for program in programs:
        found.add((f"usr/bin/{os.path.basename(program)}", program))
        ldd = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+) \(0x", ldd):
            folder = os.path.realpath(os.path.dirname(library))
            folder = folder if folder.startswith("/usr/lib") else "/usr/lib/x86_64-linux-gnu"
            found.add((f"{folder[1:]}/{os.path.basename(library)}", library))
    return sorted(found)


def _newc(name, mode, data):
    """A file of a cpio archive, as the kernel takes it."""
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
