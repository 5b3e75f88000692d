"""What the integration tests share: guests that are cleaned up, and a stopd to stop them with."""

import contextlib
import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "kit"))

import kit  # noqa: E402
import ready  # noqa: E402
from daemon import Daemon  # noqa: E402

_numbers = itertools.count(1)


@pytest.fixture
def daemon(tmp_path):
    """Makes stopds for qemu:///system; each ends with the test, and has to end well."""
    made = []

    def make(uri="qemu:///system", **settings):
        folder = tmp_path / f"stopd{len(made)}"
        folder.mkdir()
        made.append(Daemon(folder, uri, **settings))
        return made[-1]

    yield make
    for each in made:
        assert each.stop() in (None, 0), each.log()
        each.assert_sane()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(each.settings["journal.path"] + ".reserve")  # 16 MiB for each, kept by pytest


@pytest.fixture
def guest():
    """Guests that would hear the button, or are only defined; removes them afterwards."""
    why = kit.missing()
    if why:
        pytest.skip(why)
    made = []

    def boot(*behaviours, start=True, **options):
        names = []
        for behaviour in behaviours or ("obey",):
            name = f"g{next(_numbers)}-{behaviour.split(':')[0]}"
            made.append(name)
            kit.define(name, behaviour, **options)
            names.append(name)
        if start:
            ready.make(*names)
        return names if len(names) > 1 else names[0]

    yield boot
    kit.remove(*made)
