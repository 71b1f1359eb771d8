"""Predict many inputs with one loaded pipeline, writing every result before the next input is read."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gracile.case import Case
from gracile.data import image_checksum
from gracile.errors import DataError, GracileError, WriteError, in_words
from gracile.inference.answering import judge
from gracile.inference.given import digest_of, given_for
from gracile.inference.inputs import Input
from gracile.inference.options import Options, find_regions, require_fitting
from gracile.inference.records import record_of
from gracile.inference.result_files import further_files, remove_earlier_files, write_found
from gracile.inference.run_folder import Publish, RunFolder
from gracile.inference.segmentation_objects import add_segmentation
from gracile.inference.start_points import start_point
from gracile.io import read_case_file
from gracile.io.predictions_file import Record
from gracile.pipeline import Pipeline
from gracile.result import Result

log = logging.getLogger(__name__)


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

    def take(self, record: Record, reused: bool) -> None:
        """Count a record."""
        if record["status"] == "failed":
            self.failed[record["name"]] = record["reason"]
            return
        (self.reused if reused else self.answered).append(record["name"])
        if record["flags"]:
            self.flagged[record["name"]] = record["flags"]
        self.notes += [note for note in record["notes"] if note not in self.notes]


Observer = Callable[[Case | None, Result | None, Record], str | None]
"""Told of each record with the case and result it came from, both None when the record was reused; may answer why it
could not show them, which is flagged then."""


def predict(
    pipeline: Pipeline,
    model: dict[str, Any],
    inputs: list[Input],
    out: Path,
    options: Options,
    observe: Observer,
    publish: Publish | None = None,
) -> Summary:
    """Predict inputs into a run folder: ``NAME.png`` each (volumes: ``NAME.nii.gz``, videos: ``NAME.mp4`` and
    ``NAME.csv``), and ``predictions.json``, ``measurements.csv`` and ``cases.csv`` of all that the folder holds.

    Args:
        pipeline: Loaded once, used for all.
        model: What identifies the model: name and checksums.
        inputs: All inputs of the run; a shard takes its part of them.
        out: Folder to write to.
        options: See there.
        observe: Called after each input, for progress and report.
        publish: Given all records of the folder in the end, to make pages of them; of a shard those of its part.

    Returns:
        The summary; a failed input does not stop the others.

    Raises:
        UsageError: A mask would be written among the inputs, ``out`` holds predictions made with other settings, or
            an option fits neither the inputs nor the recipe, see `gracile.inference.options.require_fitting`.
        RecipeError: An option of a measurement is wrong.
        WriteError: The folder cannot be written to, as when the disk is full.
        DataError: The folder of regions lacks one.
    """
    require_fitting(options, inputs, pipeline.recipe, out)
    folder = RunFolder(out, options.settings(model, pipeline.recipe), options.shard, options.overwrite)
    summary = Summary(folder.target)
    with folder.taking(inputs) as part:
        regions = find_regions(part, options.regions)
        for entry in part:
            region = regions.get(entry.path)
            given = given_for(entry, region, options)
            digest = digest_of(entry, given)
            record = folder.find(entry, digest)
            if record is not None:
                observe(None, None, record)
                summary.take(record, reused=True)
                continue
            if entry.kind in ("picture", "volume"):
                case, result, told = _answer(pipeline, entry, region, out, options)
            else:
                case, result, told = None, None, _answer_video(pipeline, entry, out, options)
            told |= {"computed": pipeline.computed, "learned": _was_learned(pipeline, entry)}
            record = record_of(entry, digest, given, told)
            folder.add(record)
            remove_earlier_files(entry, out, kept=set(record["files"].values()))
            unseen = observe(case, result, record)
            if unseen:
                record["flags"].append("its picture in the report failed")
                record["notes"].append(f"its picture in the report failed: {unseen}")
                folder.add(record)
            summary.take(record, reused=False)
        summary.report = folder.finish(publish)
    return summary


def _answer(
    pipeline: Pipeline, entry: Input, region: Path | None, out: Path, options: Options
) -> tuple[Case | None, Result | None, Record]:
    """One input from file to files, mask and points before all that follows from them.

    Its failure is told in the record, except one to write, which ends the run.
    """
    start = time.perf_counter()
    try:
        case = read_case_file(entry.path, entry.name, pipeline.recipe.input, region)
        if options.near:
            case.start_mm = start_point(options.near, entry.name)
        read = time.perf_counter() - start
        result = pipeline(case, keep_probabilities=options.probabilities)
        found = time.perf_counter()
        files = write_found(result, out, options.points)
        written = time.perf_counter() - found
    except WriteError:
        raise
    except Exception as error:  # what one picture does must not cost the others
        return None, None, _failure(entry, error)
    judge(pipeline, case, result, options.measure)
    judged = time.perf_counter()
    for further in further_files(result):
        with result.surviving(f"writing {further.kind}"):
            further.write(out / further.file)
            files[further.kind] = further.file
    if options.dicom_seg:
        with result.surviving("writing a DICOM Segmentation"):
            files |= add_segmentation(entry, result, pipeline.recipe, out)
    result.seconds = {"read": read, **result.seconds, "write": written + time.perf_counter() - judged}
    return case, result, {**result.summary(), "files": files}


def _was_learned(pipeline: Pipeline, entry: Input) -> bool:
    """Whether an input is one of the images that the model was trained on, whatever its name."""
    if not pipeline.learned_from or entry.kind not in ("picture", "volume"):
        return False
    try:
        return image_checksum(entry.path, pipeline.recipe.input.kind) in pipeline.learned_from
    except (OSError, DataError):
        return False


def _answer_video(pipeline: Pipeline, entry: Input, out: Path, options: Options) -> Record:
    """One video from file to files; its failure is told in the record."""
    from gracile.inference.video import predict_video  # with FFmpeg, which pictures and volumes do without

    source = int(str(entry.path).rpartition(":")[2]) if entry.kind == "camera" else entry.path
    try:
        return predict_video(pipeline, source, entry.name, out, options.video)
    except WriteError:
        raise
    except Exception as error:  # as for a picture
        return _failure(entry, error)


def _failure(entry: Input, error: Exception) -> Record:
    if not isinstance(error, GracileError):
        log.debug("%s failed", entry.path, exc_info=error)
    return {"status": "failed", "reason": in_words(error)}
