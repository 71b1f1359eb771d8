"""What videos are made of: frames with their times, from a file, a folder or a camera."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

DEFAULT_RATE = Fraction(25)
"""Frames per second of what does not say its own: a folder of pictures."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Args:
        image: ``(height, width, 3)`` uint8 RGB, upright.
        pts: Time of presentation in units of ``time_base``; grows from frame to frame.
        time_base: Seconds per unit.
    """

    image: np.ndarray
    pts: int
    time_base: Fraction

    @property
    def seconds(self) -> float:
        """Time of presentation in seconds."""
        return float(self.pts * self.time_base)


class Video(ABC):
    """Something that gives frames; a context manager, to be gone through once.

    Attributes:
        name: What messages call it.
        size: (height, width) of every frame.
        rate: Frames per second, the mean where they vary.
        time_base: Seconds per unit of the frames' times.
        live: Whether it only ends when somebody ends it.
        count: How many frames a header says that there are; 0 where none does.
        region: ``(height, width)`` bool, the part of every frame that counts, or None: all of it.
        notes: What was converted.
        flaws: What went wrong on the way, complete once the frames have been gone through; empty when all is well.
    """

    name: str
    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    live = False
    count = 0
    region: np.ndarray | None = None

    def __init__(self) -> None:
        self.flaws: list[str] = []
        self.notes: list[str] = []

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:  # noqa: B027  only some have anything to close
        """Let go of the file or device."""

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
