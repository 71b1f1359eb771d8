"""Multi-frame DICOM files as videos: the loops that ultrasound machines and endoscopes export."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io.dicom.fields import frame_count, number
from gracile.io.dicom.files import is_dicom, private_parsing, read_dataset
from gracile.io.dicom.pictures import picture_of, screen_values
from gracile.io.frames import DEFAULT_RATE, Frame, Video

_FIELDS = ["NumberOfFrames", "Rows", "PerFrameFunctionalGroupsSequence"]
_MILLISECOND = Fraction(1, 1000)


def is_clip(path: Path) -> bool:
    """Whether a file is a DICOM file of several frames that are no slices of a volume."""
    if not (path.is_file() and is_dicom(path)):
        return False
    try:
        header = read_dataset(path, _FIELDS, pixels=False)
        return frame_count(path, header) > 1 and "PerFrameFunctionalGroupsSequence" not in header
    except DataError:
        return False


def video_stream(path: Path) -> bytes | None:
    """The video in a DICOM file whose pixels are one, of MPEG-2 or MPEG-4; else None. Raises DataError."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import MPEGTransferSyntaxes

    dataset = read_dataset(path)
    if dataset.file_meta.TransferSyntaxUID not in MPEGTransferSyntaxes:
        return None
    with private_parsing(path, "has pixels that are damaged or end too early"):
        return next(iter(generate_frames(dataset.PixelData, number_of_frames=1)))


class DicomClip(Video):
    """A multi-frame file, frame by frame. What the file says of its scan, size and place, holds for every frame."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._dataset = read_dataset(path)
        self.count = frame_count(path, self._dataset)
        self.name = str(path)
        self.rate = _rate(path, self._dataset)
        self.time_base = _MILLISECOND
        first = picture_of(path, self._dataset)
        self.size = first.image.shape[1:]
        self.region = first.region
        self.flaws += first.flags

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count):
            try:
                image = screen_values(self._path, self._dataset, index, [])
            except DataError as error:
                self.flaws.append(f"left out: frame {index + 1} of {self.count}; {error.message}")
                continue
            rgb = np.ascontiguousarray(np.broadcast_to(np.moveaxis(image, 0, -1), (*self.size, 3)))
            yield Frame(rgb, round(index / self.rate / self.time_base), self.time_base)


def _rate(path: Path, dataset: Any) -> Fraction:
    """Frames per second by Frame Time (ms), Cine Rate or Recommended Display Frame Rate."""
    milliseconds = number(path, dataset, "FrameTime", 0)
    found = 1000 / milliseconds if milliseconds > 0 else 0
    for name in ("CineRate", "RecommendedDisplayFrameRate"):
        found = found or number(path, dataset, name, 0)
    return Fraction(found).limit_denominator(1001) if 0.01 <= found <= 1000 else DEFAULT_RATE
