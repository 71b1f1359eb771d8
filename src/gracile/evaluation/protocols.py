"""The protocols by name."""

from collections.abc import Callable
from dataclasses import dataclass

from gracile import names
from gracile.errors import UsageError
from gracile.evaluation import av_multiclass, segmentation
from gracile.evaluation.metrics import CaseScores


@dataclass(frozen=True)
class Protocol:
    """A way to score cases.

    Args:
        name: Its name at the command line.
        description: One line for help and tables.
        recipe: The shipped recipe whose classes are scored when none are named.
        score_case: Scores one case: ``(truth, prediction, class_names, *, region, probabilities, spacing_mm)``.
        needs_region: Whether it is undefined without a region (field of view).
        headline: The scores that a short table shows first.
        lower_is_better: Shares whose worst value is 1; every other share is worst at 0.
        counts: Scores that count structures, and are summed up as well as averaged.
        distances: Beginnings of the names of distances, which have no worst value.
    """

    name: str
    description: str
    recipe: str
    score_case: Callable[..., CaseScores]
    needs_region: bool = False
    headline: tuple[str, ...] = ()
    lower_is_better: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    distances: tuple[str, ...] = ()


PROTOCOLS: dict[str, Protocol] = {
    "av-multiclass": Protocol(
        "av-multiclass",
        names.PROTOCOLS["av-multiclass"],
        "retina-av",
        av_multiclass.score_case,
        needs_region=True,
        headline=("f1", "sensitivity", "specificity", "precision", "accuracy", "iou", "mse", "auc_hard"),
        lower_is_better=("mse", "brier"),
    ),
    "segmentation": Protocol(
        "segmentation",
        names.PROTOCOLS["segmentation"],
        "structure-2d",
        segmentation.score_case,
        headline=("dice", "iou", "sensitivity", "precision", "missed", "false_alarms"),
        counts=("missed", "false_alarms"),
        distances=("hd95_", "mean_surface_distance_"),
    ),
}


def find_protocol(name: str) -> Protocol:
    """The protocol of a name; raises `UsageError` that lists the known ones."""
    if name not in PROTOCOLS:
        raise UsageError(f"There is no protocol {name!r}.", f"Choose one of: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
