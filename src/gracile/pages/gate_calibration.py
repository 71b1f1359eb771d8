"""The page of calibrated gates: reliability, recall against false alarms, and what each gate buys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gracile.evaluation import GateTrade, GateValue, gate_trade
from gracile.evaluation.class_scores import Classified, reliability
from gracile.evaluation.gate_trade import COLUMNS
from gracile.pages.case_page import CasePage, counted
from gracile.report import Curve, ReportTable, curve_chart, reliability_chart
from gracile.report.wording import NOTHING, number
from gracile.trust import Calibration, OnClips

PAGE = "calibration.html"

HINT = (
    "Recall is the mean over people who show the structures, shaded its 95 % interval by resampling people; false "
    "alarms are a share of the frames without them; the circle is the gate's threshold. A dot's size says how many "
    "frames it stands for."
)


@dataclass(frozen=True)
class CalibratedGate:
    """A gate as it was calibrated.

    Args:
        name: Of its stage.
        calibration: What was chosen, and by what.
        savings: What it buys on the frames that were also looked at without it; None where none were.
        on_clips: How its memory was chosen; None without one.
    """

    name: str
    calibration: Calibration
    savings: GateValue | None = None
    on_clips: OnClips | None = None

    @cached_property
    def trade(self) -> GateTrade | None:
        """Recall against false alarms; None where no frame shows the structures."""
        chosen = self.calibration
        if not chosen.positive.any():
            return None
        return gate_trade(chosen.presence, chosen.positive, chosen.subjects, chosen.threshold)

    @cached_property
    def trade_on_clips(self) -> GateTrade | None:
        """The same with its memory on clips; None where it has none, or no frame of a clip shows the structures."""
        chosen, on_clips = self.calibration, self.on_clips
        if on_clips is None or on_clips.promise is None:
            return None
        rows = np.isfinite(on_clips.presence)
        return gate_trade(
            on_clips.presence[rows], chosen.positive[rows], chosen.subjects[rows], on_clips.promise.threshold
        )

    def as_card(self) -> dict[str, Any]:
        """Plain data for a bundle's card."""
        on_clips = {} if self.on_clips is None else {"on_clips": self.on_clips.as_card()}
        return {**self.calibration.as_card(), **on_clips}

    @cached_property
    def sentences(self) -> list[str]:
        """What is promised, what more there is to know, and how people fare whom the threshold was not chosen by."""
        said, left_out = self.calibration.sentences, self.calibration.left_out()
        if left_out is not None:
            recall, alarms = left_out
            alarmed = "" if alarms is None else f", and {alarms:.3f} of the frames without the structures pass"
            said.append(f"Each person judged by the threshold that the others give, recall is {recall:.3f}{alarmed}.")
        if self.on_clips is not None and self.on_clips.promise is not None:
            said.append(f"On clips, with its memory: {self.on_clips.promise.sentence}")
        return said


def write_calibration_page(
    path: Path, title: str, gates: Sequence[CalibratedGate], settings: Mapping[str, Any], notes: Sequence[str] = ()
) -> Path:
    """Write the page.

    Args:
        path: The HTML file.
        title: What was calibrated.
        gates: Each of its gates.
        settings: What was run.
        notes: What else a reader must know, as sentences.

    Raises:
        DataError: It cannot be written.
    """
    first = gates[0].calibration
    people = len(np.unique(first.subjects))
    summary: dict[str, str | int] = {"people": people, "frames": first.scores[0].frames}
    told: list[str] = []
    figures: list[tuple[str, str]] = []
    tables: list[ReportTable] = []
    for gate in gates:
        front = f"{gate.name}: " if len(gates) > 1 else ""
        told += [f"{front}{sentence}" for sentence in gate.sentences]
        trade = gate.trade
        if trade is not None:
            summary |= _tiles(front, trade)
            figures.append((f"{front}recall against false alarms", _trade_chart(trade)))
            tables.append(
                ReportTable(
                    _caption(front, "recall and false alarms"), [c.capitalize() for c in COLUMNS], trade.texts()
                )
            )
        if (remembering := gate.trade_on_clips) is not None:
            words = "with memory, on clips: recall and false alarms"
            figures.append((f"{front}with memory, on clips", _trade_chart(remembering)))
            tables.append(ReportTable(_caption(front, words), [c.capitalize() for c in COLUMNS], remembering.texts()))
        bins = _bins(gate.calibration)
        figures.append((f"{front}reliability", _reliability_chart(bins)))
        if gate.savings is not None:
            tables.append(_savings_table(_caption(front, "what the gate buys on these frames"), gate.savings))
        tables.append(_bins_table(_caption(front, "reliability: what was said, and what was true"), bins))
    return CasePage().write(
        path,
        title=f"Calibration: {title}",
        subtitle=[counted(people, "person").replace("persons", "people"), counted(first.scores[0].frames, "frame")],
        summary=summary,
        figures=figures,
        figures_title="Gates",
        figures_hint=HINT,
        tables=tables,
        notes=[*told, *notes],
        settings=dict(settings),
        figures_first=True,
    )


def _caption(front: str, words: str) -> str:
    return f"{front}{words}" if front else words.capitalize()


def _tiles(front: str, trade: GateTrade) -> dict[str, str | int]:
    chosen = trade.chosen
    return {
        f"{front}recall": number(chosen.recall, 3),
        f"{front}false alarms": number(chosen.false_alarm_rate, 3),
        f"{front}threshold": number(chosen.threshold, 4),
    }


def _trade_chart(trade: GateTrade) -> str:
    """Recall over false alarms; where there are no frames without the structures, over the threshold."""
    known = trade.chosen.false_alarm_rate is not None
    points = [(point.false_alarm_rate if known else 1 - point.threshold, point) for point in trade.curve]
    x = [value for value, _ in points if value is not None]
    ends = [point.recall_interval for _, point in points]
    band = None if None in ends else tuple([end[side] for end in ends if end is not None] for side in (0, 1))
    chosen = trade.chosen
    place = chosen.false_alarm_rate if chosen.false_alarm_rate is not None else 1 - chosen.threshold
    curve = Curve(
        "recall", x, [point.recall for _, point in points], (place, chosen.recall),
        f"{number(chosen.recall, 3)} at the threshold", band,  # type: ignore[arg-type]
    )  # fmt: skip
    across = "false alarm rate" if known else "1 - threshold"
    return curve_chart([curve], "Recall against false alarms", across, "recall, mean over people")


Bin = tuple[float, float, int, float | None, float | None]


def _bins(chosen: Calibration) -> list[Bin]:
    truth, said = chosen.positive.astype(int), np.stack([1 - chosen.presence, chosen.presence], axis=1)
    decided = (chosen.presence >= chosen.threshold).astype(int)
    classified = Classified(["absent", "present"], True, truth, said, decided)
    sizes, means, shares = (part[0] for part in reliability(classified, np.ones((1, len(truth)))))
    edges = [index / len(sizes) for index in range(len(sizes) + 1)]
    return [
        (low, high, int(size), mean if size else None, share if size else None)
        for low, high, size, mean, share in zip(edges[:-1], edges[1:], sizes, means, shares, strict=True)
    ]


def _reliability_chart(bins: Sequence[Bin]) -> str:
    return reliability_chart(bins, "Reliability", "probability of present", "share present")


def _bins_table(caption: str, bins: Sequence[Bin]) -> ReportTable:
    rows = [
        [f"{low:.1f} to {high:.1f}", str(size), number(said, 3) if said is not None else NOTHING,
         number(true, 3) if true is not None else NOTHING]
        for low, high, size, said, true in bins
    ]  # fmt: skip
    return ReportTable(caption, ["Probability", "Frames", "Mean probability", "Share present"], rows)


def _savings_table(caption: str, savings: GateValue) -> ReportTable:
    return ReportTable(caption, ["", "Gated", "Ungated", "Difference", "95 % interval"], savings.texts())
