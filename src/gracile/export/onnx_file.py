"""A picture model as one file of ONNX, run by ONNX Runtime alone."""

from pathlib import Path

import numpy as np
import onnx

from gracile.bundle import Bundle
from gracile.errors import ExportError
from gracile.export.picture_graph import IMAGE, MASK, REGION, picture_model
from gracile.export.pictures import Exporting
from gracile.io import write_bytes

LARGEST = 2_000_000_000
"""Bytes of a file of ONNX that has its weights inside."""


class OnnxFile(Exporting):
    """``NAME.onnx``: an input with a default may be left out."""

    engine = "onnxruntime"

    def write(self, bundle: Bundle, name: str, out: Path) -> list[Path]:
        model = picture_model(bundle, name)
        if model.ByteSize() > LARGEST:
            raise ExportError(f"{name} is larger than a file of ONNX can be (2 GB).", "Export it with --to openvino.")
        onnx.checker.check_model(model)
        file = out / f"{name}.onnx"
        write_bytes(file, model.SerializeToString(deterministic=True))
        return [file]

    def open(self, files: list[Path]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns that an input has a default
        self._session = onnxruntime.InferenceSession(str(files[0]), options, providers=["CPUExecutionProvider"])

    def mask(self, picture: np.ndarray, region: np.ndarray | None) -> np.ndarray:
        given = {} if region is None else {REGION: region.astype(np.uint8)}
        (mask,) = self._session.run([MASK], {IMAGE: picture, **given})
        return np.asarray(mask)
