"""``predictions.json``: what is known of all inputs of a run folder."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from gracile.io.atomic import writing
from gracile.io.checksums import learned_note
from gracile.plain_data import FileName, Text, read_json

FORMAT = 1
"""Version of ``predictions.json``."""

PREDICTIONS = "predictions.json"

HIDDEN = ".gracile"
"""Folder in a run folder for what no user needs: journals, locks, drawings for the next page."""

Record = dict[str, Any]

NOTHING: Record = {
    "status": "failed",
    "reason": "",
    "gates": {},
    "gate_decisions": {},
    "agreement": None,
    "quality": None,
    "unlike": None,
    "landmarks": [],
    "measurements": [],
    "marks": {},
    "clip": {},
    "flags": [],
    "notes": [],
    "files": {},
    "seconds": {},
    "computed": {},
    "learned": False,
}
"""What the record of an input tells where nothing is known; see `gracile.inference.records.record_of`."""

_EARLIER: Record = {"sha256": "", "finished": "", **NOTHING}
"""What records of earlier versions may be without."""


class MeasurementShape(TypedDict):
    """A measurement in a record."""

    name: Text
    value: float | None
    unit: Text
    structure: Text
    note: Text


class RecordShape(TypedDict):
    """A record, as far as it is read again; further keys pass."""

    name: FileName
    input: NotRequired[FileName]
    status: Literal["found", "absent", "failed"]
    path: NotRequired[FileName]
    id: NotRequired[Text]
    kind: NotRequired[Text]
    sha256: NotRequired[Text]
    given: NotRequired[dict[Text, Any]]
    reason: NotRequired[Text]
    gates: NotRequired[dict[Text, float | None]]
    gate_decisions: NotRequired[dict[Text, Any]]
    agreement: NotRequired[float | None]
    quality: NotRequired[dict[Text, Any] | None]
    unlike: NotRequired[float | None]
    landmarks: NotRequired[list[dict[Text, Any]]]
    measurements: NotRequired[list[MeasurementShape]]
    marks: NotRequired[dict[Text, Any]]
    clip: NotRequired[dict[Text, Any]]
    flags: NotRequired[list[Text]]
    notes: NotRequired[list[Text]]
    files: NotRequired[dict[Text, FileName]]
    seconds: NotRequired[dict[Text, float | None]]
    computed: NotRequired[dict[Text, Any]]
    learned: NotRequired[bool]
    finished: NotRequired[Text]


class ModelShape(TypedDict):
    """What identifies a model."""

    name: Text


class SettingsShape(TypedDict):
    """What results depend on, as far as it is read again."""

    model: NotRequired[ModelShape]
    recipe: NotRequired[dict[Text, Any]]


class PredictionsShape(TypedDict):
    """A ``predictions.json``."""

    inputs: list[RecordShape]
    key: NotRequired[Text]
    model: NotRequired[ModelShape]
    settings: NotRequired[SettingsShape]


def write_predictions(path: Path, key: str, settings: dict[str, Any], records: Sequence[Record]) -> None:
    """Write records, one on each line, whole or not at all.

    Args:
        path: The file.
        key: Digest of the settings.
        settings: What the results depend on, the model among it.
        records: In the order that they are to have.

    Raises:
        DataError: It cannot be written.
    """
    notes = list(dict.fromkeys(note for record in records for note in record["notes"]))
    head = {"version": FORMAT, "model": settings["model"], "key": key, "settings": settings, "notes": notes}
    opening = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    with writing(path) as part, part.open("wb") as file:
        file.write(_encoded(f'{opening},\n  "inputs": ['))
        for number, record in enumerate(records):
            line = json.dumps(record, ensure_ascii=False, allow_nan=False)
            file.write(_encoded(f"{',' if number else ''}\n    {line}"))
        file.write(b"\n  ]\n}\n" if records else b"]\n}\n")


def read_predictions(path: Path) -> dict[str, Any]:
    """The content of a ``predictions.json``; what earlier versions left out is filled in.

    Raises:
        DataError: It cannot be read, or is no record of predictions.
    """
    content = read_json(path, "Delete it and predict again.", shape=PredictionsShape)
    content["inputs"] = [completed(record) for record in content["inputs"]]
    return {"key": "", "model": {"name": ""}, "settings": {}, **content}


def learned_notes(folders: Sequence[Path]) -> list[str]:
    """What must be said of the scores of run folders whose model was trained on some of their images."""
    notes = []
    for folder in folders:
        if (folder / PREDICTIONS).is_file():
            records = read_predictions(folder / PREDICTIONS)["inputs"]
            note = learned_note([bool(record["learned"]) for record in records])
            notes += [f"{folder}: {note}"] if note else []
    return notes


def channels_of(record: Mapping[str, Any]) -> tuple[Path, ...]:
    """The files of the further channels of a record's input, in the recipe's order."""
    return tuple(Path(path) for path in record.get("given", {}).get("channels") or ())


def completed(record: Record) -> Record:
    """A record with all that those of earlier versions may be without."""
    return record | {name: deepcopy(value) for name, value in _EARLIER.items() if name not in record}


def _encoded(text: str) -> bytes:
    """UTF-8; what is no Unicode, as in file names of old disks, as the escape that JSON has for it."""
    return text.encode("utf-8", "backslashreplace")
