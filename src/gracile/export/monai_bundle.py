"""A model of volumes with masks as a MONAI bundle, which ``python -m monai.bundle run`` executes."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gracile.bundle import Bundle, golden_file
from gracile.errors import UsageError
from gracile.export.contract import contract_of
from gracile.export.volume_folder import write_contract, write_example, write_graphs, write_whole_case
from gracile.io.atomic import write_bytes, write_json, write_text
from gracile.io.model_card import card_text
from gracile.names import PACKAGE, VERSION, docs_page

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"

COMMAND = (
    "python -m monai.bundle run --config_file configs/inference.json --meta_file configs/metadata.json "
    "--dataset_dir VOLUMES --output_dir MASKS"
)


def export_monai(bundle: Bundle, name: str, out: Path) -> Path:
    """Write a model of volumes to ``out/NAME`` as a MONAI bundle.

    Its inference reads the NIfTI volumes of a folder and writes masks on their grids, by the plain example of
    `gracile.export.volume_folder` in ``scripts``. Run from the bundle's folder, with ``fire`` installed besides MONAI.

    Args:
        bundle: The model.
        name: Of its folder.
        out: Folder.

    Returns:
        The folder.

    Raises:
        UsageError: The model gives no masks of volumes, or its cascade is none that can be exported.
        BundleError: It has no graphs.
    """
    recipe = bundle.recipe
    if recipe.input.kind != "volume" or recipe.deciding is None:
        raise UsageError(
            f"A MONAI bundle is made of models that delineate in volumes, and {name} does not.",
            f"Pictures go to onnx and openvino, landmarks too: gracile export {name} --to onnx.",
        )
    contract = contract_of(bundle)
    folder = out / name
    for part in ("configs", "docs", "models", "scripts"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    models = folder / "models"
    write_graphs(bundle, models, "onnx")
    for stage, golden in bundle.goldens.items():
        write_bytes(models / golden_file(stage), golden.read_bytes())
    write_contract(contract, models, bundle, "onnx", write_whole_case(bundle, models / "case"))
    write_text(folder / "scripts" / "__init__.py", "")
    write_example(contract, folder / "scripts" / "example.py")
    wrapped = PACKAGE / "export" / "examples" / "monai_inference.py"
    write_bytes(folder / "scripts" / "inference.py", wrapped.read_bytes())
    write_text(folder / "docs" / "README.md", f"{card_text(recipe, bundle.card)}\n## Run\n\n    {COMMAND}\n")
    write_bytes(folder / "docs" / "export-contract.md", Path(docs_page("export-contract.md")).read_bytes())
    write_json(folder / "configs" / "inference.json", _inference())
    write_json(folder / "configs" / "metadata.json", _metadata(bundle, name))
    return folder


def _inference() -> dict[str, Any]:
    return {
        "imports": ["$from scripts.inference import run as delineate"],
        "bundle_root": ".",
        "device": "cpu",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/eval'",
        "run": ["$delineate(@bundle_root + '/models', @dataset_dir, @output_dir)"],
    }


def _metadata(bundle: Bundle, name: str) -> dict[str, Any]:
    recipe = bundle.recipe
    grid = {"type": "image", "spatial_shape": ["*", "*", "*"], "is_patch_data": False}
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "changelog": {VERSION: "exported by Gracile"},
        "monai_version": _installed("monai"),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {
            package: _installed(package) for package in ("nibabel", "onnxruntime", "fire") if _installed(package)
        },
        "supported_apps": {},
        "name": name,
        "task": recipe.title,
        "description": recipe.summary,
        "authors": "made with Gracile",
        "copyright": str(bundle.card.get("licence", "")),
        "data_type": "nibabel",
        "image_classes": "one volume, as its file scales it",
        "label_classes": ", ".join(f"{index} {one}" for index, one in enumerate(recipe.class_names)),
        "pred_classes": "one volume of class indices on the grid of the input",
        "intended_use": " ".join(bundle.card.get("limits", [])),
        "network_data_format": {
            "inputs": {
                "image": {
                    **grid, "format": "magnitude", "modality": "n/a", "num_channels": recipe.input.channels,
                    "dtype": "float32", "value_range": [], "channel_def": {"0": "image"},
                },
            },
            "outputs": {
                "pred": {
                    **grid, "format": "segmentation", "num_channels": 1, "dtype": "uint8",
                    "value_range": [0, len(recipe.classes) - 1],
                    "channel_def": {str(index): one for index, one in enumerate(recipe.class_names)},
                },
            },
        },
    }  # fmt: skip


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
