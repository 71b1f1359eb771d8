"""What applies models works without PyTorch and what is built on it; the rest says what to install."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import pytest

from gracile.learning.graphs import upgrade_bundle
from gracile.names import MODELS, demo_folder
from gracile.recipe import read_recipe
from tests.gated_clips import write_clips
from tests.stages.test_landmark_windows import head
from tests.stages.test_windows import write_windows

ABSENT = (
    "torch",
    "torchvision",
    "lightning",
    "monai",
    "timm",
    "segmentation_models_pytorch",
    "captum",
    "optuna",
    "h5py",
)

BLOCKED = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT!r}))  # an import of what is None there fails as of what is not installed
"""

EVERY_ROOM = """
import importlib, json
from pathlib import Path
import gracile

LEFT_OUT = ("networks", "losses", "samples", "learning", "explain", "devices", "__main__")
ALONE = ("gracile.io.keras_weights",)
broken = []
top = Path(gracile.__file__).parent
for path in sorted(top.rglob("*.py")):
    parts = path.relative_to(top).with_suffix("").parts
    name = ".".join(("gracile", *(parts[:-1] if parts[-1] == "__init__" else parts)))
    if parts[0] not in LEFT_OUT and name not in ALONE:
        try:
            importlib.import_module(name)
        except Exception as error:
            broken.append(f"{name}: {error}")
print(json.dumps(broken))
"""


def without_torch(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED + code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment)


def gracile_without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    return without_torch("from gracile.cli import main\nmain()", *arguments)


def test_every_room_that_applies_is_imported():
    done = without_torch(EVERY_ROOM)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.demo])
def test_every_shipped_model_answers(name, tmp_path):
    folder = demo_folder(MODELS[name].demo)
    source = next(path for path in sorted(folder.iterdir()) if path.suffix in (".jpg", ".png", ".gz", ".avi"))
    done = gracile_without_torch("predict", name, source, "--out", tmp_path / "out", "--no-report")
    assert done.returncode == 0, done.stderr
    (record,) = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))["inputs"]
    assert record["status"] == "found"
    computed = record["computed"]
    assert {one["engine"] for one in ([computed] if "engine" in computed else computed.values())} == {"openvino"}


def test_a_model_of_windows_answers(tmp_path):
    model = write_windows(False, tmp_path / "model")
    assert upgrade_bundle(str(model)) == {}
    case = head(0)
    volume = tmp_path / "head.nii.gz"
    nibabel.save(nibabel.Nifti1Image(case.image[0], case.grid.affine), volume)
    done = gracile_without_torch("predict", model, volume, "--out", tmp_path / "out", "--no-report")
    assert done.returncode == 0, done.stderr
    (record,) = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))["inputs"]
    assert record["computed"]["engine"] == "openvino"
    assert [one["name"] for one in record["landmarks"]] == ["ring", "ball"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "structure-2d", "{data}", "--out", "{out}"], 'pip install "gracile[train]"'),
        (["explain", "surgical-tool", "{data}", "--out", "{out}"], 'pip install "gracile[explain]"'),
        (
            ["tune", "learning-rate", "{data}", "--recipe", "structure-2d", "--out", "{out}"],
            'pip install "gracile[train]"',
        ),
        (["models", "import-smicnet", "{data}/a.h5", "--out", "{out}"], 'pip install "gracile['),
    ],
)
def test_what_needs_it_says_in_one_sentence_what_to_install(arguments, said, tmp_path):
    places = {"data": demo_folder("ultrasound"), "out": tmp_path / "out"}
    done = gracile_without_torch(*(part.format(**places) for part in arguments))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_is_calibrated(tmp_path):
    clips = write_clips(tmp_path / "clips", people=2, frames=2, classes=True)
    done = gracile_without_torch("calibrate", "surgical-tool", clips, "--out", tmp_path / "new", "--clips")
    assert done.returncode == 0, done.stderr
    assert "A measured trade, nothing is promised: a recall of 0.99 on average needs 99 people" in done.stdout
    assert (tmp_path / "calibration.html").stat().st_size > 10_000
    again = gracile_without_torch("predict", tmp_path / "new", clips.parent / "p000_000.png", "--out", tmp_path / "out")
    assert again.returncode == 0, again.stderr


def test_a_recipe_is_checked_as_far_as_it_can_be(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text(read_recipe("structure-2d").to_yaml(), encoding="utf-8")
    done = gracile_without_torch("recipe", own)
    assert done.returncode == 0, done.stderr
    assert "The networks were not tried" in done.stderr
    assert "kind: segment" in done.stdout


def test_a_model_without_a_graph_says_what_it_needs(tiny_bundle: Path, tmp_path):
    done = gracile_without_torch("predict", tiny_bundle, demo_folder("retina"), "--out", tmp_path / "out")
    assert done.returncode != 0
    assert 'pip install "gracile[train]"' in done.stderr
