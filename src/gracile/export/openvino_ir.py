"""A picture model as OpenVINO has them: ``NAME.xml`` with its weights in ``NAME.bin``."""

from pathlib import Path

import numpy as np

from gracile.bundle import Bundle
from gracile.export.openvino_files import write_openvino
from gracile.export.picture_graph import IMAGE, MASK, NONE_GIVEN, REGION, picture_model
from gracile.export.pictures import Exporting
from gracile.runners.openvino import load_openvino


class OpenvinoIR(Exporting):
    """OpenVINO has no inputs with a default: a region without a pixel stands for none."""

    engine = "openvino"

    def write(self, bundle: Bundle, name: str, out: Path) -> list[Path]:
        proto = picture_model(bundle, name)
        kept = [tensor for tensor in proto.graph.initializer if tensor.name != REGION]
        del proto.graph.initializer[:]
        proto.graph.initializer.extend(kept)
        model = load_openvino().Core().read_model(proto.SerializeToString(), b"")
        for port, told in zip(model.outputs, proto.graph.output, strict=True):
            port.get_tensor().set_names({told.name})
        for entry in proto.metadata_props:
            model.set_rt_info(entry.value, ["gracile", entry.key])
        return write_openvino(model, out / f"{name}.xml")

    def open(self, files: list[Path]) -> None:
        core = load_openvino().Core()
        self._model = core.compile_model(str(files[0]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def mask(self, picture: np.ndarray, region: np.ndarray | None) -> np.ndarray:
        given = NONE_GIVEN if region is None else region.astype(np.uint8)
        return np.array(self._model({IMAGE: picture, REGION: given})[MASK])
