"""An exported model of volumes beside Gracile itself, case by case, by the plain example in its folder."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gracile.bundle import Bundle
from gracile.errors import BundleError
from gracile.export.volume_folder import points_of
from gracile.io.nifti import read_nifti
from gracile.io.volumes import read_volume
from gracile.pipeline import Pipeline
from gracile.runners import Computing

ENGINES = {".onnx": "onnxruntime", ".xml": "openvino"}


@dataclass(frozen=True)
class Beside:
    """Gracile's answer to a volume and that of the exported model.

    Args:
        name: Of the case.
        engine: What computed the exported model.
        own: Gracile's mask ``(I, J, K)`` of class indices; None where the model finds landmarks alone.
        exported: That of the exported model.
        own_points: Gracile's landmarks by name, ``(3,)`` voxels of the volume; None where one was not found.
        exported_points: Those of the exported model.
        own_seconds: How long Gracile took, its model loaded.
        exported_seconds: How long the example took, from its start as a program.
    """

    name: str
    engine: str
    own: np.ndarray | None
    exported: np.ndarray | None
    own_points: dict[str, np.ndarray | None]
    exported_points: dict[str, np.ndarray | None]
    own_seconds: float
    exported_seconds: float

    @property
    def points_voxels(self) -> float | None:
        """Largest distance of a point in voxels, infinite where only one of both has it; None without landmarks."""
        if not self.own_points:
            return None
        farthest = 0.0
        for name, own in self.own_points.items():
            other = self.exported_points.get(name)
            if own is not None and other is not None:
                farthest = max(farthest, float(np.linalg.norm(own - other)))
            elif own is not None or other is not None:
                return float("inf")
        return farthest


def beside_gracile(bundle: Bundle, folder: Path, volumes: Iterable[Path], threads: int = 0) -> Iterator[Beside]:
    """Compute NIfTI volumes by Gracile, in float32 through ONNX Runtime, and by an exported folder's example.

    Args:
        bundle: The model.
        folder: What `export_volume` or `export_monai` made of it.
        volumes: Files.
        threads: Of the processor, for Gracile's own networks; 0 takes all.

    Raises:
        BundleError: The example ended with an error.
        DataError: A volume cannot be read.
    """
    pipeline = Pipeline.from_bundle(bundle, Computing("onnxruntime", "float32", threads))
    engine = ENGINES[".xml" if any(folder.glob("*.xml")) else ".onnx"]
    for path in volumes:
        case = read_volume(path, path.name)
        start = time.perf_counter()
        result = pipeline(case)
        own_seconds, start = time.perf_counter() - start, time.perf_counter()
        with TemporaryDirectory() as place:
            target = Path(place) / ("points.json" if bundle.recipe.landmarks else "mask.nii.gz")
            run_example(folder, path, target)
            seconds = time.perf_counter() - start
            mask, points = None, {}
            if bundle.recipe.landmarks:
                points = json.loads(target.read_text(encoding="utf-8"))["points"]
            else:
                mask = read_nifti(target).values
        assert case.grid.affine is not None
        own = points_of(result) if bundle.recipe.landmarks else {}
        yield Beside(
            path.parent.name + "/" + path.name, engine, result.mask if not points else None, mask,
            _in_voxels(own, case.grid.affine), _in_voxels(points, case.grid.affine), own_seconds, seconds,
        )  # fmt: skip


def run_example(folder: Path, volume: Path, target: Path) -> None:
    """Run the example of an exported folder as a program of its own. Raises BundleError with its words."""
    monai = (folder / "scripts").is_dir()
    program, data = (folder / "scripts", folder / "models") if monai else (folder, folder)
    command = [sys.executable, str(program / "example.py"), str(data), str(volume), str(target)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise BundleError(f"The example of {folder} ended with an error: {lines[-1]}", "Export the model again.")


def _in_voxels(points: dict[str, list[float] | None], affine: np.ndarray) -> dict[str, np.ndarray | None]:
    back = np.linalg.inv(affine)
    return {
        name: None if place is None else back[:3, :3] @ np.array(place) + back[:3, 3] for name, place in points.items()
    }
