"""How far an answer can be trusted: flags about one case, its input and its answer; and what is promised of a gate."""

from gracile.trust.case_flags import case_figures, case_flags
from gracile.trust.gate_calibration import Calibration, calibrated
from gracile.trust.gate_on_clips import OnClips, calibrated_on_clips
from gracile.trust.gate_scores import GateScores
from gracile.trust.input_samples import sampled
from gracile.trust.ordinary import Ordinary, Range
from gracile.trust.promise import Promise, Wish, promised
from gracile.trust.unlike import Unlike

__all__ = [
    "Calibration",
    "GateScores",
    "OnClips",
    "Ordinary",
    "Promise",
    "Range",
    "Unlike",
    "Wish",
    "calibrated",
    "calibrated_on_clips",
    "case_figures",
    "case_flags",
    "promised",
    "sampled",
]
