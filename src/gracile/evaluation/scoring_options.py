"""What a user may say of how masks are scored, and what is said of it beside the scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gracile.errors import UsageError
from gracile.evaluation.protocols import Protocol
from gracile.evaluation.structures import Absent, require_tolerance
from gracile.evaluation.tables import read_groups


def members_of(groups: Path | str | Mapping[str, str] | None, cases: Sequence[str]) -> dict[str, str] | None:
    """The group of each case, where there are any."""
    if groups is None:
        return None
    if isinstance(groups, Mapping):
        return {case: groups.get(case, case) for case in cases}
    return dict(zip(cases, read_groups(Path(groups), cases), strict=True))


def scoring_options(rules: Protocol, tolerance: float | None, absent: Absent | None) -> dict[str, Any]:
    """What the protocol's scores are told besides the masks."""
    for name, value in (("tolerance", tolerance), ("absent", absent)):
        if value is not None and name not in rules.options:
            raise UsageError(f"Protocol {rules.name} knows no {name}.", f"Leave --{name} out.")
    known = {"tolerance": require_tolerance(tolerance), "absent": absent or "leave-out"}
    return {name: known[name] for name in rules.options}


def stated_rules(class_rows: Sequence[dict[str, Any]], options: Mapping[str, Any]) -> list[str]:
    """The rules that a reader of the scores must know."""
    units = {name.rpartition("_")[2] for row in class_rows for name in row if name.startswith("hd95_")}
    said = " and ".join(sorted(units)).replace("px", "pixels")
    notes = [f"Normalized surface distance at a tolerance of {options['tolerance']:g} {said}"]
    absent = sum(row.get("absent", 0) for row in class_rows)
    if absent and options.get("absent") == "leave-out":
        notes.append(f"{absent} times a class was on neither side: left out of means (--absent count counts it as 1)")
    return notes


def require_trust(rules: Protocol, trust: bool, failure: float | None) -> None:
    """Raise UsageError where a protocol has nothing to trust, or a threshold is no score, or no error, of it."""
    if trust and rules.score_case is None and not rules.of_points:
        raise UsageError(f"Protocol {rules.name} scores no predicted quality.", "Leave --trust out.")
    if failure is not None and not trust:
        raise UsageError("A failure is looked for where trust is judged.", "Give --trust as well.")
    points = rules.of_points
    if failure is not None and not (failure > 0 if points else 0 < failure <= 1):
        told = "an error above 0 mm" if points else "a score above 0, at most 1"
        raise UsageError(
            f"A failure is told by {told}, not by {failure:g}.", "Give it with --failure, or leave it out."
        )
