"""One input on its way from file to files, in steps that several inputs are in at once."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition
from typing import Any

from gracile.case import Case
from gracile.data import image_checksum
from gracile.errors import DataError, GracileError, WriteError, in_words
from gracile.inference.answering import judge
from gracile.inference.given import Given, digest_of, given_for
from gracile.inference.inputs import Input
from gracile.inference.options import Options
from gracile.inference.result_files import further_files, write_found
from gracile.inference.run_folder import RunFolder
from gracile.inference.segmentation_objects import add_segmentation
from gracile.inference.start_points import start_point
from gracile.io import read_case_file
from gracile.io.predictions_file import Record
from gracile.pipeline import Pipeline
from gracile.result import Result

log = logging.getLogger(__name__)

AT_ONCE = 400_000_000
"""Bytes of images that may be under way; a larger one goes alone."""


@dataclass
class Underway:
    """An input and what is known of it by now.

    Args:
        entry: The input.
        given: What was given for it alone.
        digest: SHA-256 of all that is read for it.
        reused: Its record where it was answered before; nothing else is known then.
        bytes: Of its image.
        case: What was read; None of a video, and where that failed.
        result: What was found; likewise.
        told: What its record tells.
    """

    entry: Input
    given: Given
    digest: str
    reused: Record | None = None
    bytes: int = 0
    case: Case | None = None
    result: Result | None = None
    told: Record = field(default_factory=dict)

    def fail(self, error: Exception) -> None:
        """Leave it at why it failed."""
        if not isinstance(error, GracileError):
            log.debug("%s failed", self.entry.path, exc_info=error)
        self.case = self.result = None
        self.told = {"status": "failed", "reason": in_words(error)}

    @property
    def is_still(self) -> bool:
        """Whether it is a picture or a volume."""
        return self.entry.kind in ("picture", "volume")


class Room:
    """How much may be under way at once.

    Args:
        limit: Bytes of all images together; one that is larger goes alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._closed = False
        self._changed = Condition()

    def enter(self, bytes_: int) -> None:
        """Wait until so much more may be under way; never after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._taken or self._taken + bytes_ <= self._limit)
            self._taken += bytes_

    def leave(self, bytes_: int) -> None:
        """Give back."""
        with self._changed:
            self._taken -= bytes_
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody gives back any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Answering:
    """The steps of a run from inputs to what their records tell.

    The failure of an input is told in its record, except one to write, which ends the run.

    Args:
        pipeline: Loaded once, used for all.
        out: Folder to write to.
        options: Of the run.
        regions: Mask of the region of interest by a picture's path.
        folder: Where records of earlier runs are.
    """

    def __init__(
        self, pipeline: Pipeline, out: Path, options: Options, regions: Mapping[Path, Path], folder: RunFolder
    ) -> None:
        self.pipeline = pipeline
        self.out = out
        self.options = options
        self.regions = regions
        self.folder = folder
        self.room = Room(AT_ONCE)

    @property
    def steps(self) -> list[Callable[[Any], Underway]]:
        """What happens to an input, one after the other; several inputs may be in different steps at once."""
        return [self.read, self.find, self.judge]

    def read(self, entry: Input) -> Underway:
        """Look whether it was answered before; read it where it was not."""
        region = self.regions.get(entry.path)
        given = given_for(entry, region, self.options)
        one = Underway(entry, given, digest_of(entry, given))
        one.reused = self.folder.find(entry, one.digest)
        if one.reused is None and one.is_still:
            start = time.perf_counter()
            try:
                wanted = self.pipeline.recipe.input
                one.case = read_case_file(entry.path, entry.name, wanted, region, entry.channels)
                if self.options.near:
                    one.case.start_mm = start_point(self.options.near, entry.name)
            except Exception as error:  # what one input does must not cost the others
                one.fail(error)
            else:
                one.told["seconds"] = {"read": time.perf_counter() - start}
                one.bytes = one.case.image.nbytes
                self.room.enter(one.bytes)
        return one

    def find(self, one: Underway) -> Underway:
        """From what was read to mask and points on disk, before all that follows from them."""
        if one.case is not None:
            try:
                one.result = self.pipeline(one.case, keep_probabilities=self.options.probabilities)
                start = time.perf_counter()
                one.told["files"] = write_found(one.result, self.out, self.options.points)
                one.told["seconds"]["write"] = time.perf_counter() - start
            except WriteError:
                raise
            except Exception as error:  # as for one that is read
                one.fail(error)
        return one

    def judge(self, one: Underway) -> Underway:
        """Add all that follows from what was found: measurements, flags, further files."""
        if one.case is not None and one.result is not None:
            self._add_further(one, one.case, one.result)
        if one.reused is None:
            one.told["learned"] = self._was_learned(one)
        return one

    def watch(self, one: Underway) -> None:
        """A video from file to files, in steps of its own; in the main thread, which hears an interrupt."""
        from gracile.inference.video import predict_video  # with FFmpeg, which pictures and volumes do without

        entry = one.entry
        source = int(str(entry.path).rpartition(":")[2]) if entry.kind == "camera" else entry.path
        try:
            one.told |= predict_video(self.pipeline, source, entry.name, self.out, self.options.video)
        except WriteError:
            raise
        except Exception as error:  # as for a picture
            one.fail(error)

    def _add_further(self, one: Underway, case: Case, result: Result) -> None:
        judge(self.pipeline, case, result, self.options.measure)
        start, files, seconds = time.perf_counter(), one.told["files"], one.told["seconds"]
        for further in further_files(result):
            with result.surviving(f"writing {further.kind}"):
                further.write(self.out / further.file)
                files[further.kind] = further.file
        if self.options.dicom_seg:
            with result.surviving("writing a DICOM Segmentation"):
                files |= add_segmentation(one.entry, result, self.pipeline.recipe, self.out)
        written = seconds.pop("write") + time.perf_counter() - start
        result.seconds = {**seconds, **result.seconds, "write": written}
        one.told = {**result.summary(), "files": files}

    def _was_learned(self, one: Underway) -> bool:
        """Whether an input is one of the images that the model was trained on, whatever its name."""
        if not self.pipeline.learned_from or not one.is_still:
            return False
        try:
            kind, entry = self.pipeline.recipe.input.kind, one.entry
            return image_checksum(entry.path, kind, entry.channels) in self.pipeline.learned_from
        except (OSError, DataError):
            return False
