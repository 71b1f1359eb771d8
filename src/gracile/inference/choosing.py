"""What is done to a mask after it was decided, chosen by answers to held-back cases and by nothing else."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from gracile.evaluation import bootstrap_interval
from gracile.evaluation.metrics import dice
from gracile.inference.held_back import KeptAnswers
from gracile.recipe import DecisionSpec, Recipe
from gracile.stages import Stage

FEWEST = 5
"""Subjects from which on something is chosen: of fewer all may gain by chance."""

MOST_CLASSES = 6
"""Structures up to which each is tried by itself."""

SCORE = "mean Dice over structures"

THRESHOLDS = (0.5, 0.4, 0.6, 0.3, 0.7)
"""The mildest first, which are taken where several are as good."""

SHARES, SHARES_OF_FALSE_ALARMS = (32, 16, 8), (4, 2)
"""Parts of the smallest true foreground below which islands are dropped; the large ones only where cases are empty, as
elsewhere the largest island is the better rule: it never takes away a structure that is smaller than all seen before.
"""

Settings = dict[str, Any]
"""What a candidate changes of a `DecisionSpec`."""


@dataclass(frozen=True)
class Tried:
    """A candidate.

    Args:
        settings: What it changes.
        mean: Its score over all cases, what was chosen before it included.
        gain: Mean difference to what was chosen before it.
        blanked: A case in which it took a whole structure away; empty for none. It is out of the question then.
    """

    settings: Settings
    mean: float
    gain: float
    blanked: str = ""


@dataclass(frozen=True)
class Step:
    """One kind of thing that was tried.

    Args:
        title: In words.
        tried: Its candidates.
        gain: Mean gain of cases by the candidate that was best on the other folds; None where nothing can be said.
        interval: 95 % interval of that gain, by subject.
        chosen: What was kept; None for nothing.
    """

    title: str
    tried: list[Tried]
    gain: float | None = None
    interval: tuple[float, float] | None = None
    chosen: Settings | None = None


@dataclass
class Choices:
    """What was tried and chosen.

    Args:
        before: Score of the answers as they were.
        after: Score with what was chosen, on the cases that it was chosen by.
        cases: Their number; ``subjects`` that of their subjects.
        steps: One after the other; each goes on with what those before it chose.
        why_nothing: Why nothing was tried.
    """

    before: float | None
    after: float | None
    cases: int
    subjects: int
    steps: list[Step] = field(default_factory=list)
    why_nothing: str = ""

    @property
    def settings(self) -> Settings:
        """All that was chosen."""
        return {name: value for step in self.steps for name, value in (step.chosen or {}).items()}

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON."""
        return {
            "score": SCORE,
            "before": self.before,
            "after": self.after,
            "cases": self.cases,
            "subjects": self.subjects,
            "chosen": self.settings,
            "why_nothing": self.why_nothing,
            "steps": [{**vars(step), "tried": [vars(one) for one in step.tried]} for step in self.steps],
        }

    def sentences(self) -> list[str]:
        """What a reader must know of it."""
        if self.why_nothing:
            return [f"nothing is done to masks afterwards: {self.why_nothing}"]
        said = []
        for step in self.steps:
            if step.chosen is not None and step.gain is not None and step.interval is not None:
                changes = ", ".join(f"{name}: {value}" for name, value in step.chosen.items())
                low, high = step.interval
                said.append(
                    f"chosen on these answers: {step.title} ({changes}); the gain in {SCORE}, of each case by what was "
                    f"best on the other folds, is {step.gain:+.4f} ({low:+.4f} to {high:+.4f})"
                )
        none = [step.title for step in self.steps if step.chosen is None]
        if none:
            said.append(f"tried on these answers, and not better than nothing by more than noise: {', '.join(none)}")
        if said:
            said.append("the scores here are those before what was chosen")
        return said


def choose(
    kept: KeptAnswers, stage: Stage, recipe: Recipe, subjects: Mapping[str, str], folds: Mapping[str, int]
) -> Choices:
    """Choose threshold, islands, holes and the smallest size by held-back answers.

    A step is kept only where it is better than nothing by more than noise: each case gains or loses by the candidate
    that was best on the cases of the other folds, and the interval of the mean gain, whole subjects drawn, lies above
    0. A candidate that takes a whole structure away, which is there and was found, is out of the question.

    Args:
        kept: The answers.
        stage: The stage that decides.
        recipe: Names the structures.
        subjects: Of each case.
        folds: Number of the fold in which each case was held back.
    """
    judge = _Judge(kept, stage, recipe)
    people = {subjects[id] for id in kept.ids}
    if len(people) < FEWEST:
        why = f"{len(people)} subjects are too few to tell a gain from chance, {FEWEST} are needed"
        return Choices(None, None, len(kept.ids), len(people), why_nothing=why)
    now: DecisionSpec = stage.spec.decision
    scores = judge.scores([now])[0]
    choices = Choices(fmean(scores), None, len(kept.ids), len(people))
    for title, candidates in _candidates(now, recipe, judge):
        step, now, scores = _stepped(title, candidates, judge, now, scores, subjects, folds)
        choices.steps.append(step)
    choices.after = fmean(scores)
    return choices


def _stepped(
    title: str,
    candidates: Sequence[Settings],
    judge: "_Judge",
    now: DecisionSpec,
    scores: list[float],
    subjects: Mapping[str, str],
    folds: Mapping[str, int],
) -> tuple[Step, DecisionSpec, list[float]]:
    """Try candidates; gives the step, and the decision and its scores to go on with."""
    ids = judge.kept.ids
    specs = [now.model_copy(update=settings) for settings in candidates]
    each = judge.scores(specs, blanking_from=now)
    tried = [
        Tried(settings, fmean(own), fmean(own) - fmean(scores), blanked)
        for settings, own, blanked in zip(candidates, each, judge.blanked, strict=True)
    ]
    able = [number for number, one in enumerate(tried) if not one.blanked]
    gains = np.array([np.subtract(each[number], scores) for number in able]).reshape(len(able), len(ids))
    held = np.array([folds[id] for id in ids])
    crossed = np.zeros(len(ids))
    for fold in set(held.tolist()):
        others = gains[:, held != fold].mean(axis=1) if (held != fold).any() else np.zeros(0)
        if others.size and others.max() > 0:
            crossed[held == fold] = gains[others.argmax(), held == fold]
    interval = bootstrap_interval(crossed.tolist(), [subjects[id] for id in ids])
    best = max(able, key=lambda number: tried[number].gain, default=None)
    gain = float(crossed.mean())
    if best is None or interval is None or interval[0] <= 0 or tried[best].gain <= 0:
        return Step(title, tried, gain, interval), now, scores
    return Step(title, tried, gain, interval, candidates[best]), specs[best], each[best]


def _candidates(now: DecisionSpec, recipe: Recipe, judge: "_Judge") -> Iterator[tuple[str, list[Settings]]]:
    """What is tried, step by step; never what is so already."""
    names = recipe.class_names[1:]
    alone = [[name] for name in names] if 1 < len(names) <= MOST_CLASSES else []
    # The likeliest of two classes is the one that reaches one half.
    known = 0.5 if now.rule == "argmax" and len(names) == 1 else None if now.rule == "argmax" else now.threshold
    known, how = (now.threshold, {}) if recipe.regions else (known, {"rule": "foreground-first"})
    yield "another threshold", [{**how, "threshold": value} for value in THRESHOLDS if value != known]
    if now.largest_only is not True:
        more: list[Any] = [] if len(names) == 1 else ["together"]
        values = [True, *more, *alone]
        yield "largest islands alone", [{"largest_only": value} for value in values if value != now.largest_only]
    if now.fill_holes is not True:
        values = [True, *alone]
        yield "holes filled", [{"fill_holes": value} for value in values if value != now.fill_holes]
    shares = (*SHARES, *(SHARES_OF_FALSE_ALARMS if judge.some_are_empty else ()))
    sizes = sorted({judge.smallest // share for share in shares} - {0, 1, now.smallest})
    if sizes:
        yield "small islands dropped", [{"smallest": size} for size in sizes]


class _Judge:
    """Scores decisions on kept answers."""

    def __init__(self, kept: KeptAnswers, stage: Stage, recipe: Recipe) -> None:
        self.kept = kept
        self.stage = copy.copy(stage)
        self.structures = recipe.structures
        self.blanked: list[str] = []
        self.smallest = 0
        self.some_are_empty = False
        for id in kept.ids:
            one = kept.read(id)
            size = int(np.count_nonzero((one.truth > 0) & one.counts))
            self.some_are_empty |= not size
            self.smallest = min(self.smallest or size, size or self.smallest)

    def scores(self, specs: Sequence[DecisionSpec], blanking_from: DecisionSpec | None = None) -> list[list[float]]:
        """The score of each case, for each decision.

        Args:
            specs: The decisions.
            blanking_from: `blanked` then names, for each decision, a case in which it takes away a structure that is
                there and that this one finds.
        """
        rows: list[list[float]] = [[] for _ in specs]
        self.blanked = ["" for _ in specs]
        for id in self.kept.ids:
            one = self.kept.read(id)
            true = {name: np.isin(one.truth, classes) & one.counts for name, classes in self.structures.items()}
            before = {} if blanking_from is None else self._found(one.probabilities, one.counts, blanking_from)
            there = [name for name, mask in before.items() if mask.any() and true[name].any()]
            for number, spec in enumerate(specs):
                found = self._found(one.probabilities, one.counts, spec)
                rows[number].append(fmean(dice(true[name], mask) for name, mask in found.items()))
                if any(not found[name].any() for name in there):
                    self.blanked[number] = id
        return rows

    def _found(self, probabilities: np.ndarray, counts: np.ndarray, spec: DecisionSpec) -> dict[str, np.ndarray]:
        self.stage.spec = self.stage.spec.model_copy(update={"decision": spec})
        if not counts.size:
            return {name: np.zeros(counts.shape, dtype=bool) for name in self.structures}
        mask = self.stage.decide(probabilities)
        self.stage.tidy(mask, probabilities)
        return {name: np.isin(mask, classes) & counts for name, classes in self.structures.items()}
