import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import gracile
from gracile.bundle import read_bundle
from gracile.inference import Options
from gracile.io import read_volume
from gracile.names import MODELS, demo_folder, models_folder
from gracile.trust import Ordinary

LIMIT_BYTES = 8_000_000


@pytest.mark.parametrize("name", MODELS)
def test_it_is_small_safe_and_has_a_card(name: str) -> None:
    bundle = read_bundle(name)
    for path in (models_folder() / name).iterdir():
        assert path.suffix in {".json", ".md", ".onnx", ".safetensors"}
        assert path.stat().st_size < LIMIT_BYTES
    assert {"data", "training", "licence", "metrics", "limits"} <= set(bundle.card)
    assert "seed" in bundle.card["training"]


@pytest.mark.parametrize("name", MODELS)
def test_what_it_may_be_used_for_is_said_alike_everywhere_and_a_demo_is_there_or_why_not(name: str) -> None:
    model = MODELS[name]
    assert read_bundle(name).card["licence"].startswith(model.licence)
    assert demo_folder(model.demo).is_dir() if model.demo else model.why_no_demo


@pytest.mark.parametrize("name", MODELS)
def test_its_card_says_what_ordinary_inputs_and_answers_are(name: str) -> None:
    ordinary = Ordinary.from_card(read_bundle(name).card)
    assert {("input", "brightness"), ("input", "fineness"), ("input", "clipped_high")} <= set(ordinary.ranges)
    assert {of for of, _ in ordinary.ranges} > {"input"}
    assert all(part.low <= part.middle <= part.high for part in ordinary.ranges.values())


def test_the_skull_has_its_credit_and_its_licence_in_its_folder() -> None:
    folder = demo_folder("skull")
    (volume,) = folder.glob("*.nii.gz")
    assert {path.name for path in folder.iterdir()} == {volume.name, "CREDITS.md", "LICENSE"}
    assert volume.name in (folder / "CREDITS.md").read_text()
    assert "GNU GENERAL PUBLIC LICENSE\n                       Version 3" in (folder / "LICENSE").read_text()
    assert read_volume(volume, "skull").grid.spacing_mm == pytest.approx((0.18, 0.18, 0.18))


@pytest.mark.slow
@pytest.mark.real
def test_retina_av_scores_on_drive_as_its_card_says(real_data: Path, tmp_path: Path) -> None:
    test = real_data / "retina-av" / "drive-av" / "test"
    options = Options(regions=test / "fov")
    gracile.predict("retina-av", test / "images", tmp_path, options=options, report=False)
    scores = gracile.evaluate(tmp_path, test / "labels", "av-multiclass", fov=test / "fov")
    said = read_bundle("retina-av").card["metrics"]["drive-av, no flips"]
    assert 100 * scores.summary["f1"]["mean"] == pytest.approx(said["f1"], abs=0.2)
    assert 100 * scores.summary["mse"]["mean"] == pytest.approx(said["mse"], abs=0.05)


@pytest.mark.real
def test_spinal_cord_finds_none_where_there_is_none(real_data: Path, tmp_path: Path) -> None:
    model = gracile.load("spinal-cord")
    others = real_data / "landmarks"
    inputs = [next((others / "mouse-skull-ct" / "volumes").glob("*.nii.gz"))]
    inputs += (others / "cochlea-example").glob("cochlea_L.nii.gz")
    volume = nib.load(real_data / "spinal-cord" / "errsm-t2" / "errsm_18" / "t2.nii.gz")
    inputs.append(tmp_path / "face.nii.gz")
    nib.save(volume.slicer[:180], inputs[-1])
    noise = np.random.default_rng(0).normal(500, 100, (160, 160, 50)).astype(np.int16)
    inputs.append(tmp_path / "noise.nii.gz")
    nib.save(nib.Nifti1Image(noise, np.eye(4)), inputs[-1])
    for path in inputs:
        found = model(path)
        assert found.centerline is None, path
        assert not found.mask.any(), path


def test_spinal_cord_follows_the_demo_cord_from_end_to_end() -> None:
    found = gracile.load("spinal-cord")(demo_folder("spinal-cord") / "t2.nii.gz")
    slices = found.mask.sum(axis=(0, 2))
    assert slices.min() > 30
    assert slices.max() < 150
    assert found.centerline is not None
    lateral = found.centerline.points_mm[:, 0]
    assert np.ptp(lateral) < 15


@pytest.mark.real
def test_skull_landmarks_finds_those_of_specimens_that_it_never_saw(real_data: Path) -> None:
    source = real_data / "landmarks" / "mouse-skull-ct"
    model = gracile.load("skull-landmarks")
    said = read_bundle("skull-landmarks").card["metrics"]["8 test specimens"]
    with (source / "landmarks_voxel.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["volume"] in ("NU_J", "CAST_EIJ")]
    for specimen in ("NU_J", "CAST_EIJ"):
        found = {part.name: part for part in model(source / "volumes" / f"{specimen}.nii.gz").landmarks}
        errors = [
            np.linalg.norm(found[row["landmark"]].point_mm - [float(row[f"ras_{axis}_mm"]) for axis in "xyz"])
            for row in rows
            if row["volume"] == specimen
        ]
        assert np.mean(errors) == pytest.approx(said["mean_error_mm"], abs=0.06)
        assert np.mean(np.array(errors) < 1) == said["within_1_mm"]


@pytest.mark.real
def test_skull_landmarks_finds_none_where_there_are_none(real_data: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(500, 100, (100, 100, 80)).astype(np.int16)
    nib.save(nib.Nifti1Image(noise, np.diag([0.15, 0.15, 0.15, 1])), tmp_path / "noise.nii.gz")
    for path in (tmp_path / "noise.nii.gz", real_data / "landmarks" / "cochlea-example" / "cochlea_L.nii.gz"):
        found = gracile.load("skull-landmarks")(path)
        assert found.status == "absent"
        assert all(landmark.point_mm is None for landmark in found.landmarks), path


def test_skull_landmarks_of_the_demo_need_no_second_look() -> None:
    found = gracile.load("skull-landmarks")(demo_folder("skull") / "C57BL_6NJ.nii.gz")
    assert len(found.landmarks) == 45
    assert all(landmark.point_mm is not None and not landmark.note for landmark in found.landmarks)
