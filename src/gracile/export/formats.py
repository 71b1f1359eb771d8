"""What a model can be exported to, as data: the help and the completion read it too."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A format of other programs.

    Args:
        summary: For people.
        pictures: Where a `gracile.export.pictures.Exporting` lies that writes picture models, ``module:Class``; empty
            where it is not for them.
        volumes: Where a function lies that writes models of volumes, ``(bundle, name, out) -> folder``; likewise.
    """

    summary: str
    pictures: str = ""
    volumes: str = ""


FORMATS: dict[str, Format] = {
    "onnx": Format(
        "pictures: one file for ONNX Runtime; volumes: a folder with its contract and a plain example",
        "gracile.export.onnx_file:OnnxFile", "gracile.export.volumes:onnx_folder",
    ),
    "openvino": Format(
        "the same for OpenVINO", "gracile.export.openvino_ir:OpenvinoIR", "gracile.export.volumes:openvino_folder",
    ),
    "monai": Format("volumes: a bundle for MONAI", volumes="gracile.export.monai_bundle:export_monai"),
}  # fmt: skip
"""What a model can be exported to."""
