import numpy as np
import pytest

from gracile.errors import DataError
from gracile.geometry.skeleton import Segment, skeleton_graph
from gracile.measure import Disc, fundus_measurements
from gracile.measure.caliber import WidthSamples, sample_widths
from gracile.measure.central import central_equivalent, zone_vessels

TREES = {"artery": (1, 3), "vein": (2, 3)}


def tube(width: float, degrees: float, size: int = 220, shift: float = 0.37) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    angle = np.deg2rad(degrees)
    along, across = rows * np.sin(angle) + columns * np.cos(angle), rows * np.cos(angle) - columns * np.sin(angle)
    return (np.abs(across - shift) <= width / 2) & (np.abs(along) <= 80)


def measure(mask, **more):
    size = mask.shape
    more = {"disc": Disc(size[0] / 2, size[1] / 2, 0.14 * size[0]), **more}
    found, marks, notes = fundus_measurements(
        np.zeros((3, *size), np.uint8), mask.astype(np.uint8), np.ones(size, bool), trees=TREES, **more
    )
    return {(m.structure, m.name): m for m in found}, marks, notes


@pytest.mark.parametrize("width", range(2, 16))
def test_tubes_have_their_width_at_any_angle(width):
    errors = {}
    for degrees in (0, 12, 30, 45, 70, 90, 135):
        widths, weights = [], []
        # A raster at 0 or 45 degrees holds only whole rows, so a single tube cannot be told any better than it was
        # drawn: several places between the pixels are averaged.
        for shift in (0.04, 0.21, 0.37, 0.54, 0.71, 0.88):
            mask = tube(width, degrees, shift=shift)
            for sample in sample_widths(skeleton_graph(mask).segments, mask, sigma=3):
                told = np.isfinite(sample.width)
                widths.append(sample.width[told])
                weights.append(sample.weight[told])
        errors[degrees] = np.average(np.concatenate(widths), weights=np.concatenate(weights)) - width
    assert abs(np.mean(list(errors.values()))) < 0.1
    assert max(map(abs, errors.values())) < 0.3, errors


def test_a_tube_is_measured_in_pixels_and_in_micrometers():
    mask = tube(8, 20).astype(np.uint8)
    pixels, _, _ = measure(mask)
    micrometers, _, _ = measure(mask, um_per_pixel=5.0)
    for name, power, value in (("caliber_mean", 1, 8), ("length", 1, 158), ("length_density", -1, 158 / 220**2)):
        assert pixels["artery", name].value == pytest.approx(value, rel=0.06)
        assert micrometers["artery", name].value == pytest.approx(pixels["artery", name].value * 5.0**power)
    assert (pixels["artery", "length"].unit, micrometers["artery", "length"].unit) == ("px", "um")
    assert micrometers["artery", "length_density"].unit == "1/um"
    assert pixels["artery", "tortuosity_arc_chord"].value == pytest.approx(1, abs=0.005)
    assert pixels["artery", "density"].value == pytest.approx(mask.mean())


def test_a_half_circle_has_tortuosity_half_pi():
    rows, columns = np.mgrid[:240, :240] - 119.5
    mask = (np.abs(np.hypot(rows, columns) - 90) < 3) & (rows < 0)
    found, _, _ = measure(mask)
    assert found["artery", "tortuosity_arc_chord"].value == pytest.approx(np.pi / 2, rel=0.03)
    assert found["artery", "tortuosity_curvature"].value == pytest.approx(1 / 90, rel=0.1)


def test_an_empty_mask_has_no_values_and_does_not_crash():
    found, _, _ = measure(np.zeros((200, 200)))
    for name in ("caliber_mean", "tortuosity_arc_chord", "tortuosity_curvature", "fractal_dimension"):
        assert found["vein", name].value is None
    assert found["vein", "length"].value == 0
    assert found["vein", "caliber_mean"].note
    assert found["", "avr"].value is None


def test_a_crossing_keeps_both_trees_whole_and_gives_no_widths():
    mask = tube(6, 0).astype(np.uint8)
    thick = tube(12, 90)
    mask[thick] += 2
    found, _, _ = measure(mask)
    assert found["artery", "segments"].value == 1
    assert found["vein", "segments"].value == 1
    assert found["artery", "caliber_mean"].value == pytest.approx(6, abs=0.3)
    assert found["vein", "caliber_mean"].value == pytest.approx(12, abs=0.3)


def test_knudtson_by_hand():
    assert central_equivalent([3, 4], 0.88) == pytest.approx(4.4)
    # 1 with 3 gives 0.95 sqrt(10); 2 goes on alone; both give 0.95 sqrt(0.9025 * 10 + 4).
    assert central_equivalent([2, 1, 3], 0.95) == pytest.approx(0.95 * np.sqrt(13.025))
    # Six equal ones: three of f sqrt(2); two of them join to 2 f^2, then the third.
    assert central_equivalent([1.0] * 6, 0.88) == pytest.approx(0.88 * np.sqrt(4 * 0.88**4 + 2 * 0.88**2))


def spokes(arteries: int, veins: int, size: int = 601) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    mask = np.zeros((size, size), np.uint8)
    for index in range(arteries + veins):
        angle = 2 * np.pi * (index + 0.3) / (arteries + veins)
        along = rows * np.sin(angle) + columns * np.cos(angle)
        across = np.abs(rows * np.cos(angle) - columns * np.sin(angle))
        artery = index % 2 == 0 if index < 2 * min(arteries, veins) else arteries > veins
        mask[(across <= (3 if artery else 4.5)) & (along > 60) & (along < 260)] = 1 if artery else 2
    return mask


def test_crae_crve_and_avr_of_spokes():
    found, marks, notes = measure(spokes(6, 6))
    assert found["artery", "crae"].value == pytest.approx(central_equivalent([6.0] * 6, 0.88), rel=0.04)
    assert found["vein", "crve"].value == pytest.approx(central_equivalent([9.0] * 6, 0.95), rel=0.04)
    ratio = found["artery", "crae"].value / found["vein", "crve"].value
    assert found["", "avr"].value == pytest.approx(ratio)
    assert len(marks["zone_vessels"]["vein"]) == 6
    assert notes == []


def test_too_few_vessels_are_told():
    found, _, _ = measure(spokes(5, 3))
    assert found["artery", "crae"].value is not None
    assert "5 of 6" in found["artery", "crae"].note
    assert found["vein", "crve"].value is None
    assert "3 of 6" in found["vein", "crve"].note
    assert found["", "avr"].value is None


def test_a_vessel_with_a_gap_counts_once():
    mask = spokes(6, 6)
    rows, columns = np.mgrid[:601, :601] - 300
    distance = np.hypot(rows, columns)
    mask[(distance > 102) & (distance < 108)] = 0
    _, marks, _ = measure(mask)
    assert len(marks["zone_vessels"]["artery"]) == 6


def test_without_a_sure_disc_what_needs_it_is_not_told_and_a_note_says_so():
    found, _, notes = measure(spokes(6, 6), disc=None)
    assert any("CRAE, CRVE and AVR are not told" in note for note in notes)
    assert found["", "avr"].value is None


def test_probabilities_are_averaged_over_the_tree():
    mask = tube(8, 20).astype(np.uint8)
    probabilities = np.full((4, 220, 220), 0.2, np.float32)
    found, _, _ = measure(mask, probabilities=probabilities)
    assert found["artery", "probability_mean"].value == pytest.approx(0.4)


def test_sizes_and_scales_that_make_no_sense_are_refused():
    with pytest.raises(DataError):
        measure(np.zeros((50, 50)), um_per_pixel=0.0)
    with pytest.raises(DataError):
        fundus_measurements(np.zeros((3, 9, 9), np.uint8), np.zeros((8, 9)), np.zeros((8, 9), bool), trees=TREES)


def strip(start: tuple[float, float], degrees: float, width: float, length: float, size: int = 260) -> np.ndarray:
    """A straight vessel from a place (row, column) on, 0 degrees to the right, 90 downwards."""
    rows, columns = np.mgrid[:size, :size] - np.array(start)[:, None, None]
    angle = np.deg2rad(degrees)
    along, across = rows * np.sin(angle) + columns * np.cos(angle), rows * np.cos(angle) - columns * np.sin(angle)
    return (np.abs(across) <= width / 2) & (along >= 0) & (along <= length)


@pytest.mark.parametrize(("thin", "wide"), [(120, 120), (105, 140), (220, 55)])
def test_calibers_are_weighted_by_length(thin, wide):
    # A vessel across has a pixel for each pixel of its length, one at 45 degrees only 0.7.
    mask = strip((30.3, 20), 0, 6, thin) | strip((70, 40), 45, 12, wide)
    found, _, _ = measure(mask)
    told = thin - 9, wide - 18  # no width is told within three quarters of one from an end
    share = told[1] / sum(told)
    assert found["artery", "caliber_mean"].value == pytest.approx(6 + 6 * share, abs=0.1)
    assert found["artery", "caliber_sd"].value == pytest.approx(6 * np.sqrt(share * (1 - share)), rel=0.05)
    if thin != wide:
        assert found["artery", "caliber_median"].value == pytest.approx(12 if wide > thin else 6, abs=0.3)


@pytest.mark.parametrize("mirrored", [1, -1])
@pytest.mark.parametrize(("half", "width"), [(15, 6), (15, 9), (20, 9)])
def test_where_vessels_branch_no_width_is_told(half, width, mirrored):
    trunk = strip((130, 20), 0.3, width, 110)
    mask = trunk | strip((130, 130), half, width, 110) | strip((130, 130), -half, width, 110)
    found, _, _ = measure(mask[:, ::mirrored])
    assert found["artery", "branch_points"].value == 1
    assert found["artery", "caliber_mean"].value == pytest.approx(width, abs=0.1)
    assert found["artery", "caliber_sd"].value < 0.5  # where two are seen as one they are nearly twice as wide


def test_between_two_branchings_no_width_is_told_near_either():
    half = strip((130, 10), 0.3, 9, 60) | strip((130, 70), 20, 9, 70) | strip((130, 70), -20, 9, 70)
    found, _, _ = measure(half | half[:, ::-1])  # a vessel that parts and joins again
    assert found["artery", "branch_points"].value == 2
    assert found["artery", "caliber_mean"].value == pytest.approx(9, abs=0.2)
    assert found["artery", "caliber_sd"].value < 0.7  # at the branchings it is seen twice as wide


def ring_of_spokes(count: int, inner: float, outer: float, width: float, shift: float = 0.0) -> np.ndarray:
    """Vessels that run from one distance of the middle of a picture to another."""
    spokes = np.zeros((601, 601), bool)
    for degrees in np.arange(count) * 360 / count + shift:
        angle = np.deg2rad(degrees)
        start = 300 + inner * np.sin(angle), 300 + inner * np.cos(angle)
        spokes |= strip(start, degrees, width, outer - inner, 601)
    return spokes


def test_zone_b_reaches_from_half_a_disc_diameter_to_a_whole_one_from_the_discs_margin():
    disc = Disc(300, 300, 120.0)
    wide = ring_of_spokes(6, 70, 116, 12, 5) | ring_of_spokes(6, 184, 280, 12, 5)
    mask = ring_of_spokes(6, 70, 280, 6, 5) | wide  # wider on both sides of the zone than in it
    found, marks, _ = measure(mask, disc=disc)
    assert (marks["zone_b"]["inner_radius"], marks["zone_b"]["outer_radius"]) == (120, 180)
    assert found["artery", "crae"].value == pytest.approx(central_equivalent([6.0] * 6, 0.88), rel=0.04)


def test_a_vessel_counts_in_zone_b_when_it_runs_through_three_tenths_of_it():
    disc = Disc(300, 300, 160.0)  # the zone reaches from 160 to 240
    mask = ring_of_spokes(2, 60, 280, 6, 10)
    for shift, share in ((60, 0.25), (240, 0.25), (130, 0.37)):
        mask |= ring_of_spokes(1, 240 - share * 80, 290, 6, shift)
    _, marks, _ = measure(mask, disc=disc)
    assert len(marks["zone_vessels"]["artery"]) == 3


@pytest.mark.parametrize("diameter", [160.0, 180.0])
def test_a_vessel_that_grazes_zone_b_counts_from_three_tenths_of_its_depth_on(diameter):
    depth = diameter / 2
    mask = np.zeros((601, 601), bool)
    for side, share in ((-1, 0.27), (1, 0.33)):  # past the disc, above and below it, with its ends outside the zone
        nearest = 1.5 * diameter - share * depth
        mask |= strip((300 + side * nearest, 150), 0, 6, 300, 601)
    _, marks, _ = measure(mask, disc=Disc(300, 300, diameter))
    assert [vessel["row"] > 300 for vessel in marks["zone_vessels"]["artery"]] == [True]


def test_where_a_vessel_branches_no_width_is_told_whichever_way_it_is_followed():
    mask = strip((130, 20), 0.3, 9, 110) | strip((130, 130), 15, 9, 110) | strip((130, 130), -15, 9, 110)
    graph = skeleton_graph(mask)
    assert len(graph.branch_points) == 1
    for segment in graph.segments:
        back = Segment(segment.points[::-1], segment.radius[::-1], segment.end, segment.start)
        assert sorted((segment.start, segment.end)) == [-1, 0]
        for one in (segment, back):
            (sample,) = sample_widths([one], mask, sigma=3)
            told = np.linalg.norm(sample.points[np.isfinite(sample.width)] - graph.branch_points[0], axis=1)
            assert told.min() > one.radius[0 if one.start == 0 else -1] - 1


def test_widths_in_zone_b_are_weighted_by_length():
    mask = strip((300, 340), 0, 7, 240, 601)
    graph = skeleton_graph(mask)
    (segment,) = graph.segments
    even = np.arange(len(segment.points)) % 2 == 0
    sample = WidthSamples(segment.points.astype(float), np.where(even, 6.0, 10.0), np.where(even, 1.0, 3.0))
    (vessel,) = zone_vessels(graph, [sample], Disc(300, 300, 101.0))  # from 101 to 151.5 pixels away: 51 columns
    at = np.abs(segment.points[:, 1] - 300)
    inside = (at >= 101) & (at <= 151)
    assert inside.sum() == 51
    wide = (inside & ~even).sum()
    assert vessel.width == pytest.approx((6 * (51 - wide) + 3 * 10 * wide) / (51 - wide + 3 * wide))
