"""Makes a plan: what the data are, which rules apply, which candidate sees most within the minutes, and why."""

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gracile.data import CaseFiles, find_cases
from gracile.errors import DataError, GracileError
from gracile.io import write_json, write_text
from gracile.plan.bare_recipe import bare_recipe
from gracile.plan.candidates import Candidate, candidates_for
from gracile.plan.choices import Choice, choices_for
from gracile.plan.commented import commented_yaml
from gracile.plan.fingerprint import Fingerprint, take_fingerprint
from gracile.plan.rules import Rules, read_rules
from gracile.recipe import Recipe
from gracile.recipe.reading import recipe_with

if TYPE_CHECKING:
    from gracile.learning.step_time import Timed

log = logging.getLogger(__name__)

MINUTES = 30.0
"""A training is planned for, where nobody says how long."""


UNTIL_THE_CLOCK = 100_000
"""Epochs of a training that ends by its minutes."""

TRAINING_SHARE = 0.9
"""Of the minutes that trainings have."""

FINE = 2.0
"""How many times as long the last stage learns as each that only tells where to look."""


@dataclass
class Tried:
    """A candidate with its time.

    Args:
        candidate: What it is.
        timed: Seconds of its steps; None where it was not timed.
        passes: How often each case is seen within the minutes.
        why_not: Why it was not timed.
    """

    candidate: Candidate
    timed: "Timed | None"
    passes: float
    why_not: str = ""


@dataclass
class Plan:
    """A recipe for a data set and the reasons for it.

    Args:
        recipe: What to train.
        reasons: By dotted name of a setting.
        fingerprint: What the data are.
        tried: The candidates, the chosen one first.
        rules: By which it was made.
        minutes: That it was made for.
        seconds: That it took.
        warnings: What a person should look at in the data.
    """

    recipe: Recipe
    reasons: dict[str, str]
    fingerprint: Fingerprint
    tried: list[Tried]
    rules: Rules
    minutes: float
    seconds: float
    warnings: list[str] = field(default_factory=list)

    def to_yaml(self) -> str:
        """The recipe with a comment before each setting that was chosen."""
        return commented_yaml(self.recipe, self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "minutes": self.minutes, "seconds": round(self.seconds, 1), "fingerprint": self.fingerprint.to_dict(),
            "reasons": self.reasons, "warnings": self.warnings,
            "candidates": [
                {
                    "title": one.candidate.title, "settings": one.candidate.settings, "passes": round(one.passes, 1),
                    "seconds_per_step": one.timed and round(one.timed.step, 3), "why_not": one.why_not,
                }
                for one in self.tried
            ],
        }  # fmt: skip

    def write(self, recipe_file: Path) -> None:
        """Write the recipe, and beside it ``plan.json`` and ``plan.html``."""
        from gracile.pages.planning import write_plan_page

        content = self.to_dict()
        write_text(recipe_file, self.to_yaml())
        write_json(recipe_file.with_name("plan.json"), content)
        write_plan_page(recipe_file.with_name("plan.html"), content, self.recipe.title)


def make_plan(
    source: str | Path | Sequence[str | Path], minutes: float = MINUTES, rules_file: Path | None = None
) -> Plan:
    """Plan a training for a data set and the time that there is.

    Args:
        source: Data folders or CSV files.
        minutes: Of one training, planning included.
        rules_file: Changes the rules that come with Gracile.

    Raises:
        DataError: The data cannot be trained on: fewer than two cases, no structure, a case that cannot be read.
        RecipeError: The rules are wrong.
        MissingPartError: PyTorch is not installed.
    """
    start = time.monotonic()
    rules = read_rules(rules_file)
    bare = bare_recipe(source)
    cases = find_cases(source, bare)
    labeled = [case for case in cases if case.label is not None or case.points]
    if len(labeled) < 2:
        raise DataError(
            f"There is {len(labeled)} labeled case: nothing could tell whether what is learned holds elsewhere.",
            "Label a few more, of other people; a few dozen are enough to begin with.",
        )
    found = take_fingerprint(cases, bare, rules)
    choices, warnings = choices_for(found, bare, rules)
    recipe = recipe_with(bare, {choice.key: choice.value for choice in choices})
    tried = _tried(candidates_for(found, rules), recipe, labeled, found, rules, minutes, start)
    if tried:
        recipe = tried[0].candidate.applied(recipe)
    recipe, clock = _timed(recipe, minutes)
    reasons = {choice.key: choice.why for choice in choices} | _reasons(tried, minutes) | clock
    return Plan(recipe, reasons, found, tried, rules, minutes, time.monotonic() - start, warnings)


def _tried(
    candidates: Sequence[Candidate], recipe: Recipe, cases: Sequence[CaseFiles], found: Fingerprint, rules: Rules,
    minutes: float, start: float,
) -> list[Tried]:  # fmt: skip
    """The candidates with their times, the chosen one first."""
    from gracile.learning.step_time import time_step  # PyTorch, which reading a plan needs not

    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="gracile-plan-") as cache:
        # The lightest first: it is always timed, and slower ones only while there is time.
        for number, candidate in reversed(list(enumerate(candidates))):
            if tried and time.monotonic() - start > rules["planning_seconds"]:
                tried.append(Tried(candidate, None, 0.0, "planning took long enough"))
                continue
            try:
                chosen = candidate.applied(recipe)
                timed = time_step(chosen, cases, Path(cache) / _cache_of(candidate))
            except GracileError as error:
                log.debug("candidate %d", number, exc_info=True)
                tried.append(Tried(candidate, None, 0.0, error.message))
                continue
            batch = chosen.train_of(chosen.stages[-1]).batch_size
            learned = len(cases) * (1 - chosen.train.validation)
            left = 60 * minutes * TRAINING_SHARE * _share_of_last(chosen)
            tried.append(Tried(candidate, timed, left / timed.step * batch * candidate.part / learned))
    return _in_order(tried[::-1], rules)


def _share_of_last(recipe: Recipe) -> float:
    """Of the minutes that the last stage has: it counts `FINE` times as much as each before it."""
    return FINE / (FINE + len(recipe.stages) - 1)


def _timed(recipe: Recipe, minutes: float) -> tuple[Recipe, dict[str, str]]:
    """The recipe with minutes for each stage, so that it ends by the clock."""
    last = minutes * TRAINING_SHARE * _share_of_last(recipe)
    settings: dict[str, Any] = {"train.epochs": UNTIL_THE_CLOCK, "train.minutes": round(last, 2)}
    for spec in recipe.stages[:-1]:
        settings[f"stages.{spec.name}.train.minutes"] = round(last / FINE, 2)
    why = f"of {minutes:g}, the rest is for planning and for what follows a training"
    return recipe_with(recipe, settings), {"train.epochs": "it ends by the clock", "train.minutes": why}


def _cache_of(candidate: Candidate) -> str:
    """Candidates that prepare cases alike share what is kept of them."""
    return f"size-{candidate.settings.get('prepare.diameter', 0)}"


def _in_order(tried: list[Tried], rules: Rules) -> list[Tried]:
    """The chosen one first: the finest that sees every case often enough, or the one that sees most."""
    timed = [one for one in tried if one.timed is not None]
    if not timed:
        return tried
    enough = [one for one in timed if one.passes >= rules["enough_passes"]]
    chosen = enough[0] if enough else max(timed, key=lambda one: one.passes)
    return [chosen, *(one for one in tried if one is not chosen)]


def _reasons(tried: Sequence[Tried], minutes: float) -> dict[str, str]:
    if not tried or tried[0].timed is None:
        return {}
    chosen = tried[0]
    assert chosen.timed is not None
    others = "; ".join(
        f"{one.candidate.title}: {one.passes:.0f} times" if one.timed else f"{one.candidate.title}: not timed"
        for one in tried[1:]
    )
    why = (
        f"{chosen.candidate.title}: {chosen.timed.step:.2f} s a step, so that {minutes:g} minutes show every case "
        f"{chosen.passes:.0f} times" + (f" ({others})" if others else "")
    )
    return {"stages.segment.network": why} | chosen.candidate.reasons


__all__ = ["Choice", "Plan", "Tried", "make_plan"]
