"""Photographs are graded, with reasons, and what a reject measures is withheld."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from gracile.case import Case
from gracile.io.predictions_file import NOTHING
from gracile.io.run_tables import case_row
from gracile.recipe import Recipe, read_recipe
from gracile.result import Measurement, Result
from gracile.trust import grade
from gracile.trust.grades import Grade, doubts_of_photographs, grade_of
from gracile.trust.photograph_figures import photograph_figures

SIZE = 480


def drawn_retina(seed: int = 0, size: int = SIZE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photograph ``(size, size, 3)`` with two trees that branch into all of its parts, their mask, and the region."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices((size, size))
    middle = size / 2
    region = np.hypot(rows - middle, columns - middle) < middle - 6
    depth = np.zeros((size, size))
    mask = np.zeros((size, size), np.uint8)
    for tree in (1, 2):
        for branch in range(14):
            angle = 2 * np.pi * (branch + tree / 2) / 14 + random.normal(0, 0.1)
            steps = np.linspace(0.05, 0.97, 4 * size)
            bend = angle + 0.5 * np.sin(3 * steps + random.uniform(0, 6))
            down, right = (middle * (1 + steps * way(bend)) for way in (np.sin, np.cos))
            line = np.zeros((size, size), bool)
            line[down.astype(int), right.astype(int)] = True
            wide = ndimage.distance_transform_edt(~line) <= 1 + tree * 0.8 - 0.5 * (branch % 3)
            mask[wide & region], depth = tree, np.maximum(depth, wide * (0.25 + 0.15 * tree))
    light = np.exp(-0.25 * np.hypot(rows - middle, columns - middle) / middle)
    texture = ndimage.gaussian_filter(random.normal(size=(size, size)), 6) * 0.6
    soft = ndimage.gaussian_filter(depth, 0.7)
    shades = np.array([205.0, 105.0, 45.0]) * light[..., None] * np.exp(texture)[..., None]
    image = shades * (1 - soft[..., None] * np.array([0.35, 1.0, 0.7])) * region[..., None]
    image[np.hypot(rows - middle, columns - 1.3 * middle) < 0.12 * size] += (40, 80, 50)
    noise = random.normal(0, 1.2, image.shape) * region[..., None]
    return (image + noise).clip(0, 255).astype(np.uint8), mask, region


def grade_words(image: np.ndarray, mask: np.ndarray, region: np.ndarray) -> Grade:
    channels = np.ascontiguousarray(np.moveaxis(image, -1, 0))
    return grade_of(photograph_figures(channels, region, mask), doubts_of_photographs())


def blurred(image: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(image, (9, 9, 0))


def covered(image: np.ndarray) -> np.ndarray:
    image = image.copy()
    image[100:320, 90:400] = (240, 236, 228)
    return image


SPOILED = {
    "blurred": blurred,
    "dark": lambda image: (image * 0.06).astype(np.uint8),
    "overexposed": lambda image: (image * 7.0).clip(0, 255).astype(np.uint8),
    "artefact": covered,
}


def result_of(case: Case, mask: np.ndarray, region: np.ndarray, recipe: Recipe) -> Result:
    found = Result(case.id, "found", case.grid, recipe.class_names, mask=mask, region=region)
    found.measurements = [Measurement("density", 0.1, "1", "artery"), Measurement("avr", 0.7, "1")]
    found.marks = {"zone_vessels": {"artery": []}, "optic_disc": {"row": 1.0, "column": 1.0}}
    return found


def test_a_drawn_retina_is_not_rejected_and_its_measures_stay():
    image, mask, region = drawn_retina()
    recipe = read_recipe("retina-av")
    case = Case.from_array(image, id="drawn")
    found = result_of(case, mask, region, recipe)
    grade(case, found, recipe)
    assert found.marks["grade"]["word"] in ("good", "usable")
    assert [m.value for m in found.measurements] == [0.1, 0.7]
    assert "zone_vessels" in found.marks


@pytest.mark.parametrize("word", SPOILED)
def test_what_spoils_it_is_named_and_costs_its_measures(word: str):
    image, mask, region = drawn_retina()
    recipe = read_recipe("retina-av")
    case = Case.from_array(SPOILED[word](image), id=word)
    # Of what cannot be seen nothing is found; the mask of an artefact shows what is left around it.
    seen = mask * np.any(np.abs(case.image - np.moveaxis(image, -1, 0).astype(int)) < 60, axis=0)
    found = result_of(case, (mask if word == "blurred" else seen).astype(np.uint8), region, recipe)
    grade(case, found, recipe)
    assert found.marks["grade"]["word"] == "reject"
    # What burns out a drawn vessel leaves no detail either: the loudest words of it are others.
    assert word == "overexposed" or word in found.marks["grade"]["reasons"]
    assert [m.value for m in found.measurements] == [None, None]
    assert all(m.note.startswith("withheld: the photograph is graded reject") for m in found.measurements)
    assert any(flag.startswith("the photograph is graded reject") for flag in found.flags)
    assert found.mask.any()
    assert "zone_vessels" not in found.marks


def test_the_recipe_may_tell_the_measures_of_a_reject():
    image, mask, region = drawn_retina()
    recipe = read_recipe("retina-av", ["input.rejected=flag"])
    case = Case.from_array(blurred(image))
    found = result_of(case, mask, region, recipe)
    grade(case, found, recipe)
    assert found.marks["grade"]["word"] == "reject"
    assert found.flags
    assert [m.value for m in found.measurements] == [0.1, 0.7]


def test_half_a_field_of_view_is_partly_cut():
    image, mask, region = drawn_retina()
    half = grade_words(image[:, : SIZE // 2 - 10], mask[:, : SIZE // 2 - 10], region[:, : SIZE // 2 - 10])
    assert half.word == "reject"
    assert "partly cut" in half.reasons


def test_worse_photographs_have_more_doubts():
    image, mask, region = drawn_retina(1)
    totals = [grade_words(ndimage.gaussian_filter(image, (width, width, 0)), mask, region).total for width in (2, 4, 8)]
    assert totals == sorted(totals)
    assert totals[0] < totals[-1]


def test_other_recipes_and_small_pictures_are_not_graded():
    image, mask, region = drawn_retina()
    case = Case.from_array(image)
    for recipe in (read_recipe("retina-av", ["input.region=whole"]), read_recipe("nerve-ultrasound")):
        found = result_of(case, mask, region, recipe)
        grade(case, found, recipe)
        assert "grade" not in found.marks
    small = Case.from_array(image[::4, ::4])
    recipe = read_recipe("retina-av")
    found = result_of(small, mask[::4, ::4], region[::4, ::4], recipe)
    grade(small, found, recipe)
    assert "grade" not in found.marks
    assert any("not graded" in note for note in found.notes)


def test_a_case_without_a_mask_is_graded_by_its_picture():
    image, _, region = drawn_retina()
    recipe = read_recipe("retina-av")
    case = Case.from_array(image)
    found = replace(result_of(case, region.astype(np.uint8), region, recipe), mask=None)
    grade(case, found, recipe)
    assert found.marks["grade"]["word"] in ("good", "usable")


def test_the_table_of_cases_has_a_column_of_grades():
    record = {"name": "eye", **NOTHING, "marks": {"grade": Grade("usable", ("dark",), 2.0).summary()}}
    assert case_row(record)["grade"] == "usable"
    assert "grade" not in case_row({"name": "eye", **NOTHING})
