"""Interrupts of videos, in a process of their own: what other tests leave in one, such as a loop that hears signals,
must neither hear them nor be ended by them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("interrupted_videos.py")


@pytest.mark.slow
def test_videos_that_are_interrupted_end_as_they_should():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(TESTS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, cwd=TESTS.parents[2], env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
