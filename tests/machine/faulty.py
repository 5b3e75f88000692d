"""A disk that fails, lies or hangs as a test wants it to.

Theory of operation. It is a file like any other Disk, but QEMU reaches it over NBD, and the server is
a thread of this process. Each request is first shown to the disk's fault function, which says what
is to become of it. So a test can let an NVMe Format succeed and leave every byte, break one block,
or hold a write up and have the power cut just there.

A request that is held while QEMU goes away is never done: nothing reaches the disk after its
machine's end.
"""

import contextlib
import errno
import os
import select
import socket
import struct
import threading
import time

from disk import Disk
from machine import DEADLINE, Missed

LIE = "lie"  # answer that it is done, and leave it
COMMANDS = {0: "read", 1: "write", 3: "flush", 4: "discard", 6: "zero"}

# The NBD protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
OPT_ABORT, OPT_GO = 2, 7
REP_ACK, REP_INFO, REP_ERR_UNSUP = 1, 3, 0x80000001
HAS_FLAGS, SEND_FLUSH, SEND_TRIM, SEND_WRITE_ZEROES = 1, 4, 32, 64
DISCONNECT = 2


class FaultyDisk(Disk):
    """fault(command, offset, length) is called in the server's thread: None: do it; an errno: fail;
    LIE. Commands are read, write, flush, discard and zero. Without a fault function all is well.

    seen holds (command, offset, length) of all there was, in order."""

    def __init__(self, folder, name, mib=16):
        super().__init__(folder, name, mib)
        self.fault = None
        self.seen = []
        self._begun = None
        self._socket = f"{folder}/{name}.nbd"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._socket)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def blockdev(self, **options):
        return {"driver": "nbd", "node-name": self.name, **options,
                "server": {"type": "unix", "path": self._socket}}

    @contextlib.contextmanager
    def fails(self, *commands, start=0, end=None, how=errno.EIO):
        """Within it these commands fail, or lie, where they touch [start, end)."""

        def fault(command, offset, length):
            touches = offset < (end or self.size) and offset + length > start
            return how if command in commands and touches else None

        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    @contextlib.contextmanager
    def slows(self, command, seconds, least=0):
        """Within it each such command of at least so many bytes takes this long."""
        self.fault = lambda this, _, length: time.sleep(
            seconds if this == command and length >= least else 0)
        try:
            yield
        finally:
            self.fault = None

    def holds(self, *commands, start=0, least=0):
        """Within it the first such command at or behind start, of at least so many bytes, is held up,
        and all that come after it. Yields a function that waits until there is one."""
        return self._holds(lambda command, offset, length: command in commands and
                           offset >= start and length >= least, f"of {commands}")

    def holds_request(self, number):
        """The same, of the request that will be seen[number]."""
        return self._holds(lambda *_: len(self.seen) > number, f"with number {number}")

    @contextlib.contextmanager
    def _holds(self, is_meant, what):
        held, released = threading.Event(), threading.Event()

        def fault(*request):
            if is_meant(*request):
                held.set()
                released.wait()

        def wait(timeout=DEADLINE):
            if not held.wait(timeout):
                raise Missed(f"{self}: no request {what} within {timeout} s; {self.server}")

        self.fault = fault
        try:
            yield wait
        finally:
            self.fault = None
            released.set()

    # The server

    @property
    def server(self):
        begun = self._begun
        now = f"in the last for {time.monotonic() - begun:.1f} s" if begun else "waiting for another"
        return f"NBD server of {self.name}: {len(self.seen)} requests, {now}: {self.seen[-5:]}"

    def _serve(self):
        while True:
            end, _ = self._listener.accept()
            with end, contextlib.suppress(EOFError, ConnectionError):
                if self._negotiate(end):
                    self._transmit(end)

    def _negotiate(self, end):
        end.sendall(struct.pack(">8s8sH", b"NBDMAGIC", b"IHAVEOPT", 3))
        _take(end, 4)
        while True:
            _, option, length = struct.unpack(">8sII", _take(end, 16))
            _take(end, length)

            def reply(kind, data=b"", option=option):
                end.sendall(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data)

            if option == OPT_GO:
                flags = HAS_FLAGS | SEND_FLUSH | SEND_TRIM | SEND_WRITE_ZEROES
                reply(REP_INFO, struct.pack(">HQH", 0, self.size, flags))
                reply(REP_ACK)
                return True
            if option == OPT_ABORT:
                reply(REP_ACK)
                return False
            reply(REP_ERR_UNSUP)

    def _transmit(self, end):
        hangup = select.poll()
        hangup.register(end, select.POLLHUP)
        with open(self.path, "r+b", buffering=0) as file:
            while True:
                _, _, kind, handle, offset, length = struct.unpack(">IHHQQI", _take(end, 28))
                if kind == DISCONNECT:
                    return
                data = _take(end, length) if kind == 1 else b""
                command = COMMANDS[kind]
                self.seen.append((command, offset, length))
                self._begun = time.monotonic()
                fault = self.fault and self.fault(command, offset, length)
                if hangup.poll(0):
                    return
                answer = b""
                if command == "read" and not fault:
                    answer = os.pread(file.fileno(), length, offset)
                elif command in ("discard", "zero") and not fault:
                    data = bytes(length)
                if data and not fault:
                    os.pwrite(file.fileno(), data, offset)
                error = 0 if fault in (None, LIE) else fault
                end.sendall(struct.pack(">IIQ", 0x67446698, error, handle) + answer)
                self._begun = None


def _take(end, length):
    data = b""
    while len(data) < length:
        more = end.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data
