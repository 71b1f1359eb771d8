"""Models of volumes in the formats of other programs, each tried beside Gracile by the plain example in its folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from gracile.bundle import Bundle
from gracile.export.parity import ParityRow
from gracile.export.volume_folder import export_volume
from gracile.export.volume_parity import Beside, beside_gracile
from gracile.io.naming import is_volume_file


def onnx_folder(bundle: Bundle, name: str, out: Path) -> Path:
    """``out/NAME`` with graphs for ONNX Runtime. Raises as `export_volume` does."""
    return export_volume(bundle, name, out, "onnx")


def openvino_folder(bundle: Bundle, name: str, out: Path) -> Path:
    """``out/NAME`` with graphs for OpenVINO. Raises as `export_volume` does."""
    return export_volume(bundle, name, out, "openvino")


def compared(bundle: Bundle, folder: Path, cases: Sequence[Path] = ()) -> list[ParityRow]:
    """What an exported folder makes of NIfTI volumes, beside Gracile in float32.

    Args:
        bundle: What was exported.
        folder: What was written.
        cases: Files, and folders of such; the case that comes with the folder when empty.
    """
    own = [place / "case" / "volume.nii.gz" for place in (folder, folder / "models")]
    volumes = [path for case in cases for path in _volumes(case)] if cases else [path for path in own if path.is_file()]
    return [row_of(one, bundle.recipe.structures) for one in beside_gracile(bundle, folder, volumes)]


def row_of(one: Beside, structures: Mapping[str, Sequence[int]]) -> ParityRow:
    """Both answers to a volume in figures."""
    if one.own is None or one.exported is None:
        return ParityRow(one.name, one.engine, points_voxels=one.points_voxels)
    return ParityRow.of_masks(one.name, one.engine, one.own, one.exported, structures)


def _volumes(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if is_volume_file(path)) if place.is_dir() else [place]
