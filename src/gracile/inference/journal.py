"""What a prediction run has done so far, so that an interrupted one goes on where it stopped."""

import hashlib
import json
import os
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

from gracile.errors import DataError, UsageError
from gracile.inference.inputs import Shard
from gracile.inference.settings_difference import differing_settings
from gracile.io.atomic import write_json

FORMAT = 1
"""Version of ``predictions.json``."""

_PART = re.compile(r"predictions\.(\d+)of(\d+)\.json")


class Journal:
    """The records of a run: one line of JSON per finished input, ``predictions.json`` at the end.

    The first line holds the settings, so that a run with others can say which.

    Args:
        out: Folder of the run.
        shard: Part of the inputs, or None for all.
        settings: What the results depend on (model, recipe, options). Records made with others are not reused.
        overwrite: Start over even where the folder holds other predictions.

    Raises:
        UsageError: The folder holds predictions made with other settings, which it names.
    """

    def __init__(self, out: Path, shard: Shard | None, settings: dict[str, Any], overwrite: bool) -> None:
        part = f".{shard.label}" if shard else ""
        self.out = out
        self.target = out / f"predictions{part}.json"
        self.lines = out / f".predictions{part}.jsonl"
        self.settings = settings
        self.key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        self.records: dict[str, dict[str, Any]] = {}
        if overwrite:
            self.lines.unlink(missing_ok=True)
            return
        self._require_one_key()
        if self.target.exists():
            self.records = {record["name"]: record for record in read_predictions(self.target)["inputs"]}
        for record in _lines(self.lines):
            record.pop("key")
            if "name" in record:
                self.records[record["name"]] = record

    def find(self, name: str, digest: str) -> dict[str, Any] | None:
        """The record of an input that was answered before, if its file is unchanged and its outputs are there."""
        record = self.records.get(name)
        if record is None or record["sha256"] != digest or record["status"] == "failed":
            return None
        return record if all((self.out / file).is_file() for file in record["files"].values()) else None

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record; it is on disk when this returns. Raises DataError when it cannot be written."""
        self.records[record["name"]] = record
        lines = [] if self.lines.exists() else [{"key": self.key, "settings": self.settings}]
        lines.append({"key": self.key, **record})
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            with self.lines.open("a", encoding="utf-8") as file:
                for line in lines:
                    # The line before may have been cut off, so that each begins with a new one.
                    file.write("\n" + json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DataError(
                f"{self.lines} cannot be written: {error.strerror}.",
                "Free some space, or choose a folder that you may write to, and run it again.",
            ) from error

    def finish(self, names: list[str], model: dict[str, Any]) -> Path:
        """Write ``predictions.json`` in the order of the inputs and drop the lines."""
        content = {
            "version": FORMAT,
            "model": model,
            "key": self.key,
            "settings": self.settings,
            "inputs": [self.records[name] for name in names],
        }
        write_json(self.target, content)
        self.lines.unlink(missing_ok=True)
        return self.target

    def _require_one_key(self) -> None:
        """Raise UsageError when anything in the folder, parts and unfinished runs included, was made otherwise."""
        made = [read_predictions(path) for path in _finished(self.out)]
        made += [record for path in self.out.glob(".predictions*.jsonl") for record in _lines(path)]
        others = [content for content in made if content.get("key") != self.key]
        if not others:
            return
        known = next((content["settings"] for content in others if "settings" in content), None)
        differing = differing_settings(known, self.settings) if known is not None else ""
        raise UsageError(
            f"{self.out} holds predictions with other settings: {differing}."
            if differing
            else f"{self.out} holds predictions of another model, with other settings or of another Gracile.",
            "Choose another --out, or add --overwrite.",
        )


def _finished(out: Path) -> list[Path]:
    return [p for p in sorted(out.glob("predictions*.json")) if p.name == "predictions.json" or _PART.fullmatch(p.name)]


def _lines(path: Path) -> list[dict[str, Any]]:
    """The records of an unfinished run; a line that was cut off by a kill is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and "key" in record:
            records.append(record)
    return records


def merge_shards(out: Path) -> Path:
    """Join ``predictions.1of8.json`` to ``predictions.8of8.json`` into the ``predictions.json`` of one run over all.

    Raises:
        DataError: A part is missing, or parts come from different models.
    """
    parts = [match for path in out.iterdir() if (match := _PART.fullmatch(path.name))] if out.is_dir() else []
    if not parts:
        raise DataError(f"{out} holds no parts to merge.", "Parts are named predictions.2of8.json.")
    counts = {int(part[2]) for part in parts}
    count = max(counts)
    missing = [
        f"predictions.{n}of{count}.json"
        for n in range(1, count + 1)
        if not (out / f"predictions.{n}of{count}.json").exists()
    ]
    if len(counts) > 1 or missing:
        raise DataError(
            f"Parts are missing: {', '.join(missing) or 'parts of different counts lie together'}.",
            "Run those jobs first.",
        )
    contents = [read_predictions(out / f"predictions.{n}of{count}.json") for n in range(1, count + 1)]
    odd = next((content for content in contents if content["key"] != contents[0]["key"]), None)
    if odd is not None:
        differing = differing_settings(contents[0].get("settings", {}), odd.get("settings", {}))
        raise DataError(f"The parts were made by different models or settings: {differing}.", "Run the odd ones again.")
    rounds = zip_longest(*(content["inputs"] for content in contents))
    inputs = [record for one_of_each in rounds for record in one_of_each if record is not None]
    write_json(out / "predictions.json", {**contents[0], "inputs": inputs})
    return out / "predictions.json"


def read_predictions(path: Path) -> dict[str, Any]:
    """The content of a ``predictions.json``. Raises DataError when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Delete it and predict again.") from None
