"""Scores by stated protocols, of our own predictions and of other programs'."""

from gracile.evaluation.bootstrap import bootstrap_interval
from gracile.evaluation.comparison import evaluate
from gracile.evaluation.gate_value import GateValue, gate_value
from gracile.evaluation.landmarks import TruePoints, evaluate_landmarks
from gracile.evaluation.outcome import Evaluation
from gracile.evaluation.protocols import PROTOCOLS, Protocol, find_protocol

__all__ = [
    "PROTOCOLS",
    "Evaluation",
    "GateValue",
    "Protocol",
    "TruePoints",
    "bootstrap_interval",
    "evaluate",
    "evaluate_landmarks",
    "find_protocol",
    "gate_value",
]
