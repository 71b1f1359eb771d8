"""Scores by stated protocols, of our own predictions and of other programs'."""

from gracile.evaluation.comparison import evaluate
from gracile.evaluation.outcome import Evaluation
from gracile.evaluation.protocols import PROTOCOLS, Protocol, find_protocol

__all__ = ["PROTOCOLS", "Evaluation", "Protocol", "evaluate", "find_protocol"]
