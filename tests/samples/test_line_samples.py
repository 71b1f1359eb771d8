"""Pieces along a line lie as far beside it as a locator errs, which the training is told in mm."""

import numpy as np
import pytest

from gracile.recipe import AugmentSpec, JitterSpec
from gracile.samples.volume_samples import LineSamples
from gracile.transforms.posed import SampledVolume

STILL = AugmentSpec(**dict.fromkeys(AugmentSpec.model_fields, 0))
SPACING = np.array([0.5, 0.5, 2.0])


def places_beside_the_line(jitter: JitterSpec, count: int = 150) -> np.ndarray:
    """``(count, 2, slices)`` mm from the line to the middle of each slice, read from a volume that holds its places."""
    axes = np.meshgrid(*[np.arange(n, dtype=np.float32) * s for n, s in zip((80, 80, 30), SPACING, strict=True)],
                       indexing="ij")  # fmt: skip
    image = np.stack(axes[:2]).astype(np.float32)
    part = SampledVolume(image, SPACING)
    line = np.array([[20.0, 20.0, 10.0], [20.0, 20.0, 48.0]])
    levels = np.array([[0.0, 0.0, 1.0], [58.0, 0.0, 1.0]])
    samples = LineSamples([part], [line], [levels], (9, 9, 8), [SPACING], jitter, STILL, 0, count)
    return np.stack([samples[index]["image"][:, 4, 4].numpy() - 20.0 for index in range(count)])


def test_a_line_is_moved_as_a_whole_by_as_many_mm_as_the_recipe_says():
    beside = places_beside_the_line(JitterSpec(offset_mm=2.0, wander_mm=0.0))
    assert np.ptp(beside, axis=2).max() < 1e-3
    assert beside[..., 0].std(axis=0) == pytest.approx([2.0, 2.0], rel=0.2)
    assert beside[..., 0].mean(axis=0) == pytest.approx([0.0, 0.0], abs=0.5)


def test_a_line_wanders_from_slice_to_slice_by_as_many_mm_as_the_recipe_says():
    beside = places_beside_the_line(JitterSpec(offset_mm=0.0, wander_mm=1.5))
    assert beside[..., [0, -1]].std(axis=0).ravel() == pytest.approx([1.5] * 4, rel=0.2)
    ends = beside[..., 0], beside[..., -1]
    assert abs(np.corrcoef(ends[0].ravel(), ends[1].ravel())[0, 1]) < 0.2
    assert np.abs(np.diff(beside, axis=2)).max() < 4.0


def test_without_jitter_the_line_is_in_the_middle():
    beside = places_beside_the_line(JitterSpec(offset_mm=0.0, wander_mm=0.0), count=3)
    assert np.abs(beside).max() < 1e-3
