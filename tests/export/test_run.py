"""An export ends with figures, and fails by them; what its page says runs as it stands."""

import importlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner

import gracile
from gracile.bundle import read_bundle
from gracile.cli import app
from gracile.errors import ExportError, UsageError
from gracile.export import volumes
from gracile.export.onnx_file import OnnxFile
from gracile.export.openvino_ir import OpenvinoIR
from gracile.export.parity import Parity, ParityRow, require
from gracile.export.pictures import compared, read_cases
from gracile.export.volume_parity import Beside, beside_gracile
from gracile.io import read_image
from gracile.names import demo_folder
from gracile.runners.openvino import load_openvino
from tests.test_docs import blocks, commands
from tests.test_without_torch import gracile_without_torch, without_torch


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fundus photograph made small."""
    image, _ = read_image(demo_folder("retina") / "05_g.jpg")
    path = tmp_path_factory.mktemp("photograph") / "photograph.png"
    Image.fromarray(np.moveaxis(image, 0, -1)).resize((525, 350)).save(path)
    return path


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_a_model_is_exported_and_told_to_agree(tmp_path: Path, photograph: Path, to: str) -> None:
    outcome = CliRunner().invoke(
        app, ["export", "retina-av", "--to", to, "--out", str(tmp_path), "--cases", str(photograph)]
    )
    assert outcome.exit_code == 0, outcome.output
    assert "photograph" in outcome.output
    written = {"onnx": {"retina-av.onnx"}, "openvino": {"retina-av.xml", "retina-av.bin"}}[to]
    assert {path.name for path in tmp_path.iterdir()} == {*written, "parity.json"}
    content = json.loads((tmp_path / "parity.json").read_text())
    (row,) = content["rows"]
    assert content["agrees"]
    assert row["engine"] in ("onnxruntime", "openvino")
    assert row["differing"] < 1e-4
    assert set(row["dice"]) == {"artery", "vein"}
    assert min(*row["dice"].values(), *row["cldice"].values()) > 0.999


@pytest.mark.parametrize("way", [OnnxFile(), OpenvinoIR()], ids=["onnx", "openvino"])
@pytest.mark.parametrize("name", ["surgical-tool", "nerve-ultrasound"])
def test_shipped_models_answer_alike_with_a_region_and_without(tmp_path: Path, way: OnnxFile, name: str) -> None:
    folder = demo_folder({"surgical-tool": "surgery", "nerve-ultrasound": "ultrasound"}[name])
    bundle = read_bundle(name)
    way.open(way.write(bundle, name, tmp_path))
    cases = list(read_cases([folder], bundle.recipe))[:2]
    rows = compared(bundle, [way], cases, given=True)
    assert [row.engine for row in rows] == [way.engine, f"{way.engine}, region given"] * 2
    assert max(row.differing or 0.0 for row in rows) < 1e-5
    assert max(row.differing or 0.0 for row in rows) < 1e-5


def test_an_exported_file_says_what_it_is(tmp_path: Path) -> None:
    bundle = read_bundle("surgical-tool")
    (file,) = OnnxFile().write(bundle, "surgical-tool", tmp_path)
    told = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert json.loads(told["classes"]) == ["background", "tool"]
    assert json.loads(told["colors"]) == [[0, 0, 0], [0, 255, 0]]
    assert told["licence"] == bundle.card["licence"]
    assert json.loads(told["card"])["limits"] == bundle.card["limits"]
    assert json.loads(told["weights"]) == bundle.checksums
    (gate,) = json.loads(told["gates"])
    assert gate["kinds"] == ["absent", "present"]
    assert gate["threshold"] == pytest.approx(float(bundle.weights["presence"]["threshold"]))
    OpenvinoIR().write(bundle, "surgical-tool", tmp_path)
    model = load_openvino().Core().read_model(str(tmp_path / "surgical-tool.xml"))
    assert model.get_rt_info(["gracile", "licence"]).astype(str) == bundle.card["licence"]


def test_a_model_that_answers_otherwise_fails_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = OnnxFile.mask

    def wrong(self: OnnxFile, picture: np.ndarray, region: np.ndarray | None) -> np.ndarray:
        mask = right(self, picture, region).copy()
        mask[: len(mask) // 50] ^= 1
        return mask

    monkeypatch.setattr(OnnxFile, "mask", wrong)
    with pytest.raises(ExportError, match=r"in 6 of 6 cases: larynx, frame 0 with onnxruntime: 1\.95\d\d % of its pix"):
        gracile.export("surgical-tool", "onnx", tmp_path)
    assert not json.loads((tmp_path / "parity.json").read_text())["agrees"]


def test_each_figure_is_judged_by_itself() -> None:
    require(Parity([ParityRow("a", "x", 1e-3, {"cord": 0.9}, {"cord": 0.9981}, 0.02)]))
    for row, figure in (
        (ParityRow("a", "x", 2e-3), r"0\.2000 % of its pixels differ \(at most 0\.1 %\)"),
        (ParityRow("a", "x", 0.0, cldice={"cord": 0.99}), r"clDice of cord is 0\.9900 \(at least 0\.998\)"),
        (ParityRow("a", "x", points_voxels=0.03), r"0\.030 voxels away \(at most 0\.02\)"),
        (ParityRow("a", "x", points_voxels=float("inf")), r"inf voxels away"),
        (ParityRow("a", "x", float("nan")), r"nan %"),
    ):
        with pytest.raises(ExportError, match=figure):
            require(Parity([row]))
    with pytest.raises(ExportError, match="tried on nothing"):
        require(Parity())


def test_a_row_compares_structures_not_classes() -> None:
    own, exported = np.zeros((20, 20), dtype=np.uint8), np.zeros((20, 20), dtype=np.uint8)
    own[4:8], exported[4:8] = 1, 3
    row = ParityRow.of_masks("a", "x", own, exported, {"artery": (1, 3), "vein": (2, 3)})
    assert row.dice == {"artery": 1.0, "vein": 0.0}
    assert row.cldice == {"artery": 1.0, "vein": 0.0}
    assert row.differing == pytest.approx(0.2)
    assert ParityRow.of_masks("a", "x", own, exported[:10], {}).differing == 1.0


def test_what_cannot_be_exported_is_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no format 'onx'.*onnx"):
        gracile.export("surgical-tool", "onx", tmp_path)
    with pytest.raises(UsageError, match=r"monai is not for models of pictures.*onnx, openvino"):
        gracile.export("surgical-tool", "monai", tmp_path)
    with pytest.raises(UsageError, match=r"skull-landmarks does not.*gracile export skull-landmarks --to onnx"):
        gracile.export("skull-landmarks", "monai", tmp_path)


def test_a_model_of_volumes_is_tried_by_its_example_and_fails_with_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = gracile.export("spinal-cord", "openvino", tmp_path)
    assert exported.files == [tmp_path / "spinal-cord"]
    (row,) = json.loads((tmp_path / "parity.json").read_text())["rows"]
    assert (row["engine"], row["differing"], row["agrees"]) == ("openvino", 0.0, True)
    monkeypatch.setattr(volumes, "beside_gracile", partial(other_answers, volumes_of=beside_gracile))
    with pytest.raises(ExportError, match=r"volume\.nii\.gz with openvino: .* of its pixels differ"):
        gracile.export("spinal-cord", "openvino", tmp_path)


def other_answers(*given: Any, volumes_of: Any) -> Iterator[Beside]:
    """As if an exported model had found a part of what Gracile found."""
    for one in volumes_of(*given):
        assert one.exported is not None
        yield replace(one, exported=np.where(np.arange(one.exported.shape[2]) % 2, one.exported, 0))


def test_a_model_of_ones_own_needs_pictures_to_be_tried_on(tmp_path: Path) -> None:
    bundle = shutil.copytree(Path(read_bundle("surgical-tool").folder or ""), tmp_path / "mine")
    content = json.loads((bundle / "bundle.json").read_text())
    content["recipe"]["name"] = "mine"
    (bundle / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="--cases FOLDER"):
        gracile.export(bundle, "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_it_needs_onnx_and_no_torch(tmp_path: Path) -> None:
    arguments = ("export", "surgical-tool", "--to", "onnx", "--out", tmp_path)
    done = gracile_without_torch(*arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "surgical-tool.onnx").is_file()
    done = without_torch("sys.modules['onnx'] = None\nfrom gracile.cli import main\nmain()", *arguments)
    assert done.returncode == 2
    assert "needs the package onnx" in done.stderr
    assert 'pip install "gracile[train]"' in done.stderr


def test_functions_keep_the_names_that_rooms_have_too() -> None:
    for room in ("explain", "export"):
        importlib.import_module(f"gracile.{room}.run")
        assert callable(getattr(gracile, room))


def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photograph: Path) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(photograph, "photograph.png")
    exporting, *_ = commands("export.md")
    outcome = CliRunner().invoke(app, exporting)
    assert outcome.exit_code == 0, outcome.output
    programs = blocks("export.md", "python")
    assert len([line for line in programs[0].splitlines() if line]) == 5
    given: dict[str, Any] = {}
    exec(programs[0], given)
    own = gracile.load("retina-av", precision="float32")("photograph.png")
    assert own.mask is not None
    assert (given["mask"] != own.mask).mean() < 1e-4
    for program in programs[1:]:
        exec(program, given)
    assert not given["mask"][given["field_of_view"] == 0].any()
