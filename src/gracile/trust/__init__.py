"""How far an answer can be trusted: flags and a predicted quality of one case, and what is promised of a gate."""

from gracile.trust.case_flags import case_figures, case_flags
from gracile.trust.gate_calibration import Calibration, calibrated
from gracile.trust.gate_on_clips import OnClips, calibrated_on_clips
from gracile.trust.gate_scores import GateScores
from gracile.trust.grades import grade
from gracile.trust.input_samples import sampled
from gracile.trust.ordinary import Ordinary, Range
from gracile.trust.promise import Promise, Wish, promised
from gracile.trust.quality import QualityMap
from gracile.trust.quality_learning import learn_quality
from gracile.trust.signs import signed_answer
from gracile.trust.truths import HeldAnswer, held_mask, held_points
from gracile.trust.unlike import Unlike

__all__ = [
    "Calibration",
    "GateScores",
    "HeldAnswer",
    "OnClips",
    "Ordinary",
    "Promise",
    "QualityMap",
    "Range",
    "Unlike",
    "Wish",
    "calibrated",
    "calibrated_on_clips",
    "case_figures",
    "case_flags",
    "grade",
    "held_mask",
    "held_points",
    "learn_quality",
    "promised",
    "sampled",
    "signed_answer",
]
