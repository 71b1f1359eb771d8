"""Single frames of a video by their times, without decoding all of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from gracile.errors import DataError


def read_stills(path: Path, moments: Sequence[float]) -> Iterator[np.ndarray]:
    """The frames of a video file that are nearest to some moments, one at a time.

    Args:
        path: A file with an index, as `write_video` makes them.
        moments: Seconds from the first frame on.

    Yields:
        For each moment the nearest frame, ``(height, width, 3)`` uint8 RGB.

    Raises:
        DataError: The file is gone, damaged, or no video.
    """
    try:
        with path.open("rb") as file, av.open(file, "r", metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            first = next(container.decode(stream))
            for moment in moments:
                yield _frame_at(container, stream, first.time + moment).to_ndarray(format="rgb24")
    except (OSError, av.FFmpegError, IndexError, StopIteration) as error:
        raise DataError(f"{path} cannot be read as a video ({error}).", "Predict it again.") from error


def _frame_at(container: Any, stream: Any, moment: float) -> Any:
    """The frame whose time is nearest: AVI rounds times, so that they need not be met."""
    step = 1 / float(stream.average_rate or 25)
    container.seek(int(max(moment - step, 0) / stream.time_base), stream=stream)
    nearest = None
    for frame in container.decode(stream):
        if nearest is not None and abs(frame.time - moment) > abs(nearest.time - moment):
            break
        nearest = frame
    if nearest is None:
        raise DataError(f"A video has no frame at {moment:.2f} s.", "Predict it again.")
    return nearest
