"""An appearance is finite whatever the input, the same however it is stored, and of the region alone."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.case import Case
from gracile.trust import sampled
from gracile.trust.appearance import PICTURE_TRAITS, VOLUME_TRAITS, appearance
from tests.trust.toy_inputs import gray_tissue, scan, tissue


def look(case: Case, region: np.ndarray | None = None) -> dict[str, float]:
    samples = sampled(case, region)
    assert samples is not None
    return appearance(samples)


def test_all_traits_of_the_table_are_told_and_no_others() -> None:
    assert set(look(tissue(0))) == set(look(gray_tissue(0))) == set(PICTURE_TRAITS)
    assert set(look(scan(0))) == set(VOLUME_TRAITS)


def test_gray_looks_the_same_in_one_channel_and_in_three() -> None:
    gray = gray_tissue(3)
    assert look(gray) == pytest.approx(look(Case.from_array(np.repeat(gray.image[0][..., None], 3, axis=2))), abs=1e-5)


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.sampled_from(["random", "flat", "black"])
)  # fmt: skip
@settings(max_examples=40)
def test_it_is_finite_whatever_the_picture(height: int, width: int, channels: int, what: str) -> None:
    values = np.random.default_rng(height).integers(0, 256, (height, width, channels))
    values = {"random": values, "flat": values * 0 + 90, "black": values * 0}[what]
    assert np.isfinite(list(look(Case.from_array(values.astype(np.uint8))).values())).all()


def test_it_is_finite_for_thin_and_flat_volumes() -> None:
    for volume in (np.zeros((5, 4, 1)), np.ones((1, 1, 1)), np.random.default_rng(0).normal(size=(30, 2, 40))):
        assert np.isfinite(list(look(Case.from_volume(volume, np.eye(4))).values())).all()


def test_a_volume_looks_the_same_whatever_the_order_of_its_axes() -> None:
    case = scan(1)
    wanted = look(case)
    for order in permutations(range(3)):
        affine = np.eye(4)
        affine[:3, :3] = case.grid.affine[:3, :3][:, order]
        assert look(Case.from_volume(case.image[0].transpose(order), affine)) == pytest.approx(wanted, abs=0.02)
    mirrored = np.diag([-1.0, 1, 1.5, 1])
    assert look(Case.from_volume(case.image[0][::-1], mirrored)) == pytest.approx(wanted, abs=0.02)


def test_only_the_region_counts() -> None:
    case = tissue(0)
    region = np.zeros(case.grid.shape, bool)
    region[20:120, 30:150] = True
    painted = Case.from_array(np.moveaxis(np.where(region, case.image, 255), 0, -1).astype(np.uint8))
    assert look(case, region) == pytest.approx(look(painted, region))
    assert look(case, region)["size"] == pytest.approx(np.log(120), abs=0.05)


def test_a_trait_follows_what_it_is_about() -> None:
    case, before = tissue(0), look(tissue(0))
    smooth, warm = look(tissue(0, detail=5)), look(tissue(0, tint=(1.6, 0.9, 0.4)))
    assert smooth["detail 2"] < before["detail 2"]
    assert warm["red"] > before["red"]
    assert warm["blue"] < before["blue"]
    dark = look(Case.from_array(np.moveaxis(case.image // 2, 0, -1)))
    assert dark["brightness"] < before["brightness"]
    assert dark["detail 2"] == pytest.approx(before["detail 2"], abs=0.05)
