"""Scores by stated protocols, of our own predictions and of other programs'."""

from gracile.evaluation.bootstrap import bootstrap_interval
from gracile.evaluation.comparison import evaluate
from gracile.evaluation.gate_savings import GatedFrames, gate_savings
from gracile.evaluation.gate_trade import GateTrade, gate_trade
from gracile.evaluation.gate_value import GateValue, gate_value
from gracile.evaluation.landmarks import TruePoints, evaluate_landmarks
from gracile.evaluation.outcome import Evaluation
from gracile.evaluation.protocols import PROTOCOLS, Protocol, find_protocol

__all__ = [
    "PROTOCOLS",
    "Evaluation",
    "GateTrade",
    "GateValue",
    "GatedFrames",
    "Protocol",
    "TruePoints",
    "bootstrap_interval",
    "evaluate",
    "evaluate_landmarks",
    "find_protocol",
    "gate_savings",
    "gate_trade",
    "gate_value",
]
