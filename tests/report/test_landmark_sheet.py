"""Three slices through each landmark show what lies there, on the side where it lies."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from gracile.case import Case
from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.report.landmark_sheet import landmark_layers
from gracile.result import Landmark


def case(affine: np.ndarray, values: np.ndarray) -> Case:
    return Case("head", values[None].astype(np.float32), Grid(values.shape, affine=affine))


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)).convert("L")).astype(float)


def drawn() -> Case:
    """A bright ball 6 mm to the right of, behind and below the middle at 0, in axes that run left, back and up."""
    affine = np.diag([-0.5, -0.5, 0.5, 1.0])
    affine[:3, 3] = 20, 20, -20
    places = np.stack(np.meshgrid(*[np.arange(80)] * 3, indexing="ij"), axis=-1) @ affine[:3, :3] + affine[:3, 3]
    return case(affine, 100.0 * (np.linalg.norm(places - (6, -6, -6), axis=-1) < 3))


def test_sides_are_a_radiologist_s():
    volume = drawn()
    base, _ = landmark_layers(volume, [Landmark("a", np.array([6.0, -6.0, 0.0]), 0.9)])
    sagittal, coronal, axial = (picture(base)[16:148, left : left + 132] for left in (0, 136, 272))
    for view, row, column in ((sagittal, 90, 66), (coronal, 90, 66)):
        assert view[row, column] > 180, "below"
        assert view[132 - row, column] < 60
    base, _ = landmark_layers(volume, [Landmark("a", np.array([0.0, 0.0, -6.0]), 0.9)])
    axial = picture(base)[16:148, 272:404]
    assert axial[90, 42] > 180, "the patient's right is on the left, the back below"
    assert axial[42, 90] < 60


def test_found_and_true_points_are_drawn_apart():
    volume = drawn()
    found = [Landmark("a", np.zeros(3), 0.9), Landmark("b", None, 0.1), Landmark("c", None, 0.1)]
    base, layers = landmark_layers(volume, found, {"a": np.array([2.0, 0, 0]), "b": np.zeros(3)})
    assert [(layer.group, layer.name) for layer in layers] == [("Found", "Points"), ("Truth", "Points")]
    sizes = {Image.open(BytesIO(data)).size for data in (base, *(layer.png for layer in layers))}
    assert len(sizes) == 1
    assert sizes.pop()[0] == 2 * 408, "c has neither point"
    marks = [np.asarray(Image.open(BytesIO(layer.png)).convert("RGBA"))[..., 3] > 0 for layer in layers]
    assert marks[0][:, :408].any()
    assert not marks[0][:, 408:].any()
    assert marks[1][:, :408].any()
    assert marks[1][:, 408:].any()


def test_nothing_to_show_is_said():
    with pytest.raises(DataError, match="no point to show"):
        landmark_layers(drawn(), [Landmark("a", None, 0.1)])
    with pytest.raises(DataError, match="with an affine"):
        landmark_layers(Case("p", np.zeros((1, 4, 4), np.uint8), Grid((4, 4))), [Landmark("a", np.zeros(3), 1)])
