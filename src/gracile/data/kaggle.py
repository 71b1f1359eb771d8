"""Kaggle's way with masks: each beside its image, and tables of run lengths."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gracile.data.case_files import CaseFiles
from gracile.errors import DataError, UsageError
from gracile.io import image_files, read_labels, stem, write_labels
from gracile.io.atomic import require_writable, require_writable_file
from gracile.io.naming import case_key, numbered_subjects
from gracile.io.predictions_file import PREDICTIONS, read_predictions
from gracile.io.run_length import decode, encode, read_csv, write_csv
from gracile.recipe import ClassSpec, read_recipe, recipe_from

MASK_SUFFIX = "_mask"


def cases_beside_masks(folder: Path) -> tuple[list[CaseFiles], list[Path]] | None:
    """The cases of a folder of ``1_1.tif`` and ``1_1_mask.tif``, and masks without an image.

    The subject is the number before the underscore where all names are two numbers, else the id.

    Returns:
        None when no picture of the folder has its mask beside it.
    """
    if not folder.is_dir():
        return None
    files = image_files(folder)
    masks = {stem(path)[: -len(MASK_SUFFIX)]: path for path in files if stem(path).endswith(MASK_SUFFIX)}
    images = [path for path in files if not stem(path).endswith(MASK_SUFFIX)]
    if not any(stem(path) in masks for path in images):
        return None
    cases = []
    subjects = numbered_subjects([stem(path) for path in images])
    for path in images:
        name = stem(path)
        cases.append(CaseFiles(name, path, masks.pop(name, None), None, subjects[name]))
    return cases, list(masks.values())


def export_run_lengths(predictions: Path, out: Path, structure: str, recipe: str | None = None) -> int:
    """Write one structure of a folder of masks as a CSV of run lengths ``img,pixels``.

    Args:
        predictions: Folder of ``NAME.png`` masks.
        out: The CSV.
        structure: A class or a tree of the recipe.
        recipe: Recipe that names the classes; None takes that of the folder's ``predictions.json``.

    Returns:
        Number of masks.

    Raises:
        DataError: There is no mask, or one cannot be read.
        UsageError: The classes are not known, or there is no such structure.
    """
    chosen = read_recipe(recipe) if recipe else recipe_from(_recorded(predictions / PREDICTIONS))
    require_writable_file(out)
    members = {**{name: (index,) for index, name in enumerate(chosen.class_names) if index}, **chosen.structures}
    if structure not in members:
        raise UsageError(f"There is no structure {structure!r}.", f"There are: {', '.join(members)}.")
    files = image_files(predictions)
    if not files:
        raise DataError(f"{predictions} holds no masks.", "Name the folder that gracile predict wrote.")
    names = Counter(case_key(path) for path in files)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        raise DataError(f"Several masks would be named {repeated[0]!r} in the table.", "Keep one mask of each picture.")
    codes = {case_key(path): encode(_member(path, chosen.classes, members[structure])) for path in files}
    write_csv(out, codes)
    return len(codes)


def import_run_lengths(table: Path, size: tuple[int, int], out: Path) -> int:
    """Write the masks of a CSV of run lengths as ``NAME.png`` of 0 and 1; returns their number.

    Args:
        table: The CSV, see `gracile.io.run_length.read_csv`.
        size: (height, width) of the masks.
        out: Folder to write to.

    Raises:
        DataError: The table or one of its codes cannot be read.
    """
    codes = read_csv(table)
    require_writable(out)
    for name, code in codes.items():
        try:
            mask = decode(code, size)
        except DataError as error:
            raise DataError(f"{table}, picture {name}: {error.message}", error.remedy) from None
        write_labels(out / f"{name}.png", mask)
    return len(codes)


def _member(path: Path, classes: Sequence[ClassSpec], indices: tuple[int, ...]) -> np.ndarray:
    return np.isin(read_labels(path, classes, recoded=False), indices)


def _recorded(path: Path) -> dict[str, object]:
    """The recipe that ``predictions.json`` records."""
    if path.is_file() and (recipe := read_predictions(path)["settings"].get("recipe")):
        return dict(recipe)
    raise UsageError(f"{path} does not say which classes there are.", "Name their recipe with --recipe.")
