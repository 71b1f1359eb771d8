"""Landmarks through the service and in the viewer: every format, what was not found, the truth beside them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import nibabel
import numpy as np
import pytest

from gracile.client import Client
from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.inference import Options, find_inputs, predict
from gracile.io import read_points, write_points
from gracile.io.nnlandmark import read_nnlandmark
from gracile.serve.app import create_app
from gracile.serve.jobs import Job, JobStore
from gracile.serve.settings import ServeSettings
from gracile.serve.viewing import create_viewer
from tests.inference.test_landmark_files import AFFINE, PLACES, SHAPE, Knowing
from tests.serve.conftest import listening
from tests.serve.heads import train_heads, write_head
from tests.volumes_on_disk import write_nifti

SHIFT = np.array([0.3, 0.0, 0.4])


def write_results(base: Path) -> Path:
    """What `gracile predict` writes of a volume whose apex was not found; the truth lies beside it."""
    values = np.random.default_rng(0).integers(0, 99, SHAPE).astype(np.int16)
    volume = write_nifti(base / "head.nii.gz", values, AFFINE)
    options = Options(probabilities=True)
    inputs = find_inputs([str(volume)], "volume")
    predict(Knowing(("apex",)), {"name": "k"}, inputs, base / "results", options, lambda *_: None)  # type: ignore[arg-type]
    (base / "truth").mkdir()
    write_points(base / "truth/head.fcsv", PointList(np.stack(list(PLACES.values())) + SHIFT, list(PLACES)))
    return base / "results"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of landmarks; read only."""
    return write_results(tmp_path_factory.mktemp("points"))


def get(address: str, path: str) -> bytes:
    with urlopen(address + path) as answer:
        return answer.read()


@pytest.fixture(scope="module")
def viewer(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of a viewer with the truth, and the case's scene."""
    app = create_viewer(results, tmp_path_factory.mktemp("cache"), results.parent / "truth")
    with listening(app) as address:
        yield address, json.loads(get(address, "/api/cases/0/scene"))


def test_each_landmark_is_listed_with_how_sure_it_is_and_how_far_from_the_truth(viewer: Any) -> None:
    missed, found = viewer[1]["volume"]["findings"]
    assert (missed["label"], missed["note"], missed["mm"]) == ("apex", "not found", None)
    assert missed["more"] == "probability 0.20 · not found: why"
    assert found["label"] == "deep/turn"
    assert found["note"] == "R 12.0  A -22.0  S 46.0 mm"
    assert found["more"] == "probability 0.90 · uncertain by 0.30 mm · 0.50 mm from the truth"


def test_what_was_found_and_the_truth_are_lists_of_points(viewer: Any) -> None:
    found, true = viewer[1]["volume"]["points"]
    assert [point["label"] for point in found["points"]] == ["deep/turn"]
    assert true["truth"]
    assert {point["label"]: point["mm"] for point in true["points"]} == {
        name: pytest.approx((place + SHIFT).tolist(), abs=1e-3) for name, place in PLACES.items()
    }


def test_names_of_landmarks_with_signs_in_them_lead_to_files(viewer: Any) -> None:
    address, scene = viewer
    (maps,) = scene["volume"]["maps"]
    assert [choice["name"] for choice in maps["choices"]] == list(PLACES)
    for key in [*(choice["key"] for choice in maps["choices"]), *(file["key"] for file in scene["downloads"])]:
        assert "/" not in key + scene["files"][key]["suffix"]
        assert get(address, f"/api/cases/0/files/{quote(key)}")


def test_a_truth_without_any_of_the_cases_or_that_is_not_there_is_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no"):
        create_viewer(results, tmp_path, tmp_path / "nowhere")
    write_points(tmp_path / "other.fcsv", PointList(np.zeros((1, 3)), ["apex"]))
    with pytest.raises(DataError, match="no points of these cases"):
        create_viewer(results, tmp_path, tmp_path)


@pytest.mark.slow
def test_a_model_of_landmarks_is_served_with_every_format_of_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = train_heads(tmp_path)
    path, truth = write_head(tmp_path)
    settings = ServeSettings((str(bundle),), folder=tmp_path / "jobs")
    steps: set[str] = set()
    tell = Job.tell

    def noting(job: Job, **changes: Any) -> None:
        steps.add(changes.get("progress", {}).get("step", ""))
        tell(job, **changes)

    monkeypatch.setattr(Job, "tell", noting)  # who asks from outside may come too late for a step
    with listening(create_app(settings, JobStore(tmp_path / "jobs", 3600), threads=1)) as address:
        result = Client(address).predict(path, out=tmp_path / "out", probabilities=True)
    assert result["status"] == "found"
    assert {"locate", "refine"} <= steps
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "head-landmarks.mrk.json", "head-landmarks_fcsv.fcsv", "head-landmarks_table.csv", "head-measurements.csv",
        "head-landmarks_nnlandmark.json", "head-record.json", *(f"head-probability_of_{name}.nii.gz" for name in truth),
    }  # fmt: skip
    slicer = by_name(read_points(tmp_path / "out/head-landmarks.mrk.json"))
    affine = nibabel.load(path).affine  # type: ignore[attr-defined]
    name = "head-landmarks_nnlandmark"
    numbers = dict(enumerate(truth, start=1))
    voxels = read_nnlandmark(tmp_path / f"out/{name}.json", {name: affine}, numbers)[name]
    for points in (
        by_name(read_points(tmp_path / "out/head-landmarks_fcsv.fcsv")),
        by_name(read_points(tmp_path / "out/head-landmarks_table.csv")),
        by_name(voxels),
    ):
        assert points.keys() == slicer.keys() == truth.keys()
        assert all(np.allclose(points[name], slicer[name], atol=1e-3) for name in truth)
    assert np.median([np.linalg.norm(slicer[name] - truth[name]) for name in truth]) < 1.5
    span = next(row for row in result["measurements"] if row["label"] == "Span")
    assert float(span["value"]) == pytest.approx(np.linalg.norm(slicer["a"] - slicer["c"]), abs=0.01)
    heat: Any = nibabel.load(tmp_path / "out/head-probability_of_b.nii.gz")  # type: ignore[attr-defined]
    assert heat.shape == nibabel.load(path).shape  # type: ignore[attr-defined]


def by_name(points: PointList) -> dict[str, np.ndarray]:
    return dict(zip(points.labels, points.points_mm, strict=True))
