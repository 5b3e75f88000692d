"""stopd-wipe in the small machine: what goes in, what comes out, and how it is judged."""

import contextlib
import json

from machine import DEADLINE, wait_for

DONE, USAGE, NOT_CLEARED, REFUSED = 0, 64, 71, 76


class Outcome:
    """The lines of a run and its exit status."""

    def __init__(self, result):
        self.status = result.status
        self.lines = result.lines
        self.error = result.error
        assert "Sanitizer" not in self.error and "runtime error:" not in self.error, self.error

    def __repr__(self):
        said = "\n  ".join(json.dumps(line) for line in self.lines if line["event"] != "progress")
        return f"exit status {self.status}\n  {said}\n  {self.error}"

    def all(self, event):
        return [line for line in self.lines if line["event"] == event]

    def one(self, event):
        found = self.all(event)
        assert len(found) == 1, f"not one {event} but {len(found)}: {self!r}"
        return found[0]

    @property
    def method(self):
        """The last that was chosen."""
        return self.all("method")[-1]["method"] if self.all("method") else None

    @property
    def setbacks(self):
        return [(line["method"], line["reason"]) for line in self.all("setback")]

    @property
    def resume(self):
        return last_resume(self.lines)


def last_resume(lines):
    """What is to be stored to go on later, or None."""
    return ([line["resume"] for line in lines if "resume" in line] or [None])[-1]


class Wipe:
    """Runs the program. Members of a request are keywords here, as include/stopd/wipe-protocol.h has
    them; what a test does not say allows all of /dev."""

    def __init__(self, machine):
        self.machine = machine

    def request(self, verb, device, members):
        request = {"version": 1, "verb": verb, "device": device,
                   "allow": {"devices": ["/dev/*", "/dev/mapper/*"], "files": ["/*", "/*/*"]},
                   **members}
        return json.dumps({key: value for key, value in request.items() if value is not None}).encode()

    def run(self, verb, device, timeout=DEADLINE, **members):
        result = self.machine.run("stopd-wipe", stdin=self.request(verb, device, members),
                                  timeout=timeout, status=None)
        return Outcome(result)

    def clear(self, device, **members):
        return self.run("clear", device, **members)

    def plan(self, device, **members):
        return self.run("plan", device, **members)

    def identity(self, device):
        outcome = self.run("identify", device)
        assert outcome.status == DONE, outcome
        return outcome.one("identity")["identity"]

    def start(self, device, **members):
        """A clear that goes on; the Job's lines are what it has said so far."""
        return self.machine.start("exec stopd-wipe", self.request("clear", device, members))

    def end(self, job, timeout=DEADLINE):
        return Outcome(job.wait(timeout))


@contextlib.contextmanager
def held_by(machine, how, path):
    """Another process holds it, as holder.c has it. Yields its Job."""
    job = machine.start(f"exec holder {how} {path}")
    wait_for(lambda: job.output == "held", "the holder")
    try:
        yield job
    finally:
        job.kill()
        job.wait()


def wait_for_progress(job, done=1, timeout=DEADLINE):
    """Waits until it says that this many bytes are cleared, and returns that line."""
    def reached():
        lines = job.lines
        ended = lines and lines[-1]["event"] in ("certificate", "error")
        assert not ended, f"it ended before: {lines[-1]}"
        return next((line for line in lines if line["event"] == "progress" and
                     line["phase"] == "clearing" and line["done"] >= done), None)

    return wait_for(reached, f"progress up to {done}", timeout)


def refused(outcome, guard, culprit=""):
    """Fails unless this guard, naming this culprit, kept it from touching anything."""
    assert outcome.status == REFUSED, outcome
    line = outcome.one("error")
    assert line["outcome"] == "refused" and line["guard"] == guard, outcome
    assert culprit in line["culprit"], outcome
    assert not outcome.all("claimed"), outcome


def cleared(outcome, method=None):
    assert outcome.status == DONE, outcome
    assert outcome.lines[-1]["event"] == "certificate", outcome
    assert method is None or outcome.method == method, outcome
