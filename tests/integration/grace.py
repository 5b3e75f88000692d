"""A grace is an allowance, not a date (rule 1): it stands still while nothing can be asked of the guest."""

import datetime

from daemon import wait_until
from test_states import pressed
from test_stop import time_of


def _now():
    return datetime.datetime.now(datetime.timezone.utc)


class Grace:
    """That of a stop, with consent to a power cut at its end, whose button is pressed."""

    LENGTH = datetime.timedelta(seconds=4)

    def __init__(self, stopd, name):
        self.request = stopd.accepted(name, GracePeriod=str(self.LENGTH.seconds), OnGraceTimeout="Force")
        self.button = time_of(pressed(stopd, self.request), "button")
        self.still = datetime.timedelta(0)

    def outlast(self):
        """Called and returned from while it stands still: as a date it is over by then."""
        begun = _now()
        wait_until(lambda: _now() > self.button + self.LENGTH, "as long as the grace has passed")
        self.still += _now() - begun

    def check(self, operation):
        """No power was cut before all of it had passed, as nobody counts who only reads the clock."""
        cut = time_of(operation, "power cut")
        assert operation["outcome"] == "Stopped", operation
        assert cut - self.button - self.still >= self.LENGTH, f"stood still for {self.still}: {operation}"
