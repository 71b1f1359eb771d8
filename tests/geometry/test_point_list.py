"""A list of points keeps its names and says which points have no place."""

import numpy as np
import pytest

from gracile.errors import GeometryError
from gracile.geometry import PointList


def test_points_without_a_place_keep_their_name():
    points = PointList(np.array([[1.0, 2, 3], [np.nan] * 3]), ["apex", "base"])
    assert points.defined.tolist() == [True, False]
    assert list(points.by_label()) == ["apex"]


def test_repeated_names_stay_in_the_list_and_are_no_landmarks():
    points = PointList(np.zeros((2, 3)), ["P", "P"], kind="curve")
    assert len(points) == 2
    with pytest.raises(GeometryError, match="'P'"):
        points.by_label()


@pytest.mark.parametrize(
    "wrong",
    [
        {"points_mm": np.zeros((2, 2)), "labels": ["a", "b"]},
        {"points_mm": np.zeros((2, 3)), "labels": ["a"]},
        {"points_mm": np.array([[1.0, np.nan, 2]]), "labels": ["a"]},
        {"points_mm": np.zeros((1, 3)), "labels": ["a"], "probabilities": np.zeros(2)},
    ],
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(GeometryError):
        PointList(**wrong)
