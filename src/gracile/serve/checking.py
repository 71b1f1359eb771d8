"""Looks at an upload before anything else does: is it what its first bytes say, and of a size that can be worked on."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gracile.errors import DataError
from gracile.io import read_case_file
from gracile.io.dicom import dicom_files
from gracile.io.dicom.clips import is_clip
from gracile.io.dicom.series import SeveralSeriesError, files_of_series, is_enhanced
from gracile.io.images import read_image
from gracile.io.kinds import Group, Kind, kind_of
from gracile.io.metaimage import metaimage_data_file
from gracile.io.nrrd_reading import nrrd_data_file
from gracile.io.volumes import read_voxels
from gracile.io.voxels import times
from gracile.recipe import InputSpec
from gracile.serve.unpacking import unpack_channels, unpack_series
from gracile.serve.worker import News

MAX_PIXELS = 150_000_000
MAX_FRAME_PIXELS = 4096 * 4096
MAX_SECONDS = 4 * 3600
MAX_SERIES_BYTES = 2 * 2**30

_GROUPS: dict[str, Group] = {"image": "picture", "volume": "volume"}
"""How the files of a recipe's kind are predicted."""

_DATA_FILES = {".mha": metaimage_data_file, ".nrrd": nrrd_data_file}


class CheckingEngine:
    """Decodes uploads, in a process of its own."""

    def __init__(self, models: list[str]) -> None:
        del models

    def __call__(self, request: dict[str, Any], news: News) -> dict[str, Any]:
        """``{"source": path, "series": number or UID, "wanted": the model's input}`` to the file's kind and size.

        The file is given its kind's suffix; an archive becomes a folder of the DICOM files of one series or, for a
        model of several channels, of a file for each.
        """
        del news
        path = Path(request["source"])
        wanted = InputSpec.model_validate(request.get("wanted", {}))
        kind = kind_of(path)
        kept = path.with_name("input" + kind.suffix)
        if kind.media_type == "application/zip" and wanted.joins_files:
            channels = unpack_channels(path, kept, MAX_SERIES_BYTES)
            path.unlink()
            return _look_at_channels(channels, wanted)
        if kind.media_type == "application/zip":
            unpack_series(path, kept, MAX_SERIES_BYTES)
            path.unlink()
            _leave_one_series(kept, request.get("series", ""))
        else:
            path.rename(kept)
        group = _group(kept, kind)
        if wanted.separate and group == _GROUPS[wanted.kind]:
            return {
                "path": str(kept),
                "kind": kind.name,
                "group": group,
                **_look_at_case(kept, kind, group, (), wanted),
            }
        return {"path": str(kept), "kind": kind.name, "group": group, **_look(kept, kind, group)}


def _look_at_channels(channels: dict[int, Path], wanted: InputSpec) -> dict[str, Any]:
    """The first file's kind and size, and where the others are. Raises DataError where they are not one case."""
    lacking = [wanted.channel(index) for index in range(wanted.channels) if index not in channels]
    if lacking and set(channels) != {0}:  # the first one alone may hold all of them
        raise DataError(
            f"The case lacks {' and '.join(lacking)}.",
            f"Send its {wanted.channels} files together, CASE_0000 and so on, in the order of the model's channels.",
        )
    first, *others = channels.values()
    kind = kind_of(first)
    group = _group(first, kind)
    seen = _look_at_case(first, kind, group, others, wanted)
    return {
        "path": str(first), "channels": [str(path) for path in others], "kind": kind.name, "group": group, **seen,
    }  # fmt: skip


def _look_at_case(first: Path, kind: Kind, group: Group, others: Sequence[Path], wanted: InputSpec) -> dict[str, Any]:
    """The size of a case of several channels, in one file or in several. Raises DataError."""
    if group == "volume":
        _look_at_volume(first, kind)
        for path in others:
            _look_at_volume(path, kind_of(path))
    case = read_case_file(first, "sent", wanted, channels=others)
    _require_few_pixels(case.grid.shape if group == "picture" else ())
    return {"size": list(case.grid.shape), "frames": 1}


def _group(path: Path, kind: Kind) -> Group:
    """How a file is predicted and shown; of DICOM its header tells."""
    if kind.media_type != "application/dicom":
        return kind.group
    return "video" if is_clip(path) else "volume" if is_enhanced(path) else kind.group


def _look(path: Path, kind: Kind, group: Group) -> dict[str, Any]:
    if group == "volume":
        return _look_at_volume(path, kind)
    if group == "video":
        return _look_at_video(path, kind)
    image, _ = read_image(path)
    _require_few_pixels(image.shape[1:])
    return {"size": list(image.shape[1:]), "frames": 1}


def _require_few_pixels(shape: Sequence[int]) -> None:
    if shape and math.prod(shape) > MAX_PIXELS:
        raise DataError(
            f"The picture has {shape[1]} x {shape[0]} pixels, more than {MAX_PIXELS // 10**6} megapixels.",
            "Crop or downsample it.",
        )


def _leave_one_series(folder: Path, wanted: str) -> None:
    """Delete the files of other series than the one that is meant. Raises DataError when that is not clear."""
    try:
        meant = files_of_series(folder, wanted)
    except SeveralSeriesError as several:
        raise DataError(
            several.message,
            "Send the files of one series alone, or say which is meant by its number: on the page beside the folder, "
            "in Python with series=, in a request with &series=.",
        ) from None
    for other in set(dicom_files(folder)) - set(meant):
        other.unlink()


def _look_at_volume(path: Path, kind: Kind) -> dict[str, Any]:
    data_file = _DATA_FILES.get(kind.suffix)
    if data_file is not None:
        _require_own_voxels(path, data_file)
    shape = read_voxels(path).values.shape
    if len([size for size in shape if size > 1]) < 3:
        raise DataError(f"The volume has {times(shape)} voxels; three axes are needed.", "Choose a scan's volume.")
    return {"size": list(shape), "frames": 1}


def _require_own_voxels(path: Path, data_file: Any) -> None:
    """Refuse a header that names another file of this machine for its voxels, whether it is there or not."""
    try:
        own = data_file(path) == path
    except DataError:
        own = False
    if not own:
        raise DataError("Its header is damaged, or its voxels lie in another file.", "Send one file with its voxels.")


def _look_at_video(path: Path, kind: Kind) -> dict[str, Any]:
    from gracile.io.video import open_video

    with open_video(path) as video:
        height, width = video.size
        if width * height > MAX_FRAME_PIXELS:
            raise DataError(f"Its frames have {width} x {height} pixels.", "Scale the clip down.")
        frame = next(iter(video), None)
        if frame is None:
            raise DataError("The clip has no frame that can be decoded.", "Export it again.")
        frames, seconds = _announced(path) if kind.group == "video" else (video.count, float(video.count / video.rate))
        if seconds > MAX_SECONDS:
            raise DataError(f"The clip lasts {seconds / 3600:.1f} hours.", "Cut it into parts.")
        return {"size": [height, width], "frames": frames or math.ceil(seconds * float(video.rate))}


def _announced(path: Path) -> tuple[int, float]:
    """Frames and seconds that a clip says it has; 0 where it does not."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        seconds = container.duration / av.time_base if container.duration else 0.0
        return int(stream.frames or 0), float(seconds)
