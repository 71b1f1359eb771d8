"""Volumes through the whole service: uploaded in each format, predicted, shown, downloaded."""

import json
import logging
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel
import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from gracile.cli import app
from gracile.client import Client, ServerError
from gracile.names import models_folder
from gracile.serve.app import create_app
from gracile.serve.jobs import JobStore
from gracile.serve.settings import ServeSettings
from tests.serve.conftest import ROOT, listening, picture
from tests.serve.cord import FORMATS, drawn_cord, write_cord
from tests.volumes_on_disk import LPS, PATIENT

pytestmark = pytest.mark.slow

PLAIN = {
    "cord-mask.nii.gz", "cord-probabilities.nii.gz", "cord-centerline.csv", "cord-centerline_curve.mrk.json",
    "cord-centerline_voxels.nii.gz", "cord-cord.csv", "cord-measurements.csv", "cord-record.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def client(jobs: Path) -> Iterator[Client]:
    """A client of a service that really predicts volumes."""
    settings = ServeSettings(("spinal-cord",), folder=jobs)
    with listening(create_app(settings, JobStore(jobs, 3600), threads=1)) as address:
        yield Client(address)


@pytest.fixture(scope="module")
def served(client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], Path]]:
    """The drawn cord's result by the format that it was uploaded in, and the folder of its files."""
    found = {}
    for name in FORMATS:
        folder = tmp_path_factory.mktemp("upload")
        path = write_cord(folder, name)
        found[name] = (client.predict(path, out=folder / "out", probabilities=True), folder / "out")
    return found


def load(folder: Path, ending: str) -> Any:
    (path,) = folder.glob(f"*-{ending}")
    return nibabel.load(path)  # type: ignore[attr-defined]


def upright(values: np.ndarray, affine: np.ndarray) -> Any:
    """A volume with its axes to the right, front and top: slices of a series follow their normal, not a file."""
    return nibabel.as_closest_canonical(nibabel.Nifti1Image(values, affine))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_mask_in_the_same_place(served: Any, name: str) -> None:
    result, out = served[name]
    _, affine, truth = drawn_cord()
    first = upright(np.asarray(load(served[FORMATS[0]][1], "mask.nii.gz").dataobj), affine)
    mask = load(out, "mask.nii.gz")
    mask = upright(np.asarray(mask.dataobj), mask.affine)
    found, truth = np.asarray(mask.dataobj), np.asarray(upright(truth, affine).dataobj)
    np.testing.assert_array_equal(found, np.asarray(first.dataobj))
    np.testing.assert_allclose(mask.affine, first.affine, atol=1e-3)
    assert 2 * (found * truth).sum() / (found.sum() + truth.sum()) > 0.95
    assert result["status"] == "found"
    assert {"Length", "Volume", "CSA mean"} <= {row["label"] for row in result["measurements"]}


def test_all_that_was_found_can_be_downloaded(served: Any) -> None:
    assert {file.name for file in served["cord.nii.gz"][1].iterdir()} == PLAIN
    series = {file.name for file in served["series"][1].iterdir()}
    assert series == {name.replace("cord-", "series-", 1) for name in PLAIN} | {"series-segmentation.seg.dcm"}


def test_the_page_is_given_scan_mask_maps_line_profile_and_places(served: Any, client: Client) -> None:
    for result, _ in served.values():
        volume = result["volume"]
        assert (volume["image"], volume["mask"]) == ("image", "mask")
        assert volume["maps"] == [
            {"key": "band", "name": "band of the true outline", "frames": 1},
            {"key": "probabilities", "name": "Probabilities", "frames": 2},
        ]
        (line,) = volume["points"]
        assert line["curve"]
        assert len(line["points"]) > 20
        areas = [point["y"] for point in volume["profile"]["points"] if point["y"]]
        assert 20 < np.median(areas) < 110
        labels = [finding["label"] for finding in volume["findings"]]
        assert labels == ["cord", *(f"{end} of the centerline" for end in ("lower end", "middle", "upper end"))]
        assert result["flags"] == served["cord.nii.gz"][0]["flags"]


def test_a_scan_that_browsers_cannot_read_is_given_to_them_as_nifti(jobs: Path, client: Client, tmp_path: Path) -> None:
    job = client.submit(write_cord(tmp_path, "series"))
    client.wait(job["id"])
    scene = json.loads((jobs / job["id"] / "scene.json").read_text())
    shown: Any = nibabel.load(scene["files"]["image"]["path"])  # type: ignore[attr-defined]
    shown = upright(np.asarray(shown.dataobj), shown.affine)
    drawn = upright(*drawn_cord()[:2])
    np.testing.assert_array_equal(np.asarray(shown.dataobj), np.asarray(drawn.dataobj))
    np.testing.assert_allclose(shown.affine, drawn.affine, atol=1e-3)


@pytest.mark.parametrize("name", ["series", "series.zip"])
def test_a_series_gives_a_segmentation_that_belongs_to_it(served: Any, tmp_path: Path, name: str) -> None:
    _, out = served[name]
    (path,) = out.glob("*.seg.dcm")
    seg = hd.seg.segread(path)
    volume = seg.get_volume(combine_segments=True)
    mask = load(out, "mask.nii.gz")
    back = np.zeros(mask.shape, np.uint8)
    for index in np.argwhere(volume.array):
        place = np.rint(np.linalg.solve(mask.affine, LPS @ volume.affine @ [*index, 1.0])[:3]).astype(int)
        back[tuple(place)] = 1
    np.testing.assert_array_equal(back, np.asarray(mask.dataobj))
    assert seg.PatientName == PATIENT["PatientName"]
    assert seg.get_segment_description(1).segmented_property_type.meaning == "Spinal cord"


def test_the_patient_is_in_no_answer_no_log_and_no_name(
    client: Client, jobs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    said: list[Any] = []
    with caplog.at_level(logging.DEBUG):
        result = client.predict(write_cord(tmp_path, "series.zip"), progress=said.append)
    whole = json.dumps([said, result]) + caplog.text + "".join(capfd.readouterr())
    names = " ".join(str(path) for path in jobs.rglob("*"))
    written = b" ".join(
        path.read_bytes() for path in jobs.rglob("*") if path.is_file() and path.suffix in (".json", ".csv", ".html")
    ).decode()
    for secret in ("Doe", "DOE", "Jane", PATIENT["PatientID"], PATIENT["PatientBirthDate"]):
        assert secret not in whole + names + written


def test_what_is_no_volume_or_only_a_part_of_one_is_refused_in_words(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    with pytest.raises(ServerError, match="This is a picture; the model spinal-cord takes volumes"):
        client.submit(tmp_path / "a.png")
    series = write_cord(tmp_path, "series")
    with pytest.raises(ServerError, match="one DICOM image; spinal-cord takes volumes: send the series' folder"):
        client.submit(next(series.iterdir()))
    missing = sorted(series.iterdir(), key=lambda path: pydicom.dcmread(path).ImagePositionPatient[2])[5]
    missing.unlink()
    with pytest.raises(ServerError, match="lacks 1 of"):
        client.submit(series)


def test_the_command_of_the_documents_writes_a_segmentation_beside_the_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models_folder() / "spinal-cord", "runs/cord/bundle")
    write_cord(Path("scans"), "series")
    page = (ROOT / "docs/serving.md").read_text()
    (command,) = [line for line in page.splitlines() if line.startswith("gracile ") and "--dicom-seg" in line]
    outcome = CliRunner().invoke(app, shlex.split(command)[1:])
    assert outcome.exit_code == 0, outcome.output
    seg = hd.seg.segread("predictions/series.seg.dcm")
    mask: Any = nibabel.load("predictions/series.nii.gz")  # type: ignore[attr-defined]
    assert seg.pixel_array.sum() == np.asarray(mask.dataobj).sum() > 0
    written = [
        path.read_bytes() for path in Path("predictions").rglob("*") if path.suffix in (".json", ".html", ".csv")
    ]
    words = re.sub(rb"[A-Za-z0-9+/=]{100,}", b"", b"".join(written))  # a picture may spell anything
    assert not any(secret.encode() in words for secret in ("Doe", "Jane", PATIENT["PatientID"]))
    again = CliRunner().invoke(
        app, [*shlex.split(command)[1:3], str(write_cord(tmp_path, "cord.nii.gz")), "--out", "x", "--dicom-seg"]
    )
    assert "None of the inputs is in DICOM" in str(again.exception)
