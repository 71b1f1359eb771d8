from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import gracile
from gracile.bundle import read_bundle
from gracile.inference import Options
from gracile.names import MODELS, demo_folder, models_folder

LIMIT_BYTES = 8_000_000


@pytest.mark.parametrize("name", MODELS)
def test_it_is_small_safe_and_has_a_card(name: str) -> None:
    bundle = read_bundle(name)
    for path in (models_folder() / name).iterdir():
        assert path.suffix in {".json", ".md", ".safetensors"}
        assert path.stat().st_size < LIMIT_BYTES
    assert {"data", "training", "licence", "metrics", "limits"} <= set(bundle.card)
    assert "seed" in bundle.card["training"]


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
