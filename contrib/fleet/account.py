"""What became of every command and every event of a fleet: what was lost, what was doubled, what is out of order.

Theory of operation. A host numbers its events from 1 without a gap, so what is missing in the stream is seen without
asking the host, but for what is missing at the end, which the host is asked for. A command that was accepted has a
RequestId, and its events bear it: one that its instance is Stopping, and one end, as Stopped or as failed with the reason. A
stopd on test:/// that is killed comes back with its domains running, for they lived in its process; a stop that was under way then
fails with "started again", and that is an end like another.
"""

import collections

STATE = "stopd.instance.state.v1"
FAILED = "stopd.operation.failed.v1"


class Command:
    def __init__(self, number, host, instance):
        self.name, self.host, self.instance = f"command-{number}", host, instance
        self.stored = False  # in the work queue, by the server's word
        self.sent_at = None
        self.request_id = self.refusal = None

    def hear(self, answer):
        if "RequestId" in answer and "Code" not in answer:
            self.request_id = answer["RequestId"]
        else:
            self.refusal = answer["Code"]

    @property
    def is_answered(self):
        return bool(self.request_id or self.refusal)


class Account:
    """Filled as the stream is read; times are of one clock, in seconds."""

    def __init__(self):
        self.messages = self.bytes = 0
        self.twice = 0  # stored a second time under the same id: what de-duplication is for
        self.ids = {}  # event id: host and sequence
        self.numbers = collections.defaultdict(set)  # host: the sequences that were seen
        self.states = {}  # (host, instance): the last state and sequence
        self.begun = collections.Counter()  # RequestId: how often its instance became Stopping
        self.stopped, self.failed = collections.Counter(), collections.Counter()
        self.stopped_at = {}
        self.wrong = []

    def take(self, message, now):
        """A message of the stream, in its order. Returns the event, None for one that was there already."""
        event = message.json
        host = event["source"].rpartition("/")[2]
        sequence = int(event["sequence"])
        self.messages += 1
        self.bytes += len(message.body)
        if event["id"] in self.ids:
            self.twice += 1
            if self.ids[event["id"]] != (host, sequence):
                self.wrong.append(f"one id for two events: {event}")
            return None
        self.ids[event["id"]] = (host, sequence)
        if message.headers.get("Nats-Msg-Id") != event["id"] or message.subject.split(".")[2] != host:
            self.wrong.append(f"not what its subject and headers say: {message}")
        if sequence in self.numbers[host]:
            self.wrong.append(f"doubled after de-duplication: number {sequence} of {host}, {event}")
        self.numbers[host].add(sequence)
        self._follow(host, sequence, event, now)
        return event

    def _follow(self, host, sequence, event, now):
        key, data = (host, event["subject"]), event["data"]
        state, last = self.states.get(key, ("Running", 0))
        if sequence < last:
            self.wrong.append(f"out of order: {event} behind number {last}")
        request = data.get("requestId")
        if event["type"] == STATE:
            if data["from"] != state:
                self.wrong.append(f"from {data['from']} and not from {state}: {event}")
            state = data["to"]
            if request and state == "Stopping":
                self.begun[request] += 1
            elif request and state == "Stopped":
                self.stopped[request] += 1
                self.stopped_at[request] = now
        elif event["type"] == FAILED:
            self.failed[request] += 1
        self.states[key] = (state, sequence)

    def is_over(self, command):
        r = command.request_id
        return r is None or self.stopped[r] + self.failed[r] > 0

    def last(self, host):
        return max(self.numbers[host], default=0)

    def losses(self, commands, hosts):
        """What is missing, a line each."""
        lost = [f"{c.name} to {c.host}: not answered" for c in commands if not c.is_answered]
        for c in commands:
            if c.request_id and not self.begun[c.request_id]:
                lost.append(f"{c.name}, {c.request_id}: accepted, and {c.instance} of {c.host} was never reported Stopping")
            if not self.is_over(c):
                lost.append(f"{c.name}, {c.request_id}: accepted, and no end of it was reported")
        for host in hosts:
            missing = self.last(host) - len(self.numbers[host])
            if missing:
                lost.append(f"{missing} events of {host} before its last")
        return lost

    def doubles(self, commands):
        """What was done or told twice, or in the wrong order, once events of one id are taken for one."""
        doubled = list(self.wrong)
        known = collections.Counter(c.request_id for c in commands if c.request_id)
        doubled += [f"{r}: the answer to {n} commands" for r, n in known.items() if n > 1]
        for r in {*self.begun, *self.stopped, *self.failed}:
            if r not in known:
                doubled.append(f"{r}: carried out, and the answer to no command: one was done twice")
            elif self.begun[r] != 1 or self.stopped[r] + self.failed[r] > 1:
                doubled.append(f"{r}: Stopping {self.begun[r]} times, Stopped {self.stopped[r]}, failed {self.failed[r]}")
        return doubled
