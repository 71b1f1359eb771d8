"""Layers show every class, keep thin vessels and say where truth and answer differ."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from gracile.case import Case
from gracile.errors import DataError
from gracile.report import draw_overlay, result_layers
from gracile.report.layers import DIFFERENCES, visible_color
from gracile.result import Result

NAMES = ["background", "artery", "vein", "uncertain"]
COLORS = [(0, 0, 0), (255, 0, 0), (0, 0, 255), (0, 255, 0)]


def drawn(mask, *, truth=None, region=None, longest=1000, marks=None, channels=3):
    image = np.full((*mask.shape, channels), 120, np.uint8)
    case = Case.from_array(image, "drawn")
    result = Result("drawn", "found", case.grid, NAMES, mask=mask, region=region, marks=marks or {})
    return result_layers(case, result, COLORS, truth, longest)


def opened(content):
    return Image.open(BytesIO(content))


def opacity(layer):
    return np.asarray(opened(layer.png).convert("RGBA"))[..., 3]


def test_there_is_a_layer_per_class_in_its_color_and_place():
    mask = np.zeros((40, 60), np.uint8)
    mask[:10], mask[10:20], mask[20:30] = 1, 2, 3
    base, layers = drawn(mask)
    assert opened(base).format == "JPEG"
    assert [layer.name for layer in layers] == NAMES[1:]
    for index, layer in enumerate(layers, start=1):
        picture = np.asarray(opened(layer.png).convert("RGBA"))
        assert picture.shape[:2] == opened(base).size[::-1] == (40, 60)
        assert np.array_equal(picture[..., 3] == 255, mask == index)
        assert np.array_equal(picture[..., 3] == 0, mask != index)
        assert tuple(picture[mask == index][0, :3]) == layer.color


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("offset", range(4))
def test_a_line_of_one_pixel_survives_shrinking_unbroken(axis, offset):
    mask = np.zeros((3504, 2336), np.uint8)
    mask[(slice(None), 1000 + offset) if axis else (1000 + offset, slice(None))] = 1
    base, layers = drawn(mask)
    assert max(opened(base).size) == 1000
    assert opacity(layers[0]).max(axis=axis).min() >= 80
    assert not opacity(layers[1]).any()


def test_a_wide_vessel_is_not_thickened_by_shrinking():
    mask = np.zeros((2000, 2000), np.uint8)
    mask[:, 1001:1021] = 1
    share = opacity(drawn(mask)[1][0])[500] / 255
    assert share.sum() == pytest.approx(10, abs=0.6)


def test_small_pictures_keep_their_size_and_gray_ones_are_drawn():
    base, _ = drawn(np.zeros((30, 20), np.uint8), channels=1)
    assert opened(base).size == (20, 30)
    assert opened(base).mode == "L"


def test_differences_tell_wrong_class_from_missed_from_false_alarm():
    truth = np.zeros((20, 20), np.uint8)
    mask = truth.copy()
    truth[0], mask[0] = 1, 1  # right
    truth[5], mask[5] = 1, 2  # wrong class
    truth[10] = 2  # missed
    mask[15] = 3  # false alarm
    region = np.ones(mask.shape, bool)
    region[:, 10:] = False
    _, layers = drawn(mask, truth=truth, region=region)
    rows = {layer.name: layer for layer in layers if layer.group == "Differences"}
    assert list(rows) == list(DIFFERENCES)
    for name, row in {"wrong class": 5, "missed": 10, "false alarm": 15}.items():
        expected = np.zeros((20, 20), bool)
        expected[row, :10] = True
        assert np.array_equal(opacity(rows[name]) > 0, expected), name
    assert [layer.name for layer in layers if layer.group == "Truth"] == NAMES[1:]
    assert {layer.group for layer in layers if layer.shown} == {"Differences"}


def test_marks_are_layers_of_their_own_with_their_name():
    marks = {
        "optic_disc": {"row": 20.0, "column": 30.0, "diameter": 10.0, "source": "detected", "confidence": 0.8},
        "zone_b": {"row": 20.0, "column": 30.0, "inner_radius": 10.0, "outer_radius": 15.0},
        "zone_vessels": {"artery": [{"row": 4.0, "column": 5.0, "width": 3.0}], "vein": []},
        "<b>odd</b>": {"row": 1, "column": 1},
        "no place": 7,
    }
    _, layers = drawn(np.zeros((40, 60), np.uint8), marks=marks)
    drawings = {layer.name: layer.svg for layer in layers if layer.group == "Marks"}
    assert list(drawings) == ["Optic disc", "Zone B", "Zone vessels", "<b>odd</b>"]
    assert 'r="5.0"' in drawings["Optic disc"]
    assert ">Optic disc (detected)</text>" in drawings["Optic disc"]
    assert 'r="10.0"' in drawings["Zone B"]
    assert 'r="15.0"' in drawings["Zone B"]
    assert "rgb(255,0,0)" in drawings["Zone vessels"]
    assert "Artery, 3 px wide" in drawings["Zone vessels"]
    assert "<b>" not in drawings["<b>odd</b>"]


def test_a_failed_result_has_its_picture_and_no_layers():
    case = Case.from_array(np.zeros((9, 9, 3), np.uint8), "failed")
    base, layers = result_layers(case, Result("failed", "failed", case.grid, NAMES), COLORS)
    assert opened(base).size == (9, 9)
    assert layers == []


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="truth has size"):
        drawn(np.zeros((9, 9), np.uint8), truth=np.zeros((9, 8), np.uint8))
    case = Case.from_array(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(DataError, match="colors"):
        result_layers(case, Result("x", "found", case.grid, NAMES, mask=np.zeros((9, 9), np.uint8)), COLORS[:2])


def test_overlay_has_the_native_size_and_leaves_the_background_alone():
    image = np.full((3, 64, 80), 100, np.uint8)
    mask = np.zeros((64, 80), np.uint8)
    mask[:, 40:] = 1
    picture = opened(draw_overlay(image, mask, COLORS))
    assert (picture.format, picture.size) == ("JPEG", (80, 64))
    pixels = np.asarray(picture).astype(int)
    assert np.abs(pixels[:, :32] - 100).max() <= 4
    assert np.abs(pixels[:, 48:] - [185, 45, 45]).max() <= 6


def test_a_dark_color_is_lightened_and_keeps_its_hue():
    assert visible_color((255, 0, 0)) == (255, 0, 0)
    red, green, blue = visible_color((0, 0, 255))
    assert red == green > 60
    assert blue == 255
