"""The page of scores shows how predicted qualities order the cases and how near they are, where they were judged."""

import numpy as np
import pytest
from PIL import Image

from gracile import api
from tests.evaluation.predicted_qualities import quality, write_records

DICE = [1.0, 0.9, 0.7, 0.2]


@pytest.fixture
def folders(tmp_path):
    for folder in ("truth", "run"):
        (tmp_path / folder).mkdir()
    for shift in (0, 1, 3, 8):
        truth = np.zeros((40, 40), np.uint8)
        truth[10:20, 5:35] = 1
        Image.fromarray(truth).save(tmp_path / "truth" / f"moved{shift}.png")
        Image.fromarray(np.roll(truth, shift, axis=0)).save(tmp_path / "run" / f"moved{shift}.png")
    told = {f"moved{shift}": quality(dice - 0.1, dice - 0.2, dice - 0.05 * (dice > 0.9))
            for shift, dice in zip((0, 1, 3, 8), DICE, strict=True)}  # fmt: skip
    write_records(tmp_path / "run", told)
    return tmp_path


def page(folders, **more) -> str:
    path = folders / "scores.html"
    api.evaluate(folders / "run", folders / "truth", "segmentation", report=path, **more)
    return path.read_text(encoding="utf-8")


def test_curve_and_scatter_stand_with_their_table(folders):
    text = page(folders, trust=True)
    assert text.count("Risk and coverage") == 1
    assert "predicted quality  area 0.1208" in text
    assert "moved3: predicted 0.600, true 0.700" in text
    assert text.count("<caption>Trust in the predicted quality</caption>") == 1
    assert text.count('class="mark"') == 1  # the one outside its interval
    assert "normalized AURC, 0 best 1 random" in text


def test_pages_without_trust_have_none_of_it(folders):
    text = page(folders)
    assert "coverage" not in text
    assert "<svg" in text
