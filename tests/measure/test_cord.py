"""A cord's rows, summary and flags, on drawn tubes and on real cords."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.case import Case
from gracile.errors import DataError, GeometryError, RecipeError, UsageError
from gracile.geometry import Grid
from gracile.measure import measure, measure_cord, require_known_settings
from gracile.recipe import recipe_from
from gracile.result import Result
from tests.geometry.volumes import ORIENTATIONS, oriented, tube

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
AFFINE[:3, 3] = (-15, -20, -30)
SHAPE = (30, 40, 30)


@pytest.fixture(scope="module")
def shares():
    """A tube of 5 mm radius that leans to the front by 20 degrees and ends inside the volume below."""
    lean = np.tan(np.deg2rad(20))
    stretch = np.cos(np.deg2rad(20))
    whole = tube(SHAPE, AFFINE, lambda z: (0.3 + 0 * z, z * lean), lambda x, y, z: x**2 + (y * stretch) ** 2 < 25, 3)
    whole[:, :, :5] = 0
    return whole


def values(measures):
    return {m.name: m.value for m in measures.measurements}


def test_rows_and_summary_of_a_leaning_tube(shares):
    measures = measure_cord(shares > 0.5, Grid(SHAPE, AFFINE))
    assert [row["slice"] for row in measures.rows] == list(range(5, 30))
    assert np.allclose([row["z_ras_mm"] for row in measures.rows], -30 + 2.0 * np.arange(5, 30))
    assert np.mean([row["angle_deg"] for row in measures.rows]) == pytest.approx(20, abs=1)
    found = values(measures)
    length = 50 / np.cos(np.deg2rad(20))
    assert found["length"] == pytest.approx(length, rel=0.01)
    assert measures.rows[-1]["arc_mm"] == pytest.approx(length * 24.5 / 25, rel=0.01)
    assert found["csa_mean"] == pytest.approx(25 * np.pi, rel=0.02)
    assert found["volume"] == pytest.approx(found["csa_mean"] * found["length"], rel=0.01)
    assert found["volume"] == pytest.approx(2.0 * (shares > 0.5).sum())
    assert found["diameter_ap_mean"] == pytest.approx(10, rel=0.03)
    assert found["diameter_rl_mean"] == pytest.approx(10, rel=0.03)
    assert {m.unit for m in measures.measurements} == {"mm", "mm2", "mm3", "1"}
    assert measures.flags == []
    assert measures.levels == []


@settings(max_examples=12)
@given(code=st.sampled_from(ORIENTATIONS))
def test_measures_do_not_depend_on_the_order_of_the_axes(shares, code):
    mask, affine = oriented(shares > 0.5, AFFINE, code)
    turned = measure_cord(mask, Grid(mask.shape, affine))
    upright = measure_cord(shares > 0.5, Grid(SHAPE, AFFINE))
    assert values(turned) == pytest.approx(values(upright))
    axis = next(index for index, letter in enumerate(code) if letter in "IS")
    for row in turned.rows:
        assert np.moveaxis(mask, axis, 0)[row["slice"]].sum() == pytest.approx(row["slice_area_mm2"])
        place = np.linalg.inv(affine) @ [row["x_ras_mm"], row["y_ras_mm"], row["z_ras_mm"], 1]
        assert place[axis] == pytest.approx(row["slice"])


def test_shares_count_in_part(shares):
    hard = values(measure_cord(shares > 0.5, Grid(SHAPE, AFFINE)))
    soft = values(measure_cord(shares > 0.5, Grid(SHAPE, AFFINE), shares=shares))
    assert abs(soft["csa_mean"] - 25 * np.pi) < abs(hard["csa_mean"] - 25 * np.pi) + 0.2
    assert soft["csa_mean"] == pytest.approx(25 * np.pi, rel=0.01)
    assert soft["csa_sd"] < hard["csa_sd"]


def test_the_resampled_planes_agree(shares):
    projected = values(measure_cord(shares > 0.5, Grid(SHAPE, AFFINE)))
    resampled = values(measure_cord(shares > 0.5, Grid(SHAPE, AFFINE), plane="resampled"))
    assert resampled["csa_mean"] == pytest.approx(projected["csa_mean"], rel=0.02)
    assert resampled["volume"] == projected["volume"]


def note_of(measures, name):
    return next(m.note for m in measures.measurements if m.name == name)


def test_an_end_at_the_border_of_the_scan_is_called_so(shares):
    mask = shares > 0.5
    assert note_of(measure_cord(mask, Grid(SHAPE, AFFINE)), "length").startswith("the upper end is that of the scan")
    mask[:, :, 25:] = False
    assert note_of(measure_cord(mask, Grid(SHAPE, AFFINE)), "length") == "both ends lie inside the scan"
    whole = np.zeros(SHAPE, bool)
    whole[10:20, 10:20] = True
    assert note_of(measure_cord(whole, Grid(SHAPE, AFFINE)), "length").startswith("both ends are those of the scan")


def test_gaps_jumps_borders_and_pieces_are_flagged(shares):
    mask = shares > 0.5
    mask[:, :, 12:14] = False
    gap = measure_cord(mask, Grid(SHAPE, AFFINE))
    assert gap.flags == ["cord: a gap of the mask, at slice 12-13"]
    assert gap.rows[7]["area_mm2"] is None
    assert gap.rows[7]["slice_area_mm2"] is None
    mask = shares > 0.5
    mask[:15, :, 20] = False
    assert measure_cord(mask, Grid(SHAPE, AFFINE)).flags == ["cord: the area jumps by more than 30%, at slice 20-21"]
    assert measure_cord(mask, Grid(SHAPE, AFFINE), largest_jump=0.8).flags == []
    mask = shares > 0.5
    mask[0, 5, 20] = True
    flags = measure_cord(mask, Grid(SHAPE, AFFINE), structure="nerve").flags
    assert flags == [
        "nerve: the mask touches the side of the volume and may be cut off there",
        "nerve: the mask has 2 separate pieces",
    ]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("place", "touches"), [(0, True), (1, False), (-2, False), (-1, True)])
def test_a_mask_that_touches_a_side_of_the_volume_is_flagged(shares, axis, place, touches):
    mask = shares > 0.5
    np.moveaxis(mask, axis, 0)[place, 5, 20] = True
    flags = measure_cord(mask, Grid(SHAPE, AFFINE)).flags
    assert any("touches the side of the volume" in flag for flag in flags) == touches


def test_an_end_that_tapers_off_is_no_jump():
    mask = np.zeros((20, 20, 60), bool)
    sides = [(1, 1), (3, 2), (4, 3), (5, 4), (5, 5), (6, 5), (6, 6), (7, 6), (7, 7), (8, 7), (8, 8)]
    for index in range(2, 60):
        wide, deep = sides[index - 2] if index - 2 < len(sides) else (9, 9)
        mask[5 : 5 + wide, 5 : 5 + deep, index] = True
    assert measure_cord(mask, Grid(mask.shape, np.eye(4))).flags == []


def test_an_empty_mask_is_measured_as_nothing():
    measures = measure_cord(np.zeros(SHAPE), Grid(SHAPE, AFFINE))
    assert measures.rows == []
    assert {m.value for m in measures.measurements} == {None}
    assert all("nothing of the cord" in m.note for m in measures.measurements)


def test_a_single_slice_is_measured():
    mask = np.zeros((9, 9, 1), bool)
    mask[3:6, 3:7] = True
    found = values(measure_cord(mask, Grid(mask.shape, np.diag([1.0, 1, 5, 1]))))
    assert (found["volume"], found["length"], found["csa_mean"]) == pytest.approx((60, 5, 12))


def test_levels_part_the_rows(shares):
    levels = np.zeros(SHAPE, np.int16)
    for level, slices in ((5, slice(5, 12)), (4, slice(12, 16)), (3, slice(16, 22)), (2, slice(22, 30))):
        levels[:, :, slices] = level
    measures = measure_cord(shares > 0.5, Grid(SHAPE, AFFINE), levels=levels)
    assert [row["level"] for row in measures.levels] == ["C5", "C4", "C3", "C2"]
    assert [row["slices"] for row in measures.levels] == [7, 4, 6, 8]
    assert measures.rows[0]["level"] == "C5"
    found = values(measures)
    by_hand = [row["area_mm2"] for row in measures.rows if row["level"] in {"C2", "C3"}]
    assert found["csa_c2_c3"] == pytest.approx(np.mean(by_hand), rel=1e-3)
    assert measures.levels[0]["area_mean_mm2"] == pytest.approx(
        np.mean([r["area_mm2"] for r in measures.rows[:7]]), rel=0.01
    )
    only = np.where(levels == 3, 0, levels)
    assert "csa_c2_c3" not in values(measure_cord(shares > 0.5, Grid(SHAPE, AFFINE), levels=only))


def with_levels() -> np.ndarray:
    """C5 to C2, from the foot up."""
    levels = np.zeros(SHAPE, np.int16)
    for level, slices in ((5, slice(5, 12)), (4, slice(12, 16)), (3, slice(16, 22)), (2, slice(22, 30))):
        levels[:, :, slices] = level
    return levels


@pytest.mark.parametrize(("asked", "name", "members"), [
    ("C3:C5", "c3_c5", {"C3", "C4", "C5"}), ("3:5", "c3_c5", {"C3", "C4", "C5"}), ("c4", "c4", {"C4"}),
    ("C2:C3", "c2_c3", {"C2", "C3"}),
])  # fmt: skip
def test_a_range_of_levels_is_measured_as_one(shares, asked, name, members):
    measures = measure_cord(shares > 0.5, Grid(SHAPE, AFFINE), levels=with_levels(), level_range=asked)
    found = values(measures)
    rows = [row for row in measures.rows if row["level"] in members]
    for quantity, column in (("csa", "area_mm2"), ("diameter_ap", "diameter_ap_mm"), ("diameter_rl", "diameter_rl_mm")):
        by_hand = np.average([row[column] for row in rows], weights=[row["length_mm"] for row in rows])
        assert found[f"{quantity}_{name}"] == pytest.approx(by_hand)
    names = [m.name for m in measures.measurements]
    assert len(set(names)) == len(names)


def test_each_level_is_measured_by_itself(shares):
    measures = measure_cord(shares > 0.5, Grid(SHAPE, AFFINE), levels=with_levels())
    found = values(measures)
    for row in measures.levels:
        assert found[f"csa_{row['level'].lower()}"] == pytest.approx(row["area_mean_mm2"])
    assert measures.flags == []


def test_a_range_that_is_not_all_there_is_not_measured(shares):
    measures = measure_cord(shares > 0.5, Grid(SHAPE, AFFINE), levels=with_levels(), level_range="C1:C3")
    (area,) = (m for m in measures.measurements if m.name == "csa_c1_c3")
    assert (area.value, area.note) == (None, "C1 to C3 is not measured: C1 is not there")
    assert measures.flags == ["cord: C1 to C3 is not measured: C1 is not there"]
    empty = measure_cord(np.zeros(SHAPE), Grid(SHAPE, AFFINE), levels=with_levels(), level_range="C1:C3")
    assert "csa_c1_c3" in values(empty)


@pytest.mark.parametrize(("asked", "says"), [
    ("C3:C2", "C3 lies below C2. Name the upper level first: C2:C3."), ("C8", "no vertebral level 'C8'"),
    ("C2:X", "no vertebral level 'X'"), ("", "no vertebral level ''"), ("0:3", "no vertebral level '0'"),
    ("C2:C3:C4", "no vertebral level 'C3:C4'"), ("T13", "C1 to C7, T1 to T12, L1 to L5, S1 to S5"),
])  # fmt: skip
def test_a_range_that_is_none_is_told(asked, says):
    with pytest.raises(UsageError) as raised:
        require_known_settings({"levels": "x", "level_range": asked})
    assert says in str(raised.value)
    with pytest.raises(UsageError, match="--levels"):
        require_known_settings({"level_range": "C2:C3"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda levels: levels * 0, "no level"),
        (lambda levels: levels * 1.5, "whole numbers"),
        (lambda levels: levels * (np.indices(SHAPE)[2] % 12 == 5), "single points"),
    ],
)
def test_levels_that_are_none_are_refused(shares, change, says):
    with pytest.raises(DataError, match=says):
        measure_cord(shares > 0.5, Grid(SHAPE, AFFINE), levels=change(np.full(SHAPE, 3.0)))


def test_pictures_and_other_sizes_are_refused(shares):
    with pytest.raises(GeometryError, match="volume"):
        measure_cord(np.ones((4, 4)), Grid((4, 4)))
    with pytest.raises(GeometryError, match="size"):
        measure_cord(shares > 0.5, Grid(SHAPE, AFFINE), levels=np.ones((3, 3, 3)))


def recipe(**options):
    return recipe_from(
        {
            "name": "cord",
            "title": "Cord",
            "input": {"kind": "volume", "channels": 1},
            "classes": [{"name": "background", "color": [0, 0, 0]}, {"name": "cord", "color": [255, 200, 0]}],
            "stages": [{"kind": "segment-volume", "network": {"name": "unet-3d"}, "losses": [{"name": "dice"}]}],
            "measure": [{"name": "cord", "options": options}],
        }
    )


def measured_case(shares, probabilities=None, **options):
    grid = Grid(SHAPE, AFFINE)
    case = Case("a", np.zeros((1, *SHAPE), np.float32), grid)
    result = Result("a", "found", grid, ["background", "cord"], mask=(shares > 0.5).astype(np.uint8))
    result.probabilities = probabilities
    measure(case, result, recipe(**options), {})
    return result


def test_a_recipe_names_the_measurement(shares):
    result = measured_case(shares)
    assert len(result.tables["cord"]) == 25
    assert {m.structure for m in result.measurements} == {"cord"}
    soft = measured_case(shares, np.stack([1 - shares, shares]), partial_volume=True, structure="cord")
    assert soft.tables["cord"][10]["area_mm2"] != result.tables["cord"][10]["area_mm2"]
    hard = measured_case(shares, np.stack([1 - shares, shares]))
    assert hard.tables["cord"] == result.tables["cord"]
    for wrong in ({"plane_": 1}, {"structure": "nerve"}):
        with pytest.raises(RecipeError):
            measured_case(shares, **wrong)


@pytest.mark.real
def test_areas_of_real_cords_are_those_of_people(real_data):
    import nibabel as nib

    for name in ("11", "18", "21", "23"):
        folder = real_data / "spinal-cord" / "errsm-t2" / f"errsm_{name}"
        image = nib.load(folder / "t2_seg-manual.nii.gz")
        mask = np.asanyarray(image.dataobj) > 0
        marks = np.asanyarray(nib.load(folder / "t2_landmarks_C2_T2.nii.gz").dataobj)
        measures = measure_cord(mask, Grid(mask.shape, image.affine))
        c2, t2 = (float((image.affine @ [*np.argwhere(marks == value)[0], 1])[2]) for value in (2, 9))
        rows = measures.rows
        upper = [row["area_mm2"] for row in rows if c2 - 60 < row["z_ras_mm"] < c2]
        chest = [row["area_mm2"] for row in rows if row["z_ras_mm"] < t2 - 10]
        assert 60 < np.mean(upper) < 90, name
        assert 30 < np.mean(chest) < 55, name
        found = values(measures)
        assert 6 < found["diameter_ap_mean"] < 9
        assert 9 < found["diameter_rl_mean"] < 13
        assert measures.flags == []
        resampled = values(measure_cord(mask, Grid(mask.shape, image.affine), plane="resampled"))
        assert resampled["csa_mean"] == pytest.approx(found["csa_mean"], rel=0.02)


@pytest.mark.real
def test_levels_of_real_label_volumes(real_data):
    import nibabel as nib

    folder = real_data / "spinal-cord" / "sct-testing"

    def load(path):
        image = nib.load(folder / path)
        return np.asanyarray(image.dataobj), image.affine

    cord, affine = load("t2/t2_seg-manual.nii.gz")
    levels, _ = load("t2/t2_seg-manual_labeled.nii.gz")
    measures = measure_cord(cord > 0, Grid(cord.shape, affine), levels=levels)
    assert [row["level"] for row in measures.levels] == ["C5", "C4", "C3", "C2"]
    assert 60 < values(measures)["csa_c2_c3"] < 90
    points, _ = load("t2/labels.nii.gz")
    with pytest.raises(DataError, match="single points"):
        measure_cord(cord > 0, Grid(cord.shape, affine), levels=points)

    cord, affine = load("template/template/PAM50_small_cord.nii.gz")
    levels, _ = load("template/template/PAM50_small_levels.nii.gz")
    measures = measure_cord(cord > 0.5, Grid(cord.shape, affine), levels=levels)
    names = [row["level"] for row in measures.levels]
    assert names[-7:] == ["C7", "C6", "C5", "C4", "C3", "C2", "C1"]
    area = {row["level"]: row["area_mean_mm2"] for row in measures.levels}
    assert area["C5"] > area["T6"]  # the cervical enlargement


@pytest.mark.parametrize(
    ("below", "above", "note"),
    [
        (2, 2, "both ends lie inside the scan"),
        (1, 2, "the lower end is that of the scan, not of the structure"),
        (2, 1, "the upper end is that of the scan, not of the structure"),
        (0, 5, "the lower end is that of the scan, not of the structure"),
        (1, 1, "both ends are those of the scan, not of the structure"),
    ],
)
def test_an_end_within_a_slice_of_the_scans_border_is_no_end_of_the_structure(below, above, note):
    mask = np.zeros(SHAPE, bool)
    mask[10:18, 14:22, below : SHAPE[2] - above] = True
    assert note_of(measure_cord(mask, Grid(SHAPE, AFFINE)), "length") == note


@pytest.mark.parametrize(("tip", "jumps"), [([(4, 4), (9, 4)], ["at slice 1"]), ([(3, 4), (6, 4), (7, 4), (9, 4)], [])])
def test_a_change_below_a_quarter_of_the_median_area_is_a_tip_and_no_jump(tip, jumps):
    sides = [*tip, (8, 6), (9, 7), (10, 8), *[(10, 10)] * 15]
    mask = np.zeros((20, 20, len(sides) + 4), bool)
    for index, (wide, deep) in enumerate(sides):
        mask[5 : 5 + wide, 5 : 5 + deep, index] = True
    flags = measure_cord(mask, Grid(mask.shape, np.diag([1.0, 1.0, 5.0, 1.0]))).flags
    assert [flag.rpartition(", ")[2] for flag in flags] == jumps
