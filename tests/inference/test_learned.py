"""A model that is scored on images that it was trained on says so, whatever they are called."""

import json
import shutil

import pytest

from gracile import api
from gracile.bundle import read_bundle, write_card
from gracile.data import image_checksum
from gracile.io.model_card import LEARNED_FROM


@pytest.fixture
def knowing(tiny_bundle, fundus_folder, tmp_path):
    """A bundle that was trained on the first of the pictures."""
    folder = shutil.copytree(tiny_bundle, tmp_path / "knowing")
    first = sorted((fundus_folder / "images").iterdir())[0]
    write_card(folder, {**read_bundle(folder).card, LEARNED_FROM: [image_checksum(first, "image")]})
    return folder, first


def test_a_picture_that_was_learned_from_is_known_by_its_content(knowing, fundus_folder, tmp_path):
    model, first = knowing
    (tmp_path / "in").mkdir()
    shutil.copy(first, tmp_path / "in" / f"renamed{first.suffix}")
    other = sorted((fundus_folder / "images").iterdir())[1]
    shutil.copy(other, tmp_path / "in")
    out = tmp_path / "out"
    api.predict(model, tmp_path / "in", out, settings=["measure=[]"], report=False)
    records = json.loads((out / "predictions.json").read_text(encoding="utf-8"))["inputs"]
    assert {record["name"]: record["learned"] for record in records} == {"renamed": True, other.stem: False}


def test_scores_say_that_some_cases_were_learned_from(knowing, fundus_folder, tmp_path):
    model, _ = knowing
    api.predict(model, fundus_folder / "images", tmp_path / "out", settings=["measure=[]"], report=False)
    scored = api.evaluate(tmp_path / "out", fundus_folder / "labels", "segmentation", recipe="retina-av")
    count = len(list((fundus_folder / "images").iterdir()))
    assert any(f"1 of {count} cases were among the images" in note for note in scored.notes)
    compared = api.compare(model, model, fundus_folder, tmp_path / "compared", protocol="segmentation")
    assert sum(f"1 of {count} cases" in note for note in compared.scores.notes) == 2
