"""Landmarks through a prediction run: files that read back to the same millimeters, report, point to start from."""

import json
import weakref
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from gracile.api import evaluate
from gracile.case import Case
from gracile.cli import app
from gracile.errors import UsageError
from gracile.inference import Options, find_inputs, predict
from gracile.inference.start_points import start_point
from gracile.io import read_points
from gracile.io.naming import file_names
from gracile.io.nnlandmark import read_nnlandmark
from gracile.pages.predictions import ReportWriter
from gracile.recipe import Recipe, read_recipe
from gracile.result import Landmark, LandmarkMaps, Result
from gracile.trust import Ordinary, Unlike
from tests.volumes_on_disk import write_nifti, write_series

AFFINE = np.array([[-0.5, 0, 0, 20.0], [0, 0.5, 0, -30.0], [0, 0.0, 0.8, 40.0], [0, 0, 0, 1.0]])
SHAPE = (20, 24, 16)
PLACES = {"apex": np.array([15.123456, -25.2, 43.3]), "deep/turn": np.array([12.0, -22.0, 46.0])}


class Knowing:
    """A pipeline that finds the same points in every volume, and where it was told to start."""

    def __init__(self, missed: tuple[str, ...] = ()) -> None:
        self.recipe: Recipe = read_recipe(
            "cochlea-landmarks-published", ["landmarks=[{name: apex}, {name: deep/turn}]", "measure=[]"]
        )
        self.ordinary, self.unlike = Ordinary(), Unlike()
        self.quality, self.no_quality = None, ""
        self.computed: dict[str, Any] = {}
        self.learned_from: set[str] = set()
        self.missed = missed
        self.starts: list[Any] = []
        self.maps: list[weakref.ref[np.ndarray]] = []

    def __call__(self, case: Case, *, keep_probabilities: bool = False) -> Result:
        self.starts.append(case.start_mm)
        landmarks = [
            Landmark(name, None, 0.2, note="not found: why") if name in self.missed else Landmark(name, p, 0.9, 0.3)
            for name, p in PLACES.items()
        ]
        result = Result(
            case.id, "found" if len(self.missed) < 2 else "absent", case.grid, ["background"], landmarks=landmarks
        )
        if keep_probabilities:
            result.landmark_maps = LandmarkMaps(list(PLACES), self.heat)
        return result

    def heat(self, number: int) -> np.ndarray:
        """A map of its own for each landmark; no earlier one may be there any more."""
        assert all(made() is None for made in self.maps)
        heat = np.zeros(SHAPE, np.float32)
        heat[3, 4, 5] = 0.75 - 0.5 * number
        self.maps.append(weakref.ref(heat))
        return heat


@pytest.fixture
def volume(tmp_path) -> Path:
    values = np.random.default_rng(0).integers(0, 99, SHAPE).astype(np.int16)
    return write_nifti(tmp_path / "data" / "head.nii.gz", values, AFFINE)


def run(pipeline: Knowing, volume: Path, out: Path, observe: Any = lambda *_: None, **options: Any) -> dict[str, Any]:
    predict(pipeline, {"name": "k"}, find_inputs([str(volume)], "volume"), out, Options(**options), observe)  # type: ignore[arg-type]
    (record,) = json.loads((out / "predictions.json").read_text())["inputs"]
    return record


def test_all_formats_read_back_to_the_same_millimeters(volume, tmp_path):
    record = run(Knowing(), volume, tmp_path / "out", probabilities=True)
    assert record["status"] == "found"
    for kind in ("landmarks", "landmarks_fcsv", "landmarks_table"):
        back = read_points(tmp_path / "out" / record["files"][kind])
        assert back.labels == list(PLACES)
        np.testing.assert_allclose(back.points_mm, np.stack(list(PLACES.values())), atol=1e-6)
    assert (tmp_path / "out" / "head.mrk.json").is_file()
    assert '"coordinateSystem": "LPS"' in (tmp_path / "out" / "head.mrk.json").read_text()
    heat = nib.load(tmp_path / "out" / record["files"]["probability of apex"])
    assert heat.shape == SHAPE
    np.testing.assert_allclose(heat.affine, AFFINE)
    assert heat.get_fdata()[3, 4, 5] == pytest.approx(0.75, abs=1e-4)
    other = tmp_path / "out" / record["files"]["probability of deep/turn"]
    assert other.parent.parent == tmp_path / "out" / "probabilities"
    assert nib.load(other).get_fdata()[3, 4, 5] == pytest.approx(0.25, abs=1e-4)


def test_the_formats_are_those_asked_for_and_nnlandmark_counts_in_voxels(volume, tmp_path):
    run(Knowing(), volume, tmp_path / "out")
    record = run(Knowing(("apex",)), volume, tmp_path / "out", points=("nnlandmark", "csv"), overwrite=True)
    assert [name for name in record["files"] if name.startswith("landmarks")] == [
        "landmarks_table", "landmarks_nnlandmark"
    ]  # fmt: skip
    assert not (tmp_path / "out" / "head.mrk.json").exists()
    written = json.loads((tmp_path / "out" / "nnlandmark" / "head.json").read_text())
    assert written["1"] == {"coordinates": [None] * 3, "likelihood": 0.2}
    (back,) = read_nnlandmark(tmp_path / "out" / "nnlandmark" / "head.json", {"head": AFFINE}).values()
    assert back.labels == list(PLACES)
    np.testing.assert_allclose(back.points_mm[1], PLACES["deep/turn"], atol=1e-6)
    with pytest.raises(UsageError, match="points"):
        run(Knowing(("apex",)), volume, tmp_path / "out")
    for wrong in (("json",), ()):
        with pytest.raises(UsageError, match="format of points"):
            run(Knowing(), volume, tmp_path / "other", points=wrong)


def test_names_that_would_share_a_folder_of_maps_get_one_each():
    names = ["a b", "a_b", "A_B", "a_b-2", "..", "deep/turn", "left ear", "é"]
    folders = file_names(names)
    assert list(folders) == names
    assert list(folders.values()) == ["a_b", "a_b-2", "A_B-3", "a_b-2-2", "_", "deep_turn", "left_ear", "é"]


def test_what_was_not_found_has_no_place(volume, tmp_path):
    record = run(Knowing(("apex",)), volume, tmp_path / "out")
    back = read_points(tmp_path / "out" / "head.mrk.json")
    assert back.labels == list(PLACES)
    assert back.defined.tolist() == [False, True]
    assert read_points(tmp_path / "out" / "head_landmarks.csv").defined.tolist() == [False, True]
    assert read_points(tmp_path / "out" / "head.fcsv").labels == ["deep/turn"]
    assert "landmarks_fcsv" in record["files"]
    nothing = run(Knowing(tuple(PLACES)), volume, tmp_path / "out", overwrite=True)
    assert "landmarks_fcsv" not in nothing["files"]
    assert not (tmp_path / "out" / "head.fcsv").exists()


def test_a_failing_input_leaves_no_old_points(volume, tmp_path):
    record = run(Knowing(), volume, tmp_path / "out", probabilities=True)
    files = [tmp_path / "out" / file for file in record["files"].values()]
    assert all(file.is_file() for file in files)
    broken = Knowing()
    broken.recipe = broken.recipe.model_copy()
    volume.write_bytes(b"no volume")
    assert run(broken, volume, tmp_path / "out", probabilities=True)["status"] == "failed"
    assert not any(file.exists() for file in files)


def test_the_point_to_start_from_is_given_as_numbers_a_file_or_a_folder(volume, tmp_path):
    pipeline = Knowing()
    run(pipeline, volume, tmp_path / "1", near="1.5,-2,3")
    record = run(Knowing(), volume, tmp_path / "points")
    fcsv = tmp_path / "points" / record["files"]["landmarks_fcsv"]
    run(pipeline, volume, tmp_path / "2", near=str(fcsv))
    run(pipeline, volume, tmp_path / "3", near=str(tmp_path / "points"))
    run(pipeline, volume, tmp_path / "4")
    middle = np.mean(list(PLACES.values()), axis=0)
    for found, wanted in zip(pipeline.starts[:3], ([1.5, -2, 3], middle, middle), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert pipeline.starts[3] is None
    for wrong in ("1,2", "a,b,c", "nowhere.fcsv", "nan,1,2"):
        with pytest.raises(UsageError, match="is no point"):
            start_point(wrong, "head")
    assert "no points of head" in run(Knowing(), volume, tmp_path / "5", near=str(tmp_path / "data"))["reason"]


def test_a_recipe_that_scans_no_windows_takes_no_point_to_start_from(volume, tmp_path):
    pipeline = Knowing()
    pipeline.recipe = read_recipe("skull-landmarks")
    with pytest.raises(UsageError, match="scans no windows"):
        run(pipeline, volume, tmp_path / "out", near="1,2,3")


def test_a_volume_that_is_searched_elsewhere_is_searched_again(volume, tmp_path):
    pipeline = Knowing()
    for near in ("1,2,3", "1,2,3", "1,2,4"):
        run(pipeline, volume, tmp_path / "out", near=near)
    assert [tuple(start) for start in pipeline.starts] == [(1, 2, 3), (1, 2, 4)]


def test_the_report_shows_three_slices_of_each_point_also_of_a_reused_answer(volume, tmp_path):
    pipeline = Knowing(("apex",))
    pages = []
    for _ in range(2):
        writer = ReportWriter(pipeline.recipe, "k", tmp_path / "out")
        run(pipeline, volume, tmp_path / "out", observe=writer.add)
        pages.append(writer.write().read_text())
        assert (tmp_path / "out" / "report" / "overlays" / "head.jpg").is_file()
        assert "data:image/jpeg" in pages[-1]
        assert "not found: why" in pages[-1]
    assert len(pipeline.starts) == 1


def test_written_points_are_scored_against_a_data_set_with_a_report(volume, tmp_path):
    run(Knowing(("deep/turn",)), volume, tmp_path / "out")
    rows = [f"head,{n},{','.join(str(v) for v in p + np.array([0.3, 0, 0.4]))}" for n, p in PLACES.items()]
    (tmp_path / "data" / "landmarks.csv").write_text("\n".join(["case,label,ras_x_mm,ras_y_mm,ras_z_mm", *rows]))
    page = tmp_path / "page.html"
    scored = evaluate(tmp_path / "out", tmp_path / "data", "landmarks", recipe=Knowing().recipe, report=page)
    means = {name: entry["mean"] for name, entry in scored.summary.items()}
    assert means["mean_error_mm"] == pytest.approx(0.5, abs=1e-4)
    assert means["mean_error_voxels"] == pytest.approx(np.hypot(0.6, 0.5), abs=1e-4)
    assert (means["found"], means["missed"], means["within_0.5_voxels"]) == (0.5, 1, 0)
    text = page.read_text()
    assert "deep/turn: missed" in text
    assert "data:image/jpeg" in text
    alone = evaluate(tmp_path / "out", tmp_path / "data" / "landmarks.csv", "landmarks", images=tmp_path / "data")
    assert alone.summary["mean_error_voxels"]["mean"] == pytest.approx(means["mean_error_voxels"])
    for more in ({"windows": "retina-av"}, {"fov": tmp_path}):
        protocol = "segmentation" if "windows" in more else "landmarks"
        with pytest.raises(UsageError):
            evaluate(tmp_path / "out", tmp_path / "data", protocol, recipe=Knowing().recipe, **more)


def test_the_command_line_prints_each_landmark_and_refuses_sizes_that_are_no_numbers(volume, tmp_path):
    run(Knowing(), volume, tmp_path / "out")
    command = ["evaluate", str(tmp_path / "out"), str(tmp_path / "out"), "--protocol", "landmarks"]
    shown = CliRunner().invoke(app, [*command, "--json", str(tmp_path / "scores.json")])
    assert shown.exit_code == 0, shown.output
    assert "by landmark" in shown.output
    assert "deep/turn" in shown.output
    assert json.loads((tmp_path / "scores.json").read_text())["summary"]["max_error_mm"]["mean"] == 0.0
    curve = ["few-shot", "retina-av", str(tmp_path), "--out", str(tmp_path / "curve"), "--test", "a", "--shots", "1,x"]
    assert isinstance(CliRunner().invoke(app, curve).exception, UsageError)


def test_a_dicom_segmentation_of_points_is_refused(volume, tmp_path):
    series = write_series(tmp_path / "series", np.zeros(SHAPE, np.int16), AFFINE)
    with pytest.raises(UsageError, match="gives no masks"):
        run(Knowing(), series, tmp_path / "out", dicom_seg=True)
