"""Cases are drawn as often as they weigh, and those of no weight never."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gracile.case import Moment
from gracile.errors import DataError
from gracile.recipe import AugmentSpec, TrainSpec
from gracile.samples.frames import WholeImageSamples
from gracile.samples.weights import by_weight, weighted
from gracile.transforms import Prepared

STILL = AugmentSpec(rotation=0, flip=False, scale=0, shear=0, elastic=0, gain=0, channel_gain=0, bias=0,
                    channel_bias=0, curve=0, illumination=0, noise=0, blur=0)  # fmt: skip


def frame(value: float, moment: Moment | None = None) -> Prepared:
    image = np.full((1, 8, 8), value, np.float32)
    return Prepared(image, np.ones((8, 8), bool), None, np.ones((1, 8, 8), np.float32), moment=moment)


def moment(source: str = "csrt", weight: float = 1.0, contradicts: str = "") -> Moment:
    return Moment("clip", 0.0, 0.0, source, weight, contradicts)


def test_a_training_weighs_by_source_by_the_table_and_by_contradictions():
    cases = [frame(0), frame(1, moment()), frame(2, moment("human", 0.5)), frame(3, moment(contradicts="both"))]
    train = TrainSpec(source_weights={"human": 4}, contradicting_weight=0.25)
    assert [case.weight for case in weighted(cases, train)] == [1, 1, 2, 0.25]


def test_what_weighs_nothing_is_left_out_of_learning():
    cases = [frame(0, moment(contradicts="both")), frame(1, moment()), frame(2, moment("csrt", 0))]
    kept = weighted(cases, TrainSpec(contradicting_weight=0))
    assert [float(case.image.max()) for case in kept] == [1]
    with pytest.raises(DataError, match="weigh nothing"):
        weighted(cases[:1], TrainSpec(contradicting_weight=0))


def test_cases_of_no_table_stay_the_very_same():
    cases = [frame(0), frame(1)]
    kept = weighted(cases, TrainSpec(source_weights={"human": 4}))
    assert all(one is other for one, other in zip(kept, cases, strict=True))
    samples = WholeImageSamples(cases, (8, 8), STILL, 0)
    assert by_weight(samples, kept, 0) is samples


def test_cases_come_as_often_as_they_weigh():
    cases = [replace(frame(value), weight=weight) for value, weight in ((0, 1.0), (1, 3.0), (2, 0.5))]
    samples = by_weight(WholeImageSamples(cases, (8, 8), STILL, 0, per_case=200), cases, 0)
    drawn = torch.stack([samples[index]["image"].max() for index in range(len(samples))])
    shares = [float((drawn == value).float().mean()) for value in range(3)]
    assert shares == pytest.approx([1 / 4.5, 3 / 4.5, 0.5 / 4.5], abs=0.06)
    assert torch.equal(samples[7]["image"], samples[7]["image"])
