"""A run folder: run after run writes into it, several at once too, and it holds what all of them found.

What a run has done stands in its journal at once and in ``predictions.json`` when it ends. The names of inputs are
taken under one lock, held for a moment; records are merged and pages written under another, never while a case is
computed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from gracile.errors import DataError, UsageError
from gracile.inference.inputs import Input, Shard
from gracile.inference.journal import Journal, remove_journal
from gracile.inference.run_sources import PART, Source, in_rounds, named_inputs, newest, read_sources
from gracile.inference.settings_difference import differing_settings
from gracile.io.atomic import unwritable
from gracile.io.predictions_file import HIDDEN, PREDICTIONS, Record, write_predictions
from gracile.io.run_tables import write_run_tables

Publish = Callable[[list[Record]], Path]
"""Makes a page of all records of a folder, in their order, and tells where it is."""


class RunFolder:
    """One run's way into a run folder.

    A record belongs to an input's path: the later one counts. Records of another model, or made with other settings,
    never lie in one folder.

    Args:
        out: The folder.
        settings: What the results depend on: model, recipe, options.
        shard: Part of the inputs, whose records go to ``predictions.2of8.json``; None for all.
        overwrite: Do all anew, except what a run that was to do so as well did before it was interrupted. Records made
            with other settings go when this run ends.
    """

    def __init__(
        self, out: Path, settings: dict[str, Any], shard: Shard | None = None, overwrite: bool = False
    ) -> None:
        self.out = out
        self.shard = shard
        self.part = shard.label if shard else ""
        self.target = out / (f"predictions.{self.part}.json" if shard else PREDICTIONS)
        self.settings = settings
        self.key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        self.overwrite = overwrite
        self._earlier: dict[str, Record] = {}
        self._done: dict[str, Record] = {}
        self._journal: Journal | None = None

    @contextmanager
    def taking(self, inputs: Sequence[Input]) -> Iterator[list[Input]]:
        """Take names for a run's inputs, and hold them until the block ends.

        Args:
            inputs: All inputs of the run; a shard gives those of the others too, so that all find the same names.

        Yields:
            The inputs of this part, with their names in this folder and their keys.

        Raises:
            UsageError: The folder holds predictions made with other settings, which it names.
            WriteError: It cannot be written to.
        """
        with _held(self.out, "names.lock"):
            sources = read_sources(self.out)
            self._require_one_key(sources)
            own = [source for source in sources if source.key == self.key]
            self._earlier = newest(self._reusable(own))
            named = named_inputs(inputs, own)
            mine = self.shard.part(named) if self.shard else named
            head = {
                "key": self.key, "settings": self.settings, "part": self.part, "overwrites": self.overwrite,
                "names": {entry.key: entry.name for entry in mine},
            }  # fmt: skip
            self._journal = Journal(self.out / HIDDEN, head)
            self._journal.open()
        try:
            yield mine
        finally:
            if self._journal is not None:
                self._journal.close()
                self._journal = None

    def find(self, entry: Input, digest: str) -> Record | None:
        """The record of an input that was answered before, if it is unchanged and its outputs are there."""
        record = self._earlier.get(entry.key)
        if record is None or record["sha256"] != digest or record["status"] == "failed":
            return None
        if not all((self.out / file).is_file() for file in record["files"].values()):
            return None
        return record

    def add(self, record: Record) -> None:
        """Keep a new record; it is on disk when this returns. Raises WriteError."""
        assert self._journal is not None
        self._journal.add(record)
        self.keep(record)

    def keep(self, record: Record) -> None:
        """Keep a record that was found. The order in which records are kept is theirs in the files of the folder."""
        self._done[record["path"]] = record

    def finish(self, publish: Publish | None = None) -> Path | None:
        """Merge the records of this run with those of all others, and write ``predictions.json``, tables and pages.

        A part merges with what that part did before, and writes no tables.

        Args:
            publish: Given all records, while no other run writes.

        Returns:
            The page.
        """
        assert self._journal is not None
        with _held(self.out, f"{self.part or 'pages'}.lock"):
            sources = read_sources(self.out, self._journal.path)
            own = [source for source in sources if source.key == self.key and self.part in ("", source.part)]
            mine = Source(self._journal.path, self.key, self.settings, list(self._done.values()))
            ending = self.overwrite and not self.part
            gone = [source for source in sources if ending and source.key != self.key and not source.live]
            records = _merge(self.target, own, mine, gone)
            self._journal.remove()
            self._journal = None
            return publish(records) if publish is not None else None

    def _reusable(self, own: list[Source]) -> list[Source]:
        if self.overwrite:
            return [source for source in own if source.journal and source.overwrites and not source.live]
        return own

    def _require_one_key(self, sources: list[Source]) -> None:
        """Raise UsageError when anything in the folder, parts and unfinished runs included, was made otherwise."""
        others = [source for source in sources if source.key != self.key]
        running = [source for source in others if source.live]
        if not others or (self.overwrite and not running):
            return
        differing = differing_settings((running or others)[0].settings, self.settings)
        if running:
            raise UsageError(
                f"At this moment another run writes into {self.out} with other settings: {differing}.",
                "Choose another --out, or wait.",
            )
        raise UsageError(
            f"{self.out} holds predictions with other settings: {differing}."
            if differing
            else f"{self.out} holds predictions of another model, with other settings or of another Gracile.",
            "Choose another --out, or add --overwrite.",
        )


def merge_shards(out: Path, publish: Publish | None = None) -> Path | None:
    """Join ``predictions.1of8.json`` to ``predictions.8of8.json`` and what else the folder holds into one
    ``predictions.json`` with its tables.

    Args:
        out: The run folder.
        publish: Given all records, while no other run writes.

    Returns:
        The page.

    Raises:
        DataError: A part is missing, or parts come from different models.
    """
    if not any(PART.fullmatch(path.name) for path in out.glob("predictions.*.json")):
        raise DataError(f"{out} holds no parts to merge.", "Parts are named predictions.2of8.json.")
    with _held(out, "pages.lock"):
        sources = read_sources(out)
        parts = [source for source in sources if source.part and not source.journal]
        _require_whole(parts)
        first = parts[0]
        odd = next((part for part in parts if part.key != first.key), None)
        if odd is not None:
            differing = differing_settings(first.settings, odd.settings)
            raise DataError(
                f"The parts were made by different models or settings: {differing}.", "Run the odd ones again."
            )
        target = out / PREDICTIONS
        own = [source for source in sources if source.key == first.key]
        gone = [source for source in sources if source.key != first.key and not source.live]
        records = _merge(target, own, Source(target, first.key, first.settings, []), gone)
        return publish(records) if publish is not None else None


def _require_whole(parts: list[Source]) -> None:
    """Raise DataError when a part of one of the counts is missing."""
    present = {part.path.name for part in parts}
    counts = {int(part.part.partition("of")[2]) for part in parts}
    wanted = [f"predictions.{number}of{count}.json" for count in sorted(counts) for number in range(1, count + 1)]
    missing = [name for name in wanted if name not in present]
    if missing:
        raise DataError(f"Parts are missing: {', '.join(missing)}.", "Run those jobs first.")


def _merge(target: Path, own: list[Source], mine: Source, gone: list[Source]) -> list[Record]:
    """Write the records of one model and its settings, with their tables, and remove what they make superfluous.

    Args:
        target: The file of predictions; one of a part has no tables.
        own: What lies in the folder of this model and its settings; killed runs go once their records are written.
        mine: Records in the order that they shall have behind those that the target held before.
        gone: What lies there of others, which goes with all that it names.

    Returns:
        The records that were written.
    """
    out = target.parent
    before = [source for source in own if source.path == target]
    others = in_rounds(source for source in own if source not in before)
    records = list(newest([*before, mine, *others]).values())
    write_predictions(target, mine.key, mine.settings, records)
    if target.name == PREDICTIONS:
        write_run_tables(out, records)
    for source in (*own, *gone):
        if source.journal and not source.live:
            remove_journal(source.path)
    kept = {file for record in records for file in record["files"].values()}
    running = {name for source in own if source.live and source.path != mine.path for name in source.names.values()}
    for source in gone:
        for record in source.records:
            if record["name"] not in running:
                _remove_files(out, set(record["files"].values()) - kept)
        if source.part and not source.journal:
            source.path.unlink(missing_ok=True)
    return records


def _remove_files(out: Path, files: set[str]) -> None:
    """Remove files of a run folder; never others, whatever a record names."""
    for path in (Path(file) for file in files):
        if not path.is_absolute() and ".." not in path.parts:
            (out / path).unlink(missing_ok=True)


@contextmanager
def _held(out: Path, name: str) -> Iterator[None]:
    """Hold one of the locks of a run folder."""
    lock = FileLock(out / HIDDEN / name)
    try:
        (out / HIDDEN).mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise unwritable(out, error) from error
    try:
        yield
    finally:
        lock.release()
