"""Structures of known size at a known depth are measured as what they are."""

import numpy as np
import pytest
from scipy import ndimage

from gracile.case import Case
from gracile.errors import RecipeError
from gracile.geometry import Grid
from gracile.measure import measure
from gracile.measure.ultrasound import ring_around, ultrasound_measurements
from gracile.recipe import recipe_from
from gracile.result import Result

CLASSES = ["background", "nerve", "vessel"]
SKIN = 12


def scan(shape=(120, 160)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, mask and region: a nerve of 20 x 10 px at rows 50 to 59, a vessel beside it; black above row 12."""
    image = np.full(shape, 80, np.uint8)
    image[:SKIN] = 0
    mask = np.zeros(shape, np.uint8)
    mask[50:60, 40:60] = 1
    mask[50:60, 62:72] = 2
    image[mask == 1] = 160
    image[mask == 2] = 20
    return image[None], mask, np.ones(shape, bool)


def numbers(*args, **options) -> dict[tuple[str, str], tuple[float | None, str]]:
    measurements, _ = ultrasound_measurements(*args, **options)
    return {(m.structure, m.name): (m.value, m.unit) for m in measurements}


def test_in_pixels_where_the_pixel_size_is_unknown():
    found = numbers(*scan(), CLASSES)
    assert found["nerve", "area"] == (200, "px2")
    assert found["nerve", "equivalent_diameter"] == (pytest.approx(2 * np.sqrt(200 / np.pi)), "px")
    assert found["nerve", "islands"] == (1, "1")
    assert found["nerve", "center_row"] == (pytest.approx(54.5), "px")
    assert found["nerve", "center_column"] == (pytest.approx(49.5), "px")
    assert found["nerve", "depth"] == (pytest.approx(54.5 - SKIN, abs=2), "px")
    assert found["nerve", "depth_top"] == (pytest.approx(50 - SKIN, abs=2), "px")


def test_in_mm_where_it_is_known_each_axis_by_its_own():
    pixels, mm = numbers(*scan(), CLASSES), numbers(*scan(), CLASSES, (0.1, 0.2))
    assert mm["nerve", "area"] == (pytest.approx(200 * 0.02), "mm2")
    assert mm["nerve", "equivalent_diameter"] == (pytest.approx(2 * np.sqrt(4 / np.pi)), "mm")
    assert mm["nerve", "depth"] == (pytest.approx(0.1 * pixels["nerve", "depth"][0]), "mm")
    assert mm["nerve", "center_row"] == pixels["nerve", "center_row"]


def test_contrast_leaves_the_other_classes_and_the_outside_out():
    image, mask, region = scan()
    found = numbers(image, mask, region, CLASSES)
    assert found["nerve", "nbr"] == (pytest.approx(2.0), "1")
    assert found["nerve", "nbr_to_vessel"] == (pytest.approx(8.0), "1")
    assert found["vessel", "nbr"] == (pytest.approx(0.25), "1")
    region[:, :40] = False
    image[0, :, :40] = 255
    assert numbers(image, mask, region, CLASSES)["nerve", "nbr"] == (pytest.approx(2.0), "1")


def test_the_ring_is_as_wide_as_it_is_told():
    image, mask, region = scan()
    image[0][ndimage.distance_transform_edt(mask == 0) > 5] = 40
    near = numbers(image, mask, region, CLASSES, ring_px=5)["nerve", "nbr"][0]
    far = numbers(image, mask, region, CLASSES, ring_px=12)["nerve", "nbr"][0]
    assert near == pytest.approx(2.0)
    assert far > 2.5
    assert numbers(image, mask, region, CLASSES, (0.1, 0.1), ring_mm=0.5)["nerve", "nbr"][0] == pytest.approx(near)


def test_a_ring_of_a_point_is_a_disc_even_at_the_border():
    member = np.zeros((21, 21), bool)
    member[10, 10] = True
    rows, columns = np.mgrid[:21, :21]
    away = np.hypot(rows - 10, columns - 10)
    assert (ring_around(member, 4) == ((away > 0) & (away <= 4))).all()
    assert (ring_around(member, 0.4, (0.1, 0.2)) == ((away > 0) & (np.hypot(rows - 10, 2 * (columns - 10)) <= 4))).all()
    member[:] = False
    assert not ring_around(member, 4).any()


def test_what_is_undefined_is_none():
    image, mask, region = scan()
    mask[mask == 1] = 0
    found = numbers(image, mask, region, CLASSES)
    assert found["nerve", "area"] == (0, "px2")
    assert found["nerve", "islands"] == (0, "1")
    for name in ("equivalent_diameter", "center_row", "depth", "depth_top", "nbr", "nbr_to_vessel"):
        assert found["nerve", name][0] is None, name
    assert found["vessel", "nbr_to_nerve"][0] is None
    black = numbers(np.zeros_like(image), mask, region, CLASSES)
    assert black["vessel", "nbr"][0] is None
    assert black["vessel", "depth"][0] is None
    assert black["vessel", "area"][0] == 100


def test_islands_and_marks():
    image, mask, region = scan()
    mask[90:94, 20:24] = 1
    measurements, marks = ultrasound_measurements(image, mask, region, CLASSES)
    assert next(m.value for m in measurements if (m.structure, m.name) == ("nerve", "islands")) == 2
    assert set(marks["center"]) == {"nerve", "vessel"}
    assert {round(place["row"]) for place in marks["skin"]} <= set(range(SKIN - 2, SKIN + 3))


def nerve_recipe(**options):
    return recipe_from(
        {
            "name": "nerve",
            "title": "Nerve",
            "classes": [{"name": name, "color": [index, 0, 0]} for index, name in enumerate(CLASSES)],
            "stages": [{"kind": "segment", "network": {"name": "refining-unet"}, "losses": [{"name": "dice"}]}],
            "measure": [{"name": "ultrasound", "options": options}],
        }
    )


def measured(settings=None, spacing=None, **options) -> Result:
    image, mask, region = scan()
    grid = Grid(mask.shape, spacing_mm=spacing)
    result = Result("a", "found", grid, CLASSES, mask=mask, region=region)
    measure(Case("a", image, grid), result, nerve_recipe(**options), settings or {})
    return result


def test_a_recipe_names_it_and_the_given_pixel_size_goes_before_the_files():
    areas = [
        next(m for m in measured(settings, spacing).measurements if m.name == "area")
        for settings, spacing in (({}, None), ({}, (0.1, 0.1)), ({"um_per_pixel": 50}, (0.1, 0.1)))
    ]
    assert [(round(a.value, 6), a.unit) for a in areas] == [(200, "px2"), (2, "mm2"), (0.5, "mm2")]
    assert "ring of 3 px" in next(m.note for m in measured(ring_px=3).measurements if m.name == "nbr")


def test_an_unknown_option_is_refused():
    with pytest.raises(RecipeError, match="ring_width"):
        measured(ring_width=3)
