"""A command that is asked until it is answered, and the account of what came of it (rules 4 and 5)."""

import uuid


class Command:
    """One StopInstance, asked with one ClientToken however often it takes, and its answer."""

    def __init__(self, name, **parameters):
        self.name = name
        self.parameters = {"ClientToken": str(uuid.uuid4()), **parameters}
        self.request = None

    def ask(self, stopd):
        """Asks once. Returns the answer, or None where it may be accepted another time. An exception: not answered."""
        answer = stopd.stop_instance(self.name, **self.parameters)
        if answer.status == 503 or answer.code == "InternalError":
            return None
        if answer.status == 200:
            request = answer.json["RequestId"]
            assert self.request in (None, request), f"{self.name}: one token, two stops: {self.request}, {request}"
            self.request = request
        return answer


def transitions(stopd, instance):
    """(from, to, RequestId or None) of each in the sink."""
    return [(event["data"]["from"], event["data"]["to"], event["data"].get("requestId"))
            for event in stopd.events(instance) if event["type"] == "stopd.instance.state.v1"]


def check(stopd, instance, requests, starts):
    """Each accepted stop was begun and ended once, each start reported once, in the order in which they were."""
    wanted = []
    for number, request in enumerate(requests):
        wanted += [("Running", "Stopping", request), ("Stopping", "Stopped", request)]
        if number < starts:
            wanted.append(("Stopped", "Running", None))
    found = transitions(stopd, instance)
    assert found == wanted, f"{instance}: {found}, wanted {wanted}\n{stopd.log()}"
