"""The sheet of a volume shows the patient as a radiologist expects, to scale, whatever the file's axes."""

import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from gracile.case import Case
from gracile.errors import DataError
from gracile.geometry import Centerline, Grid, axial_slices, centerline_from_mask
from gracile.report import case_layers, case_overlay, volume_layers
from gracile.report.volume_panels import along_panels, axial_panel
from gracile.result import Result
from tests.geometry.volumes import ORIENTATIONS, oriented

AFFINE = np.diag([1.0, 0.5, 3.0, 1.0])
AFFINE[:3, 3] = (-20, -15, -30)
SHAPE = (40, 60, 20)
NAMES = ["background", "cord"]
COLORS = [(0, 0, 0), (255, 200, 0)]


def places():
    return (
        np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1) @ AFFINE[:3, :3] + AFFINE[:3, 3]
    )


def ball(x, y, z, radius=9.0):
    return np.linalg.norm(places() - (x, y, z), axis=-1) < radius


def case_of(volume, affine, mask=None, **more):
    grid = Grid(volume.shape, affine)
    result = Result("a", "found", grid, NAMES, mask=None if mask is None else mask.astype(np.uint8), **more)
    return Case("a", volume[None].astype(np.float32), grid), result


def opened(content):
    return Image.open(BytesIO(content))


def seen(layer):
    return np.asarray(opened(layer.png).convert("RGBA"))[..., 3] > 0


def middle_of(picture):
    rows, columns = np.nonzero(picture > 0.5)
    return rows.mean(), columns.mean(), np.ptp(rows), np.ptp(columns)


@pytest.fixture
def straight():
    """A line along the middle of the volume, on every slice."""
    slices = axial_slices(np.zeros(SHAPE), AFFINE)
    return np.tile((np.array(slices.volume.shape[1:]) - 1) / 2, (len(slices.volume), 1))


@pytest.mark.parametrize("code", ORIENTATIONS[::7])
@pytest.mark.parametrize(
    ("place", "above", "left_of_axial", "above_axial"),
    [((12, 8, 12), True, False, True), ((-12, -8, -12), False, True, False)],
)  # right is +x in RAS+: it is shown on the left
def test_views_lie_as_a_radiologist_expects(straight, code, place, above, left_of_axial, above_axial):
    volume, affine = oriented(ball(*place).astype(np.float32), AFFINE, code)
    slices = axial_slices(volume, affine)
    sagittal, coronal = along_panels(slices, straight, np.ones(len(straight), bool), height=240, widest_mm=60)
    # The views are bent along the line; to see the ball they are moved to where it is.
    moved = straight.copy()
    row, column = slices.to_places(np.array([place]))[0, 1:]
    moved[:] = row, column
    sagittal, coronal = along_panels(slices, moved, np.ones(len(straight), bool), height=240, widest_mm=60)
    height = sagittal.size[0]
    y, x, tall, wide = middle_of(sagittal.gray(slices.volume))
    assert (y < height / 2) == above
    assert tall == pytest.approx(wide, rel=0.2)
    assert (sagittal.letters, coronal.letters) == (("S", "I", "A", "P"), ("S", "I", "R", "L"))
    y, x, tall, wide = middle_of(coronal.gray(slices.volume))
    assert (y < height / 2) == above
    assert tall == pytest.approx(wide, rel=0.2)
    index = round(slices.to_places(np.array([place]))[0, 0])
    axial = axial_panel(slices, index, straight[0], True, side=160, side_mm=60)
    y, x, tall, wide = middle_of(axial.gray(slices.volume))
    assert (x < 80) == (place[0] > 0)
    assert (y < 80) == above_axial
    assert tall == pytest.approx(wide, rel=0.1)
    assert tall * 60 / 160 == pytest.approx(17, abs=2)
    assert axial.caption == str(slices.in_file(index))


def test_the_line_is_where_the_views_say(straight):
    slices = axial_slices(np.zeros(SHAPE), AFFINE)
    line = straight + np.linspace(-6, 6, len(straight))[:, None]
    known = np.arange(len(straight)) > 4
    for panel, axis in zip(along_panels(slices, line, known, height=240), (0, 1), strict=True):
        y, x = panel.line[np.array([0, -1])].T
        assert y[0] == 0
        assert y[-1] == pytest.approx(240 * 15 / 20, abs=1)
        for place, column in zip(y.astype(int), x, strict=True):
            level = panel.places[place, 0, 0]
            expected = np.interp(level, np.arange(len(line)), line[:, axis])
            across = panel.places[place, :, 1 + axis]
            assert np.interp(column, np.arange(len(across)), across) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("code", ORIENTATIONS[1::11])
def test_the_sheet_does_not_depend_on_the_order_of_the_axes(code):
    volume, mask = places().sum(axis=-1), ball(2, 3, 0, 12)
    upright = volume_layers(*case_of(volume, AFFINE, mask), COLORS)
    turned, affine = oriented(volume, AFFINE, code)
    other = volume_layers(*case_of(turned, affine, oriented(mask, AFFINE, code)[0]), COLORS)
    difference = np.asarray(opened(upright[0])).astype(int) - np.asarray(opened(other[0]))
    axial = 0.02  # the slices are numbered as in the file, which may run the other way
    assert (np.abs(difference) > 8).mean() < axial
    for one, two in zip(upright[1], other[1], strict=True):
        assert np.array_equal(seen(one), seen(two))


def test_layers_are_outlines_of_mask_and_truth_and_the_line():
    mask, truth = ball(0, 0, 0, 12), ball(2, 0, 0, 12)
    line = Centerline(np.array([[0.0, 0, -12], [0, 0, 12]]))
    base, layers = volume_layers(
        *case_of(places()[..., 0], AFFINE, mask, centerline=line), COLORS, truth.astype(np.uint8)
    )
    assert [(layer.group, layer.name) for layer in layers] == [
        ("Found", "cord"), ("Truth", "cord"), ("Marks", "Centerline"),
    ]  # fmt: skip
    picture = opened(base)
    assert picture.format == "JPEG"
    assert all(seen(layer).shape == picture.size[::-1] for layer in layers)
    found = seen(layers[0])
    assert 0.001 < found.mean() < 0.05
    assert layers[0].color != layers[1].color
    assert seen(layers[2]).any()


def test_a_centerline_of_the_result_is_shown_only_where_it_runs():
    line = Centerline(np.array([[0.0, 0, -12], [0, 0, 12]]))
    case, result = case_of(places()[..., 0], AFFINE, np.zeros(SHAPE), centerline=line)
    drawn = seen(volume_layers(case, result, COLORS)[1][-1])
    rows = np.flatnonzero(drawn[:, :150].any(axis=1))
    assert rows[0] > 20
    assert rows[-1] < 340


def test_without_mask_or_line_the_volume_is_shown_as_it_lies():
    case, result = case_of(places()[..., 0], AFFINE)
    base, layers = volume_layers(case, result, COLORS)
    assert not layers
    assert np.asarray(opened(base)).std() > 10


def test_no_line_is_drawn_where_no_stage_found_one_and_the_views_cut_what_was_found():
    mask = ball(-9, 4, 0, 5) | ball(9, 4, 0, 7)
    _, layers = volume_layers(*case_of(places()[..., 0], AFFINE, mask), COLORS)
    assert [layer.name for layer in layers] == ["cord"]
    sagittal = seen(layers[0])[:, :150]
    assert sagittal.any()  # between the two there would be nothing


def test_single_slices_and_flat_gray_are_drawn():
    for shape in ((12, 12, 1), (12, 1, 12)):
        grid = Grid(shape, np.diag([1.0, 1.0, 5.0, 1.0]))
        mask = np.ones(shape, np.uint8)
        case = Case("a", np.zeros((1, *shape), np.float32), grid)
        assert volume_layers(case, Result("a", "found", grid, NAMES, mask=mask), COLORS)[0]


def test_the_overlay_has_everything_in_one_picture():
    case, result = case_of(np.zeros(SHAPE), AFFINE, ball(0, 0, 0, 12))
    picture = np.asarray(opened(case_overlay(case, result, COLORS)).convert("RGB")).astype(int)
    yellow = (picture[..., 0] > 180) & (picture[..., 1] > 120) & (picture[..., 2] < 90)
    assert yellow.sum() > 100
    assert opened(case_layers(case, result, COLORS)[0]).size == picture.shape[1::-1]


def test_what_does_not_fit_is_refused():
    case, result = case_of(np.zeros(SHAPE), AFFINE, np.zeros(SHAPE))
    with pytest.raises(DataError, match="truth"):
        volume_layers(case, result, COLORS, np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(DataError, match="colors"):
        volume_layers(case, result, COLORS[:1])
    flat = Case("a", np.zeros((1, *SHAPE), np.float32), Grid(SHAPE))
    with pytest.raises(DataError, match="affine"):
        volume_layers(flat, Result("a", "found", flat.grid, NAMES), COLORS)


def test_drawing_copies_no_volume_of_gray_values():
    shape = (320, 320, 260)
    grid = Grid(shape, np.eye(4))
    mask = np.zeros(shape, np.uint8)
    mask[70:90, 70:90] = 1
    case = Case("a", np.zeros((1, *shape), np.float32), grid)
    tracemalloc.start()
    volume_layers(case, Result("a", "found", grid, NAMES, mask=mask), COLORS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.9 * case.image.nbytes


@pytest.mark.real
def test_a_real_cord_fills_its_views(real_data):
    from gracile.io import read_volume, read_volume_labels
    from gracile.recipe import ClassSpec

    folder = real_data / "spinal-cord" / "errsm-t2" / "errsm_11"
    case = read_volume(folder / "t2.nii.gz", "errsm_11")
    classes = [ClassSpec(name=name, color=color) for name, color in zip(NAMES, COLORS, strict=True)]
    mask = read_volume_labels(folder / "t2_seg-manual.nii.gz", classes, case.grid).values
    line = centerline_from_mask(mask > 0, case.grid.affine)
    base, layers = volume_layers(
        case, Result("errsm_11", "found", case.grid, NAMES, mask=mask, centerline=line), COLORS
    )
    assert len(base) + sum(len(layer.png) for layer in layers) < 250_000
    picture = np.asarray(opened(base))
    assert picture.shape[0] == 680
    outline = seen(layers[0])
    assert outline[:, :470].any(axis=1).mean() > 0.99  # the sagittal view shows the cord from end to end
