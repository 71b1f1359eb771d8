"""Volumes through a prediction run: which are meant, what is written, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from gracile.api import Model
from gracile.case import Case
from gracile.errors import DataError, UsageError
from gracile.inference import Options, find_inputs, predict
from gracile.inference.predict import Summary
from gracile.io import read_case_file
from gracile.recipe import Recipe, recipe_from
from gracile.result import Result
from gracile.trust import Ordinary, Unlike
from tests.data.test_volume_layouts import volume_recipe
from tests.volumes_on_disk import FORMATS, PATIENT, marked, write_nifti, write_series

SHAPE = (5, 6, 4)
RAS = np.array([[0.5, 0, 0, -20.0], [0, 0.7, 0, -30.0], [0, 0, 3.0, 40.0], [0, 0, 0, 1.0]])
VALUES = marked(SHAPE, (1, 2, 3))


class Bright:
    """A pipeline that finds what is brighter than 500."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.ordinary, self.unlike = Ordinary(), Unlike()
        self.quality, self.no_quality = None, ""
        self.computed: dict[str, Any] = {}
        self.learned_from: set[str] = set()

    def __call__(self, case: Case, *, keep_probabilities: bool = False) -> Result:
        mask = (case.image[0] > 500).astype(np.uint8)
        result = Result(
            case.id, "found", case.grid, self.recipe.class_names, mask=mask,
            flags=list(case.flags), notes=list(case.notes),
            extras={"network_size": np.zeros((2, 3, 3, 3), np.float32)} if keep_probabilities else {},
        )  # fmt: skip
        if keep_probabilities:
            result.probabilities = np.stack([1.0 - mask, mask]).astype(np.float32)
        return result


@pytest.fixture
def volumes(tmp_path) -> Path:
    """Two subjects' volumes, one of them with its label."""
    for person in ("errsm_11", "errsm_12"):
        write_nifti(tmp_path / "data" / person / "t2.nii.gz", VALUES, RAS)
    write_nifti(tmp_path / "data" / "errsm_11" / "t2_seg-manual.nii.gz", (VALUES > 500).astype(np.uint8), RAS)
    return tmp_path / "data"


def run(inputs: list[str], out: Path, recipe: Recipe | None = None, **options: Any) -> Summary:
    recipe = recipe or volume_recipe()
    found = find_inputs(inputs, recipe.input.kind)
    return predict(Bright(recipe), {"name": "bright"}, found, out, Options(**options), lambda *_: None)  # type: ignore[arg-type]


def names(*patterns: Path | str) -> list[str]:
    return [entry.name for entry in find_inputs([str(pattern) for pattern in patterns], "volume")]


def records(out: Path) -> dict[str, dict[str, Any]]:
    return {record["name"]: record for record in json.loads((out / "predictions.json").read_text())["inputs"]}


def test_a_single_volume_keeps_its_stem_and_equal_stems_get_their_folder(volumes):
    assert names(volumes / "errsm_11" / "t2.nii.gz") == ["t2"]
    assert names(volumes / "*" / "t2.nii.gz") == ["errsm_11-t2", "errsm_12-t2"]
    assert names(volumes / "errsm_11", volumes / "errsm_12") == ["errsm_11-t2", "errsm_12-t2"]


def test_labels_beside_their_volumes_are_no_inputs_unless_they_are_named(volumes):
    assert names(volumes / "*" / "*") == ["errsm_11-t2", "errsm_12-t2"]
    assert names(volumes / "errsm_11" / "t2_seg-manual.nii.gz") == ["t2_seg-manual"]


def test_a_folder_of_a_series_is_one_volume_and_so_are_several_of_its_files(tmp_path):
    for name in ("1.2.840", "1.2.841"):
        write_series(tmp_path / name, VALUES, RAS)
    assert names(tmp_path / "1.2.840") == ["1.2.840"]
    assert names(tmp_path / "1.2.840" / "*.dcm") == ["1.2.840"]
    assert names(*sorted((tmp_path / "1.2.840").iterdir())) == ["1.2.840"]
    assert names(tmp_path / "1.2.840" / "a001.dcm") == ["a001"]
    assert names(tmp_path / "*") == ["1.2.840", "1.2.841"]
    (tmp_path / "1.2.840" / "a001.dcm").rename(tmp_path / "1.2.840" / "1.2.3.4")
    assert names(tmp_path / "1.2.840" / "1.2.3.4") == ["1.2.3.4"]
    assert names(tmp_path) == [tmp_path.name]  # a study of two series, told when it is read


def test_equal_stems_of_one_folder_get_their_suffix(tmp_path):
    for suffix in ("nii", "nii.gz"):
        write_nifti(tmp_path / f"t2.{suffix}", VALUES, RAS)
    assert names(tmp_path) == ["t2-nii", "t2-nii-gz"]


def test_a_folder_of_both_files_and_a_series_is_not_chosen_in(tmp_path):
    write_series(tmp_path, VALUES, RAS)
    write_nifti(tmp_path / "t2.nii", VALUES, RAS)
    with pytest.raises(DataError, match=r"t2\.nii and a DICOM series"):
        names(tmp_path)


def test_pictures_are_refused_by_recipes_of_volumes_and_the_reverse(volumes, tmp_path, fundus_folder):
    with pytest.raises(DataError, match="no volumes, which this recipe takes"):
        names(fundus_folder / "images")
    with pytest.raises(DataError, match="means no volumes"):
        names(fundus_folder / "images" / "*.png")
    out = tmp_path / "out"
    assert "takes volumes" in run([str(fundus_folder / "images" / "00.png")], out).failed["00"]
    for pattern in (volumes / "errsm_11", volumes / "errsm_11" / "*"):
        with pytest.raises(DataError, match="recipe for volumes"):
            find_inputs([str(pattern)])
    with pytest.raises(DataError, match="this recipe takes pictures"):
        read_case_file(volumes / "errsm_11" / "t2.nii.gz", "t2")


@pytest.mark.parametrize("name", FORMATS)
def test_masks_and_probabilities_lie_where_their_input_does(tmp_path, name):
    (tmp_path / "in").mkdir()
    path = FORMATS[name](tmp_path / "in", VALUES, RAS)
    summary = run([str(path)], tmp_path / "out", probabilities=True)
    (record,) = records(tmp_path / "out").values()
    stem = record["name"]
    assert summary.answered == [stem]
    assert record["files"] == {
        "mask": f"{stem}.nii.gz",
        "network_size": f"network_size/{stem}.npz",
        "probabilities": f"probabilities/{stem}.nii.gz",
    }
    mask = nib.load(tmp_path / "out" / f"{stem}.nii.gz")
    maps = nib.load(tmp_path / "out" / "probabilities" / f"{stem}.nii.gz")
    (voxel,) = np.argwhere(np.asarray(mask.dataobj))
    np.testing.assert_allclose(mask.affine[:3, :3] @ voxel + mask.affine[:3, 3], RAS[:3, :3] @ (1, 2, 3) + RAS[:3, 3])
    np.testing.assert_array_equal(maps.get_fdata()[..., 1], mask.get_fdata())
    assert mask.get_data_dtype() == np.uint8


def test_a_run_reuses_what_it_answered_and_no_old_mask_passes_for_a_failure(volumes, tmp_path):
    pattern, out = [str(volumes / "*" / "t2.nii.gz")], tmp_path / "out"
    run(pattern, out, probabilities=True)
    assert run(pattern, out, probabilities=True).reused == ["errsm_11-t2", "errsm_12-t2"]
    path = volumes / "errsm_12" / "t2.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    summary = run(pattern, out, probabilities=True)
    assert summary.reused == ["errsm_11-t2"]
    assert "truncated" in summary.failed["errsm_12-t2"]
    assert sorted(p.name for p in out.rglob("*.n*z*")) == ["errsm_11-t2.nii.gz"] * 2 + ["errsm_11-t2.npz"]


def test_what_only_an_earlier_run_wrote_is_taken_away(volumes, tmp_path):
    path, out = volumes / "errsm_12" / "t2.nii.gz", tmp_path / "out"
    run([str(path)], out, probabilities=True)
    for file in ("centerline/t2.csv", "t2_cord.csv", "t2_cord_levels.csv"):
        (out / file).parent.mkdir(exist_ok=True)
        (out / file).touch()
    run([str(path)], out, overwrite=True)
    left = sorted(str(p.relative_to(out)) for p in out.rglob("[!.]*") if p.is_file() and p.parent.name != ".gracile")
    assert left == ["cases.csv", "measurements.csv", "predictions.json", "t2.nii.gz"]


def test_a_change_of_any_slice_of_a_series_is_not_passed_over(tmp_path):
    folder, out = write_series(tmp_path / "series", VALUES, RAS), tmp_path / "out"
    run([str(folder)], out)
    assert run([str(folder)], out).reused == ["series"]
    part = folder / "b002.dcm"
    part.write_bytes(part.read_bytes().replace(VALUES[:, :, 2].tobytes(order="F"), bytes(60)))
    assert run([str(folder)], out).answered == ["series"]


def test_changed_levels_are_not_passed_over_and_absent_ones_are_said_at_once(volumes, tmp_path):
    path, out = volumes / "errsm_12" / "t2.nii.gz", tmp_path / "out"
    levels = tmp_path / "levels.nii.gz"
    settings = {"levels": str(levels)}
    with pytest.raises(UsageError, match="no vertebral levels"):
        run([str(path)], out, measure=settings)
    assert not out.exists()
    write_nifti(levels, np.full(SHAPE, 3, np.uint8), RAS)
    run([str(path)], out, measure=settings)
    assert run([str(path)], out, measure=settings).reused == ["t2"]
    write_nifti(levels, np.full(SHAPE, 4, np.uint8), RAS)
    assert run([str(path)], out, measure=settings).answered == ["t2"]


def test_several_volumes_in_a_file_are_refused_or_taken_as_the_recipe_says(tmp_path):
    write_nifti(tmp_path / "a.nii.gz", np.stack([VALUES, VALUES * 0], axis=-1), RAS)
    summary = run([str(tmp_path / "a.nii.gz")], tmp_path / "refused")
    assert "fourth_axis=first" in summary.failed["a"]
    run([str(tmp_path / "a.nii.gz")], tmp_path / "first", volume_recipe(fourth_axis="first"))
    assert records(tmp_path / "first")["a"]["notes"] == ["the first of 2 volumes was taken"]


def test_a_series_and_label_endings_are_named_at_the_command_line(tmp_path):
    folder = write_series(tmp_path / "both", VALUES, RAS)
    write_series(folder, VALUES, RAS, number=3, first=500)
    assert "2 series" in run([str(folder)], tmp_path / "refused").failed["both"]
    settings = ["input.series=3", "input.labels=[seg-manual,label-SC_seg]"]
    recipe = recipe_from(volume_recipe().model_dump(mode="json"), settings)
    assert recipe.input.labels == ["seg-manual", "label-SC_seg"]
    assert run([str(folder)], tmp_path / "third", recipe).answered == ["both"]


def test_masks_are_not_written_among_the_inputs(volumes):
    with pytest.raises(UsageError, match="among the inputs"):
        run([str(volumes / "errsm_11")], volumes / "errsm_11")


def test_volumes_have_no_field_of_view(volumes, tmp_path):
    with pytest.raises(UsageError, match="--fov"):
        run([str(volumes / "errsm_11")], tmp_path / "out", regions=volumes)


def test_a_loaded_model_takes_a_file_a_series_or_a_case_but_no_bare_array(volumes, tmp_path):
    model = Model.__new__(Model)
    model.recipe = volume_recipe()
    model.pipeline = Bright(model.recipe)  # type: ignore[assignment]
    path = volumes / "errsm_11" / "t2.nii.gz"
    series = write_series(tmp_path / "series", VALUES, RAS)
    results = [model(path), model(str(path)), model(series), model(Case.from_volume(VALUES, RAS))]
    assert [result.mask.sum() for result in results] == [1, 1, 1, 1]
    assert [result.case_id for result in results] == ["t2", "t2", "series", "image"]
    np.testing.assert_array_equal(results[0].grid.affine, nib.load(path).affine)
    with pytest.raises(DataError, match="from_volume"):
        model(VALUES)
    for array, reason in ((np.stack([VALUES] * 2, axis=-1), "three axes"), (VALUES * np.nan, "no numbers")):
        with pytest.raises(DataError, match=reason):
            Case.from_volume(array, RAS)


def test_nothing_of_the_patient_is_in_what_a_run_writes(tmp_path, caplog, capsys):
    whole = write_series(tmp_path / "in" / "whole", VALUES, RAS)
    torn = shutil.copytree(whole, tmp_path / "in" / "torn")
    (torn / "b002.dcm").unlink()
    odd = shutil.copytree(whole, tmp_path / "in" / "odd")
    (odd / "b002.dcm").write_bytes((odd / "b002.dcm").read_bytes()[:-20])
    with caplog.at_level("DEBUG"):
        summary = run([str(tmp_path / "in" / "*")], tmp_path / "out", probabilities=True)
    assert (summary.answered, sorted(summary.failed)) == (["whole"], ["odd", "torn"])
    said = capsys.readouterr()
    written = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    unpacked = [nib.load(path).to_bytes() for path in written if path.name.endswith(".nii.gz")]
    everything = b" ".join([*written.values(), *unpacked, f"{list(written)} {caplog.text} {said}".encode()])
    for secret in PATIENT.values():
        for part in secret.split("^"):
            assert part.encode() not in everything
