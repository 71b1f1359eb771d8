"""A model of volumes as a folder for programmers: graphs, a contract, golden cases and a plain example."""

import hashlib
import io
from pathlib import Path
from typing import Literal

import numpy as np

from gracile.bundle import Bundle, golden_file
from gracile.case import Case
from gracile.export.contract import Contract, contract_of
from gracile.export.openvino_files import write_openvino
from gracile.io.atomic import write_bytes, write_json, write_text
from gracile.io.model_card import card_text
from gracile.io.naming import is_volume_file
from gracile.io.nifti_writing import write_mask
from gracile.io.volumes import read_volume
from gracile.names import MODELS, PACKAGE, demo_folder, docs_page
from gracile.pipeline import Pipeline
from gracile.result import Result
from gracile.runners import Computing
from gracile.runners.openvino import load_openvino

Engine = Literal["onnx", "openvino"]

EXAMPLES = {"line-and-column": "cord.py", "heat-and-patches": "landmarks.py"}
"""The example of each cascade."""

OPENVINO = {
    "import onnxruntime\n": "import openvino\n",
    "session.run(None, ": "session(",
    "onnxruntime.InferenceSession(path)": 'openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})',
}
"""What an example says to OpenVINO instead."""

COMPUTED_WITH = (".onnx", ".safetensors", ".xml", ".bin", ".npz")
"""Suffixes of files whose checksums stand in the contract."""


def export_volume(bundle: Bundle, name: str, out: Path, to: Engine = "onnx") -> Path:
    """Write a model of volumes to ``out/NAME``.

    Args:
        bundle: The model.
        name: Of its folder.
        out: Folder.
        to: Its graphs as ONNX, with weights beside them, or as OpenVINO's ``.xml`` and ``.bin``.

    Returns:
        The folder.

    Raises:
        UsageError: The recipe's cascade is none that can be exported.
        BundleError: It has no graphs.
    """
    contract = contract_of(bundle)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    write_graphs(bundle, folder, to)
    for stage, golden in bundle.goldens.items():
        write_bytes(folder / golden_file(stage), golden.read_bytes())
    write_example(contract, folder / "example.py", to)
    write_text(folder / "card.md", card_text(bundle.recipe, bundle.card))
    write_bytes(folder / "export-contract.md", Path(docs_page("export-contract.md")).read_bytes())
    whole = write_whole_case(bundle, folder / "case")
    write_contract(contract, folder, bundle, to, whole)
    return folder


def write_contract(contract: Contract, folder: Path, bundle: Bundle, to: Engine, whole: dict[str, str]) -> None:
    """``tables.npz`` and, last of all, ``contract.json``, with the checksums of what lies beside it."""
    suffix = ".onnx" if to == "onnx" else ".xml"
    content = dict(contract.content)
    content["steps"] = [
        {**step, "graph": step["graph"] + suffix} if "graph" in step else step for step in content["steps"]
    ]
    if contract.tables:
        stream = io.BytesIO()
        np.savez_compressed(stream, **contract.tables)  # type: ignore[arg-type]
        write_bytes(folder / "tables.npz", stream.getvalue())
    content["golden"] = {
        "networks": {stage: golden_file(stage) for stage in bundle.goldens},
        "whole": whole,
    }  # fmt: skip
    content["licence"] = bundle.card.get("licence", "")
    used = [path for path in sorted(folder.iterdir()) if path.suffix in COMPUTED_WITH]
    content["sha256"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in used}
    write_json(folder / "contract.json", content)


def write_graphs(bundle: Bundle, folder: Path, to: Engine) -> None:
    """The stages' graphs. Raises BundleError."""
    for stage, graph in bundle.graphs.items():
        weights = graph.with_suffix(".safetensors")
        if to == "onnx":
            write_bytes(folder / weights.name, weights.read_bytes())
            write_bytes(folder / graph.name, graph.read_bytes())
        else:
            write_openvino(load_openvino().Core().read_model(graph), folder / f"{stage}.xml")


def write_example(contract: Contract, path: Path, to: Engine = "onnx") -> None:
    """The plain program that reproduces Gracile's answer from the folder."""
    text = (PACKAGE / "export" / "examples" / EXAMPLES[contract.content["cascade"]]).read_text(encoding="utf-8")
    if to == "openvino":
        for own, other in OPENVINO.items():
            assert own in text
            text = text.replace(own, other)
    write_text(path, text)


def write_whole_case(bundle: Bundle, folder: Path) -> dict[str, str]:
    """A small volume and Gracile's own answer to it, with whose volume it is; empty where the model has no demo.

    Returns:
        Names of the files within the folder's parent, by what they are.
    """
    demos = [demo_folder(model.demo) for model in MODELS.values() if model.demo and model.recipe == bundle.recipe.name]
    if not demos or not demos[0].is_dir():
        return {}
    volume = next(path for path in sorted(demos[0].iterdir()) if is_volume_file(path))
    folder.mkdir(exist_ok=True)
    files = {"volume": f"{folder.name}/volume.nii.gz"}
    write_bytes(folder / "volume.nii.gz", volume.read_bytes())
    for told in ("CREDITS.md", "LICENSE"):
        if (demos[0] / told).is_file():
            write_bytes(folder / told, (demos[0] / told).read_bytes())
    result = answer_of(bundle, read_volume(folder / "volume.nii.gz", "volume"))
    if result.landmarks:
        write_json(folder / "points.json", {"coordinates": "RAS+ mm", "points": points_of(result)})
        return {**files, "points": f"{folder.name}/points.json"}
    assert result.mask is not None
    write_mask(folder / "mask.nii.gz", result.mask, result.grid)
    return {**files, "mask": f"{folder.name}/mask.nii.gz"}


def answer_of(bundle: Bundle, case: Case) -> Result:
    """Gracile's own answer in float32."""
    return Pipeline.from_bundle(bundle, Computing("onnxruntime", "float32"))(case)


def points_of(result: Result) -> dict[str, list[float] | None]:
    """Landmarks in RAS+ mm by name, None where one was not found."""
    return {
        one.name: None if one.point_mm is None else [float(value) for value in one.point_mm]
        for one in result.landmarks
    }  # fmt: skip
