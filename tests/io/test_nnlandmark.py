"""nnLandmark counts in voxels: millimeters come from each case's image."""

import json

import numpy as np
import pytest

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io.nnlandmark import (
    is_nnlandmark,
    nnlandmark_cases,
    read_nnlandmark,
    write_nnlandmark,
    write_nnlandmark_prediction,
)

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
    saved(tmp_path / "dataset.json", {"labels": {"background": 0, "one": 1, "two": 2}})
    assert read_nnlandmark(path, AFFINES)["b"].labels == ["one", "two"]
    saved(tmp_path / "name_to_label.json", {"apex": 1, "base": 2})
    assert read_nnlandmark(path, AFFINES)["b"].labels == ["apex", "base"]
    assert read_nnlandmark(path, AFFINES, {1: "oben"})["b"].labels == ["oben", "2"]


def test_landmarks_without_a_place_are_left_out(tmp_path):
    points = PointList(np.array([[1.0, 1, 1], [np.nan] * 3]), ["x", "y"])
    write_nnlandmark(tmp_path / "a.json", {"a": points}, AFFINES)
    assert list(json.loads((tmp_path / "a.json").read_text())["a"]) == ["x"]


def test_cases_without_an_image_are_passed_over_where_that_is_asked_for(tmp_path):
    path = saved(tmp_path / "all_landmarks_voxel.json", {"a": {"x": [2, 1, 4]}, "test": {"x": [1, 1, 1]}})
    assert nnlandmark_cases(path) == ["a", "test"]
    assert list(read_nnlandmark(path, AFFINES, others="skip")) == ["a"]


def test_a_written_prediction_reads_back_with_its_names(tmp_path):
    places = np.array([[1.0, -2, 3.5], [np.nan] * 3])
    points = PointList(places, ["apex", "24"], probabilities=np.array([0.75, 0.01]))
    write_nnlandmark_prediction(tmp_path / "a.json", points, AFFINES["a"])
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "1": {"coordinates": [-2, -1, 3.5], "likelihood": 0.75},
        "2": {"coordinates": [None] * 3, "likelihood": 0.01},
    }
    assert json.loads((tmp_path / "name_to_label.json").read_text()) == {"apex": 1, "24": 2}
    back = read_nnlandmark(tmp_path / "a.json", AFFINES)["a"]
    assert back.labels == points.labels
    np.testing.assert_allclose(back.points_mm, places)
    np.testing.assert_allclose(back.probabilities, points.probabilities)


@pytest.mark.parametrize(
    ("name", "own"), [("all.json", True), ("a.mrk.json", False), ("A.JSON", True), ("a.csv", False)]
)
def test_such_files_are_told_by_their_names(name, own):
    assert is_nnlandmark(name) == own


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
