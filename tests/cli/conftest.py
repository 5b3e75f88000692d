"""A scripted daemon for each test."""

import os
import shutil
import tempfile

import pytest

from scripted_daemon import STOPCTL, Daemon


@pytest.fixture
def daemon():
    if not os.access(STOPCTL, os.X_OK):
        pytest.skip(f"no stopctl at {STOPCTL}: build it and set STOPD_BUILD")
    directory = tempfile.mkdtemp(prefix="stopctl-")
    scripted = Daemon(directory)
    yield scripted
    scripted.end()
    shutil.rmtree(directory)
