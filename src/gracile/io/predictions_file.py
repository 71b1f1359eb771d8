"""``predictions.json``: what is known of all inputs of a run folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gracile.errors import DataError
from gracile.io.atomic import writing

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
    "landmarks": [],
    "measurements": [],
    "marks": {},
    "clip": {},
    "flags": [],
    "notes": [],
    "files": {},
    "seconds": {},
}
"""What the record of an input tells where nothing is known; see `gracile.inference.records.record_of`."""


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
    """The content of a ``predictions.json``. Raises DataError when it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Delete it and predict again.") from None
    if not isinstance(content, dict) or not isinstance(content.get("inputs"), list):
        raise DataError(f"{path} is no record of predictions.", "Delete it and predict again.")
    return content


def _encoded(text: str) -> bytes:
    """UTF-8; what is no Unicode, as in file names of old disks, as the escape that JSON has for it."""
    return text.encode("utf-8", "backslashreplace")
