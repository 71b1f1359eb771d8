"""Write videos whole or not at all: MP4 and MOV as H.264, AVI as Motion JPEG, with the frames' own times."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from gracile.errors import DataError, UsageError
from gracile.io.atomic import writing


@dataclass(frozen=True)
class _Coding:
    """How a kind of file is coded. Colors are tagged as they were converted, so that players show them right."""

    container: str
    codec: str
    pixels: str
    colorspace: int
    full_range: bool
    even: bool
    keeps_times: bool
    options: dict[str, str]


_H264 = {"preset": "superfast", "crf": "20"}
_CODINGS = {
    ".mp4": _Coding("mp4", "libx264", "yuv420p", 1, False, True, True, _H264),
    ".mov": _Coding("mov", "libx264", "yuv420p", 1, False, True, True, _H264),
    ".avi": _Coding("avi", "mjpeg", "yuvj420p", 5, True, False, False, {"qmin": "2", "qmax": "4"}),
}

WRITABLE_SUFFIXES = tuple(_CODINGS)


class VideoWriter:
    """Takes frame after frame; made by `write_video`.

    Attributes:
        frames: How many were written.
        notes: What the file could not keep.
    """

    def __init__(
        self, file: BinaryIO, coding: _Coding, size: tuple[int, int], rate: Fraction, time_base: Fraction
    ) -> None:
        self.frames = 0
        self.notes: list[str] = []
        self._coding = coding
        self._rate = rate
        self._input_base = time_base
        self._time_base = time_base if coding.keeps_times else 1 / rate
        self._pads = tuple((0, side % 2 if coding.even else 0) for side in size)
        self._size = size
        self._first = self._last = 0
        self._reformatter = VideoReformatter()
        self._container = av.open(file, "w", format=coding.container)
        stream = self._container.add_stream(coding.codec, rate=rate, options=coding.options)
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        self._stream.height, self._stream.width = (side + pad[1] for side, pad in zip(size, self._pads, strict=True))
        self._stream.pix_fmt = coding.pixels
        self._stream.time_base = self._stream.codec_context.time_base = self._time_base
        self._stream.codec_context.colorspace = coding.colorspace
        self._stream.codec_context.color_range = 2 if coding.full_range else 1

    def write(self, image: np.ndarray, pts: int) -> None:
        """Add a frame.

        Args:
            image: ``(height, width, 3)`` uint8 RGB, of the size given at first.
            pts: Its time in units of the time base given at first, later than the one before.

        Raises:
            DataError: Another size, or a disk that is full.
        """
        if image.shape != (*self._size, 3):
            raise DataError(f"A frame has shape {image.shape}, the video {(*self._size, 3)}.")
        if any(after for _, after in self._pads):
            image = np.pad(image, (*self._pads, (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        converted = self._reformatter.reformat(
            frame,
            format=self._coding.pixels,
            dst_colorspace=self._coding.colorspace,
            dst_color_range=2 if self._coding.full_range else 1,
            threads=1,
        )
        converted.pts = self._slot(pts)
        converted.time_base = self._time_base
        self._mux(converted)
        self.frames += 1

    def finish(self) -> None:
        """Write what the encoder still holds and the end of the file. Raises DataError when there was no frame."""
        if not self.frames:
            raise DataError("There is no frame to write.")
        self._mux(None)
        with _named_errors():
            self._container.close()

    def discard(self) -> None:
        """Let go of the encoder; what was written is of no use."""
        with suppress(Exception):  # it complains of the frames that it lacks
            self._container.close()

    def _mux(self, frame: Any) -> None:
        with _named_errors():
            for packet in self._stream.encode(frame):
                self._container.mux(packet)

    def _slot(self, pts: int) -> int:
        """The frame's time as the file can hold it; AVI knows only multiples of one step, from 0 on."""
        if self._coding.keeps_times:
            return pts
        if not self.frames:
            self._first = pts
        exact = (pts - self._first) * self._input_base * self._rate
        slot = round(exact)
        if self.frames and slot <= self._last:
            slot = self._last + 1
        if abs(slot - exact) > Fraction(1, 10) and not self.notes:
            self.notes.append("AVI knows one frame rate: the frames' times were rounded to it; the CSV has them as is")
        self._last = slot
        return slot


@contextmanager
def write_video(path: Path, size: tuple[int, int], rate: Fraction, time_base: Fraction) -> Iterator[VideoWriter]:
    """Write a video; when the block fails or is interrupted there is no file, and an old one stays as it was.

    H.264 needs even sides: an odd one gets its last row or column once more. MP4 and MOV keep every frame's time; AVI
    knows only one frame rate, to which times are rounded.

    Args:
        path: The file; its suffix chooses the coding.
        size: (height, width) of the frames.
        rate: Frames per second.
        time_base: Seconds per unit of the frames' times.

    Raises:
        UsageError: Another suffix.
        DataError: No frame was written, the disk is full, or the folder cannot be written to.
    """
    coding = _CODINGS.get(path.suffix.lower())
    if coding is None:
        raise UsageError(f"{path.name}: no such video is written.", f"There are: {', '.join(WRITABLE_SUFFIXES)}.")
    with writing(path) as part, part.open("wb") as file:
        writer = VideoWriter(file, coding, size, rate, time_base)
        try:
            yield writer
            writer.finish()
        except BaseException:
            writer.discard()
            raise


@contextmanager
def _named_errors() -> Iterator[None]:
    """A full disk as the system's own error, which `writing` explains; any other of FFmpeg's as a DataError."""
    try:
        yield
    except av.FFmpegError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, error.strerror) from error
        raise DataError(f"A frame could not be encoded ({error}).", "Try another --video-format.") from error
