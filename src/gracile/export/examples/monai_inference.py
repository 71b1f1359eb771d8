"""Delineates all volumes of a folder, for ``configs/inference.json``."""

from pathlib import Path

SUFFIXES = (".nii.gz", ".nii")


def run(models, dataset_dir, output_dir):
    """A mask of the same name and grid in ``output_dir`` for each NIfTI volume in ``dataset_dir``."""
    from scripts.example import main  # beside this file in a bundle

    volumes = sorted(path for path in Path(dataset_dir).iterdir() if path.name.lower().endswith(SUFFIXES))
    if not volumes:
        raise FileNotFoundError(f"There is no NIfTI volume in {dataset_dir}.")
    Path(output_dir).mkdir(parents=True, exist_ok=True)
    masks = [Path(output_dir) / path.name for path in volumes]
    for volume, mask in zip(volumes, masks, strict=True):
        if mask.resolve() == volume.resolve():
            raise ValueError("The masks would replace their volumes: choose another output_dir.")
        print(f"{volume.name} ...", flush=True)
        main(Path(models), volume, mask)
    return masks
