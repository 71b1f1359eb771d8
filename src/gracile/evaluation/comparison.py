"""Score folders of predictions against folders of truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gracile.errors import DataError, UsageError
from gracile.evaluation.classification import evaluate_classes
from gracile.evaluation.metrics import CaseScores
from gracile.evaluation.outcome import Evaluation, summarize
from gracile.evaluation.protocols import Protocol, find_protocol
from gracile.evaluation.tables import read_groups
from gracile.evaluation.tables import some as _some
from gracile.io import image_files, pair_files, read_labels, read_region
from gracile.io.masks import LabelClass
from gracile.io.naming import stem

REGION_FOLDERS = ("fov", "mask")


@dataclass(frozen=True)
class _Files:
    """The files of one case; per run a prediction (None when missing) and a probability map (None when not given)."""

    truth: Path
    region: Path | None
    predictions: list[Path | None]
    probabilities: list[Path | None]


def evaluate(
    predictions: Path | str | Sequence[Path | str],
    truth: Path | str,
    protocol: str,
    *,
    classes: Sequence[LabelClass],
    fov: Path | str | None = None,
    probabilities: Path | str | Sequence[Path | str] | None = None,
    missing: Literal["error", "worst"] = "error",
    groups: Path | str | None = None,
    min_area: int = 0,
) -> Evaluation:
    """Score masks, whoever made them, against the truth; or classes, see `evaluate_classes`.

    Files meet by their names (see `gracile.io.pair_files`). Every truth file counts; predictions that have no truth
    are named in the notes.

    Args:
        predictions: Folder (or file) of label pictures in any coding of `read_labels`, or a list of such folders,
            one per run (seed): then the summary has mean and standard deviation over runs.
        truth: Folder (or file) of label pictures.
        protocol: Name of a protocol, e.g. ``av-multiclass``.
        classes: The classes by index, the background first.
        fov: Folder (or file) of fields of view. Where the protocol needs one and none is given, a folder ``fov`` or
            ``mask`` beside the truth folder is used.
        probabilities: Folder of ``.npz`` files with key ``probabilities`` (classes, height, width), named as the
            predictions, or a list of them, one per run.
        missing: What a missing prediction means: an error that names it, or the worst value of every score.
        groups: CSV with columns ``name`` and ``group`` (subject): intervals then resample whole groups.
        min_area: Pixels that a structure in a mask must exceed to be present; of the protocol ``classification``.

    Raises:
        DataError: Files that are missing, unreadable, ambiguous or of another size than their truth.
        UsageError: An unknown protocol, an option that it does not know, or another number of probability folders than
            of runs.
    """
    rules = find_protocol(protocol)
    run_folders = _as_list(predictions)
    _require_its_options(rules, fov is not None or probabilities is not None, groups is not None, min_area)
    if rules.score_case is None:
        table = None if groups is None else Path(groups)
        return evaluate_classes(
            run_folders, Path(truth), mask_classes=classes, missing=missing, groups=table, min_area=min_area
        )
    run_probabilities = _as_list(probabilities) if probabilities is not None else [None] * len(run_folders)
    if len(run_probabilities) != len(run_folders) or not run_folders:
        raise UsageError(
            f"There are {len(run_folders)} runs and {len(run_probabilities)} folders of probabilities.",
            "Give one folder of probabilities for each run, in the same order.",
        )
    files, notes = _gather(run_folders, Path(truth), _region_source(rules, Path(truth), fov), run_probabilities)
    absent = sorted({case.truth.name for case in files for path in case.predictions if path is None})
    if absent and missing == "error":
        raise DataError(
            f"{len(absent)} of {len(files)} cases have no prediction: {_some(absent)}.",
            "Predict them, or count them as worst (--missing-is-worst; in Python missing='worst').",
        )
    if absent:
        notes.append(f"{len(absent)} cases without prediction count with the worst value of every score")
    rows: list[dict[str, Any]] = []
    class_rows: list[dict[str, Any]] = []
    for case in files:
        for run, scored in enumerate(_score(case, rules, classes), start=1):
            label = {"case": stem(case.truth)} | ({"run": run} if len(run_folders) > 1 else {})
            status = {"status": "missing" if case.predictions[run - 1] is None else "scored"}
            rows.append(label | status | scored.scores)
            class_rows.extend(label | row for row in scored.classes)
    cases = [stem(case.truth) for case in files]
    members = None if groups is None else dict(zip(cases, read_groups(Path(groups), cases), strict=True))
    summary = summarize(rows, counts=rules.counts, intervals=rules.intervals, groups=members)
    return Evaluation(rules.name, len(run_folders), rows, class_rows, summary, notes, rules.headline)


def _require_its_options(rules: Protocol, pixelwise: bool, grouped: bool, min_area: int) -> None:
    classifies = rules.score_case is None
    if classifies and pixelwise:
        raise UsageError(f"Protocol {rules.name} has no pixels.", "Leave out --fov and --probabilities.")
    if grouped and not rules.intervals:
        raise UsageError(f"Protocol {rules.name} has no intervals to group by.", "Leave --groups out.")
    if min_area and not classifies:
        raise UsageError(f"Protocol {rules.name} knows no least area.", "Leave --min-area out.")


def _as_list(folders: Path | str | Sequence[Path | str]) -> list[Path]:
    return [Path(folders)] if isinstance(folders, Path | str) else [Path(folder) for folder in folders]


def _listing(source: Path, suffixes: tuple[str, ...] | None = None) -> list[Path]:
    if source.is_file():
        return [source]
    return image_files(source, suffixes) if suffixes else image_files(source)


def _region_source(rules: Protocol, truth: Path, fov: Path | str | None) -> Path | None:
    if fov is not None or not rules.needs_region:
        return None if fov is None else Path(fov)
    found = region_folder(truth)
    if found is None:
        raise DataError(
            f"Protocol {rules.name} needs the field of view, and there is no folder fov or mask beside {truth}.",
            "Give it with --fov.",
        )
    return found


def region_folder(truth: Path) -> Path | None:
    """The folder of fields of view beside a folder (or file) of labels, if there is one."""
    folder = (truth if truth.is_dir() else truth.parent).resolve()
    return next((folder.parent / name for name in REGION_FOLDERS if (folder.parent / name).is_dir()), None)


def _gather(
    run_folders: list[Path], truth: Path, regions: Path | None, run_probabilities: Sequence[Path | None]
) -> tuple[list[_Files], list[str]]:
    """Pair everything by name before anything is scored."""
    truths = _listing(truth)
    if not truths:
        raise DataError(f"{truth} holds no label pictures.", "Check the folder.")
    region_of = _all_paired(truths, _listing(regions), "field of view", regions) if regions is not None else {}
    notes, predicted, mapped = [], [], []
    for folder, maps in zip(run_folders, run_probabilities, strict=True):
        offered = _listing(folder)
        if not offered:
            raise DataError(f"{folder} holds no predictions.", "Check the folder.")
        pairs = pair_files(truths, offered)
        predicted.append(pairs)
        unused = sorted(path.name for path in set(offered) - set(pairs.values()))
        if unused:
            notes.append(f"{folder.name}: {len(unused)} predictions have no truth: {_some(unused)}")
        present = [path for path in truths if pairs[path] is not None]
        paired = _all_paired(present, _listing(maps, (".npz",)), "probability map", maps) if maps is not None else {}
        mapped.append(paired)
    files = [
        _Files(path, region_of.get(path), [pairs[path] for pairs in predicted], [pairs.get(path) for pairs in mapped])
        for path in truths
    ]
    return files, notes


def _all_paired(truths: list[Path], offered: list[Path], role: str, source: Path) -> dict[Path, Path | None]:
    pairs = pair_files(truths, offered)
    lacking = sorted(path.name for path, other in pairs.items() if other is None)
    if lacking:
        raise DataError(f"{source} has no {role} for {_some(lacking)}.", "Add it, or check the file names.")
    return pairs


def _score(case: _Files, rules: Protocol, classes: Sequence[LabelClass]) -> list[CaseScores]:
    """Scores of one case, one for each run."""
    score_case = rules.score_case
    assert score_case is not None  # evaluate() sends protocols of classes elsewhere
    truth = read_labels(case.truth, classes)
    region = None if case.region is None else read_region(case.region)
    if region is not None:
        _check_size(case.region, region.shape, case.truth, truth.shape)
    names = [entry.name for entry in classes]
    scored = []
    for prediction_path, map_path in zip(case.predictions, case.probabilities, strict=True):
        if prediction_path is None:
            prediction = np.zeros_like(truth)
        else:
            prediction = read_labels(prediction_path, classes, recoded=False)
        _check_size(prediction_path, prediction.shape, case.truth, truth.shape)
        maps = None
        if map_path is not None:
            maps = _read_probabilities(map_path, len(classes))
            _check_size(map_path, maps.shape[1:], case.truth, truth.shape)
        try:
            scores = score_case(truth, prediction, names, region=region, probabilities=maps)
        except DataError as error:
            raise DataError(f"{case.truth}: {error.message}", error.remedy) from error
        scored.append(worst_scores(scores, rules) if prediction_path is None else scores)
    return scored


def _check_size(path: Path | None, size: tuple[int, ...], truth: Path, wanted: tuple[int, ...]) -> None:
    if size != wanted:
        raise DataError(
            f"{path} has {size[1]} x {size[0]} pixels, its truth {truth.name} {wanted[1]} x {wanted[0]}.",
            "Bring it to the size of the original image.",
        )


def _read_probabilities(path: Path, classes: int) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            maps = archive["probabilities"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(
            f"{path} cannot be read as probabilities ({error}).", "It is an .npz file with the key 'probabilities'."
        ) from error
    if maps.ndim != 3 or maps.shape[0] != classes or maps.dtype.kind != "f":
        raise DataError(
            f"{path} holds {maps.dtype} {maps.shape}.",
            f"Probabilities are floating-point ({classes} classes, height, width).",
        )
    return maps


def worst_scores(scores: CaseScores, rules: Protocol) -> CaseScores:
    """The scores of an empty prediction, each share replaced by its worst value, distances undefined."""

    def worst(name: str, value: Any) -> Any:
        if name in ("class", "pixels", "voxels", "weight", *rules.counts):
            return value
        if name.startswith(rules.distances) or (value is None and name.startswith(rules.of_some_cases)):
            return None
        return 1.0 if name.startswith(rules.lower_is_better) else 0.0

    return CaseScores(
        {name: worst(name, value) for name, value in scores.scores.items()},
        [{name: worst(name, value) for name, value in row.items()} for row in scores.classes],
    )
