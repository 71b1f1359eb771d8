"""The scores of each class over all cases."""

from collections.abc import Mapping, Sequence
from typing import Any

from gracile.evaluation.outcome import summarize
from gracile.evaluation.protocols import Protocol
from gracile.evaluation.segmentation import meant
from gracile.evaluation.structures import DISTANCES, Absent

_SHORT = {"mean_surface_distance": "surface", "normalized_surface_distance": "nsd", "false_alarms": "alarms"}
"""Names that are too long for a table of classes."""

_UNITS = ("mm", "px", "ml", "mm2", "voxels", "percent")


def summarize_classes(
    class_rows: Sequence[dict[str, Any]], rules: Protocol, absent: Absent, groups: Mapping[str, str] | None = None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Of each class, by name, the summary of its scores over the cases.

    Args:
        class_rows: One row per case (and run) and class.
        rules: The protocol that gave them.
        absent: Whether a class that neither truth nor prediction has counts in its means.
        groups: Group (subject) of each case, to resample whole groups.
    """
    by_class: dict[str, list[dict[str, Any]]] = {}
    for row in meant(class_rows, absent):
        rest = {name: value for name, value in row.items() if name not in ("class", "pixels", "voxels")}
        by_class.setdefault(row["class"], []).append(rest)
    return {
        name: summarize(rows, rules.counts, intervals=rules.intervals, groups=groups) for name, rows in by_class.items()
    }


def class_tables(
    by_class: Mapping[str, Mapping[str, Mapping[str, Any]]], rules: Protocol
) -> dict[str, list[dict[str, Any]]]:
    """Two tables with a row for each class, narrow enough for a terminal: by the rates, and by distances and sizes.

    They show the mean of each score, the total of what is counted, and in ``cases`` in how many the first score is
    defined; ``both`` says in how many both sides have the class, as distances need.
    """
    measured = (*rules.distances, *rules.sizes)
    rates, sizes = [], []
    for name, entries in by_class.items():
        shown = [score for score in entries if score.startswith(rules.by_class)]
        rate: dict[str, Any] = {"class": name, "cases": entries[shown[0]]["cases"]}
        size: dict[str, Any] = {"class": name}
        for score in shown:
            entry = entries[score]
            if score.startswith(DISTANCES):
                size["both"] = entry["cases"]
            side = size if score.startswith(measured) else rate
            side[_short(score)] = round(entry["total"]) if score in rules.counts else entry["mean"]
        rates.append(rate)
        sizes.append(size)
    return {"by class": _filled(rates), "by class, distances and sizes": _filled(sizes)}


def _filled(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that all have every column."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def _short(score: str) -> str:
    for long, short in _SHORT.items():
        if score.startswith(long):
            score = short + score.removeprefix(long)
    name, _, unit = score.rpartition("_")
    if unit in _UNITS:
        return f"{name.replace('_', ' ')} {'%' if unit == 'percent' else unit}"
    return score.replace("_", " ")
