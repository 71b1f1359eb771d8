"""nnLandmark counts in voxels: millimeters come from each case's image."""

import json

import numpy as np
import pytest

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io.nnlandmark import read_nnlandmark, write_nnlandmark

AFFINES = {"a": np.diag([-0.5, 2.0, 1.0, 1.0]), "b": np.diag([1.0, 1.0, 3.0, 1.0])}


def saved(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_annotations_of_all_cases_come_back(tmp_path):
    path = saved(
        tmp_path / "all_landmarks_voxel.json", {"a": {"x": [2, 1, 4], "y": [0.5, 0, 0]}, "b": {"x": [1, 1, 1]}}
    )
    found = read_nnlandmark(path, AFFINES)
    assert found["a"].labels == ["x", "y"]
    assert found["a"].points_mm.tolist() == [[-1, 2, 4], [-0.25, 0, 0]]
    write_nnlandmark(tmp_path / "again.json", found, AFFINES)
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(path.read_text())


def test_predictions_take_their_names_from_the_file_beside_them(tmp_path):
    path = saved(
        tmp_path / "b.json",
        {
            "1": {"coordinates": [1, 2, 3], "likelihood": 0.9},
            "2": {"coordinates": [None, None, None], "likelihood": 0.0},
        },
    )
    found = read_nnlandmark(path, AFFINES)["b"]
    assert found.labels == ["1", "2"]
    assert found.points_mm[0].tolist() == [1, 2, 9]
    assert found.defined.tolist() == [True, False]
    assert found.probabilities.tolist() == [0.9, 0.0]
    saved(tmp_path / "name_to_label.json", {"apex": 1, "base": 2})
    assert read_nnlandmark(path, AFFINES)["b"].labels == ["apex", "base"]
    assert read_nnlandmark(path, AFFINES, {1: "oben"})["b"].labels == ["oben", "2"]


def test_landmarks_without_a_place_are_left_out(tmp_path):
    points = PointList(np.array([[1.0, 1, 1], [np.nan] * 3]), ["x", "y"])
    write_nnlandmark(tmp_path / "a.json", {"a": points}, AFFINES)
    assert list(json.loads((tmp_path / "a.json").read_text())["a"]) == ["x"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("all.json", [], "no landmarks"),
        ("all.json", {}, "no landmarks"),
        ("all.json", {"a": [1, 2, 3]}, "no landmarks"),
        ("all.json", {"c": {"x": [1, 2, 3]}}, "'c'"),
        ("all.json", {"a": {"x": [1, 2]}}, "three numbers"),
        ("all.json", {"a": {"x": [1, 2, float("nan")]}}, "three numbers"),
        ("a.json", {"1": {"coordinates": [1, None, 3]}}, "three numbers"),
        ("a.json", {"1": {"coordinates": [1, 2, 3], "likelihood": 7}}, "likelihood"),
        ("a_mm.json", {"1": {"coordinates": [1, 2, 3]}}, "millimeters"),
    ],
)
def test_malformed_files_are_refused_with_a_remedy(tmp_path, name, content, says):
    with pytest.raises(DataError, match=says) as caught:
        read_nnlandmark(saved(tmp_path / name, content), AFFINES)
    assert caught.value.remedy


def test_names_that_are_no_numbers_are_refused(tmp_path):
    saved(tmp_path / "name_to_label.json", {"apex": "one"})
    with pytest.raises(DataError, match="label numbers"):
        read_nnlandmark(saved(tmp_path / "a.json", {"1": {"coordinates": [1, 2, 3]}}), AFFINES)
