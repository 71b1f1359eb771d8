"""Makes a plan: what the data are, which rules apply, which candidate sees most within the minutes, and why."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gracile.data import CaseFiles, find_cases, labeled, select
from gracile.errors import DataError, GracileError
from gracile.io import write_json, write_text
from gracile.plan.bare_recipe import bare_recipe
from gracile.plan.candidates import Candidate, candidates_for
from gracile.plan.choices import choices_for
from gracile.plan.commented import commented_yaml
from gracile.plan.fingerprint import Fingerprint, take_fingerprint
from gracile.plan.rules import Rules, read_rules
from gracile.recipe import Recipe
from gracile.recipe.reading import recipe_from, recipe_with
from gracile.recipe.training import UNTIL_THE_CLOCK

if TYPE_CHECKING:
    from gracile.learning.step_time import Timed

MINUTES = 30.0
"""A training is planned for, where nobody says how long."""

TRAINING_SHARE = 0.9
"""Of the minutes that trainings have."""

PLANNING_SHARE = 0.2
"""Of the minutes after which no further candidate is timed, where that is sooner than the rule says."""

VALIDATIONS = 20
"""In a training."""

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

    @property
    def title(self) -> str:
        """Of the candidate that was chosen; empty for points."""
        return self.tried[0].candidate.title if self.tried else self.recipe.title

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
        """Write the recipe, and beside it, by the same name, its page and all that it was made of as JSON."""
        from gracile.pages.planning import write_plan_page

        content = self.to_dict()
        write_text(recipe_file, self.to_yaml())
        write_json(recipe_file.with_suffix(".json"), content)
        write_plan_page(recipe_file.with_suffix(".html"), content, self.recipe.title)


def make_plan(
    source: str | Path | Sequence[str | Path], minutes: float = MINUTES, rules_file: Path | None = None, *,
    cases: str = "", exclude: str = "", settings: Sequence[str] = (),
) -> Plan:  # fmt: skip
    """Plan a training for a data set and the time that there is.

    Args:
        source: Data folders or CSV files.
        minutes: Of one training, planning included.
        rules_file: Changes the rules that come with Gracile.
        cases: Those to take, as `gracile.data.select` has them; empty takes all.
        exclude: Those to leave out; nothing of them is looked at.
        settings: ``key=value`` changes that the recipe will have, so that what is timed is what is trained.

    Raises:
        DataError: The data cannot be trained on: fewer than two cases, no structure, a case that cannot be read.
        RecipeError: The rules or the settings are wrong, or nothing of what may be tried can be built.
        MissingPartError: PyTorch is not installed.
    """
    start = time.monotonic()
    rules = read_rules(rules_file)
    remarks: list[str] = []
    bare = bare_recipe(source, remarks, cases=cases, exclude=exclude)
    chosen = select(find_cases(source, bare), include=cases, exclude=exclude)
    usable = labeled(chosen)
    if len(usable) < 2:
        raise DataError(
            f"There is {len(usable)} labeled case: nothing could tell whether what is learned holds elsewhere.",
            "Label a few more, of other people; a few dozen are enough to begin with.",
        )
    found = take_fingerprint(chosen, bare, rules)
    choices, warnings = choices_for(found, bare, rules)
    recipe = recipe_with(bare, {choice.key: choice.value for choice in choices})
    planning = _Planning(recipe, usable, rules, minutes, start, list(settings))
    tried = planning.tried(candidates_for(found, rules))
    recipe, clock = planning.clocked(tried[0] if tried else None)
    reasons = {choice.key: choice.why for choice in choices} | _reasons(tried, minutes) | clock
    return Plan(recipe, reasons, found, tried, rules, minutes, time.monotonic() - start, [*remarks, *warnings])


@dataclass
class _Planning:
    """What candidates are timed by.

    Args:
        recipe: With the choices that hold for all of them.
        cases: Labeled ones.
        rules: By which one is chosen.
        minutes: Of a training.
        start: When planning began, by `time.monotonic`.
        settings: That the recipe will have besides.
    """

    recipe: Recipe
    cases: list[CaseFiles]
    rules: Rules
    minutes: float
    start: float
    settings: list[str]

    def applied(self, candidate: Candidate | None) -> Recipe:
        """The recipe of a candidate, with the settings that were asked for."""
        recipe = self.recipe if candidate is None else candidate.applied(self.recipe)
        return recipe_from(recipe.model_dump(mode="json"), self.settings) if self.settings else recipe

    def tried(self, candidates: Sequence[Candidate]) -> list[Tried]:
        """The candidates with their times, the chosen one first. Raises RecipeError where none can be built."""
        tried: list[Tried] = []
        failures: list[GracileError] = []
        allowed = min(float(self.rules["planning_seconds"]), PLANNING_SHARE * 60 * self.minutes)
        with tempfile.TemporaryDirectory(prefix="gracile-plan-") as cache:
            # The lightest first: it is always timed, and slower ones only while there is time.
            for candidate in reversed(candidates):
                if tried and time.monotonic() - self.start > allowed:
                    tried.append(Tried(candidate, None, 0.0, "planning took long enough"))
                    continue
                try:
                    tried.append(self._timed(candidate, Path(cache)))
                except GracileError as error:
                    failures.append(error)
                    tried.append(Tried(candidate, None, 0.0, error.message))
        if failures and len(failures) == len(tried):
            raise failures[0]
        return _in_order(tried[::-1], self.rules["enough_passes"][self.recipe.input.kind])

    def _timed(self, candidate: Candidate, cache: Path) -> Tried:
        from gracile.learning.step_time import time_step  # PyTorch, which reading a plan needs not

        recipe = self.applied(candidate)
        timed = time_step(recipe, self.cases, cache / f"size-{recipe.prepare.diameter}")
        batch = recipe.train_of(recipe.stages[-1]).batch_size
        learned = len(self.cases) * (1 - recipe.train.validation)
        return Tried(candidate, timed, self.seconds_of_last(recipe) / timed.step * batch * candidate.part / learned)

    def seconds_of_last(self, recipe: Recipe) -> float:
        """That the last stage is trained for: planning took some of the minutes, what follows a training takes more."""
        left = TRAINING_SHARE * 60 * self.minutes - (time.monotonic() - self.start)
        return max(0.3 * 60 * self.minutes, left) * _share_of_last(recipe)

    def clocked(self, chosen: Tried | None) -> tuple[Recipe, dict[str, str]]:
        """The recipe with minutes for each stage, so that it ends by the clock, and epochs short enough for it."""
        recipe = self.applied(chosen.candidate if chosen else None)
        last = round(self.minutes * TRAINING_SHARE * _share_of_last(recipe), 2)
        settings: dict[str, Any] = {"train.epochs": UNTIL_THE_CLOCK, "train.minutes": last}
        for spec in recipe.stages[:-1]:
            settings[f"stages.{spec.name}.train.minutes"] = round(last / FINE, 2)
        why = {
            "train.epochs": "it ends by the clock",
            "train.minutes": f"of {self.minutes:g}, the rest is for planning and for what follows a training",
        }
        if chosen is not None and chosen.timed is not None:
            epochs, settings_of_epochs = self._epochs(recipe, chosen.timed.step)
            settings |= settings_of_epochs
            why["train.validate_every"] = f"epochs, of about {epochs:.0f}"
        recipe = recipe_with(recipe, settings)
        return (recipe_from(recipe.model_dump(mode="json"), self.settings) if self.settings else recipe), why

    def _epochs(self, recipe: Recipe, step: float) -> tuple[float, dict[str, Any]]:
        """How many epochs there will be, and settings by which some twenty validations fall into them."""
        spec = recipe.stages[-1]
        batch = recipe.train_of(spec).batch_size
        samples = self.seconds_of_last(recipe) / step * batch
        learned = max(1.0, len(self.cases) * (1 - recipe.train.validation))
        key = f"stages.{spec.name}." + ("sampler.per_case" if recipe.input.kind == "image" else "per_case")
        own = spec.sampler.per_case if recipe.input.kind == "image" else spec.per_case  # type: ignore[union-attr]
        per_case = max(1, min(own, int(samples / learned / VALIDATIONS)))
        epochs = samples / learned / per_case
        return epochs, {key: per_case, "train.validate_every": max(1, round(epochs / VALIDATIONS))}


def _share_of_last(recipe: Recipe) -> float:
    """Of the minutes that the last stage has: it counts `FINE` times as much as each before it."""
    return FINE / (FINE + len(recipe.stages) - 1)


def _in_order(tried: list[Tried], passes: float) -> list[Tried]:
    """The chosen one first: the finest that sees every case so often, or the one that sees most."""
    timed = [one for one in tried if one.timed is not None]
    if not timed:
        return tried
    enough = [one for one in timed if one.passes >= passes]
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
