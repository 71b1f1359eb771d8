"""Splits by subject: no person is on both sides."""

from collections import Counter
from pathlib import Path

import numpy as np
from typing_extensions import TypedDict

from gracile.data.case_files import CaseFiles
from gracile.errors import DataError, RecipeError
from gracile.io import write_json
from gracile.plain_data import Text, read_json


class SplitShape(TypedDict):
    """A split: ids of both sides."""

    train: list[Text]
    validation: list[Text]


def split_by_subject(cases: list[CaseFiles], share: float, seed: int) -> tuple[list[CaseFiles], list[CaseFiles]]:
    """Hold back a share of the subjects with all their cases.

    The answer depends on the cases, the share and the seed, not on the order in which the cases are given.

    Args:
        cases: What to split; ids are unique.
        share: Share of the subjects to hold back, rounded to whole subjects; from 0 to below 1. Above 0, at least one
            subject is on each side when there are two or more; a single subject is all for training.
        seed: Seed of the draw.

    Returns:
        Training and validation cases, each in the order of the ids.

    Raises:
        RecipeError: The share is not from 0 to below 1.
    """
    if not 0 <= share < 1:
        raise RecipeError(f"A share of {share} cannot be held back.", "Set train.validation from 0 to below 1.")
    subjects = sorted({case.subject for case in cases})
    count = 0
    if share > 0 and len(subjects) > 1:
        count = min(max(round(share * len(subjects)), 1), len(subjects) - 1)
    drawn = np.random.default_rng(seed).permutation(len(subjects))[:count]
    held_back = {subjects[index] for index in drawn}
    ordered = sorted(cases, key=lambda case: case.id)
    training = [case for case in ordered if case.subject not in held_back]
    return training, [case for case in ordered if case.subject in held_back]


def save_split(path: Path | str, train: list[CaseFiles], validation: list[CaseFiles], seed: int) -> None:
    """Write a split as JSON: the seed and the ids of each side."""
    sides = {"train": train, "validation": validation}
    write_json(path, {"seed": seed, **{side: [case.id for case in part] for side, part in sides.items()}})


def load_split(path: Path | str, cases: list[CaseFiles]) -> tuple[list[CaseFiles], list[CaseFiles]]:
    """Read a split and give its training and validation cases, in the order of the file.

    Raises:
        DataError: The file is unreadable, a case is on no side or on both, a case of the file is gone, or a subject
            is on both sides.
    """
    train, validation = read_split(path)
    return sides_by_id(f"The split {path}", train, validation, cases)


def sides_by_id(
    what: str, train: list[str], validation: list[str], cases: list[CaseFiles]
) -> tuple[list[CaseFiles], list[CaseFiles]]:
    """The cases of both sides of a split, which names every case once and no subject twice.

    Args:
        what: Names the split at the beginning of a sentence.
        train: Ids to train on.
        validation: Ids held back.
        cases: All cases.

    Raises:
        DataError: A case is on no side or on both, a case that is named is gone, or a subject is on both sides.
    """
    by_id = {case.id: case for case in cases}
    named = [*train, *validation]
    repeated = sorted(id for id, count in Counter(named).items() if count > 1)
    gone = sorted(set(named) - set(by_id))
    new = sorted(by_id.keys() - set(named))
    for ids, said in ((repeated, "names twice"), (gone, "names, and the data lacks,"), (new, "does not name")):
        if ids:
            shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
            raise DataError(f"{what} {said}: {shown}.", "Use the data that the split was made for.")
    sides = [by_id[id] for id in train], [by_id[id] for id in validation]
    both = {case.subject for case in sides[0]} & {case.subject for case in sides[1]}
    if both:
        raise DataError(
            f"{what} has the subject {min(both)} on both sides.",
            "Make a new split, so that no validation subject is trained on.",
        )
    return sides


def read_split(path: Path | str) -> tuple[list[str], list[str]]:
    """The ids of the training and of the validation side of a split's file. Raises DataError."""
    remedy = "A split is a JSON with the lists train and validation; a file of folds goes with --folds."
    content = read_json(Path(path), remedy, shape=SplitShape)
    return content["train"], content["validation"]
