"""Two models on the same cases: paired differences, common classes, a page with both overlays."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gracile import api
from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.errors import DataError, UsageError
from gracile.evaluation.paired import pair_scores
from gracile.learning.learners import build_learner
from gracile.pages import case_page
from gracile.recipe import read_recipe
from tests.conftest import TINY


def bundle(folder: Path, settings: list[str], favored: int, strength: float = 5.0) -> Path:
    """A bundle that finds one class nearly everywhere: untrained, but for the last layer's bias."""
    recipe = read_recipe("retina-av", [*TINY, "measure=[]", *settings])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stage = build_learner(recipe.stages[0], recipe)
    weights = dict(stage.bundle_state())
    bias = weights["network.heads.1.bias"].clone().unflatten(0, (len(recipe.classes), 4))
    bias[favored] += strength
    weights["network.heads.1.bias"] = bias.flatten()
    card = {"fine_tuning": ["vessels: 1 of 2 layers carried over from the bundle's vessels"]}
    return write_bundle(Bundle(recipe=recipe, weights={stage.name: weights}, card=card), folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One that finds nothing, one that finds veins everywhere, one of other classes, one of none of these."""
    folder = tmp_path_factory.mktemp("models")
    renamed = ["classes.uncertain.name=crossing", "trees={vein: [vein, crossing]}"]
    foreign = ["classes=[{name: none, color: [0, 0, 0]}, {name: nerve, color: [255, 0, 0]}]", "trees={}"]
    return {
        "blind": bundle(folder / "blind", [], 0),
        "veins": bundle(folder / "veins", [], 2),
        "renamed": bundle(folder / "renamed", renamed, 2),
        "foreign": bundle(folder / "foreign", foreign, 1),
    }


def test_differences_are_paired_and_their_interval_resamples_subjects():
    before = {"a": {"dice": 0.5, "hd": 3.0}, "b": {"dice": 0.4, "hd": None}, "c": {"dice": 0.9, "hd": 1.0}}
    after = {"a": {"dice": 0.7, "hd": 2.0}, "b": {"dice": 0.8, "hd": 5.0}, "c": {"dice": 0.8, "hd": None}}
    paired = pair_scores("segmentation", before, after, {"a": "1", "b": "2", "c": "3"})
    dice = paired.summary["dice"]
    assert dice["difference"]["mean"] == pytest.approx(0.5 / 3)
    assert dice["difference"]["sd"] == pytest.approx(np.std([0.2, 0.4, -0.1], ddof=1))
    assert dice["interval95"][0] < dice["difference"]["mean"] < dice["interval95"][1]
    assert dice["cases"] == 3
    # A distance is compared where both sides have one.
    assert paired.summary["hd"]["cases"] == 1
    assert paired.summary["hd"]["before"]["mean"] == 3.0
    assert paired.summary["hd"]["interval95"] is None
    assert paired.cases[1]["difference"]["hd"] is None
    one_subject = pair_scores("segmentation", before, after, dict.fromkeys("abc", "1"))
    assert one_subject.summary["dice"]["interval95"] is None


def test_a_comparison_writes_scores_masks_and_a_page_with_both_overlays(models, fundus_folder, tmp_path):
    compared = api.compare(models["blind"], models["veins"], fundus_folder, tmp_path, device="cpu")
    assert compared.scores.protocol == "av-multiclass"
    content = json.loads((tmp_path / "comparison.json").read_text())
    assert (content["before"]["name"], content["after"]["name"]) == ("blind", "veins")
    assert content["summary"]["sensitivity"]["difference"]["mean"] > 0.1
    assert len(content["cases"]) == 4
    lines = (tmp_path / "comparison.csv").read_text().splitlines()
    assert lines[0].startswith("case,subject,")
    assert "f1_difference" in lines[0]
    assert [line.split(",")[0] for line in lines[1:]] == ["00", "01", "02", "03"]
    assert not np.array(Image.open(tmp_path / "before" / "00.png")).any()
    assert (np.array(Image.open(tmp_path / "after" / "00.png")) == 2).any()
    page = compared.report.read_text(encoding="utf-8")
    layers = {group for group, _ in re.findall(r'data-layer="([^/"]+)/([^"]+)"', page)}
    assert layers == {"Before", "After", "Truth", "Differences before", "Differences"}
    assert "carried over from the bundle" in page
    assert page.count("data:image/jpeg") == 2 * 4  # on the first screen, and at its case
    shown = re.findall(r'data-layer="([^/"]+)/[^"]+"( hidden)?', page)
    assert {group for group, hidden in shown if not hidden} == {"Differences"}


def test_cases_that_got_worse_come_first(models, fundus_folder, tmp_path):
    compared = api.compare(models["veins"], models["blind"], fundus_folder, tmp_path, device="cpu", cases="00,01")
    page = compared.report.read_text(encoding="utf-8")
    assert page.count("F1 got worse") >= 2
    summary = compared.scores.summary["f1"]
    assert summary["after"]["mean"] - summary["before"]["mean"] == pytest.approx(summary["difference"]["mean"])
    assert summary["difference"]["mean"] < 0


def test_only_common_classes_are_compared_and_that_is_said(models, fundus_folder, tmp_path):
    compared = api.compare(models["veins"], models["renamed"], fundus_folder, tmp_path, device="cpu", cases="00",
                           protocol="segmentation")  # fmt: skip
    content = json.loads((tmp_path / "comparison.json").read_text())
    assert content["classes"] == ["artery", "vein"]
    assert any("crossing, uncertain counts as background" in note for note in compared.scores.notes)
    assert "dice_vein" in compared.scores.summary
    with pytest.raises(UsageError, match="no class in common"):
        api.compare(models["veins"], models["foreign"], fundus_folder, tmp_path, device="cpu")


def test_what_cannot_be_compared_is_refused(models, fundus_folder, tmp_path):
    with pytest.raises(UsageError, match="scores no masks"):
        api.compare(models["blind"], models["veins"], fundus_folder, tmp_path, protocol="classification")
    bare = tmp_path / "bare" / "images"
    bare.mkdir(parents=True)
    (bare / "00.png").write_bytes((fundus_folder / "images" / "00.png").read_bytes())
    table = tmp_path / "frames.csv"
    table.write_text(f"image,class\n{bare / '00.png'},present\n")
    with pytest.raises(DataError, match="No case has a mask"):
        api.compare(models["blind"], models["veins"], table, tmp_path)


def test_a_refused_picture_counts_with_the_worst_scores(models, fundus_folder, tmp_path):
    gray = tmp_path / "gray"
    for part in ("images", "labels"):
        (gray / part).mkdir(parents=True)
    Image.fromarray(np.full((120, 120), 90, np.uint8)).save(gray / "images" / "00.png")
    (gray / "labels" / "00.png").write_bytes((fundus_folder / "labels" / "00.png").read_bytes())
    loaded = api.load(models["veins"], settings=["input.wrong_kind=flag"], device="cpu")
    compared = api.compare(models["veins"], loaded, gray, tmp_path / "out", device="cpu", protocol="segmentation")
    assert compared.scores.summary["dice"]["before"]["mean"] == 0
    assert "refused before:" in compared.report.read_text(encoding="utf-8")
    assert read_bundle(models["veins"]).recipe.input.refuses_wrong_kind


def test_only_the_worst_cases_have_their_pictures_in_the_page(models, fundus_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(case_page, "PICTURES", 2)
    compared = api.compare(models["blind"], models["veins"], fundus_folder, tmp_path, device="cpu")
    page = compared.report.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 2 * 2
    order = re.findall(r'data-case="(\w+)"', page)
    scores = {row["case"]: row["after"]["f1"] for row in compared.scores.cases}
    assert order == sorted(scores, key=scores.__getitem__)
    cards = re.split(r'<article class="card', page)[1:]
    assert ["data:image/jpeg" in card for card in cards] == [True, True, False, False]
