"""Checksums of files, by which a case is known again wherever it lies."""

import hashlib
from collections.abc import Sequence
from pathlib import Path


def file_checksum(*paths: Path) -> str:
    """SHA-256 of the content of a file, or of several one after another. Raises OSError."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: whole)
    return whole.hexdigest()


def learned_note(learned: Sequence[bool]) -> str:
    """What must be said of scores where a model was trained on some of the cases; empty where on none."""
    if not any(learned):
        return ""
    return (
        f"{sum(learned)} of {len(learned)} cases were among the images that the model was trained on: "
        "their scores say nothing of new ones"
    )
