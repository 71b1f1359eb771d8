"""The line of jobs has as many places as the settings say, and not one more."""

from contextlib import ExitStack

import pytest

from gracile.serve.line import Full, JobLine
from gracile.serve.settings import ServeSettings


class Idle:
    """A worker that nobody asks."""

    ready = True


def test_as_many_jobs_come_in_as_there_are_workers_and_places_to_wait():
    line = JobLine(ServeSettings(("retina-av",), waiting=3, workers=2), Idle(), [Idle(), Idle()])
    with ExitStack() as inside:
        for taken in range(5):
            assert line.health()["room"] == 5 - taken
            inside.enter_context(line.place())
        assert line.health()["room"] == 0
        with pytest.raises(Full):
            inside.enter_context(line.place())
        assert line.health()["room"] == 0
    assert line.health()["room"] == 5  # what gave up its place leaves it to another
