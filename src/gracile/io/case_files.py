"""Read whatever a recipe takes, picture or volume, as a case; the other of the two is refused in words."""

from pathlib import Path
from typing import Literal, Protocol

from gracile.case import Case
from gracile.errors import DataError
from gracile.io.dicom import is_dicom
from gracile.io.pictures import read_picture
from gracile.io.volumes import FourthAxis, is_volume, read_volume


class Wanted(Protocol):
    """What a reader must know of a recipe's input."""

    @property
    def kind(self) -> Literal["image", "volume"]: ...

    @property
    def fourth_axis(self) -> FourthAxis: ...

    @property
    def series(self) -> str: ...


def read_case_file(path: Path, id: str, wanted: Wanted) -> Case:
    """Read a picture, a volume or a DICOM series, as the recipe takes them.

    Args:
        path: A file, or a folder with a DICOM series.
        id: Name of the case.
        wanted: The recipe's input.

    Raises:
        DataError: It cannot be read, or is a volume where the recipe takes pictures or the reverse.
    """
    if wanted.kind == "volume":
        if not path.is_dir() and path.is_file() and not is_volume(path) and not is_dicom(path):
            raise DataError(f"{path} is no volume, and this recipe takes volumes.", "Choose a recipe for pictures.")
        return read_volume(path, id, fourth_axis=wanted.fourth_axis, series=wanted.series)
    if is_volume(path):
        raise DataError(
            f"{path} is a volume, and this recipe takes pictures.",
            "Choose a recipe for volumes (input.kind: volume).",
        )
    return read_picture(path, id)
