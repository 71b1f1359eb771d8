"""A drawn cord as people have scans."""

import zipfile
from pathlib import Path

import numpy as np

from tests.stages.test_volume_stages import cord_case
from tests.volumes_on_disk import write_itk, write_nifti, write_series

SEED = 7
FORMATS = ("cord.nii.gz", "cord.nii", "cord.nrrd", "cord.mha", "series", "series.zip")


def drawn_cord() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int16 values, affine and true mask of a cord that no model saw."""
    case = cord_case(SEED, "PSR")
    assert case.grid.affine is not None
    assert case.truth is not None
    return np.rint(case.image[0]).astype(np.int16), case.grid.affine, case.truth


def write_cord(folder: Path, name: str) -> Path:
    """The drawn cord in the format that a name of `FORMATS` tells."""
    values, affine, _ = drawn_cord()
    path = folder / name
    if name.startswith("series"):
        series = write_series(folder / "series", values, affine)
        return packed(series, path) if name.endswith(".zip") else series
    return write_nifti(path, values, affine) if ".nii" in name else write_itk(path, values, affine)


def packed(series: Path, archive: Path) -> Path:
    """A series as people send it: in a folder with a telling name, a text beside it."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("DOE^JANE/README.TXT", "burned by Doe^Jane")
        for file in sorted(series.iterdir()):
            content.write(file, f"DOE^JANE/{file.name}")
    return archive
