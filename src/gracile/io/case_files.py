"""Read whatever a recipe takes, picture or volume, as a case; the other of the two is refused in words."""

from collections.abc import Sequence
from pathlib import Path

from gracile.case import Case
from gracile.errors import DataError
from gracile.io.channels import joined, require_all_in_one, require_channels
from gracile.io.dicom import is_dicom
from gracile.io.images import read_region
from gracile.io.pictures import read_picture
from gracile.io.volumes import is_volume, read_volume
from gracile.recipe import InputSpec


def read_case_file(
    path: Path, id: str, wanted: InputSpec | None = None, region: Path | None = None, channels: Sequence[Path] = ()
) -> Case:
    """Read a picture, a volume or a DICOM series, as the recipe takes them.

    Args:
        path: A file, or a folder with a DICOM series.
        id: Name of the case.
        wanted: The recipe's input; pictures when None.
        region: Mask of a picture's region of interest.
        channels: Files of its further channels, in the recipe's order; volumes among them that lie on another grid are
            brought to the first one's.

    Raises:
        DataError: It cannot be read, is a volume where the recipe takes pictures or the reverse, the region has
            another size, or channels are missing, are too many, or lie elsewhere.
    """
    wanted = wanted or InputSpec()
    paths = [path, *channels]
    if channels:
        require_channels(id, paths, wanted)
        case = joined(paths, id, wanted, lambda one: _read(one, id, wanted))
    else:
        case = _read(path, id, wanted, wanted.channels if wanted.separate else 0)
        if wanted.separate:
            require_all_in_one(case, path, wanted)
    if len(case.image) > 1 and (wanted.separate or channels):
        case.channel_names, case.shown = tuple(wanted.channel_names), wanted.shown_index
    if region is not None:
        case.region = read_region(region)
        if case.region.shape != case.grid.shape:
            raise DataError(f"{region} has size {case.region.shape}, {path} {case.grid.shape}.", "They must be equal.")
    return case


def _read(path: Path, id: str, wanted: InputSpec, channels: int = 0) -> Case:
    """One file, with so many channels where it has them."""
    if wanted.kind == "volume":
        if not path.is_dir() and path.is_file() and not is_volume(path) and not is_dicom(path):
            raise DataError(f"{path} is no volume, and this recipe takes volumes.", "Choose a recipe for pictures.")
        return read_volume(path, id, fourth_axis=wanted.fourth_axis, series=wanted.series)
    if is_volume(path):
        raise DataError(
            f"{path} is a volume, and this recipe takes pictures.",
            "Choose a recipe for volumes (input.kind: volume).",
        )
    return read_picture(path, id, channels)
