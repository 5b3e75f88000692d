"""Killed at any moment, and gone on with; intruders on the way."""

import ctypes
import json
import os
import random
import struct
import subprocess
import time

import pytest

from conftest import MIB, Run


def start(wipe, request, fault=None):
    process = subprocess.Popen(wipe.command(fault=fault), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.close()
    return process


def killed(process, after):
    """Its lines up to the moment when it is killed; the last resume among them."""
    time.sleep(after)
    process.kill()
    output = process.stdout.read()
    process.stdout.close()
    whole = output[:output.rfind("\n") + 1]
    status = process.wait()
    run = Run(status, whole, "")
    resumes = [line["resume"] for line in run.of("progress") if "resume" in line]
    return run, resumes[-1] if resumes else None


@pytest.mark.parametrize("method", ["overwrite", "write-zeroes", "discard"])
def test_kill_at_random_points(wipe, make_loop, method):
    loop = make_loop(96 * MIB)
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    resume, kills = None, 0
    for _ in range(40):
        request = wipe.request(loop, methods=[method], maxMibPerS=192, **({"resume": resume} if resume else {}))
        process = start(wipe, request)
        run, told = killed(process, rng.uniform(0.02, 0.5))
        if told:
            if resume:
                assert told["durable"] >= resume["durable"] or told["stage"] != resume["stage"], f"seed {seed}"
            resume = told
        if run.status == 0:
            break
        kills += 1
        # What was said to be durable is.
        if told and told["stage"] == "clearing":
            assert not any(memoryview(loop.content())[:told["durable"]]), f"seed {seed}"
    else:
        run = wipe.ask(wipe.request(loop, methods=[method], resume=resume))
    assert run.status == 0, f"seed {seed}: {run}"
    assert loop.is_zero(), f"seed {seed}"
    assert kills > 0, "it was never killed"
    assert run.certificate["runs"] <= kills + 1


def test_it_goes_on_where_it_was(wipe, make_loop):
    loop = make_loop(96 * MIB)
    process = start(wipe, wipe.request(loop, maxMibPerS=32))
    for line in process.stdout:
        resume = json.loads(line).get("resume", {})
        if resume.get("durable", 0) >= 32 * MIB:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    run = wipe.ask(wipe.request(loop, resume=resume))
    assert run.status == 0, str(run)
    assert run.one("method")["resumedAt"] == resume["durable"]
    steps = run.certificate["steps"]
    assert [s["outcome"] for s in steps] == ["interrupted", "done"]
    assert steps[-1]["from"] == resume["durable"]
    assert run.certificate["startedAt"] == resume["startedAt"]
    assert loop.is_zero()


def test_it_does_not_believe_what_is_not_so(wipe, loop):
    """A resume that claims more than was done is found out by the verification."""
    resume = {"size": loop.size, "method": "overwrite", "stage": "clearing", "durable": 48 * MIB, "seed": "0" * 32,
              "startedAt": "2026-11-24T10:00:00.000Z", "runs": 1}
    run = wipe.ask(wipe.request(loop, resume=resume))
    assert run.status == 71, str(run)
    assert run.one("setback")["reason"] == "lied"


@pytest.mark.parametrize("change", [{"size": 1 << 40}, {"method": "punch-hole"}, {"stage": "command"},
                                    {"stage": "zeroing"}, {"durable": 511}])
def test_a_resume_that_does_not_fit_begins_anew(wipe, loop, change):
    resume = {"size": loop.size, "method": "overwrite", "stage": "clearing", "durable": 16 * MIB, "seed": "0" * 32,
              "startedAt": "2026-11-24T10:00:00.000Z", "runs": 1, **change}
    run = wipe.ask(wipe.request(loop, resume=resume))
    assert run.status == 0, str(run)
    assert run.one("method")["resumedAt"] == 0
    assert loop.is_zero()


@pytest.mark.parametrize("change", [{"durable": 1 << 50}, {"seed": "xyz"}, {"method": "magic"}, {"stage": None},
                                    {"runs": -1}, {"steps": {}}, {"steps": [1]}, {"steps": [{"outcome": "done"}]}])
def test_a_resume_that_makes_no_sense(wipe, loop, change):
    resume = {"size": loop.size, "method": "overwrite", "stage": "clearing", "durable": 16 * MIB, "seed": "0" * 32,
              "startedAt": "2026-11-24T10:00:00.000Z", "runs": 1, **change}
    before = loop.content()
    run = wipe.ask(wipe.request(loop, resume=resume))
    assert run.status in (64, 71), str(run)
    assert loop.content() == before


def test_what_has_lied_is_not_tried_again(wipe, make_loop):
    loop = make_loop(96 * MIB)
    process = start(wipe, wipe.request(loop, methods=["write-zeroes", "overwrite"], maxMibPerS=32),
                    fault="lie=write-zeroes")
    for line in process.stdout:
        line = json.loads(line)
        resume = line.get("resume", {})
        if resume.get("method") == "overwrite" and resume["durable"] > 0:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    run = wipe.ask(wipe.request(loop, methods=["write-zeroes", "overwrite"], resume=resume))
    assert run.status == 0, str(run)
    assert run.one("method")["method"] == "overwrite"
    assert "not zero" in run.one("method")["passedOver"][0]["reason"]


def test_what_failed_is_tried_again_when_nothing_else_is_left(wipe, loop):
    steps = [{"purpose": "clear", "method": "write-zeroes", "outcome": "failed", "message": "it was a bad day"}]
    resume = {"size": loop.size, "method": "overwrite", "stage": "clearing", "durable": 0, "seed": "0" * 32,
              "startedAt": "2026-11-24T10:00:00.000Z", "runs": 1, "steps": steps}
    run = wipe.ask(wipe.request(loop, methods=["write-zeroes", "overwrite"], resume=resume), fault="fail=overwrite")
    assert run.status == 0, str(run)
    assert [m["method"] for m in run.of("method")] == ["overwrite", "write-zeroes"]
    assert run.of("method")[0]["passedOver"][0]["reason"] == "it was a bad day"
    assert loop.is_zero()


def test_killed_between_a_format_and_its_zeros(wipe, make_loop):
    loop = make_loop(96 * MIB)
    request = wipe.request(loop, methods=["nvme-format-crypto"], maxMibPerS=32)
    process = start(wipe, request, fault="format=noise")
    for line in process.stdout:
        resume = json.loads(line).get("resume", {})
        if resume.get("stage") == "zeroing" and resume["durable"] > 0:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    run = wipe.ask({**request, "resume": resume}, fault="format=nothing")
    assert run.status == 0, str(run)
    assert loop.is_zero()
    assert [(s["purpose"], s["outcome"]) for s in run.certificate["steps"]] == [
        ("clear", "done"), ("zeros", "interrupted"), ("zeros", "done")]


def under_way(wipe, loop, durable=16 * MIB, pace=32):
    """A clear, slow enough to be met on its way, and what it has said so far."""
    process = start(wipe, wipe.request(loop, maxMibPerS=pace))
    said, reached = "", 0
    while reached < durable:
        line = process.stdout.readline()
        assert line, said
        said += line
        reached = json.loads(line).get("durable", 0)
    return process, said


def ended(process, said=""):
    said += process.stdout.read()
    process.stdout.close()
    return Run(process.wait(timeout=60), said, "")


@pytest.mark.parametrize("mode", [os.O_RDONLY, os.O_RDWR], ids=["reader", "writer"])
def test_an_intruder_stops_it(wipe, make_loop, mode):
    loop = make_loop(256 * MIB)
    process, said = under_way(wipe, loop, pace=8)  # half a minute: much longer than it may go unseen
    fd = os.open(loop.path, mode)
    try:
        run = ended(process, said)
    finally:
        os.close(fd)
    assert run.status == 71, str(run)
    assert run.error["outcome"] == "stopped" and run.error["guard"] == "open"
    assert f"process {os.getpid()}" in run.error["culprit"]
    assert 0 < run.error["durable"] < loop.size
    run = wipe.ask(wipe.request(loop, resume=run.resume))
    assert run.status == 0, str(run)
    assert loop.is_zero()


def written(loop):
    """Sectors, by the kernel's account."""
    with open(f"/sys/block/{os.path.basename(loop.path)}/stat", encoding="ascii") as file:
        return int(file.read().split()[6])


def wait_until_it_stands_still(process, loop):
    """It writes tens of times a second, or waits."""
    deadline = time.monotonic() + 60
    before, since = written(loop), time.monotonic()
    while time.monotonic() < since + 0.5:
        assert process.poll() is None and time.monotonic() < deadline, "it does not wait"
        time.sleep(0.01)
        if (now := written(loop)) != before:
            before, since = now, time.monotonic()


def test_who_only_looks_and_goes_is_waited_for(wipe, make_loop):
    loop = make_loop(128 * MIB)
    process, said = under_way(wipe, loop)
    fd = os.open(loop.path, os.O_RDONLY)
    wait_until_it_stands_still(process, loop)
    os.close(fd)
    plan = wipe.run("--plan", loop.path, f"--allow={loop.path}")
    assert plan.status == 76
    assert any("stopd-wipe" in guard.get("culprit", "") for guard in plan.one("plan")["guards"])
    run = ended(process, said)
    assert run.status == 0, str(run)
    assert loop.is_zero()


def test_without_a_listener_it_stops(wipe, make_loop):
    loop = make_loop(256 * MIB)
    process = start(wipe, wipe.request(loop, maxMibPerS=32))
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 71


@pytest.mark.parametrize("what", ["device", "file"])
def test_two_do_not_clear_the_same(wipe, make_loop, make_file, what):
    device = make_loop(96 * MIB) if what == "device" else make_file(96 * MIB)
    process, said = under_way(wipe, device)
    run = wipe.ask(wipe.request(device))
    assert run.status == 76 and run.error["guard"] == "open", str(run)
    assert "stopd-wipe" in run.error["culprit"]
    run = ended(process, said)
    assert run.status == 0, str(run)
    assert device.is_zero()


def test_over_a_socket(wipe, loop):
    """As systemd starts it with Accept=yes: one socket is both descriptors."""
    import socket

    ours, theirs = socket.socketpair()
    process = subprocess.Popen(wipe.command(), stdin=theirs, stdout=theirs)
    theirs.close()
    ours.sendall(json.dumps(wipe.request(loop)).encode() + b"\n")
    output = b""
    while chunk := ours.recv(65536):
        output += chunk
    run = Run(process.wait(), output.decode(), "")
    ours.close()
    assert run.status == 0, str(run)
    assert run.certificate["method"] == "overwrite"


def test_it_keeps_no_more_rights_than_it_needs(wipe, make_loop):
    loop = make_loop(96 * MIB)
    process, said = under_way(wipe, loop)
    with open(f"/proc/{process.pid}/status") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    assert int(status["CapEff"], 16) & ~sum(1 << bit for bit in (1, 2, 17, 19, 21)) == 0
    assert status["NoNewPrivs"] == "1"
    assert os.readlink(f"/proc/{process.pid}/ns/net") != os.readlink("/proc/self/ns/net")
    assert ended(process, said).status == 0


def test_a_long_list_of_others_is_no_burden(wipe, loop):
    others = [{"domain": f"instance-{i:08}", "source": f"/dev/disk/by-id/nvme-eui.00253858{i:08x}"} for i in range(8000)]
    process = start(wipe, wipe.request(loop, others=others, maxMibPerS=32))
    peak, said, is_sanitized = 0, "", False
    for line in process.stdout:
        said += line
        if '"phase":"verifying"' in line:
            with open(f"/proc/{process.pid}/status") as f:
                peak = max(peak, *(int(line.split()[1]) for line in f if line.startswith("VmHWM")), 0)
            with open(f"/proc/{process.pid}/maps") as f:
                is_sanitized = "libasan" in f.read()
    assert ended(process, said).status == 0
    if is_sanitized:
        pytest.skip("a program with sanitizers takes more memory")
    assert 4096 < peak < 16 * 1024


def forbid_io_uring():
    """A filter on system calls, as some container runtimes have it: io_uring_setup (425) is not permitted."""
    program = (ctypes.c_uint64 * 4)()
    for i, (code, jt, jf, k) in enumerate([(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001),
                                           (0x06, 0, 0, 0x7fff0000)]):
        program[i] = code | jt << 16 | jf << 24 | k << 32
    filter = struct.pack("HxxxxxxP", 4, ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, filter, 0, 0) == 0


def test_without_io_uring(wipe, loop):
    run = wipe.clear(loop, "--methods=overwrite", "--verify=full", preexec_fn=forbid_io_uring)
    assert run.status == 0, str(run)
    assert loop.is_zero()
