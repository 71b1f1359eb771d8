"""A picture model as OpenVINO has them: ``NAME.xml`` with its weights in ``NAME.bin``."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gracile.bundle import Bundle
from gracile.export.picture_graph import IMAGE, MASK, NONE_GIVEN, REGION, picture_model
from gracile.export.pictures import Exporting
from gracile.io import write_bytes
from gracile.runners.openvino import load_openvino


class OpenvinoIR(Exporting):
    """OpenVINO has no inputs with a default: a region without a pixel stands for none."""

    engine = "openvino"

    def write(self, bundle: Bundle, name: str, out: Path) -> list[Path]:
        openvino = load_openvino()
        proto = picture_model(bundle, name)
        kept = [tensor for tensor in proto.graph.initializer if tensor.name != REGION]
        del proto.graph.initializer[:]
        proto.graph.initializer.extend(kept)
        model = openvino.Core().read_model(proto.SerializeToString(), b"")
        for port, told in zip(model.outputs, proto.graph.output, strict=True):
            port.get_tensor().set_names({told.name})
        for entry in proto.metadata_props:
            model.set_rt_info(entry.value, ["gracile", entry.key])
        files = [out / f"{name}.xml", out / f"{name}.bin"]
        with TemporaryDirectory() as place:
            openvino.save_model(model, str(Path(place) / files[0].name), compress_to_fp16=False)
            for file in reversed(files):  # the one that is opened last, so that half a model is none
                write_bytes(file, (Path(place) / file.name).read_bytes())
        return files

    def open(self, files: list[Path]) -> None:
        core = load_openvino().Core()
        self._model = core.compile_model(str(files[0]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def mask(self, picture: np.ndarray, region: np.ndarray | None) -> np.ndarray:
        given = NONE_GIVEN if region is None else region.astype(np.uint8)
        return np.array(self._model({IMAGE: picture, REGION: given})[MASK])
