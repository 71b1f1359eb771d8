"""What the package exports: load once, call with a file or an array, predict many, evaluate them."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import gracile
from gracile.case import Case
from gracile.errors import BundleError, DataError, RecipeError, UsageError
from gracile.inference import Options
from gracile.recipe import read_recipe
from tests.conftest import draw_fundus


@pytest.fixture(scope="module")
def model(tiny_bundle):
    return gracile.load(tiny_bundle, settings=["measure=[]"], device="cpu")


@pytest.fixture
def pictures(fundus_folder):
    return fundus_folder / "images"


def test_everything_that_is_promised_is_exported():
    assert {"Model", "evaluate", "load", "predict", "train"} <= set(gracile.__all__)
    assert all(getattr(gracile, name) for name in gracile.__all__)
    with pytest.raises(AttributeError, match="prophesy"):
        gracile.prophesy  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    code = "import gracile, sys; gracile.__version__; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_path_an_array_and_a_case_give_equal_results(model, pictures):
    path = pictures / "00.png"
    array = np.array(Image.open(path))
    results = [model(path), model(str(path)), model(array), model(Case.from_array(array))]
    for result in results:
        assert result.status == "found"
        np.testing.assert_array_equal(result.mask, results[0].mask)
        assert result.probabilities is None
    assert [result.case_id for result in results[:3]] == ["00", "00", "image"]


def test_a_result_carries_probabilities_and_measurements_with_units_when_asked_for(tiny_bundle, pictures):
    model = gracile.load(tiny_bundle, device="cpu")
    result = model(pictures / "00.png", probabilities=True, um_per_pixel=10.0)
    assert result.probabilities.shape == (4, 120, 120)
    assert {measurement.structure for measurement in result.measurements} >= {"artery", "vein"}
    assert "um" in {measurement.unit for measurement in result.measurements}
    json.dumps(result.summary(), allow_nan=False)


def test_a_picture_that_cannot_be_read_is_refused(model, tmp_path):
    with pytest.raises(DataError, match="absent"):
        model(tmp_path / "absent.png")
    with pytest.raises(DataError):
        model(np.zeros((40, 40, 3), dtype=np.uint8))
    with pytest.raises(BundleError):
        gracile.load(tmp_path)


def test_predict_writes_the_files_of_the_contract(tiny_bundle, pictures, tmp_path):
    model = gracile.load(tiny_bundle, settings=["measure=[{name: areas}]"], device="cpu")
    steps = []
    summary = gracile.predict(
        model, pictures, tmp_path, progress=lambda done, total, record: steps.append((done, total))
    )
    assert steps == [(n, 4) for n in range(1, 5)]
    assert summary.predictions == tmp_path / "predictions.json"
    content = json.loads(summary.predictions.read_text())
    assert {"version", "model", "inputs"} <= content.keys()
    assert content["model"]["weights"] == model.checksums
    for record, path in zip(content["inputs"], sorted(pictures.iterdir()), strict=True):
        assert (record["name"], record["input"], record["status"]) == (path.stem, str(path), "found")
        assert record["files"] == {"mask": f"{path.stem}.png"}
        mask = Image.open(tmp_path / f"{path.stem}.png")
        assert (mask.mode, mask.size) == ("L", Image.open(path).size)
        np.testing.assert_array_equal(np.array(mask), model(path).mask)
        assert all(isinstance(seconds, float) for seconds in record["seconds"].values())
        assert record["measurements"]
        for measurement in record["measurements"]:
            assert {"name", "value", "unit", "structure"} <= measurement.keys()
    assert summary.report == tmp_path / "report" / "index.html"
    assert summary.report.stat().st_size > 10_000


def test_predict_takes_a_bundle_by_its_folder_and_writes_no_report_when_told(tiny_bundle, pictures, tmp_path):
    settings = ["measure=[]", "stages.vessels.flips=true"]
    one = [pictures / "00.png"]
    summary = gracile.predict(tiny_bundle, one, tmp_path, settings=settings, device="cpu", report=False)
    assert summary.report is None
    assert summary.answered == ["00"]
    shown = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert shown == ["00.png", "cases.csv", "measurements.csv", "predictions.json"]
    flipped = json.loads(summary.predictions.read_text())["settings"]["recipe"]["stages"][0]["flips"]
    assert flipped is True


def test_evaluate_reads_what_predict_wrote(tiny_bundle, fundus_folder, tmp_path):
    gracile.predict(
        tiny_bundle, fundus_folder / "images", tmp_path, settings=["measure=[]"], device="cpu", report=False,
        options=Options(probabilities=True, regions=fundus_folder / "fov"),
    )  # fmt: skip
    evaluation = gracile.evaluate(
        tmp_path, fundus_folder / "labels", "av-multiclass", fov=fundus_folder / "fov",
        probabilities=tmp_path / "probabilities",
    )  # fmt: skip
    assert [row["case"] for row in evaluation.cases] == ["00", "01", "02", "03"]
    assert 0 < evaluation.summary["f1"]["mean"] < 1
    truth = gracile.evaluate(
        fundus_folder / "labels", fundus_folder / "labels", "av-multiclass", fov=fundus_folder / "fov"
    )
    assert truth.summary["f1"]["mean"] == pytest.approx(1)
    with pytest.raises(UsageError, match="av-multiclass"):
        gracile.evaluate(tmp_path, fundus_folder / "labels", "av-multi")


def test_a_recipe_by_name_by_file_or_itself_names_the_classes_of_an_evaluation(fundus_folder, tmp_path):
    labels, recipe = fundus_folder / "labels", read_recipe("retina-av")
    (tmp_path / "mine.yaml").write_text(recipe.to_yaml())
    with pytest.raises(DataError, match="no class has"):
        gracile.evaluate(labels, labels, "segmentation")
    for named in ("retina-av", tmp_path / "mine.yaml", recipe):
        evaluation = gracile.evaluate(labels, labels, "segmentation", recipe=named)
        assert {row["class"] for row in evaluation.classes} == set(recipe.class_names[1:])
    with pytest.raises(UsageError, match="one of them"):
        gracile.evaluate(labels, labels, "segmentation", recipe=recipe, classes=recipe.classes)
    with pytest.raises(RecipeError, match="retina-av"):
        gracile.evaluate(labels, labels, "segmentation", recipe="retina-aw")


def test_a_missing_prediction_is_named_and_never_left_out_of_the_mean(fundus_folder, tmp_path):
    some = shutil.copytree(fundus_folder / "labels", tmp_path / "some")
    (some / "02.png").unlink()
    with pytest.raises(DataError, match=r"02\.png"):
        gracile.evaluate(some, fundus_folder / "labels", "av-multiclass", fov=fundus_folder / "fov")


def test_a_model_is_the_same_for_every_picture_in_any_order(model, pictures):
    paths = sorted(pictures.iterdir())
    forward = [model(path).mask for path in paths]
    backward = [model(path).mask for path in reversed(paths)][::-1]
    for first, second in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_callers_array_stays_as_it_was(model):
    image, _, _ = draw_fundus(3)
    before = image.copy()
    model(image)
    np.testing.assert_array_equal(image, before)


def test_planning_is_a_function_and_a_room() -> None:
    from gracile.plan.rules import read_rules

    assert read_rules()["thinnest"] > 0
    assert callable(gracile.plan)
