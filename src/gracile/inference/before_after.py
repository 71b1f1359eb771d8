"""Two models on the same labeled cases: what changed between them, case by case, and a page to see it on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gracile.case import IGNORED, Case
from gracile.data import CaseFiles, image_checksum, read_case
from gracile.errors import DataError, GracileError, UsageError
from gracile.evaluation import Protocol, find_protocol
from gracile.evaluation.comparison import worst_scores
from gracile.evaluation.metrics import CaseScores
from gracile.evaluation.paired import Paired, pair_scores
from gracile.inference.result_files import write_result
from gracile.io import write_json
from gracile.io.checksums import learned_note
from gracile.pages.comparison import ComparisonPage
from gracile.pipeline import Pipeline
from gracile.recipe import ClassSpec
from gracile.result import Result


@dataclass(frozen=True)
class Contender:
    """One of the two models.

    Args:
        name: What it is called.
        pipeline: It, loaded.
        card: Its card.
        checksums: SHA-256 of its weights, by stage.
    """

    name: str
    pipeline: Pipeline
    card: Mapping[str, Any]
    checksums: Mapping[str, str]


@dataclass(frozen=True)
class Compared:
    """What a comparison gave: the scores and the page."""

    scores: Paired
    report: Path


@dataclass(frozen=True)
class _Terms:
    """What both are scored by: the common classes, the background first, and the protocol."""

    classes: list[ClassSpec]
    rules: Protocol
    notes: list[str]

    @property
    def names(self) -> list[str]:
        return [spec.name for spec in self.classes]


def compare_models(
    before: Contender, after: Contender, cases: Sequence[CaseFiles], out: Path, protocol: str = "",
    notes: Sequence[str] = (),
) -> Compared:  # fmt: skip
    """Predict labeled cases with both models, score them, and write what changed.

    Writes below ``out``: ``before/`` and ``after/`` with the masks, ``comparison.json``, ``comparison.csv`` and
    ``index.html``, whose cases that got worse come first, and then the worst ones.

    Args:
        before: The model before.
        after: The model after; the labels are read as its recipe says.
        cases: Those without a mask are left out.
        out: Folder to write to.
        protocol: Name of the protocol; empty takes that of the model after.
        notes: What a reader of the page must know besides.

    Raises:
        DataError: No case has a mask, or one cannot be read.
        UsageError: The models have no class in common, or one delineates nothing.
    """
    terms = _terms(before, after, protocol)
    masked = [files for files in cases if files.label is not None]
    if not masked:
        raise DataError("No case has a mask to compare with.", "Name a folder of images and labels.")
    models = {"before": before, "after": after}
    scores: dict[str, dict[str, Any]] = {side: {} for side in models}
    page = ComparisonPage(terms.classes, terms.rules)
    for files in masked:
        case = read_case(files, after.pipeline.recipe)
        results = {side: _found(model, case) for side, model in models.items()}
        truth = _common(case.truth, after.pipeline.recipe.class_names, terms.names)
        region = case.region if case.region is not None else results["after"].region
        if case.truth is not None and (ignored := case.truth == IGNORED).any():
            region = ~ignored if region is None else region & ~ignored
        for side, result in results.items():
            if result.mask is not None:
                write_result(result, out / side)
            result.mask = _common(result.mask, models[side].pipeline.recipe.class_names, terms.names, like=truth)
            result.classes = terms.names
            scores[side][case.id] = _scored(result, truth, region, case, terms).scores
        page.add(case, truth, results, {side: scores[side][case.id] for side in models})
    subjects = {files.id: files.subject for files in masked}
    paired = pair_scores(terms.rules.name, scores["before"], scores["after"], subjects, terms.rules.headline)
    paired.notes = [*terms.notes, *notes, *_learned(models, masked)]
    identities = {
        side: {"name": model.name, "recipe": model.pipeline.recipe.name, "weights": dict(model.checksums)}
        for side, model in models.items()
    }
    write_json(out / "comparison.json", {**identities, "classes": terms.names[1:], **paired.as_dict()})
    paired.to_csv(out / "comparison.csv")
    carried = after.card.get("fine_tuning", [])
    return Compared(paired, page.write(out / "index.html", paired, identities, carried))


def _learned(models: Mapping[str, Contender], cases: Sequence[CaseFiles]) -> list[str]:
    """What must be said where a model was trained on some of the cases."""
    notes = []
    for side, model in models.items():
        kind = model.pipeline.recipe.input.kind
        learned = model.pipeline.learned_from
        known = [image_checksum(files.image, kind, files.channels) in learned for files in cases] if learned else []
        note = learned_note(known)
        notes += [f"The model {side}, {model.name}: {note}"] if note else []
    return notes


def _terms(before: Contender, after: Contender, protocol: str) -> _Terms:
    """The classes that both have by name, and how they are scored."""
    recipe, other = after.pipeline.recipe, before.pipeline.recipe
    known = set(other.class_names[1:])
    classes = [recipe.classes[0], *(spec for spec in recipe.classes[1:] if spec.name in known)]
    if len(classes) < 2:
        raise UsageError(
            f"The models have no class in common: {', '.join(other.class_names[1:])} before, "
            f"{', '.join(recipe.class_names[1:])} after.",
            "Classes meet by their names.",
        )
    notes = []
    single = sorted((set(recipe.class_names[1:]) ^ known) - {spec.name for spec in classes})
    if single:
        common = ", ".join(spec.name for spec in classes[1:])
        notes.append(f"Only what both models know is compared: {common}; {', '.join(single)} counts as background")
    rules = find_protocol(protocol or recipe.protocol)
    if rules.score_case is None:
        raise UsageError(f"Protocol {rules.name} scores no masks.", "Compare with --protocol segmentation.")
    if single and rules.needs_region and not protocol:
        rules = find_protocol("segmentation")
        notes.append(f"Scored by {rules.name}, as {recipe.protocol} needs all of its classes")
    return _Terms(classes, rules, notes)


def _found(model: Contender, case: Case) -> Result:
    """A model's answer, without a mask where it refuses the case."""
    wanted = model.pipeline.recipe.input  # the model before may know fewer channels, or others
    try:
        result = model.pipeline(case.with_channels(wanted.channels, wanted.channel_names))
    except GracileError as error:
        return Result(case.id, "failed", case.grid, model.pipeline.recipe.class_names, reason=str(error))
    if result.mask is None:
        raise UsageError(f"{model.name} delineates nothing.", "Score gates with gracile evaluate.")
    return result


def _common(
    labels: np.ndarray | None, names: Sequence[str], common: Sequence[str], like: np.ndarray | None = None
) -> np.ndarray:
    """Class indices among the common classes; what is not one of them is background."""
    if labels is None:
        assert like is not None
        return np.zeros_like(like)
    table = np.zeros(IGNORED + 1, dtype=np.uint8)
    for index, name in enumerate(names[1:], start=1):
        table[index] = common.index(name) if name in common[1:] else 0
    return table[labels]


def _scored(result: Result, truth: np.ndarray, region: np.ndarray | None, case: Case, terms: _Terms) -> CaseScores:
    assert terms.rules.score_case is not None
    assert result.mask is not None
    spacing = case.grid.spacing_mm if truth.ndim > 2 else None  # pictures are scored in pixels, as elsewhere
    # What one model rightly leaves empty and the other paints must stay a pair.
    counted = {"absent": "count"} if "absent" in terms.rules.options else {}
    scores = terms.rules.score_case(truth, result.mask, terms.names, region=region, spacing_mm=spacing, **counted)
    return worst_scores(scores, terms.rules) if result.status == "failed" else scores
