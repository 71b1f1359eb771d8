"""Folds by subject: every case is held back once, and no person, nor nearly the same image, is on both sides."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from typing_extensions import TypedDict

from gracile.data.case_files import CaseFiles, read_parts
from gracile.data.splits import save_split, sides_by_id
from gracile.errors import DataError, UsageError
from gracile.io import write_json
from gracile.plain_data import Text, read_json
from gracile.recipe import Recipe

_REMEDY = "Folds are a JSON list of {train, validation}; nnU-Net's splits_final.json is one."

NOTHING = "no structure"
"""What a case with an empty label shows: gates and segmenters learn from such cases too."""

Shown = Mapping[str, Collection[str]]
"""What each case shows, by its id: structures, landmarks, kinds of frames."""


class FoldShape(TypedDict, total=False):
    """One fold in a file; nnU-Net writes ``val``."""

    train: list[Text]
    validation: list[Text]
    val: list[Text]


@dataclass(frozen=True)
class Fold:
    """Cases to train on and cases held back. Folds are counted from 1.

    Args:
        number: Which fold it is.
        training: Cases to train on.
        validation: Cases held back.
    """

    number: int
    training: list[CaseFiles]
    validation: list[CaseFiles]

    def save(self, path: Path, seed: int) -> Path:
        """Write it as a ``split.json``, of which a training is made."""
        save_split(path, self.training, self.validation, seed)
        return path


def folds_by_subject(
    cases: Sequence[CaseFiles],
    count: int,
    seed: int,
    shown: Shown | None = None,
    together: Iterable[tuple[str, str]] = (),
) -> list[Fold]:
    """Divide cases into folds, whole subjects each.

    Folds are alike in their number of cases, and what few subjects show is spread over as many folds as can be. The
    answer depends on the cases and the seed, not on the order in which the cases are given.

    Args:
        cases: What to divide; ids are unique.
        count: How many folds.
        seed: Seed of the draw.
        shown: What each case shows.
        together: Pairs of ids of cases that must be on one side, such as nearly the same image twice.

    Raises:
        DataError: There are fewer subjects than folds.
        UsageError: Fewer than two folds.
    """
    if count < 2:
        raise UsageError(f"{count} folds cannot be made.", "Take 2 or more, such as --folds 5.")
    groups = _groups(cases, together)
    if len(groups) < count:
        people = len({case.subject for case in cases})
        alike = f", {len(groups)} once those with nearly the same images count as one" if len(groups) < people else ""
        raise DataError(
            f"There are {people} subjects{alike}, which are too few for {count} folds.",
            f"Take {len(groups)} folds at most, or more data." if len(groups) > 1 else "Give more data.",
        )
    shows = [sorted({name for case in group for name in (shown or {}).get(case.id, ())}) for group in groups]
    how_many = Counter(name for names in shows for name in names)
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    rarest = [min(names, key=lambda name: (how_many[name], name), default="") for names in shows]
    order.sort(key=lambda index: (how_many[rarest[index]] or len(groups), -len(groups[index])))
    parts: list[list[CaseFiles]] = [[] for _ in range(count)]
    held: list[Counter[str]] = [Counter() for _ in range(count)]
    for index in order:
        name = rarest[index]
        number = min(range(count), key=lambda fold: (held[fold][name] if name else 0, len(parts[fold]), fold))
        parts[number] += groups[index]
        held[number].update(shows[index])
    ordered = sorted(cases, key=lambda case: case.id)
    member = {case.id: number for number, part in enumerate(parts) for case in part}
    return [
        Fold(
            number + 1,
            [case for case in ordered if member[case.id] != number],
            [case for case in ordered if member[case.id] == number],
        )
        for number in range(count)
    ]


def _groups(cases: Sequence[CaseFiles], together: Iterable[tuple[str, str]]) -> list[list[CaseFiles]]:
    """Cases that must be on one side: those of one subject, and those of subjects that a pair joins."""
    ordered = sorted(cases, key=lambda case: case.id)
    subject_of = {case.id: case.subject for case in ordered}
    leader = {case.subject: case.subject for case in ordered}

    def found(subject: str) -> str:
        while leader[subject] != subject:
            subject = leader[subject]
        return subject

    for one, other in together:
        if one in subject_of and other in subject_of:
            first, second = sorted((found(subject_of[one]), found(subject_of[other])))
            leader[second] = first
    groups: dict[str, list[CaseFiles]] = {}
    for case in ordered:
        groups.setdefault(found(case.subject), []).append(case)
    return [groups[subject] for subject in sorted(groups)]


def is_of_folds(path: Path) -> bool:
    """Whether a split's file holds folds. Raises DataError where it cannot be read."""
    return isinstance(read_json(path, _REMEDY), list)


def load_folds(path: Path, cases: Sequence[CaseFiles]) -> list[Fold]:
    """Read folds: a JSON list of ``train`` and ``validation`` (or ``val``), as `save_folds` or nnU-Net writes it.

    Raises:
        DataError: The file is unreadable or has fewer than two folds; a case is on no side of a fold, on both, or held
            back twice; a case of the file is gone; or a subject is on both sides.
    """
    content = read_json(path, _REMEDY, shape=list[FoldShape])
    if len(content) < 2:
        raise DataError(f"{path} has {len(content)} folds.", _REMEDY)
    folds = []
    for number, entry in enumerate(content, start=1):
        train, validation = entry.get("train", []), entry.get("validation", entry.get("val", []))
        folds.append(Fold(number, *sides_by_id(f"{path}, fold {number},", train, validation, list(cases))))
    twice = [id for id, times in Counter(case.id for fold in folds for case in fold.validation).items() if times > 1]
    if twice:
        raise DataError(f"{path} holds {min(twice)} back in several folds.", "Hold every case back once.")
    return folds


def save_folds(path: Path, folds: Sequence[Fold]) -> None:
    """Write folds as JSON, the ids of each side."""
    sides = [
        {"train": [case.id for case in fold.training], "validation": [case.id for case in fold.validation]}
        for fold in folds
    ]
    write_json(path, sides)


def what_is_shown(cases: Sequence[CaseFiles], recipe: Recipe) -> dict[str, set[str]]:
    """What each case shows: structures with a sample, or `NOTHING`; landmarks with a place; its kind of frame.

    One case at a time is read.
    """
    names = recipe.class_names
    shown = {}
    for files in cases:
        parts = read_parts(files, recipe)
        indices = [] if parts.truth is None else np.unique(parts.truth).tolist()
        points = [] if parts.case is None else list(parts.case.points)
        frame = [files.frame_class] if files.frame_class else []
        found = [names[index] for index in indices if 0 < index < len(names)]
        empty = [NOTHING] if parts.truth is not None and not found else []
        shown[files.id] = {*found, *empty, *points, *frame}
    return shown


def shown_in_one_fold(folds: Sequence[Fold], shown: Shown) -> list[tuple[str, int]]:
    """What only the held-back cases of one fold show, with its number: its model never sees it."""
    where: dict[str, set[int]] = {}
    for fold in folds:
        for case in fold.validation:
            for name in shown.get(case.id, ()):
                where.setdefault(name, set()).add(fold.number)
    return [(name, min(numbers)) for name, numbers in sorted(where.items()) if len(numbers) == 1]
