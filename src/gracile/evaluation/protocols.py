"""The protocols by name."""

from collections.abc import Callable
from dataclasses import dataclass

from gracile import names
from gracile.errors import UsageError
from gracile.evaluation import av_multiclass, classification, gated_segmentation, landmarks, segmentation
from gracile.evaluation.metrics import CaseScores
from gracile.evaluation.structures import DISTANCES, SIZE_ERRORS


@dataclass(frozen=True)
class Protocol:
    """A way to score cases.

    Args:
        name: Its name at the command line.
        description: One line for help and tables.
        recipe: The shipped recipe whose classes are scored when none are named.
        score_case: Scores one case: ``(truth, prediction, class_names, *, region, probabilities, spacing_mm)``. None
            where whole pictures are classified, see `gracile.evaluation.classification`, or points scored.
        needs_region: Whether it is undefined without a region (field of view).
        headline: The scores that a short table shows first.
        lower_is_better: Beginnings of the names of shares whose worst value is 1; every other share is worst at 0.
        counts: Scores that count structures, and are summed up as well as averaged.
        distances: Beginnings of the names of distances and areas, which have no worst value.
        of_some_cases: Beginnings of the names of shares that stay undefined where a case is none of theirs.
        intervals: Whether its summary has bootstrap intervals.
        of_points: Whether it scores points, see `gracile.evaluation.landmarks`.
        sizes: Beginnings of the names of errors of size, which an empty prediction has like any other.
        options: What else ``score_case`` takes: ``tolerance``, ``absent``.
        by_class: Beginnings of the scores that the tables of the classes show; none makes no tables.
    """

    name: str
    description: str
    recipe: str
    score_case: Callable[..., CaseScores] | None
    needs_region: bool = False
    headline: tuple[str, ...] = ()
    lower_is_better: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    distances: tuple[str, ...] = ()
    of_some_cases: tuple[str, ...] = ()
    intervals: bool = False
    of_points: bool = False
    sizes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    by_class: tuple[str, ...] = ()


PROTOCOLS: dict[str, Protocol] = {
    "av-multiclass": Protocol(
        "av-multiclass",
        names.PROTOCOLS["av-multiclass"],
        "retina-av",
        av_multiclass.score_case,
        needs_region=True,
        headline=("f1", "sensitivity", "specificity", "precision", "accuracy", "iou", "mse", "auc_hard"),
        lower_is_better=("mse", "brier"),
        of_some_cases=("wrong_tree_length", "swaps_per_100"),
        intervals=True,
        sizes=("betti",),
    ),
    "segmentation": Protocol(
        "segmentation",
        names.PROTOCOLS["segmentation"],
        "structure-2d",
        segmentation.score_case,
        headline=("dice", "iou", "normalized_surface_distance", "sensitivity", "precision", "missed", "false_alarms"),
        counts=segmentation.COUNTS,
        distances=DISTANCES,
        intervals=True,
        sizes=SIZE_ERRORS,
        options=("tolerance", "absent"),
        by_class=("dice", "iou", *DISTANCES, "normalized_surface_distance", *SIZE_ERRORS, *segmentation.COUNTS),
    ),
    "gated-segmentation": Protocol(
        "gated-segmentation",
        names.PROTOCOLS["gated-segmentation"],
        "structure-2d",
        gated_segmentation.score_case,
        headline=("dice", "dice_on_positives", "false_alarm_rate", "miss_rate", "false_alarm_area_px"),
        lower_is_better=("false_alarm_rate", "miss_rate"),
        distances=("false_alarm_area_", *DISTANCES),
        of_some_cases=(*gated_segmentation.OF_EMPTY_OR_NOT, "normalized_surface_distance"),
        intervals=True,
        options=("tolerance",),
        by_class=("dice", *gated_segmentation.OF_EMPTY_OR_NOT, "iou", *DISTANCES, "normalized_surface_distance"),
    ),
    "classification": Protocol(
        "classification",
        names.PROTOCOLS["classification"],
        "structure-2d",
        None,
        headline=classification.HEADLINE,
        lower_is_better=("brier", "calibration_error", "false_alarm_rate"),
        intervals=True,
    ),
    "landmarks": Protocol(
        "landmarks",
        names.PROTOCOLS["landmarks"],
        "cochlea-landmarks",
        None,
        headline=landmarks.HEADLINE,
        lower_is_better=("mean_error", "median_error", "sd_error", "p95_error", "max_error", "missed"),
        counts=("missed",),
        intervals=True,
        of_points=True,
    ),
}


def find_protocol(name: str) -> Protocol:
    """The protocol of a name; raises `UsageError` that lists the known ones."""
    if name not in PROTOCOLS:
        raise UsageError(f"There is no protocol {name!r}.", f"Choose one of: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
