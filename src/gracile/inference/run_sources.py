"""The files of a run folder that hold records, read and joined: predictions, those of parts, and journals."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from gracile.inference.input_names import free_name, input_key
from gracile.inference.inputs import Input
from gracile.inference.journal import read_journals
from gracile.io.predictions_file import HIDDEN, PREDICTIONS, Record, read_predictions

PART = re.compile(r"predictions\.(\d+)of(\d+)\.json")


@dataclass
class Source:
    """A file that holds records: predictions, those of a part, or a journal."""

    path: Path
    key: str
    settings: dict[str, Any]
    records: list[Record]
    names: dict[str, str] = field(default_factory=dict)
    part: str = ""
    journal: bool = False
    live: bool = False
    overwrites: bool = False


def read_sources(out: Path, own: Path | None = None) -> list[Source]:
    """All files that hold records: predictions, those of parts, then journals.

    They are read in the reverse order: a journal that goes meanwhile stands in the predictions that are read after it.
    """
    journals = []
    for j in read_journals(out / HIDDEN, own):
        records = [_with_key(record) for record in j.records]
        journals.append(Source(j.path, j.key, j.settings, records, j.names, j.part, True, j.live, j.overwrites))
    parts = [(path, match) for path in out.glob("predictions.*.json") if (match := PART.fullmatch(path.name))]
    found = []
    for path, label in [
        *((path, f"{match[1]}of{match[2]}") for path, match in sorted(parts, key=lambda part: int(part[1][1]))),
        (out / PREDICTIONS, ""),
    ]:
        if path.exists():
            content = read_predictions(path)
            head = content["key"], content["settings"]
            found.append(Source(path, *head, [_with_key(record) for record in content["inputs"]], part=label))
    return [*(source for source in found if not source.part), *(source for source in found if source.part), *journals]


def _with_key(record: Record) -> Record:
    """A record with the key of its input, which records of earlier versions and damaged ones are without."""
    return record if "path" in record else {**record, "path": input_key(Path(record.get("input") or record["name"]))}


def named_inputs(inputs: Sequence[Input], own: Iterable[Source]) -> list[Input]:
    """Inputs with their keys and names: those that they have in the folder, else ones that are free there."""
    known: dict[str, str] = {}
    for source in own:
        known |= source.names
        known |= {record["path"]: record["name"] for record in source.records}
    taken = {name: key for key, name in known.items()}
    named = []
    for entry in inputs:
        key = input_key(entry.path, entry.kind != "camera")
        if key not in known:
            known[key] = free_name(key, entry.name, taken, entry.name if entry.channels else "")
            taken[known[key]] = key
        named.append(replace(entry, name=known[key], key=key))
    return named


def newest(sources: Iterable[Source]) -> dict[str, Record]:
    """The record of each input by its key: the latest one, in the place of the first."""
    found: dict[str, Record] = {}
    for source in sources:
        for record in source.records:
            before = found.get(record["path"])
            if before is None or before.get("finished", "") <= record.get("finished", ""):
                found[record["path"]] = record
    return found


def in_rounds(sources: Iterable[Source]) -> list[Source]:
    """Sources with the records of parts dealt back into the order of the inputs: the first of each part, the second."""
    given = list(sources)
    parts = [source for source in given if source.part and not source.journal]
    rounds = zip_longest(*(part.records for part in parts))
    dealt = [record for one_of_each in rounds for record in one_of_each if record is not None]
    return [*(replace(part, records=dealt) for part in parts[:1]), *given]
