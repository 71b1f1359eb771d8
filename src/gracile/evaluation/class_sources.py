"""Read the probabilities of classes, of Gracile's gates or of another program, and the classes that are true."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError, UsageError
from gracile.evaluation.tables import read_rows, some, unique
from gracile.io import LabelClass, image_files, read_labels, stem
from gracile.io.predictions_file import PREDICTIONS, read_predictions
from gracile.recipe.stages import ABSENT, NO, PRESENT, YES

"""What a truth may call a picture with and without the structure, besides the structure's own name."""


@dataclass(frozen=True)
class ClassAnswers:
    """What was answered for each picture.

    Args:
        source: Where it was read.
        structure: What a presence gate looks for, e.g. ``nerve``; empty where there are classes.
        classes: Names of the classes; absent and present for a presence gate.
        probabilities: ``(classes,)`` by the picture's name.
        decisions: Index of the class that was decided on, by name; empty where only probabilities are known.
    """

    source: Path
    structure: str
    classes: list[str]
    probabilities: dict[str, np.ndarray]
    decisions: dict[str, int] = field(default_factory=dict)


def read_answers(source: Path) -> ClassAnswers:
    """Read a folder of ``gracile predict``, its ``predictions.json``, or a CSV with a column per class.

    A single gate or column is that of a presence gate: the probability that the structure is there.

    Raises:
        DataError: The file is absent or unreadable, has no gates, names twice, or what are no probabilities.
    """
    if source.suffix.lower() == ".csv" and not source.is_dir():
        return _from_table(source)
    return _from_predictions(source / PREDICTIONS if source.is_dir() else source)


def _from_table(path: Path) -> ClassAnswers:
    rows = read_rows(path, ("name",))
    entries = [column for column in rows[0] if column != "name"]
    if not entries:
        raise DataError(f"{path} has no column of probabilities.", "The first line is name,CLASS1,CLASS2 and so on.")
    names = unique([row["name"] for row in rows], path)
    return _answers(path, entries, {name: [row[e] for e in entries] for name, row in zip(names, rows, strict=True)}, {})


def _from_predictions(path: Path) -> ClassAnswers:
    if not path.is_file():
        raise DataError(
            f"There is no {path}.",
            "Name a folder that gracile predict wrote (parts of array jobs joined by gracile merge) or a CSV.",
        )
    records: list[dict[str, Any]] = read_predictions(path)["inputs"]
    gated = {record["name"]: record["gates"] for record in records if record["gates"]}
    answered = sum(record["status"] != "failed" for record in records)
    decided = {record["name"]: record["gate_decisions"] for record in records if record["gate_decisions"]}
    unique([record["name"] for record in records], path)
    if not gated and not answered:
        raise DataError(f"{path} has no answered input.", "Look at the reasons of the failures in it.")
    if not gated:
        raise DataError(f"{path} holds no gate probabilities: the recipe has no gate.", "Predict with one that has.")
    entries = list(next(iter(gated.values())))
    for name, gates in gated.items():
        if gates.keys() != set(entries):
            raise DataError(
                f"{path}: the gates of {name} are {', '.join(gates)}, others' are {', '.join(entries)}.",
                "Predict all with one recipe.",
            )
    values = {name: [gates[entry] for entry in entries] for name, gates in gated.items()}
    return _answers(path, entries, values, decided)


def _answers(
    source: Path, entries: list[str], values: dict[str, list[Any]], decided: dict[str, dict[str, bool]]
) -> ClassAnswers:
    probabilities = {name: _probabilities(some_values, name, source) for name, some_values in values.items()}
    if len(entries) == 1:
        both = {name: np.array([1 - p[0], p[0]]) for name, p in probabilities.items()}
        decisions = {name: int(bool(bits.get(entries[0]))) for name, bits in decided.items() if name in both}
        return ClassAnswers(source, entries[0], [ABSENT, PRESENT], both, decisions)
    reserved = sorted({"macro", "micro", "weighted"} & set(entries))
    if reserved:
        raise DataError(f"{source}: no class can be called {reserved[0]}.", "It is the name of an average: rename it.")
    decisions = {
        name: _decided(p, [bool(decided[name].get(entry)) for entry in entries])
        for name, p in probabilities.items()
        if name in decided
    }
    return ClassAnswers(source, "", entries, probabilities, decisions)


def _probabilities(values: list[Any], name: str, source: Path) -> np.ndarray:
    try:
        numbers = np.array([float(value) for value in values])
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if not ((numbers >= 0) & (numbers <= 1)).all():
        shown = ", ".join(str(value) for value in values)
        raise DataError(f"{source}: {name} has {shown}.", "Probabilities are numbers from 0 to 1.")
    return numbers


def _decided(probabilities: np.ndarray, chosen: list[bool]) -> int:
    """The likeliest of the classes that were decided on; of all where none was."""
    return int(np.argmax(np.where(chosen, probabilities, -1.0) if any(chosen) else probabilities))


def read_classes(
    source: Path, answers: ClassAnswers, mask_classes: Sequence[LabelClass] = (), min_area: int = 0
) -> dict[str, int]:
    """Index of the true class by name.

    Args:
        source: A CSV with columns ``name`` and ``class``, a folder with a folder of pictures per class, or a folder of
            masks, in which more than ``min_area`` pixels of the structure make it present. Pictures of two class
            folders that share a name are called as ``gracile predict`` calls them, ``FOLDER-NAME``.
        answers: What was answered; its classes are the ones that can be true.
        mask_classes: Classes of the masks by index, the background first. Where one is called as the presence gate is,
            only it counts, else every one but the background.
        min_area: See ``source``; in pixels.

    Raises:
        DataError: Nothing of that kind, a class that the answers do not have, or a name twice.
        UsageError: A least area without masks.
    """
    if source.is_dir() and image_files(source):
        return _from_masks(source, answers, mask_classes, min_area)
    if min_area:
        raise UsageError("A least area is one of masks, and the truth names classes.", "Leave --min-area out.")
    if source.is_dir():
        return _from_folders(source, answers)
    rows = read_rows(source, ("name", "class"))
    names = unique([row["name"] for row in rows], source)
    return {name: class_index(row["class"], answers, source) for name, row in zip(names, rows, strict=True)}


def _from_folders(source: Path, answers: ClassAnswers) -> dict[str, int]:
    folders = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
    pictures = {folder: image_files(folder) for folder in folders}
    pictures = {folder: files for folder, files in pictures.items() if files}
    if not pictures:
        raise DataError(
            f"{source} holds neither masks nor folders of pictures.", "Give a folder per class, or a CSV name,class."
        )
    stems = [stem(path) for files in pictures.values() for path in files]
    found: dict[str, int] = {}
    for folder, files in pictures.items():
        index = class_index(folder.name, answers, source)
        named = [f"{folder.name}-{stem(path)}" if stems.count(stem(path)) > 1 else stem(path) for path in files]
        found |= dict.fromkeys(unique(named, folder), index)
    return found


def _from_masks(source: Path, answers: ClassAnswers, classes: Sequence[LabelClass], min_area: int) -> dict[str, int]:
    if not answers.structure:
        raise DataError(
            f"{source} holds masks, which say what is present, and the answers are about the classes "
            f"{some(answers.classes)}.",
            "Give a folder per class, or a CSV name,class.",
        )
    wanted = {name.casefold() for name in answers.structure.split("+")}
    foreground = range(1, len(classes))
    members = [index for index in foreground if classes[index].name.casefold() in wanted] or list(foreground)
    files = image_files(source)
    names = unique([stem(path) for path in files], source)
    return {
        name: int(np.isin(read_labels(path, classes), members).sum() > min_area)
        for name, path in zip(names, files, strict=True)
    }


def class_index(name: str, answers: ClassAnswers, source: Path) -> int:
    """Index of a class by its name, large and small letters alike. Raises DataError that proposes the nearest names."""
    folded = name.casefold()
    known = {candidate.casefold(): index for index, candidate in enumerate(answers.classes)}
    if answers.structure:
        known |= dict.fromkeys(NO, 0) | dict.fromkeys(YES, 1)
        known |= dict.fromkeys((answers.structure.casefold(), *answers.structure.casefold().split("+")), 1)
    if folded in known:
        return known[folded]
    near = get_close_matches(folded, known, n=3, cutoff=0.5)
    proposal = f" Did you mean {' or '.join(near)}?" if near else ""
    raise DataError(
        f"{source}: no class is called {name!r}.{proposal}", f"The answers are about {', '.join(answers.classes)}."
    )
