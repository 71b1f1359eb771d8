"""What a gate's threshold trades: recall, the mean over people, against false alarms, with intervals over people."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gracile.evaluation.bootstrap import percentile_interval, resampled_weights
from gracile.evaluation.ranking import ratio

if TYPE_CHECKING:
    from rich.table import Table

RECALLS = (0.80, 0.90, 0.95, 0.98, 0.99, 1.0)
"""Recalls that tables show beside the chosen threshold."""

_POINTS, _ROUNDS = 120, 1000
"""Points of a curve, and how often people are drawn for its intervals."""


@dataclass(frozen=True)
class TradePoint:
    """What a threshold does.

    Args:
        threshold: Probability from which on a frame passes.
        recall: Share of a person's frames with the structures that passes, the mean over people who have such frames.
        false_alarm_rate: Share of the frames without the structures that passes; None without such frames.
        recall_interval: 95 %, by resampling people; None where that says nothing.
        false_alarm_interval: Likewise.
        chosen: Whether it is the gate's own.
    """

    threshold: float
    recall: float
    false_alarm_rate: float | None
    recall_interval: tuple[float, float] | None = None
    false_alarm_interval: tuple[float, float] | None = None
    chosen: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a table."""
        ends = {"recall95": self.recall_interval, "false_alarms95": self.false_alarm_interval}
        plain = {"threshold": self.threshold, "recall": self.recall, "false_alarm_rate": self.false_alarm_rate}
        return {**plain, **{name: None if both is None else list(both) for name, both in ends.items()}}


@dataclass(frozen=True)
class GateTrade:
    """The trade of a gate.

    Args:
        curve: Points from the highest threshold to the lowest.
        rows: The highest thresholds with the recalls of `RECALLS` on these people, and the gate's own.
        people: Who have frames with the structures.
        empty_frames: Frames without them.
    """

    curve: list[TradePoint]
    rows: list[TradePoint]
    people: int
    empty_frames: int

    @property
    def chosen(self) -> TradePoint:
        """What the gate's own threshold does."""
        return next(row for row in self.rows if row.chosen)

    def texts(self) -> list[list[str]]:
        """The rows as tables show them."""
        return [
            [
                f"{row.recall:.3f}{' (chosen)' if row.chosen else ''}",
                _ends(row.recall_interval),
                "-" if row.false_alarm_rate is None else f"{row.false_alarm_rate:.3f}",
                _ends(row.false_alarm_interval),
                f"{row.threshold:.4g}",
            ]
            for row in self.rows
        ]

    def table(self) -> "Table":
        """The rows as a table for the terminal."""
        from rich.table import Table

        people = "1 person" if self.people == 1 else f"{self.people} people"
        table = Table(title=f"Recall of {people}, false alarms of {self.empty_frames} frames without the structures")
        for title in COLUMNS:
            table.add_column(title, justify="right")
        for row in self.texts():
            table.add_row(*row)
        return table


COLUMNS = ("recall", "95 %", "false alarms", "95 %", "threshold")
"""Of `GateTrade.texts`."""


def _ends(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def gate_trade(presence: np.ndarray, positive: np.ndarray, subjects: np.ndarray, threshold: float) -> GateTrade:
    """Recall against false alarms at all thresholds.

    Args:
        presence: ``(frames,)`` probabilities that the structures are there.
        positive: ``(frames,)`` bool: they are, in one frame at least.
        subjects: ``(frames,)`` names of people.
        threshold: The gate's own.
    """
    people = _People(presence, positive, subjects)
    possible = np.unique(presence[positive])
    recalls, _ = people.means(possible, people.once)
    wanted = {possible[np.flatnonzero(recalls[0] >= recall - 1e-9)[-1]] for recall in RECALLS}
    values = np.unique(presence)[::-1]
    values = values[np.unique(np.linspace(0, len(values) - 1, min(len(values), _POINTS)).round().astype(int))]
    rows = np.array(sorted({*wanted, threshold}, reverse=True))
    return GateTrade(
        people.points(values), people.points(rows, chosen=threshold), int(people.has.sum()), int((~positive).sum())
    )


class _People:
    """Frames by person."""

    def __init__(self, presence: np.ndarray, positive: np.ndarray, subjects: np.ndarray) -> None:
        own = [subjects == person for person in np.unique(subjects)]
        self.shown = [np.sort(presence[positive & mine]) for mine in own]
        self.empty = [np.sort(presence[~positive & mine]) for mine in own]
        self.has = np.array([len(frames) > 0 for frames in self.shown], dtype=float)
        self.once = np.ones((1, len(own)))

    def means(self, thresholds: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(rounds, thresholds)`` recall and false alarm rate of ``(rounds, people)`` weights; NaN where undefined."""
        passing, alarms = (
            np.array([len(frames) - np.searchsorted(frames, thresholds) for frames in some], dtype=float)
            for some in (self.shown, self.empty)
        )
        recall = passing / np.array([max(len(frames), 1) for frames in self.shown])[:, None]
        empty = np.array([len(frames) for frames in self.empty], dtype=float)
        return ratio(weights @ recall, (weights @ self.has)[:, None]), ratio(
            weights @ alarms, (weights @ empty)[:, None]
        )

    def points(self, thresholds: np.ndarray, chosen: float | None = None) -> list[TradePoint]:
        """What thresholds do, with intervals."""
        recall, alarms = (part[0] for part in self.means(thresholds, self.once))
        rounds = [self.means(thresholds, weights) for weights in resampled_weights(len(self.has), rounds=_ROUNDS)]
        drawn = [np.concatenate(part) for part in zip(*rounds, strict=True)]
        points = []
        for index, value in enumerate(thresholds):
            ends = [percentile_interval(part[:, index]) for part in drawn] or [None, None]
            false = None if np.isnan(alarms[index]) else float(alarms[index])
            points.append(
                TradePoint(float(value), float(recall[index]), false, ends[0], ends[1], bool(value == chosen))
            )
        return points
