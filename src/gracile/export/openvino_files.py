"""OpenVINO's two files of a model: a graph with its weights beside it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gracile.io import write_bytes
from gracile.runners.openvino import load_openvino


def write_openvino(model: Any, path: Path) -> list[Path]:
    """Write a model of OpenVINO in float32.

    Args:
        model: As OpenVINO has read it.
        path: ``NAME.xml``.

    Returns:
        That file, and ``NAME.bin`` with the weights, which is written first, so that half a model is none.
    """
    files = [path, path.with_suffix(".bin")]
    with TemporaryDirectory() as place:
        load_openvino().save_model(model, str(Path(place) / path.name), compress_to_fp16=False)
        for file in reversed(files):
            write_bytes(file, (Path(place) / file.name).read_bytes())
    return files
