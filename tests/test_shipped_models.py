from pathlib import Path

import pytest

import gracile
from gracile.bundle import read_bundle
from gracile.inference import Options
from gracile.names import MODELS, models_folder

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
