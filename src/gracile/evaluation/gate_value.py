"""What a gate is worth: the same cases scored with it and without it, side by side."""

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from gracile.errors import DataError, UsageError
from gracile.evaluation.bootstrap import bootstrap_interval
from gracile.evaluation.outcome import Evaluation

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("gated", "ungated", "difference")


@dataclass(frozen=True)
class GateValue:
    """Scores with and without a gate.

    Args:
        rows: Per score ``score``, ``gated``, ``ungated`` (means, None where undefined), ``difference`` (gated minus
            ungated) and ``interval95`` of the difference, by resampling the cases in which both are defined; None
            where the two are defined in different cases, as with the area of false alarms.
        digits: Behind the point in tables.
    """

    rows: list[dict[str, Any]]
    digits: int = 4

    def table(self) -> "Table":
        """The rows as a table for the terminal."""
        from rich.table import Table

        table = Table(title="With and without the gate")
        for index, title in enumerate(("score", *_COLUMNS, "95 % interval")):
            table.add_column(title, justify="right" if index else "left")
        for row in self.texts():
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """The rows as a table for a document."""
        head = f"| score | {' | '.join(_COLUMNS)} | 95 % interval |\n|---|{'--:|' * (len(_COLUMNS) + 1)}\n"
        return head + "".join(f"| {' | '.join(row)} |\n" for row in self.texts())

    def texts(self) -> list[list[str]]:
        """The rows as tables show them."""
        texts, digits = [], self.digits
        for row in self.rows:
            ends = row["interval95"]
            interval = "-" if ends is None else f"{ends[0]:+.{digits}f} to {ends[1]:+.{digits}f}"
            plain = ["-" if row[name] is None else f"{row[name]:.{digits}f}" for name in _COLUMNS[:2]]
            difference = "-" if row["difference"] is None else f"{row['difference']:+.{digits}f}"
            texts.append([row["score"], *plain, difference, interval])
        return texts


def gate_value(gated: Evaluation, ungated: Evaluation) -> GateValue:
    """Compare two evaluations of the same cases, one of masks behind a gate and one of masks without it.

    Args:
        gated: By the protocol ``gated-segmentation``, or another one that both share.
        ungated: By the same protocol.

    Raises:
        UsageError: The protocols differ.
        DataError: The cases differ.

    Example:
        >>> value = gate_value(evaluate(gated, ...), evaluate(ungated, ...))  # doctest: +SKIP
        >>> print(value.markdown())  # doctest: +SKIP
    """
    if gated.protocol != ungated.protocol:
        raise UsageError(
            f"Protocols {gated.protocol} and {ungated.protocol} cannot be compared.", "Score both by the same one."
        )
    cases = [{row["case"] for row in evaluation.cases} for evaluation in (gated, ungated)]
    if cases[0] != cases[1]:
        other = sorted(cases[0] ^ cases[1])
        raise DataError(f"{len(other)} cases were scored on one side only, e.g. {other[0]}.", "Score the same truth.")
    names = [name for name in gated.headline if name in gated.summary]
    names += [name for name in gated.summary if name not in names and name in ungated.summary]
    rows: list[dict[str, Any]] = []
    for name in names:
        with_gate, without = gated.summary[name]["mean"], ungated.summary[name]["mean"]
        both_known = with_gate is not None and without is not None
        rows.append(
            {
                "score": name,
                "gated": with_gate,
                "ungated": without,
                "difference": with_gate - without if both_known else None,
                "interval95": _paired_interval(gated, ungated, name),
            }
        )
    return GateValue(rows)


def _paired_interval(gated: Evaluation, ungated: Evaluation, score: str) -> list[float] | None:
    first, second = _by_case(gated, score), _by_case(ungated, score)
    if first.keys() != second.keys():
        return None
    interval = bootstrap_interval([first[case] - second[case] for case in first])
    return None if interval is None else list(interval)


def _by_case(evaluation: Evaluation, score: str) -> dict[str, float]:
    """Means over runs of the cases in which a score is defined."""
    values: dict[str, list[float]] = {}
    for row in evaluation.cases:
        if row.get(score) is not None:
            values.setdefault(row["case"], []).append(row[score])
    return {case: fmean(some) for case, some in values.items()}
