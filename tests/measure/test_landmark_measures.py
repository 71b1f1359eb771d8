"""Distances, angles and formulas between landmarks; what lacks a point says so and has no number."""

import numpy as np
import pytest

from gracile.case import Case
from gracile.errors import RecipeError
from gracile.geometry import Grid
from gracile.measure import measure
from gracile.measure.by_recipe import require_measures
from gracile.measure.landmarks import Landmarks, landmark_measurements
from gracile.recipe import read_recipe
from gracile.result import Landmark, Result

SPEC = Landmarks.model_validate(
    {
        "distances": {"width": ["a", "b"], "depth": ["a", "c"]},
        "angles": {"opening": ["b", "a", "c"]},
        "formulas": {
            "ratio": {"formula": "w / d", "of": {"w": "width", "d": "depth"}, "unit": "1", "source": "Doe 2001"},
            "twice": {"formula": "2 * r", "of": {"r": "ratio"}, "unit": "1", "source": "Doe 2001"},
        },
    }
)


def found(**places: tuple[float, float, float] | None) -> list[Landmark]:
    return [Landmark(n, None if p is None else np.array(p), 0.9) for n, p in places.items()]


def test_values_units_and_sources():
    measured = {m.name: m for m in landmark_measurements(found(a=(0, 0, 0), b=(3, 4, 0), c=(0, 0, 2)), SPEC)}
    assert list(measured) == ["width", "depth", "opening", "ratio", "twice"]
    assert [measured[name].value for name in measured] == pytest.approx([5.0, 2.0, 90.0, 2.5, 5.0])
    assert [measured[name].unit for name in measured] == ["mm", "mm", "deg", "1", "1"]
    assert "Doe 2001" in measured["ratio"].note


@pytest.mark.parametrize(
    ("points", "word"),
    [({"a": (0, 0, 0), "b": None, "c": (1, 0, 0)}, "b not found"), ({"a": (0, 0, 0), "c": (1, 0, 0)}, "b not among")],
)
def test_what_lacks_a_point_has_no_number_and_says_which(points, word):
    measured = {m.name: m for m in landmark_measurements(found(**points), SPEC)}
    assert measured["depth"].value == 1.0
    for name in ("width", "opening", "ratio", "twice"):
        assert measured[name].value is None
        assert word in measured[name].note


def test_points_in_one_place_have_no_angle():
    measured = {m.name: m.value for m in landmark_measurements(found(a=(0, 0, 0), b=(0, 0, 0), c=(0, 0, 2)), SPEC)}
    assert measured["opening"] is None
    assert measured["ratio"] == 0.0


def test_the_a_value_gives_the_duct_s_length_where_both_points_are_marked():
    names = ["apex", "basal", "round-window", "lateral-wall"]
    recipe = read_recipe("cochlea-landmarks-published", [f"landmarks=[{', '.join(f'{{name: {n}}}' for n in names)}]"])
    case = Case("c", np.zeros((1, 2, 2, 2), np.float32), Grid((2, 2, 2), affine=np.eye(4)))
    places = dict(zip(names, [(0, 0, 0), (1, 1, 1), (1.758, -0.298, 3.623), (8.205, 4.29, 7.49)], strict=True))
    result = Result("c", "found", case.grid, ["background"], landmarks=found(**places))
    measure(case, result, recipe, {})
    measured = {m.name: m for m in result.measurements}
    assert measured["a-value"].value == pytest.approx(8.8075, abs=1e-3)
    assert measured["cochlear-duct-length"].value == pytest.approx(4.16 * measured["a-value"].value - 4)
    assert "Alexiades" in measured["cochlear-duct-length"].note
    plain = read_recipe("cochlea-landmarks-published")
    result = Result("c", "found", case.grid, ["background"], landmarks=found(**places)[:3])
    measure(case, result, plain, {})
    (length,) = [m for m in result.measurements if m.name == "cochlear-duct-length"]
    assert length.value is None
    assert "lateral-wall not among the recipe's landmarks" in length.note
    assert length.note.startswith("needs a-value (needs ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{formulas: {x: {formula: 2 * A, of: {A: a-value}, source: Doe}}}", "not measured before"),
        ("{distances: {d: [a, b]}, formulas: {x: {formula: 2 * A, of: {B: d}, source: Doe}}}", "needs others"),
        ("{distances: {d: [a, b]}, formulas: {x: {formula: 2 * A, of: {A: d}}}}", "source"),
        ("{distances: {d: [a, b]}, formulas: {x: {formula: 'exec(A)', of: {A: d}, source: Doe}}}", "arithmetic"),
        ("{distances: {d: [a, b]}, angles: {d: [a, b, c]}}", "name of its own"),
        ("{distance: {d: [a, b]}}", "distance"),
        ("{distances: {d: [a]}}", "distances"),
    ],
)
def test_measures_that_make_no_sense_are_refused_with_the_recipe(options, message):
    with pytest.raises(RecipeError, match=message):
        require_measures(
            read_recipe("cochlea-landmarks-published", [f"measure=[{{name: landmarks, options: {options}}}]"])
        )
