"""The page of a plan: what the data are, what was tried, and why the recipe is as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gracile.pages.case_page import CasePage
from gracile.report import ReportTable
from gracile.report.wording import NOTHING, number


def write_plan_page(path: Path, plan: Mapping[str, Any], title: str) -> Path:
    """Write the page of a plan.

    Args:
        path: The HTML file.
        plan: What ``plan.json`` holds.
        title: Of the recipe.

    Returns:
        The path.
    """
    found = plan["fingerprint"]
    return CasePage().write(
        path,
        title="Plan",
        subtitle=[title, f"for {plan['minutes']:g} minutes", f"made in {plan['seconds']:.0f} s"],
        summary={"cases": found["labeled"], "subjects": found["subjects"], "candidates": len(plan["candidates"])},
        figures=[],
        tables=[_choices(plan), _candidates(plan), _classes(found), _ranges(found)],
        settings={"fingerprint": found},
        notes=list(plan["warnings"]),
    )


def _choices(plan: Mapping[str, Any]) -> ReportTable:
    rows = [[key, why] for key, why in plan["reasons"].items()]
    return ReportTable("What was chosen, and why", ["setting", "reason"], rows, in_words=True)


def _candidates(plan: Mapping[str, Any]) -> ReportTable:
    rows = [
        [one["title"], NOTHING if one["seconds_per_step"] is None else number(one["seconds_per_step"], 3),
         NOTHING if one["seconds_per_step"] is None else number(one["passes"], 1), one["why_not"]]
        for one in plan["candidates"]
    ]  # fmt: skip
    columns = ["candidate, the chosen one first", "seconds a step", "times each case is seen", "not timed because"]
    return ReportTable("What was tried on this machine", columns, rows)


def _classes(found: Mapping[str, Any]) -> ReportTable:
    unit = found["unit"]
    rows = [
        [name, str(one["cases"]), number(100 * one["share_of_foreground"], 1), number(one["islands"], 1),
         NOTHING if one["thickness"] is None else number(one["thickness"], 1), number(one["slenderness"], 1)]
        for name, one in found["classes"].items()
    ]  # fmt: skip
    columns = ["class", "cases", "% of the foreground", "islands", f"thickness, {unit}", "length by thickness"]
    return ReportTable("Structures", columns, rows)


def _ranges(found: Mapping[str, Any]) -> ReportTable:
    rows = [
        [what, *(" x ".join(number(v, 2) for v in found[what][name]) for name in ("least", "median", "most"))]
        for what in ("size", "spacing")
    ]
    return ReportTable("Images", ["", "least", "median", "most"], rows)
