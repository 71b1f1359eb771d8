"""A bundle learns what its ordinary cases look like, and flags what does not."""

import shutil

import numpy as np

from gracile.api import load
from gracile.bundle import read_bundle
from gracile.data import find_cases
from gracile.inference.answering import answer
from gracile.io import read_case_file
from gracile.learning.ordinary import add_ordinary


def test_ranges_go_into_the_card_and_weights_stay(tiny_bundle, tiny_recipe, fundus_folder, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    cases = find_cases(fundus_folder, tiny_recipe)
    ordinary = add_ordinary(folder, cases, device="cpu")
    before, after = read_bundle(tiny_bundle), read_bundle(folder)
    assert after.checksums == before.checksums
    assert after.recipe == before.recipe
    assert after.card["limits"] == before.card["limits"]
    assert load(folder, device="cpu").pipeline.ordinary.ranges == ordinary.ranges
    assert {of for of, _ in ordinary.ranges} == {"input", "artery", "vein"}
    assert "input: brightness" in (folder / "card.md").read_text(encoding="utf-8")

    model = load(folder, settings=["measure=[]"], device="cpu")
    case = read_case_file(cases[0].image, "a", tiny_recipe.input)
    assert answer(model.pipeline, case).flags == []
    case.image = (case.image * np.float32(0.35)).astype(np.uint8)
    assert "the input is dark" in answer(model.pipeline, case).flags


def test_cases_that_cannot_be_answered_tell_nothing(tiny_bundle, tiny_recipe, fundus_folder, tmp_path, caplog):
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    cases = find_cases(fundus_folder, tiny_recipe)[:2]
    assert add_ordinary(folder, cases, device="cpu").ranges == {}
    assert "Too few cases" in caplog.text
    assert load(folder, device="cpu").pipeline.ordinary.ranges == {}
