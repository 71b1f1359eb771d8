"""Read whatever a recipe takes, picture or volume, as a case; the other of the two is refused in words."""

from pathlib import Path

from gracile.case import Case
from gracile.errors import DataError
from gracile.io.dicom import is_dicom
from gracile.io.images import read_region
from gracile.io.pictures import read_picture
from gracile.io.volumes import is_volume, read_volume
from gracile.recipe import InputSpec


def read_case_file(path: Path, id: str, wanted: InputSpec | None = None, region: Path | None = None) -> Case:
    """Read a picture, a volume or a DICOM series, as the recipe takes them.

    Args:
        path: A file, or a folder with a DICOM series.
        id: Name of the case.
        wanted: The recipe's input; pictures when None.
        region: Mask of a picture's region of interest.

    Raises:
        DataError: It cannot be read, is a volume where the recipe takes pictures or the reverse, or the region has
            another size.
    """
    wanted = wanted or InputSpec()
    if wanted.kind == "volume":
        if not path.is_dir() and path.is_file() and not is_volume(path) and not is_dicom(path):
            raise DataError(f"{path} is no volume, and this recipe takes volumes.", "Choose a recipe for pictures.")
        return read_volume(path, id, fourth_axis=wanted.fourth_axis, series=wanted.series)
    if is_volume(path):
        raise DataError(
            f"{path} is a volume, and this recipe takes pictures.",
            "Choose a recipe for volumes (input.kind: volume).",
        )
    case = read_picture(path, id)
    if region is not None:
        case.region = read_region(region)
        if case.region.shape != case.grid.shape:
            raise DataError(f"{region} has size {case.region.shape}, {path} {case.grid.shape}.", "They must be equal.")
    return case
