"""A clear of an instance's disks as the daemon tells of it, and what stopctl says of it."""

from scripted_daemon import REQUEST_ID, disk, operation

CLEARED = [disk("vdb", "cleared"), disk("vdc", "cleared", method="nvme-format-crypto")]
DATA = ("their data are lost for good, and only the application's own redundancy brings them back")
LOSS = f"stopctl: clearing the local disks of i-abc: {DATA}\n"
STUCK = (f"i-abc: not cleared, and quarantined: vdc (/dev/nvmecn1): write-zeroes: Input/output error; "
         f"stopctl show {REQUEST_ID} tells more, and once the cause is gone stopctl retry {REQUEST_ID} "
         "tries again\n")


def cleared(**more):
    return operation(action="ClearLocalDisks", state="Stopped", storage=CLEARED,
                     timeline=[], **more)


def half(target="vdb", done=1 << 29, **more):
    return disk(target, "clearing", done=done, mibPerS=512, secondsLeft=200, **more)


def clears(daemon, *operations):
    """Accepts a clear; then the operation is each of these, a request each."""
    daemon.on("POST /v1/instances/i-abc/clear", (200, {"RequestId": REQUEST_ID}))
    return daemon.on(f"GET /v1/operations/{REQUEST_ID}",
                     *[(200, o) for o in operations or (cleared(),)])


def commands(daemon):
    return [r for r in daemon.requests if r.method == "POST"]
