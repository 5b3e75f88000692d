"""A real-time clock that is set, by a day and by a year, forward and back: no grace, no order and no age goes by it."""

import datetime
import os
import struct
import time

import pytest

from daemon import BUILD, wait_until
from test_stop import time_of, words

DAY, YEAR = 86400, 365 * 86400
LEAPS = [DAY, -DAY, YEAR, -YEAR]


@pytest.fixture
def leaping(daemon):
    """A stopd whose clock can be set, and how: to so many seconds from the host's."""
    stopd = daemon(stop__resend="1s")
    path = stopd.path("leap")
    with open(path, "wb") as file:
        file.write(bytes(8))

    def leap(seconds):
        with open(path, "r+b") as file:
            file.write(struct.pack("=q", seconds))

    asan = os.environ.get("ASAN_OPTIONS", "detect_leaks=1:exitcode=99")
    stopd.environment = {"STOPD_TEST_LEAP": path, "ASAN_OPTIONS": asan + ":verify_asan_link_order=0",
                         "LD_PRELOAD": os.path.join(BUILD, "tests", "integration", "leap.so")}
    return stopd, leap


def test_a_grace_is_as_long_as_it_was_and_events_keep_their_order(leaping, guest):
    """The leaps come in the middle of a grace. It is over in time, and not before."""
    grace = 5
    (name, other), (stopd, leap) = guest("ignore", "obey"), leaping
    stopd.start()
    begun = time.monotonic()
    request = stopd.accepted(name, GracePeriod=str(grace), OnGraceTimeout="Force")
    wait_until(lambda: "button" in words(stopd.operation(request)), "the button is pressed")
    for seconds in LEAPS:
        leap(seconds)
        # A question is a turn of the loop: it has seen that clock.
        assert stopd.stop_instance(name).code == "IncorrectInstanceStatus"
        seen = words(stopd.operation(request))
        assert "power cut" not in seen or time.monotonic() >= begun + grace, seen

    operation = stopd.finished(request)

    assert operation["outcome"] == "Stopped" and words(operation)[-2:] == ["power cut", "off"], operation
    if "power cut" not in seen:
        cut = time_of(operation, "power cut") - datetime.timedelta(seconds=LEAPS[-1])
        assert cut - time_of(operation, "button") >= datetime.timedelta(seconds=grace), operation
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    # On to a year ahead, and a restart there.
    leap(YEAR)
    request = stopd.accepted(other)
    stopd.kill()
    stopd.start()
    assert stopd.finished(request)["outcome"] == "Stopped"
    stopd.reported(other, "Running→Stopping", "Stopping→Stopped")
    times = [event["time"] for event in stopd.events()]
    assert times != sorted(times), times


@pytest.mark.parametrize("while_away", [False, True], ids=["while it runs", "while it is away"])
def test_what_is_young_is_not_forgotten(leaping, while_away):
    """What was given a token minutes ago is answered by it, and not done again; its events are there to be read."""
    stopd, leap = leaping
    stopd.settings["hypervisor.uri"] = "test:///default"
    stopd.start()
    request = stopd.accepted("test", ClientToken="once", ForceStop="true")
    assert stopd.finished(request)["outcome"] == "Stopped"
    stopd.reported("test", "Running→Stopping", "Stopping→Stopped")
    for seconds in (DAY, YEAR, -YEAR, 30 * YEAR):
        if while_away:
            stopd.kill()
        leap(seconds)
        if not while_away:
            assert stopd.accepted("test", ClientToken="once", ForceStop="true") == request
            stopd.kill()
        stopd.start()
        assert stopd.accepted("test", ClientToken="once", ForceStop="true") == request
        assert stopd.operation(request)["outcome"] == "Stopped"
        assert [event["sequence"] for event in stopd.get("/v1/events").json["events"]] == [
            event["sequence"] for event in stopd.events()]
