"""Read videos frame by frame with their times: clips, folders of pictures and cameras."""

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from gracile.errors import DataError
from gracile.io.dicom import is_dicom
from gracile.io.dicom.clips import DicomClip, video_stream
from gracile.io.frames import DEFAULT_RATE, Frame, Video
from gracile.io.images import read_image
from gracile.io.naming import image_files, natural_order

_REMEDY = "Play it in a video player; if it does not play there either, copy or export it again."
_CAMERA_REMEDY = "Check that it is plugged in and free, and name another, such as camera:1."


def open_video(source: Path | int) -> Video:
    """Open a clip by its file, a folder of pictures (2 before 10), or a camera by its number.

    Returns:
        The video. What is broken on the way ends its frames early and is told in ``flaws``.

    Raises:
        DataError: It is absent, empty, no video, or has no frame that can be decoded.
    """
    if isinstance(source, int):
        return Camera(source)
    if source.is_dir():
        return PictureFolder(source)
    if not is_dicom(source):
        return Clip(source)
    stream = video_stream(source)
    return DicomClip(source) if stream is None else _EmbeddedClip(str(source), stream)


class _Decoded(Video):
    """Frames that FFmpeg decodes. The first is decoded at once, as only it tells the upright size."""

    def __init__(self, name: str, container: Any) -> None:
        super().__init__()
        self.name = name
        self._container = container
        self._reformatter = VideoReformatter()
        self._stream = _largest(name, container)
        ratio = self._stream.sample_aspect_ratio
        self._pixel_ratio = Fraction(ratio) if ratio else Fraction(1)
        if self._pixel_ratio != 1:
            self.notes.append(f"pixels of {ratio.numerator}:{ratio.denominator} were made square")
        self._undecodable = self._damaged = 0
        self._reading = False
        self._last: int | None = None
        self._begin = 0
        self._end = 0.0
        self.time_base = self._stream.time_base or 1 / DEFAULT_RATE
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or DEFAULT_RATE)
        self._frames = self._decode()
        self._first = next(self._frames, None)
        if self._first is None:
            raise DataError(f"{name} holds no frame that can be decoded.", _REMEDY)
        self.size = self._first.image.shape[:2]

    def __iter__(self) -> Iterator[Frame]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._frames
        self._note_flaws()

    def close(self) -> None:
        if not self._reading:  # a thread that still waits for the device holds it, until the program ends
            self._container.close()

    def _decode(self) -> Iterator[Frame]:
        packets = self._container.demux(self._stream)
        while True:
            self._reading = True
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:  # the file breaks off; what the decoder still holds comes yet
                self.flaws.append(f"{self.name} cannot be read to its end ({error.strerror or error})")
                packet = None
            finally:
                self._reading = False
            if packet is not None and packet.is_corrupt:
                self._undecodable += 1
                continue
            try:
                decoded = self._stream.decode(packet)
            except av.EOFError:
                return
            except av.FFmpegError:
                self._undecodable += 1
                decoded = []
            yield from map(self._frame, decoded)
            if packet is None:
                return

    def _frame(self, frame: Any) -> Frame:
        self._damaged += bool(frame.is_corrupt)
        matrix = _display_matrix(frame)
        aside = matrix[0, 0] == 0
        # The size of the stream may change on the way; that of its first frame is kept.
        height, width = self.size if hasattr(self, "size") else self._square(frame)[:: -1 if aside else 1]
        height, width = (width, height) if aside else (height, width)
        # One thread: the other steps of a run have the other cores.
        picture = self._reformatter.reformat(frame, format="rgb24", threads=1, width=width, height=height)
        return Frame(_upright(picture.to_ndarray(), matrix), self._stamp(frame), self.time_base)

    def _square(self, frame: Any) -> tuple[int, int]:
        """(height, width) of a frame whose pixels are made square, none of them lost."""
        wider = self._pixel_ratio
        if wider >= 1:
            return frame.height, round(frame.width * wider)
        return round(frame.height / wider), frame.width

    def _stamp(self, frame: Any) -> int:
        """A time that is later than the last frame's, made up where the file gives none."""
        step = max(1, round(1 / (self.rate * self.time_base)))
        pts = frame.pts if frame.pts is not None else (0 if self._last is None else self._last + step)
        if self.live:  # a camera's clock began long ago
            self._begin = pts if self._last is None else self._begin
            pts -= self._begin
        if self._last is not None and pts <= self._last:
            pts = self._last + 1
        self._last = pts
        self._end = float((pts + max(frame.duration or 0, step)) * self.time_base)
        return pts

    def _note_flaws(self) -> None:
        if self._undecodable:
            self.flaws.append(f"{self._undecodable} frames of {self.name} could not be decoded and were left out")
        if self._damaged:
            self.flaws.append(f"{self._damaged} frames of {self.name} are damaged")


def _largest(name: str, container: Any) -> Any:
    """The video of most pixels; a cover picture, such as players show beside sound, is none."""
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        raise DataError(f"{name} has no video in it.", "Name a file with pictures, not with sound alone.")
    known = [one for one in streams if one.codec_context is not None]
    if not known:
        raise DataError(f"{name} is a video of a kind that is not known.", _REMEDY)
    return max(known, key=lambda one: one.width * one.height)


def _display_matrix(frame: Any) -> np.ndarray:
    """``(2, 2)`` of 0, 1 and -1: how (column, row) of a frame, as a row vector, come upon the screen."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return np.eye(2, dtype=int)
    numbers = np.frombuffer(bytes(data), np.int32)[[0, 1, 3, 4]].reshape(2, 2)
    kind = np.sign(np.rint(numbers / 2**16)).astype(int)
    right = (np.abs(kind).sum(axis=0) == 1).all() and (np.abs(kind).sum(axis=1) == 1).all()
    return kind if right else np.eye(2, dtype=int)


def _upright(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """``(height, width, 3)`` turned and mirrored as a display matrix says, one of eight."""
    (a, b), (c, d) = matrix
    if a == 0:
        image, across, down = image.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    return np.ascontiguousarray(image[:: int(down), :: int(across)])


class Clip(_Decoded):
    """A video file: MP4, MOV, AVI and whatever else FFmpeg reads. Its rotation is obeyed, its times are kept."""

    def __init__(self, path: Path) -> None:
        self._file = _opened(path)
        try:
            super().__init__(str(path), av.open(self._file, metadata_errors="ignore"))
        except av.FFmpegError as error:
            self._file.close()
            cut = _index_is_missing(path)
            reason = "its index is missing: it was cut off or its recording was not ended" if cut else error.strerror
            raise DataError(f"{path} cannot be read as a video ({reason}).", _REMEDY) from error
        except DataError:
            self._file.close()
            raise

    def close(self) -> None:
        super().close()
        if not self._reading:
            self._file.close()

    def _note_flaws(self) -> None:
        announced = self._announced_end()
        # The last frames of a whole file may be some rounding apart from what it announces.
        if announced is not None and announced - self._end > 1.5 / float(self.rate):
            self.flaws.append(
                f"{self.name} is truncated: it ends at {self._end:.2f} s of {announced:.2f} s; what is there was kept"
            )
        super()._note_flaws()

    def _announced_end(self) -> float | None:
        stream = self._stream
        if stream.duration:
            return float(((stream.start_time or 0) + stream.duration) * self.time_base)
        alone = len(self._container.streams) == 1  # else the file's duration may be that of its sound
        return self._container.duration / 1e6 if alone and self._container.duration else None


class _EmbeddedClip(_Decoded):
    """A video that lies within another file."""

    def __init__(self, name: str, content: bytes) -> None:
        try:
            super().__init__(name, av.open(BytesIO(content), metadata_errors="ignore"))
        except av.FFmpegError as error:
            raise DataError(f"{name} holds a video that cannot be read ({error.strerror}).", _REMEDY) from None


class Camera(_Decoded):
    """A camera by its number, ``/dev/videoN``: its frames come until somebody ends them. Linux only."""

    live = True

    def __init__(self, number: int) -> None:
        device = Path(f"/dev/video{number}")
        if not device.exists():
            raise DataError(f"There is no camera {number} ({device}).", _CAMERA_REMEDY)
        try:
            super().__init__(f"camera {number}", av.open(str(device), format="v4l2"))
        except (av.FFmpegError, ValueError) as error:
            raise DataError(f"Camera {number} cannot be opened ({error}).", _CAMERA_REMEDY) from error


class PictureFolder(Video):
    """The pictures of a folder as frames, in the order of their names (2 before 10), at 25 frames per second."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.name = str(folder)
        self.rate = DEFAULT_RATE
        self.time_base = 1 / DEFAULT_RATE
        self._paths = sorted(image_files(folder), key=natural_order)
        if not self._paths:
            raise DataError(f"{folder} holds no pictures.", "Name a folder with the frames as pictures.")
        self.size = _read_rgb(self._paths[0]).shape[:2]

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self._paths):
            try:
                image = _read_rgb(path)
            except DataError as error:
                self.flaws.append(f"left out: {error.message}")
                continue
            if image.shape[:2] != self.size:
                self.flaws.append(f"left out: {path} has size {image.shape[:2]}, the first picture {self.size}")
                continue
            yield Frame(image, index, self.time_base)


def _read_rgb(path: Path) -> np.ndarray:
    image, _ = read_image(path)
    return np.ascontiguousarray(np.broadcast_to(np.moveaxis(image, 0, -1), (*image.shape[1:], 3)))


def _opened(path: Path) -> BinaryIO:
    """The file, opened here for FFmpeg to read it, so that any name works that the system has."""
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (zero bytes).", "Copy or export the file again.")
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror or error}.", "Check the name and rights.") from error


def _index_is_missing(path: Path) -> bool:
    """Whether an MP4 or MOV has its beginning but not its index (the box ``moov``), without which no frame is found."""
    with path.open("rb") as file:
        position, names = 0, set()
        while len(head := file.read(8)) == 8:
            size, name = int.from_bytes(head[:4], "big"), head[4:]
            names.add(name)
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
            if size < 8:
                break
            position += size
            file.seek(position)
    return b"ftyp" in names and b"moov" not in names
