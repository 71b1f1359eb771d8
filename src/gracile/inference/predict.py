"""Predict many inputs with one loaded pipeline, several under way at once, kept and shown in their order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gracile.case import Case
from gracile.inference.conveyor import Conveyor
from gracile.inference.inputs import Input
from gracile.inference.options import Options, find_regions, require_fitting
from gracile.inference.records import record_of
from gracile.inference.result_files import remove_earlier_files
from gracile.inference.run_folder import Publish, RunFolder
from gracile.inference.underway import Answering, Underway
from gracile.io.predictions_file import Record
from gracile.pipeline import Pipeline
from gracile.result import Result

WAITING = 1
"""Inputs that may wait between two steps."""


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
        answering = Answering(pipeline, out, options, find_regions(part, options.regions), folder)
        with Conveyor[Underway](part, answering.steps, WAITING) as conveyor:
            try:
                for one in conveyor:
                    if one.reused is None and not one.is_still:
                        answering.watch(one)
                    summary.take(_keep(one, pipeline, folder, observe), reused=one.reused is not None)
                    answering.room.leave(one.bytes)
            finally:
                answering.room.close()
        summary.report = folder.finish(publish)
    return summary


def _keep(one: Underway, pipeline: Pipeline, folder: RunFolder, observe: Observer) -> Record:
    """Keep the record of an input, and let it be shown."""
    if one.reused is not None:
        folder.keep(one.reused)
        observe(None, None, one.reused)
        return one.reused
    record = record_of(one.entry, one.digest, one.given, {**one.told, "computed": pipeline.computed})
    folder.add(record)
    remove_earlier_files(one.entry, folder.out, kept=set(record["files"].values()))
    unseen = observe(one.case, one.result, record)
    if unseen:
        record["flags"].append("its picture in the report failed")
        record["notes"].append(f"its picture in the report failed: {unseen}")
        folder.add(record)
    return record
