"""The files of one case are one input: under its name, in its record, and computed anew when any of them changes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import gracile
from gracile.errors import DataError
from gracile.inference import find_inputs
from gracile.io import read_case_file
from gracile.recipe import Recipe
from gracile.report import case_layers
from gracile.result import Result
from tests.two_channels import draw, random_bundle, recipe_of, suffix, write_data, write_image

KINDS = pytest.mark.parametrize("kind", ["volume", "image"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: random_bundle(recipe_of(kind, "input.shown=t2"), folder / kind) for kind in ("volume", "image")}


def inputs(recipe: Recipe, *patterns: object) -> dict[str, list[str]]:
    found = find_inputs([str(pattern) for pattern in patterns], recipe.input)
    return {one.name: [path.name for path in (one.path, *one.channels)] for one in found}


def records(out: Path) -> dict[str, dict]:
    return {record["name"]: record for record in json.loads((out / "predictions.json").read_text())["inputs"]}


@KINDS
def test_files_folders_and_patterns_give_one_input_for_each_case(tmp_path, kind):
    folder, end, recipe = write_data(tmp_path, kind, 2) / "imagesTr", suffix(kind), recipe_of(kind)
    wanted = {f"p{n}": [f"p{n}_0000{end}", f"p{n}_0001{end}"] for n in range(2)}
    assert inputs(recipe, folder) == wanted
    assert inputs(recipe, folder / f"*{end}") == wanted
    assert inputs(recipe, *sorted(folder.iterdir(), reverse=True)) == dict(reversed(wanted.items()))


def test_cases_of_one_name_get_their_folders_in_front(tmp_path):
    for name in ("a", "b"):
        write_data(tmp_path / name, "image", 1)
    found = inputs(recipe_of("image"), *(tmp_path / name / "imagesTr" for name in ("a", "b")))
    assert sorted(found) == ["a-p0", "b-p0"]


def test_a_recipe_of_one_channel_leaves_the_others_out_as_before(tmp_path):
    folder = write_data(tmp_path, "volume", 1) / "imagesTr"
    one = recipe_of("volume", channels=1, names=())
    assert inputs(one, folder) == {"p0": ["p0_0000.nii.gz"]}


def test_a_csv_names_cases_and_their_files(tmp_path):
    folder = write_data(tmp_path, "volume", 2) / "imagesTr"
    rows = [["id", "image_t2", "image_t1"]]
    rows += [[f"case-{n}", folder / f"p{n}_0001.nii.gz", folder / f"p{n}_0000.nii.gz"] for n in range(2)]
    with (tmp_path / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    found = inputs(recipe_of("volume"), tmp_path / "cases.csv")
    assert found == {f"case-{n}": [f"p{n}_0000.nii.gz", f"p{n}_0001.nii.gz"] for n in range(2)}


def test_a_film_is_refused_by_a_recipe_of_channels(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(DataError, match="is a video, and this recipe takes pictures of 2 channels"):
        inputs(recipe_of("image"), tmp_path / "a.mp4")


@KINDS
def test_a_run_writes_a_mask_for_each_case_and_does_a_changed_channel_anew(models, tmp_path, kind):
    folder, end = write_data(tmp_path, kind, 2) / "imagesTr", suffix(kind)
    out = tmp_path / "out"
    summary = gracile.predict(models[kind], folder, out)
    assert (summary.answered, summary.failed) == (["p0", "p1"], {})
    assert {path.name for path in out.glob(f"p?{end}")} == {f"p0{end}", f"p1{end}"}
    assert records(out)["p0"]["given"]["channels"] == [str(folder / f"p0_0001{end}")]
    before = {path.name: path.read_bytes() for path in (out / "report/overlays").iterdir()}
    write_image(folder / f"p1_0001{end}", draw(kind, 9)[1])
    summary = gracile.predict(models[kind], folder, out)
    assert (summary.answered, summary.reused) == (["p1"], ["p0"])
    after = {path.name: path.read_bytes() for path in (out / "report/overlays").iterdir()}
    assert [before[name] == after[name] for name in ("p0.jpg", "p1.jpg")] == [True, False], "the second is shown"


@KINDS
def test_a_missing_channel_fails_its_case_alone_with_both_names(models, tmp_path, kind):
    folder = write_data(tmp_path, kind, 2) / "imagesTr"
    for name in ("p0_0001", "p1_0000"):
        (folder / f"{name}{suffix(kind)}").unlink()
    write_data(tmp_path, kind, 1, first=2)
    summary = gracile.predict(models[kind], folder, tmp_path / "out")
    assert summary.answered == ["p2"]
    assert "case p0 lacks channel 2 (t2)" in summary.failed["p0"]
    assert "case p1 lacks channel 1 (t1)" in summary.failed["p1"]


@KINDS
def test_a_report_draws_the_channel_that_the_recipe_names(tmp_path, kind):
    t1, t2, blob = draw(kind, 0)
    paths = [write_image(tmp_path / f"a_000{n}{suffix(kind)}", values) for n, values in enumerate((t1, t2))]
    drawn = {}
    for shown in ("t1", "t2"):
        case = read_case_file(paths[0], "a", recipe_of(kind, f"input.shown={shown}").input, channels=paths[1:])
        result = Result("a", "found", case.grid, ["background", "blob"], mask=blob.astype(np.uint8))
        drawn[shown] = case_layers(case, result, [(0, 0, 0), (255, 0, 0)])[0]
        alone = read_case_file(paths[shown == "t2"], "a", recipe_of(kind, channels=1, names=()).input)
        assert drawn[shown] == case_layers(alone, result, [(0, 0, 0), (255, 0, 0)])[0]
    assert drawn["t1"] != drawn["t2"]


@KINDS
def test_a_loaded_model_takes_the_files_of_a_case(models, tmp_path, kind):
    folder, end = write_data(tmp_path, kind, 1) / "imagesTr", suffix(kind)
    paths = [folder / f"p0_000{number}{end}" for number in range(2)]
    model = gracile.load(models[kind])
    answer = model(paths)
    assert answer.case_id == "p0"
    gracile.predict(model, folder, tmp_path / "out", report=False)
    stored = records(tmp_path / "out")["p0"]
    assert stored["status"] == answer.status
    with pytest.raises(DataError, match=r"lacks channel 2 \(t2\)"):
        model(paths[0])
    with pytest.raises(gracile.errors.UsageError, match="No file is named"):
        model([])
