"""A bundle learns what its ordinary cases look like, and flags what does not."""

import shutil
from dataclasses import replace

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


def test_a_bundle_learns_how_unlike_its_cases_an_input_is(tiny_bundle, tiny_recipe, fundus_folder, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    cases = find_cases(fundus_folder, tiny_recipe)
    add_ordinary(folder, cases, device="cpu")
    card = read_bundle(folder).card["unlike"]
    assert (card["cases"], card["subjects"]) == (4, 4)
    assert "flagged from" in (folder / "card.md").read_text(encoding="utf-8")
    model = load(folder, settings=["measure=[]"], device="cpu")
    case = read_case_file(cases[0].image, "a", tiny_recipe.input)
    like = answer(model.pipeline, case)
    assert 0 < like.unlike < 1
    assert like.summary()["unlike"] == round(like.unlike, 4)
    case.image = np.random.default_rng(0).integers(0, 255, case.image.shape).astype(np.uint8)
    flagging = load(folder, settings=["measure=[]", "input.wrong_kind=flag"], device="cpu")
    strange = answer(flagging.pipeline, case)
    assert strange.unlike > 1
    assert any("than the training images" in flag for flag in strange.flags)


def test_an_older_bundle_says_nothing_of_it(tiny_bundle, tiny_recipe, fundus_folder):
    case = read_case_file(find_cases(fundus_folder, tiny_recipe)[0].image, "a", tiny_recipe.input)
    result = answer(load(tiny_bundle, settings=["measure=[]"], device="cpu").pipeline, case)
    assert result.unlike is None
    assert not any("training images" in text for text in result.flags + result.notes)


def test_one_training_image_tells_nothing_and_a_note_says_so(
    tiny_bundle, tiny_recipe, fundus_folder, tmp_path, caplog
):  # fmt: skip
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    cases = find_cases(fundus_folder, tiny_recipe)
    add_ordinary(folder, cases[:1], device="cpu")
    assert "1 training images are too few" in caplog.text
    result = answer(
        load(folder, settings=["measure=[]"], device="cpu").pipeline,
        read_case_file(cases[1].image, "a", tiny_recipe.input),
    )
    assert result.unlike is None
    assert "how unlike the training images an input is was not learned: 1 training images are too few" in result.notes


def test_training_images_that_are_all_one_tell_nothing(tiny_bundle, tiny_recipe, fundus_folder, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    one = find_cases(fundus_folder, tiny_recipe)[0]
    add_ordinary(folder, [replace(one, id=name, subject=name) for name in "abcde"], device="cpu")
    assert read_bundle(folder).card["unlike"] == {"why_not": "all training images are alike"}


def test_cases_that_cannot_be_answered_tell_nothing(tiny_bundle, tiny_recipe, fundus_folder, tmp_path, caplog):
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    cases = find_cases(fundus_folder, tiny_recipe)[:2]
    assert add_ordinary(folder, cases, device="cpu").ranges == {}
    assert "Too few cases" in caplog.text
    assert load(folder, device="cpu").pipeline.ordinary.ranges == {}
