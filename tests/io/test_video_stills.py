"""Single frames are those that are shown at their times."""

from fractions import Fraction

import numpy as np
import pytest

from gracile.errors import DataError
from gracile.io.video_stills import read_stills
from gracile.io.video_writing import write_video


def write(path, times):
    """Each frame is bright as far to the right as the clip has got."""
    with write_video(path, (32, 256), Fraction(25), Fraction(1, 1000)) as writer:
        for index, time in enumerate(times):
            image = np.full((32, 256, 3), 20, np.uint8)
            image[:, : round(256 * (index + 1) / len(times))] = 220
            writer.write(image, time)
    return path


def numbers(images, frames):
    return [round(float((image[16, :, 0] > 120).mean()) * frames - 1) for image in images]


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
@pytest.mark.parametrize("begin", [0, 600])
def test_frames_come_by_their_times_in_any_order(tmp_path, name, begin):
    path = write(tmp_path / name, [begin + 40 * index for index in range(64)])
    wanted = [0, 13, 63, 31, 14]
    assert numbers(read_stills(path, [index * 0.04 for index in wanted]), 64) == wanted


def test_times_may_vary(tmp_path):
    times = [0, 20, 140, 150, 400, 1000, 1010, 1100]
    path = write(tmp_path / "vfr.mp4", times)
    assert numbers(read_stills(path, [time / 1000 for time in times]), 8) == list(range(8))


def test_beyond_the_end_is_the_last_frame(tmp_path):
    assert numbers(read_stills(write(tmp_path / "a.mp4", range(0, 400, 40)), [99.0]), 10) == [9]


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    for name in ("a.mp4", "absent.mp4"):
        with pytest.raises(DataError, match=name):
            list(read_stills(tmp_path / name, [0.0]))
