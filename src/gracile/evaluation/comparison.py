"""Score folders of predictions against folders of truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gracile.errors import DataError, UsageError
from gracile.evaluation.bands import bands_held
from gracile.evaluation.by_class import class_tables, summarize_classes
from gracile.evaluation.classification import evaluate_classes
from gracile.evaluation.label_files import read_prediction, require_truths_size
from gracile.evaluation.mask_files import MaskFiles, gather, named_truths, read_truth_and_region, region_source
from gracile.evaluation.metrics import CaseScores
from gracile.evaluation.outcome import Evaluation, summarize
from gracile.evaluation.protocols import Protocol, find_protocol
from gracile.evaluation.quality_sources import ToldQualities, read_told_qualities
from gracile.evaluation.scoring_options import members_of, require_trust, scoring_options, stated_rules
from gracile.evaluation.structures import Absent
from gracile.evaluation.tables import some as _some
from gracile.evaluation.trust_outcome import ToldRun, add_trust
from gracile.io.masks import LabelClass
from gracile.io.naming import stem


def evaluate(
    predictions: Path | str | Sequence[Path | str],
    truth: Path | str | Mapping[str, Path],
    protocol: str,
    *,
    classes: Sequence[LabelClass],
    fov: Path | str | None = None,
    probabilities: Path | str | Sequence[Path | str] | None = None,
    missing: Literal["error", "worst"] = "error",
    groups: Path | str | Mapping[str, str] | None = None,
    min_area: int = 0,
    tolerance: float | None = None,
    absent: Absent | None = None,
    trust: bool = False,
    failure: float | None = None,
) -> Evaluation:
    """Score masks, whoever made them, against the truth; or classes, see `evaluate_classes`.

    Files meet by their names (see `gracile.io.pair_files`). Every truth file counts; predictions that have no truth
    are named in the notes.

    Args:
        predictions: Folder (or file) of label pictures in any coding of `read_labels` or of label volumes, or a list
            of such folders, one per run (seed): then the summary has mean and standard deviation over runs.
        truth: Folder (or file) of label pictures or volumes, or the file of each case by its name. Volumes are
            compared on the truth's grid, with distances in mm.
        protocol: Name of a protocol, e.g. ``av-multiclass``.
        classes: The classes by index, the background first.
        fov: Folder (or file) of fields of view. Where the protocol needs one and none is given, a folder ``fov`` or
            ``mask`` beside the truth folder is used.
        probabilities: Folder of ``.npz`` files with key ``probabilities`` (classes, height, width), named as the
            predictions, or a list of them, one per run.
        missing: What a missing prediction means: an error that names it, or the worst value of every score.
        groups: CSV with columns ``name`` and ``group`` (subject), or the group of each case by its name: intervals
            then resample whole groups.
        min_area: Pixels that a structure in a mask must exceed to be present; of the protocol ``classification``.
        tolerance: Of the normalized surface distance, in mm, of pictures in pixels; 1 when None.
        absent: What becomes of a structure that neither truth nor prediction has: ``leave-out`` of the means of its
            case and of its class, or ``count`` as right. The first when None; of the protocol ``segmentation``.
        trust: Whether to add how far the predicted qualities that the folders carry can be trusted, see `add_trust`.
        failure: With ``trust``: the score below which an answer is a failure.

    Raises:
        DataError: Files that are missing, unreadable, ambiguous or of another size than their truth; with ``trust``
            folders without predicted qualities.
        UsageError: An unknown protocol, an option that it does not know, or another number of probability folders than
            of runs.
    """
    rules = find_protocol(protocol)
    if rules.of_points:
        raise UsageError(f"Protocol {rules.name} scores points, not masks.", "Use evaluate_landmarks.")
    if rules.score_case is None and isinstance(truth, Mapping):
        raise UsageError(f"Protocol {rules.name} has no label files.", "Name a table or a folder.")
    run_folders = _as_list(predictions)
    _require_its_options(
        rules, fov is not None or probabilities is not None, groups is not None and not trust, min_area
    )
    require_trust(rules, trust, failure)
    options = scoring_options(rules, tolerance, absent)
    if rules.score_case is None and not isinstance(truth, Mapping):
        if isinstance(groups, Mapping):
            raise UsageError(f"Protocol {rules.name} reads groups from a table.", "Name a CSV.")
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
    told = [read_told_qualities(folder) for folder in run_folders] if trust else []
    truths = named_truths(truth)
    place = truths[0][1] if isinstance(truth, Mapping) else Path(truth)
    regions = region_source(rules, place, fov)
    files, notes = gather(run_folders, truths, regions, run_probabilities)
    lacking = sorted({case.shown for case in files for path in case.predictions if path is None})
    if lacking and missing == "error":
        raise DataError(
            f"{len(lacking)} of {len(files)} cases have no prediction: {_some(lacking)}.",
            "Predict them, or count them as worst (--missing-is-worst; in Python missing='worst').",
        )
    if lacking:
        notes.append(f"{len(lacking)} cases without prediction count with the worst value of every score")
    rows, class_rows = _rows(files, rules, classes, options)
    cases = [case.name for case in files]
    members = members_of(groups, cases)
    summary = summarize(rows, counts=rules.counts, intervals=rules.intervals, groups=members)
    evaluation = Evaluation(rules.name, len(run_folders), rows, class_rows, summary, notes, rules.headline)
    if rules.by_class:
        by_class = summarize_classes(class_rows, rules, options.get("absent", "count"), members)
        evaluation.details = {**options, "by_class": by_class}
        evaluation.tables = class_tables(by_class, rules)
        evaluation.notes += stated_rules(class_rows, options)
    if told:
        add_trust(evaluation, _told_runs(told, files, classes), members, failure)
    return evaluation


def _told_runs(
    told: Sequence[ToldQualities], files: Sequence[MaskFiles], classes: Sequence[LabelClass]
) -> list[ToldRun]:
    """What each run told of the cases, which meet it by the names of their masks."""
    runs = []
    for run, own in enumerate(told):
        names = {case.name: stem(path) for case in files if (path := case.predictions[run]) is not None}
        cases = {case: own.cases[name] for case, name in names.items() if name in own.cases}
        runs.append(ToldRun(own, cases, bands_held(files, run, cases, classes)))
    return runs


def _rows(
    files: list[MaskFiles], rules: Protocol, classes: Sequence[LabelClass], options: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A row per case (and run), and one per case (and run) and class."""
    rows: list[dict[str, Any]] = []
    class_rows: list[dict[str, Any]] = []
    for case in files:
        for run, scored in enumerate(_score(case, rules, classes, options), start=1):
            label = {"case": case.name} | ({"run": run} if len(case.predictions) > 1 else {})
            status = {"status": "missing" if case.predictions[run - 1] is None else "scored"}
            rows.append(label | status | scored.scores)
            class_rows.extend(label | row for row in scored.classes)
    return rows, class_rows


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


def _score(
    case: MaskFiles, rules: Protocol, classes: Sequence[LabelClass], options: Mapping[str, Any]
) -> list[CaseScores]:
    """Scores of one case, one for each run."""
    score_case = rules.score_case
    assert score_case is not None  # evaluate() sends protocols of classes elsewhere
    truth, region = read_truth_and_region(case, classes)
    names = [entry.name for entry in classes]
    scored = []
    for prediction_path, map_path in zip(case.predictions, case.probabilities, strict=True):
        if prediction_path is None:
            prediction = np.zeros_like(truth.values)
        else:
            prediction = read_prediction(prediction_path, classes, truth)
        maps = None
        if map_path is not None:
            maps = read_probabilities(map_path, len(classes))
            require_truths_size(map_path, maps.shape[1:], truth)
        try:
            scores = score_case(
                truth.values, prediction, names, region=region, probabilities=maps, spacing_mm=truth.spacing_mm,
                **options,
            )  # fmt: skip
        except DataError as error:
            raise DataError(f"{case.truth}: {error.message}", error.remedy) from error
        scored.append(worst_scores(scores, rules) if prediction_path is None else scores)
    return scored


def read_probabilities(path: Path, classes: int) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            maps = archive["probabilities"]
    except MemoryError:
        raise
    except Exception:  # whatever the archive, its compression or numpy meets in a damaged file
        raise DataError(
            f"{path} cannot be read as probabilities.", "It is an .npz file with the key 'probabilities'."
        ) from None
    if not isinstance(maps, np.ndarray) or maps.ndim != 3 or maps.shape[0] != classes or maps.dtype.kind != "f":
        raise DataError(
            f"{path} holds {getattr(maps, 'dtype', 'bytes')} {getattr(maps, 'shape', '')}.",
            f"Probabilities are floating-point ({classes} classes, height, width).",
        )
    return maps


def worst_scores(scores: CaseScores, rules: Protocol) -> CaseScores:
    """The scores of an empty prediction, each share replaced by its worst value, distances undefined."""

    def worst(name: str, value: Any) -> Any:
        if name == "absent":
            return type(value)(0)  # it counts, as there is no prediction to agree with
        if name in ("class", "pixels", "voxels", "weight", *rules.counts) or name.startswith(rules.sizes):
            return value
        if name.startswith(rules.distances) or (value is None and name.startswith(rules.of_some_cases)):
            return None
        return 1.0 if name.startswith(rules.lower_is_better) else 0.0

    return CaseScores(
        {name: worst(name, value) for name, value in scores.scores.items()},
        [{name: worst(name, value) for name, value in row.items()} for row in scores.classes],
    )
