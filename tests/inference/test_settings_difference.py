"""A message names the settings that differ, by the names that --set takes."""

import pytest

from gracile.inference.settings_difference import differing_settings

BEFORE = {
    "gracile": "0.1.0",
    "model": {"name": "m", "weights": {"gate": "12ab", "vessels": "34cd"}},
    "recipe": {"stages": [{"kind": "gate", "name": "gate", "recall": 0.99}, {"name": "vessels", "flips": False}],
               "prepare": {"size": [512, 512]}},
    "measure": {},
    "regions": None,
    "probabilities": False,
}  # fmt: skip


def changed(path, value):
    import copy

    settings = copy.deepcopy(BEFORE)
    *parents, last = path
    place = settings
    for key in parents:
        place = place[key]
    place[last] = value
    return settings


def test_equal_settings_differ_in_nothing():
    assert differing_settings(BEFORE, changed(("gracile",), "0.1.0")) == ""


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("probabilities",), True, "probabilities was false and is true"),
        (("measure", "um_per_pixel"), 4.5, "measure.um_per_pixel was not set and is 4.5"),
        (("regions",), "fov", 'regions was not set and is "fov"'),
        (("recipe", "stages", 1, "flips"), True, "recipe.stages.vessels.flips was false and is true"),
        (("recipe", "prepare", "size"), [256, 512], "recipe.prepare.size was [512, 512] and is [256, 512]"),
        (("model", "weights", "vessels"), "99ff", "model.weights.vessels differ"),
        (("gracile",), "0.2.0", 'gracile was "0.1.0" and is "0.2.0"'),
    ],
)
def test_the_setting_that_differs_is_named_with_both_values(path, value, words):
    assert differing_settings(BEFORE, changed(path, value)) == words


def test_a_long_list_and_a_long_value_are_cut():
    assert differing_settings(dict.fromkeys("abcde", 0), dict.fromkeys("abcde", 1)).endswith(
        "c was 0 and is 1 and 2 more"
    )
    assert len(differing_settings({"a": "x" * 500}, {"a": None})) < 80
