"""The protocol of retina papers, to the letter."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from gracile.errors import DataError
from gracile.evaluation.av_multiclass import score_case

NAMES = ("background", "artery", "vein", "crossing")
#                     10 pixels inside the field of view, the last two outside
TRUTH = np.array([[0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 1, 0]], np.uint8)
FOUND = np.array([[0, 0, 1, 3, 1, 1, 2, 2, 0, 3, 2, 3]], np.uint8)
INSIDE = np.array([[True] * 10 + [False] * 2])


def random_case(seed=3, shape=(40, 50)):
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, shape, p=[0.7, 0.12, 0.13, 0.05]).astype(np.uint8)
    maps = rng.dirichlet(np.ones(4), shape).transpose(2, 0, 1).astype(np.float32)
    maps[truth, *np.indices(shape)] += 0.3
    return truth, maps / maps.sum(axis=0)


def test_hand_computed_case():
    scored = score_case(TRUTH, FOUND, NAMES, region=INSIDE)
    # Weights are of the whole image: 4 artery, 2 vein, 1 crossing pixels. Per class tp, fp, fn, tn of 10:
    # artery 2 1 1 6, vein 1 1 1 7, crossing 1 1 0 8.
    weight = np.array([4, 2, 1]) / 7
    expected = {
        "accuracy": weight @ [0.8, 0.8, 0.9],
        "sensitivity": weight @ [2 / 3, 1 / 2, 1],
        "specificity": weight @ [6 / 7, 7 / 8, 8 / 9],
        "precision": weight @ [2 / 3, 1 / 2, 1 / 2],
        "f1": weight @ [4 / 6, 2 / 4, 2 / 3],
        "iou": weight @ [2 / 4, 1 / 3, 1 / 2],
        "mse": weight @ [0.2, 0.2, 0.1],
        "auc_hard": weight @ [(2 / 3 + 6 / 7) / 2, (1 / 2 + 7 / 8) / 2, (1 + 8 / 9) / 2],
        "f1_artery": 4 / 6,
        "f1_vein": 2 / 4,
        "f1_crossing": 2 / 3,
        # Artery tree: truth has 4 pixels, prediction 5 (1, 1, 1 and 3, 3), common 3.
        "dice_artery_tree": 6 / 9,
        # Vein tree: truth 3 pixels, prediction 4, common 2.
        "dice_vein_tree": 4 / 7,
        # Without the pixel of true class 3: artery 3 and 4 with 2 in common, vein 2 and 3 with 1.
        "dice_artery_tree_without_3": 4 / 7,
        "dice_vein_tree_without_3": 2 / 5,
        # Both say artery or vein at pixels 4, 5 (right), 6 (artery called vein), 7 (right).
        "av_accuracy": 3 / 4,
        "av_sensitivity": 2 / 3,
        "av_specificity": 1,
        "av_found": 4 / 5,
    }
    for name, value in expected.items():
        assert scored.scores[name] == pytest.approx(value), name
    assert [row["pixels"] for row in scored.classes] == [4, 2, 1]
    assert "auc_roc" not in scored.scores


def test_agrees_with_scikit_learn():
    truth, maps = random_case()
    region = np.ones(truth.shape, bool)
    found = maps.argmax(axis=0).astype(np.uint8)
    scores = score_case(truth, found, NAMES, region=region, probabilities=maps.astype(np.float16)).scores
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth.ravel(), found.ravel(), labels=[1, 2, 3], average="weighted", zero_division=0
    )
    assert (scores["precision"], scores["sensitivity"], scores["f1"]) == pytest.approx((precision, recall, f1))
    pixels = np.bincount(truth.ravel())[1:]
    soft = maps.astype(np.float16).astype(np.float64)
    for name, reference in (("auc_roc", roc_auc_score), ("auc_pr", average_precision_score)):
        areas = [reference((truth == c).ravel(), soft[c].ravel()) for c in (1, 2, 3)]
        assert scores[name] == pytest.approx(np.average(areas, weights=pixels)), name
    brier = [np.square(soft[c] - (truth == c)).mean() for c in (1, 2, 3)]
    assert scores["brier"] == pytest.approx(np.average(brier, weights=pixels), rel=1e-5)
    assert scores["mse"] == pytest.approx(1 - scores["accuracy"])


def test_perfect_prediction():
    truth, _ = random_case()
    scores = score_case(truth, truth, NAMES, region=np.ones(truth.shape, bool)).scores
    for name in ("mse", "betti0_error", "betti1_error", "wrong_tree_length", "swaps_per_100"):
        assert not scores.pop(name)
    assert all(value == pytest.approx(1) for value in scores.values())


def test_only_the_field_of_view_counts():
    truth, maps = random_case()
    region = np.zeros(truth.shape, bool)
    region[5:30, 5:40] = True
    found = maps.argmax(axis=0).astype(np.uint8)
    before = score_case(truth, found, NAMES, region=region, probabilities=maps).scores
    found[~region], maps[:, ~region] = 3, 0.9
    assert score_case(truth, found, NAMES, region=region, probabilities=maps).scores == before


def test_answering_crossing_everywhere_excuses_nothing():
    truth, _ = random_case()
    scores = score_case(truth, np.full_like(truth, 3), NAMES, region=np.ones(truth.shape, bool)).scores
    assert scores["dice_artery_tree_without_3"] < 0.3
    assert scores["av_found"] == scores["av_accuracy"] == 0


def test_class_that_is_absent_and_unclaimed_weighs_nothing():
    truth, _ = random_case()
    truth[truth == 3] = 0
    scored = score_case(truth, truth, NAMES, region=np.ones(truth.shape, bool))
    assert scored.scores["f1"] == 1
    assert scored.scores["f1_crossing"] == 0  # undefined counts 0
    assert scored.classes[2]["weight"] == 0


def test_what_the_protocol_is_not_defined_for():
    truth, _ = random_case()
    region = np.ones(truth.shape, bool)
    with pytest.raises(DataError, match="four classes"):
        score_case(truth, truth, NAMES[:3], region=region)
    for missing in (None, ~region):
        with pytest.raises(DataError, match="field of view"):
            score_case(truth, truth, NAMES, region=missing)
    with pytest.raises(DataError, match="no artery, vein or crossing"):
        score_case(np.zeros_like(truth), truth, NAMES, region=region)
