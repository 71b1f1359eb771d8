"""What nnU-Net's dataset.json declares, beside a recipe: classes, overlapping regions, a value that is ignored."""

import json

import pytest

from gracile.data.declared_classes import class_fault, read_declared
from gracile.errors import DataError
from gracile.recipe import read_recipe

CLASSES = (
    "classes=[{name: background, color: [0, 0, 0]}, {name: edema, color: [1, 0, 0]}, {name: core, color: [2, 0, 0]}]"
)
NESTED = "regions={whole: [edema, core], core: [core]}"
BRATS = {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3}


def fault(tmp_path, labels, settings, **more):
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"labels": labels, **more}))
    return class_fault(path, read_recipe("structure-2d", [CLASSES, *settings]))


def test_regions_and_the_ignored_value_are_understood(tmp_path):
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"labels": BRATS, "regions_class_order": [1, 2]}))
    declared = read_declared(path)
    assert declared.regions == {"whole": frozenset({1, 2}), "core": frozenset({2})}
    assert (declared.written, declared.ignored, declared.classes) == ([1, 2], 3, {0: "background"})


def test_a_list_of_one_value_is_a_class(tmp_path):
    assert fault(tmp_path, {"background": 0, "edema": [1], "core": [2]}, []) is None


@pytest.mark.parametrize("settings", [[NESTED], []])
def test_equal_regions_fit_and_a_recipe_may_learn_their_classes(tmp_path, settings):
    ignoring = [*settings, "classes.background.ignored=[3]"]
    assert fault(tmp_path, BRATS, ignoring, regions_class_order=[1, 2]) is None


def test_an_ignored_value_that_the_recipe_does_not_ignore_is_told_with_what_to_type(tmp_path):
    found = fault(tmp_path, BRATS, [NESTED])
    assert "the value 3 to be ignored" in found.message
    assert "classes.0.ignored=[3]" in found.remedy
    assert fault(tmp_path, BRATS, [NESTED, "classes.0.ignored=[3]"]) is None


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        ({"background": 0, "whole": [1, 2], "center": [2]}, [1, 2]),
        ({"background": 0, "whole": [1, 2], "core": [1]}, [2, 1]),
        ({"background": 0, "whole": [1, 2], "core": [2]}, [2, 1]),
    ],
)
def test_other_regions_are_a_fault(tmp_path, labels, order):
    assert "other regions" in fault(tmp_path, labels, [NESTED], regions_class_order=order).message


def test_regions_of_values_that_are_no_classes_are_a_fault(tmp_path):
    found = fault(tmp_path, {"background": 0, "whole": [1, 2, 3], "core": [2]}, [NESTED])
    assert "regions of the values 1, 2, 3" in found.message


def test_a_class_may_be_called_ignore_in_the_first_version(tmp_path):
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"labels": {"0": "background", "1": "ignore"}}))
    assert read_declared(path).classes == {0: "background", 1: "ignore"}


@pytest.mark.parametrize("labels", [{"background": 0, "a": "x"}, [1, 2], None, {"background": 0, "a": [[1]]}])
def test_what_is_no_table_is_told(tmp_path, labels):
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"labels": labels}))
    with pytest.raises(DataError, match="no table of labels"):
        read_declared(path)
