"""Every command that writes says at once when it cannot: a file in the way, a full disk, missing rights."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gracile import api
from gracile.cli import app
from gracile.errors import WriteError
from gracile.io import atomic
from tests.io.full import full_disk_beyond
from tests.learning.runs import HELD_BACK, assert_same_weights

PICTURES = "demo/ultrasound"
COMMANDS: dict[str, list[str]] = {
    "train": ["train", "retina-av", "{data}", "--out", "{out}"],
    "predict": ["predict", "nerve-ultrasound", PICTURES, "--out", "{out}"],
    "explain": ["explain", "surgical-tool", PICTURES, "--out", "{out}"],
    "export": ["export", "surgical-tool", "--to", "onnx", "--out", "{out}"],
    "demo": ["demo", "--model", "nerve-ultrasound", "--out", "{out}"],
    "calibrate": ["calibrate", "surgical-tool", "{data}", "--out", "{out}"],
    "calibrate --page": ["calibrate", "surgical-tool", "{data}", "--out", "{labels}/new", "--page", "{out}/a.html"],
    "compare": ["compare", "retina-av", "retina-av", "{data}", "--out", "{out}"],
    "tune": ["tune", "learning-rate", "{data}", "--recipe", "retina-av", "--out", "{out}"],
    "few-shot": ["few-shot", "retina-av", "{data}", "--out", "{out}", "--test", "00", "--shots", "1"],
    "evaluate --json": ["evaluate", "{labels}", "{labels}", "--protocol", "segmentation", "--json", "{out}/a.json"],
    "evaluate --csv": ["evaluate", "{labels}", "{labels}", "--protocol", "segmentation", "--csv", "{out}/a.csv"],
    "evaluate --report": ["evaluate", "{labels}", "{labels}", "--protocol", "segmentation", "--report", "{out}/a.html"],
    "table": ["table", "{run}", "--out", "{out}/a.csv"],
    "export-rle": [
        "data",
        "export-rle",
        "{labels}",
        "{out}/a.csv",
        "--structure",
        "nerve",
        "--recipe",
        "nerve-ultrasound",
    ],
    "import-rle": ["data", "import-rle", "{codes}", "--size", "9,9", "--out", "{out}"],
    "import-smicnet": ["models", "import-smicnet", "{codes}", "--out", "{out}"],
    "serve": ["serve", "retina-av", "--folder", "{out}", "--port", "0"],
}
"""Each as it is given; ``{out}`` is what cannot be written."""


@pytest.fixture
def places(fundus_folder: Path, tmp_path: Path) -> dict[str, str]:
    labels = tmp_path / "labels"
    labels.mkdir()
    Image.fromarray(np.eye(9, dtype=np.uint8)).save(labels / "a.png")
    (tmp_path / "codes.csv").write_text("img,pixels\n1,3 4\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "predictions.json").write_text('{"inputs": []}')
    return {"data": str(fundus_folder), "labels": str(labels), "codes": str(tmp_path / "codes.csv"),
            "run": str(tmp_path / "run")}  # fmt: skip


def refusal(command: str, out: Path, places: dict[str, str]) -> str:
    """What a command says that ends before it reads a case."""
    with pytest.MonkeyPatch.context() as patch:
        for place in (
            "training.find_cases",
            "calibrating.find_cases",
            "find_inputs",
            "load",
        ):  # nothing is looked at, and no model loaded
            patch.setattr(f"gracile.api.{place}", unexpected)
        outcome = CliRunner().invoke(app, [part.format(out=out, **places) for part in COMMANDS[command]])
    assert outcome.exit_code != 0
    assert isinstance(outcome.exception, WriteError), outcome.exception
    return str(outcome.exception)


def unexpected(*_: object, **__: object) -> None:
    raise AssertionError("It began before it knew that it can write.")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_in_place_of_the_folder_is_told_at_once(command: str, places: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "part of its path is a file" in refusal(command, tmp_path / "file", places)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("code", "says"), [(errno.ENOSPC, "The disk is full"), (errno.EACCES, "Choose a folder that you may write to")]
)
def test_a_full_disk_and_missing_rights_are_told_at_once(
    command: str, code: int, says: str, places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Callable[..., int] = os.open

    def refusing(path: str | Path, *arguments: int) -> int:
        if Path(path).name.startswith(".part-"):
            raise OSError(code, os.strerror(code), str(path))
        return whole(path, *arguments)

    monkeypatch.setattr(atomic.os, "open", refusing)
    assert says in refusal(command, tmp_path / "out", places)
    assert not (tmp_path / "out").exists()


def test_a_folder_where_a_file_will_be_is_told_at_once(places: dict[str, str], tmp_path: Path) -> None:
    files = {"predict": "predictions.json", "train": "recipe.yaml", "explain": "index.html", "export": "parity.json",
             "calibrate": "bundle.json", "calibrate --page": "a.html",
             "tune": "best.yaml", "few-shot": "few_shot.json", "evaluate --json": "a.json"}  # fmt: skip
    for command, name in files.items():
        (tmp_path / command / name).mkdir(parents=True)
        assert f"{name} cannot be written: it is a folder" in refusal(command, tmp_path / command, places)


def test_a_disk_that_fills_in_a_training_is_told_and_the_run_goes_on_when_there_is_space(
    fundus_folder: Path, tmp_path: Path
) -> None:
    settings = [*HELD_BACK, "train.epochs=2"]
    api.train("retina-av", fundus_folder, tmp_path / "whole", settings=settings)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file()}
    for name, size in (("image.npy", sizes["image.npy"] // 2), ("last.ckpt", sizes["last.ckpt"] // 2)):
        out = tmp_path / name
        assert (name == "image.npy") == (size < sizes["image.npy"])
        with full_disk_beyond(size), pytest.raises(WriteError, match=f"The disk is full: .*{name}"):
            api.train("retina-av", fundus_folder, out, settings=settings)
        bundle = api.train("retina-av", fundus_folder, out, resume=True)
        assert_same_weights(tmp_path / "whole" / "bundle", bundle)
        assert not list(out.rglob(".part-*"))


def test_a_disk_that_fills_in_a_prediction_ends_it_and_it_goes_on_when_there_is_space(
    tiny_bundle: Path, fundus_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with full_disk_beyond(20_000), pytest.raises(WriteError, match="The disk is full"):
        api.predict(tiny_bundle, fundus_folder / "images", out, report=True)
    summary = api.predict(tiny_bundle, fundus_folder / "images", out)
    assert not summary.failed
    assert summary.report is not None
    assert not list(out.rglob(".part-*"))
