"""Predict many inputs with one loaded pipeline, writing every result before the next input is read."""

import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gracile.case import Case
from gracile.errors import DataError, GracileError, UsageError
from gracile.inference.answering import answer
from gracile.inference.inputs import Input, Shard
from gracile.inference.journal import Journal
from gracile.inference.segmentation_objects import add_segmentation, is_dicom_input
from gracile.inference.start_points import start_point
from gracile.inference.video import VideoOptions, predict_video
from gracile.inference.volume_results import POINT_FORMATS, USUAL_POINTS, volume_result_files, write_volume_results
from gracile.io import read_case_file, volume_parts
from gracile.io.atomic import writing
from gracile.io.dicom_segmentation import SUFFIX
from gracile.io.level_volumes import levels_file
from gracile.io.masks import write_labels
from gracile.io.naming import image_files, pair_files
from gracile.io.pictures import sidecar_path
from gracile.measure import require_known_settings
from gracile.names import VERSION
from gracile.pipeline import Pipeline
from gracile.recipe import LandmarkWindowsSpec
from gracile.result import Result

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What a prediction run is asked for beside the masks.

    Args:
        shard: This job's part of the inputs.
        regions: Folder of masks of the region of interest (field of view), by name.
        probabilities: Also write ``probabilities/NAME.npz`` (volumes: ``.nii.gz``).
        overwrite: Do not reuse what the folder holds.
        measure: Settings of the measurements (`gracile.measure.SETTINGS`), e.g. ``{"um_per_pixel": 4.5}``.
        video: How videos are shown and smoothed.
        near: Where landmarks are looked for, see `gracile.inference.start_points.start_point`; empty looks everywhere.
        points: Formats that landmarks are written in, of `gracile.inference.volume_results.POINT_FORMATS`.
        dicom_seg: Also write ``NAME.seg.dcm``, a DICOM Segmentation, of inputs in DICOM.
    """

    shard: Shard | None = None
    regions: Path | None = None
    probabilities: bool = False
    overwrite: bool = False
    measure: dict[str, Any] = field(default_factory=dict)
    video: VideoOptions = field(default_factory=VideoOptions)
    near: str = ""
    points: tuple[str, ...] = USUAL_POINTS
    dicom_seg: bool = False


@dataclass
class Summary:
    """What a run did: names that were answered or reused, reasons and flags by name, notes of all, its files."""

    predictions: Path
    report: Path | None = None
    answered: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    flagged: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take_flags(self, record: dict[str, Any]) -> None:
        """Note what a reader of a record's result should know."""
        if record.get("flags"):
            self.flagged[record["name"]] = record["flags"]
        self.notes += [note for note in record.get("notes", []) if note not in self.notes]


Observer = Callable[[Case | None, Result | None, dict[str, Any]], None]
"""Told of each record with the case and result it came from; both None when the record was reused."""


def predict(
    pipeline: Pipeline, model: dict[str, Any], inputs: list[Input], out: Path, options: Options, observe: Observer
) -> Summary:
    """Predict inputs and write ``NAME.png`` each (volumes: ``NAME.nii.gz``, videos: ``NAME.mp4`` and ``NAME.csv``) and
    one ``predictions.json``.

    Args:
        pipeline: Loaded once, used for all.
        model: What identifies the model: name and checksums.
        inputs: All inputs of the run; a shard takes its part of them.
        out: Folder to write to.
        options: See there.
        observe: Called after each input, for progress and report.

    Returns:
        The summary; a failed input does not stop the others.

    Raises:
        UsageError: A mask would be written among the inputs, ``out`` holds predictions made with other settings, a
            measurement's setting is unknown, an optic disc is given for several pictures, a video's truth for pictures,
            regions for volumes, or a DICOM Segmentation is asked for where there are no masks or no input is in
            DICOM.
        DataError: A result cannot be written (full disk), or the folder of regions lacks one.
    """
    _require_fitting(inputs, out, options)
    _require_videos_for_truth(inputs, options, pipeline.recipe.protocol)
    if options.dicom_seg and not pipeline.recipe.structures:
        raise UsageError(f"The recipe {pipeline.recipe.name} gives no masks.", "Leave --dicom-seg out.")
    if options.near and not any(isinstance(spec, LandmarkWindowsSpec) for spec in pipeline.recipe.stages):
        raise UsageError(f"The recipe {pipeline.recipe.name} scans no windows around a point.", "Leave --near out.")
    part = options.shard.part(inputs) if options.shard else inputs
    settings: dict[str, Any] = {
        "gracile": VERSION,
        "model": model,
        "recipe": pipeline.recipe.model_dump(mode="json"),
        "measure": options.measure,
        "regions": str(options.regions) if options.regions else None,
        "probabilities": options.probabilities,
    }
    if options.near:
        settings["near"] = options.near
    if set(options.points) != set(USUAL_POINTS):
        settings["points"] = sorted(options.points)
    if any(entry.kind in ("video", "camera") for entry in inputs):
        settings["video"] = options.video.as_settings()
    if options.dicom_seg:
        settings["dicom_seg"] = True
    journal = Journal(out, options.shard, settings, options.overwrite)
    regions = _regions([entry for entry in part if entry.kind == "picture"], options.regions)
    summary = Summary(journal.target)
    for entry in part:
        digest = _digest(entry, regions.get(entry.path), options.measure.get("levels"))
        record = journal.find(entry.name, digest)
        if record is not None:
            summary.reused.append(entry.name)
            summary.take_flags(record)
            observe(None, None, record)
            continue
        if entry.kind in ("picture", "volume"):
            case, result, record = _answer(pipeline, entry, regions.get(entry.path), out, options)
        else:
            case, result, record = None, None, _answer_video(pipeline, entry, out, options)
        journal.add({**record, "sha256": digest})
        _remove_results(entry, out, kept=set(record["files"].values()))
        if record["status"] == "failed":
            summary.failed[entry.name] = record["reason"]
        else:
            summary.answered.append(entry.name)
            summary.take_flags(record)
        observe(case, result, record)
    summary.predictions = journal.finish([entry.name for entry in part], model)
    return summary


def _answer(
    pipeline: Pipeline, entry: Input, region: Path | None, out: Path, options: Options
) -> tuple[Case | None, Result | None, dict[str, Any]]:
    """One input from file to files; its failure becomes a record, except one to write, which ends the run."""
    base = {"name": entry.name, "input": str(entry.path), "kind": entry.kind, "files": {}}
    start = time.perf_counter()
    try:
        case = read_case_file(entry.path, entry.name, pipeline.recipe.input, region)
        if options.near:
            case.start_mm = start_point(options.near, entry.name)
        read = time.perf_counter() - start
        result = answer(pipeline, case, keep_probabilities=options.probabilities, settings=options.measure)
    except GracileError as error:
        return None, None, {**base, "status": "failed", "reason": str(error)}
    except Exception as error:  # what one picture does must not cost the others
        log.debug("%s failed", entry.path, exc_info=True)
        return None, None, {**base, "status": "failed", "reason": f"{type(error).__name__}: {error}"}
    result.seconds = {"read": read, **result.seconds}
    written = time.perf_counter()
    files = write_result(result, out, options.points)
    if options.dicom_seg:
        files |= add_segmentation(entry, result, pipeline.recipe, out)
    result.seconds["write"] = time.perf_counter() - written
    return case, result, {**base, **result.summary(), "files": files}


def _answer_video(pipeline: Pipeline, entry: Input, out: Path, options: Options) -> dict[str, Any]:
    """One video from file to files; its failure becomes a record."""
    base = {"name": entry.name, "input": str(entry.path), "kind": entry.kind, "files": {}}
    source = int(str(entry.path).rpartition(":")[2]) if entry.kind == "camera" else entry.path
    try:
        record = predict_video(pipeline, source, entry.name, out, options.video)
    except GracileError as error:
        return {**base, "status": "failed", "reason": str(error)}
    except Exception as error:  # as for a picture
        log.debug("%s failed", entry.path, exc_info=True)
        return {**base, "status": "failed", "reason": f"{type(error).__name__}: {error}"}
    return {**base, **record}


def write_result(result: Result, out: Path, points: Sequence[str] = USUAL_POINTS) -> dict[str, str]:
    """Write a result's mask, its landmarks in some formats and, when kept, its probability maps.

    Returns:
        The files by kind, relative to ``out``.
    """
    if len(result.grid.shape) == 3:
        return write_volume_results(result, out, points)
    files: dict[str, str] = {}
    if result.mask is not None:
        files["mask"] = f"{result.case_id}.png"
        write_labels(out / files["mask"], result.mask)
    maps = {**result.extras}
    if result.probabilities is not None:
        maps["probabilities"] = result.probabilities
    for kind, probabilities in maps.items():
        files[kind] = f"{kind}/{result.case_id}.npz"
        with writing(out / files[kind]) as path, path.open("wb") as file:
            np.savez_compressed(file, probabilities=probabilities.astype(np.float16))
    return files


def _remove_results(entry: Input, out: Path, kept: set[str]) -> None:
    """Take away what only an earlier run wrote for an input, so that no old file passes for a part of its answer."""
    files = [f"{entry.name}.png", *(f"{kind}/{entry.name}.npz" for kind in ("probabilities", "network_size"))]
    if entry.kind == "volume":
        files = [*volume_result_files(entry.name, out), f"{entry.name}{SUFFIX}"]
    elif entry.kind != "picture":
        files = [f"{entry.name}{suffix}" for suffix in (".mp4", ".avi", ".csv")]
    for file in set(files) - kept:
        (out / file).unlink(missing_ok=True)


def _regions(inputs: list[Input], folder: Path | None) -> dict[Path, Path]:
    if folder is None:
        return {}
    pairs = pair_files([entry.path for entry in inputs], image_files(folder))
    missing = [image.name for image, region in pairs.items() if region is None]
    if missing:
        raise DataError(f"{folder} has no mask for {', '.join(missing[:5])}.", "Leave --fov out to find it by itself.")
    return {image: region for image, region in pairs.items() if region is not None}


def _require_videos_for_truth(inputs: list[Input], options: Options, protocol: str) -> None:
    """Raise UsageError when pictures or volumes would pass a folder of truth by unscored."""
    others = [entry for entry in inputs if entry.kind not in ("video", "camera")]
    if options.video.truth is not None and others:
        raise UsageError(
            f"--truth scores the frames of videos, and {others[0].path} is a {others[0].kind}.",
            f"Predict without it, then score the masks: gracile evaluate OUT LABELS --protocol {protocol}. "
            "A folder of pictures is a video as frames:FOLDER.",
        )


def _require_fitting(inputs: list[Input], out: Path, options: Options) -> None:
    """Raise UsageError for options that do not fit the inputs.

    Masks would lie among the inputs, where they replace some or are inputs next time; or something is given that these
    inputs have not.
    """
    if out.resolve() in {entry.folder.resolve() for entry in inputs if entry.folder is not None}:
        raise UsageError(f"The masks would lie among the inputs in {out}.", "Choose another --out.")
    require_known_settings(options.measure)
    if "disc" in options.measure and len(inputs) > 1:
        raise UsageError("An optic disc belongs to one picture.", "Predict one picture, or leave the disc to be found.")
    if options.dicom_seg and not any(is_dicom_input(entry) for entry in inputs):
        raise UsageError(
            "None of the inputs is in DICOM, as a DICOM Segmentation needs them.", "Leave --dicom-seg out."
        )
    unknown = [form for form in options.points if form not in POINT_FORMATS]
    if unknown or not options.points:
        what = f"There is no format of points {unknown[0]!r}." if unknown else "No format of points is named."
        raise UsageError(what, f"Choose of: {', '.join(POINT_FORMATS)}.")
    if "levels" in options.measure and not Path(options.measure["levels"]).exists():
        raise UsageError(f"There are no vertebral levels {options.measure['levels']}.", "Check the name.")
    if options.regions and any(entry.kind == "volume" for entry in inputs):
        raise UsageError("A volume has no field of view.", "Leave --fov out.")


def _digest(entry: Input, region: Path | None, levels: str | None = None) -> str:
    """SHA-256 of an input's files and, behind them, of those of its region, its sidecar and its vertebral levels.

    Empty when one cannot be read.

    What a camera sees is never the same again.
    """
    if entry.kind == "camera":
        return uuid.uuid4().hex
    whole = hashlib.sha256()
    sidecar = sidecar_path(entry.path)
    try:
        if entry.kind == "volume":
            files = volume_parts(entry.path)
        else:
            files = image_files(entry.path) if entry.path.is_dir() else [entry.path]
        marked = levels_file(levels, entry.name) if levels else None
        named = volume_parts(marked) if marked else []
        for part in (*files, region, sidecar if sidecar.is_file() else None, *named):
            if part is not None:
                with part.open("rb") as file:
                    hashlib.file_digest(file, lambda: whole)
    except (OSError, DataError):
        return ""
    return whole.hexdigest()
