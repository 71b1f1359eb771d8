"""The files of a volume's result: where they lie, and writing them."""

from pathlib import Path

import numpy as np

from gracile.io import write_mask, write_probabilities, writing
from gracile.result import Result


def write_volume_results(result: Result, out: Path) -> dict[str, str]:
    """Write what was found in a volume, in the patient's own place.

    ``NAME.nii.gz`` is the mask on the input's grid, ``probabilities/NAME.nii.gz`` the probability maps where they were
    kept, a volume for each class. Further maps lie in folders of their own: as NIfTI where they are on the input's
    grid, else as ``.npz``. Whatever else a result of volumes has, such as its centerline, is written from here.

    Args:
        result: The result; its ``case_id`` names the files.
        out: Folder to write to.

    Returns:
        The files by kind, relative to ``out``.

    Raises:
        DataError: A file cannot be written.
    """
    files: dict[str, str] = {}
    if result.mask is not None:
        files["mask"] = f"{result.case_id}.nii.gz"
        write_mask(out / files["mask"], result.mask, result.grid)
    maps = {**result.extras}
    if result.probabilities is not None:
        maps["probabilities"] = result.probabilities
    for kind, probabilities in maps.items():
        if probabilities.shape[1:] == result.grid.shape:
            files[kind] = f"{kind}/{result.case_id}.nii.gz"
            write_probabilities(out / files[kind], probabilities, result.grid)
            continue
        files[kind] = f"{kind}/{result.case_id}.npz"
        with writing(out / files[kind]) as path, path.open("wb") as file:
            np.savez_compressed(file, probabilities=probabilities.astype(np.float16))
    return files


def volume_result_files(name: str) -> list[str]:
    """What `write_volume_results` may have written for an input, relative to the folder of the run."""
    return [f"{name}.nii.gz", f"probabilities/{name}.nii.gz", f"network_size/{name}.npz"]
