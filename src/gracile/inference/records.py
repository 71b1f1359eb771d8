"""The record of an input: all that ``predictions.json`` tells of it, with the same keys however it went."""

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gracile.inference.inputs import Input
from gracile.io.predictions_file import NOTHING, Record


def record_of(entry: Input, digest: str, given: Mapping[str, Any], told: Mapping[str, Any]) -> Record:
    """The record of an input.

    Numbers that are none (NaN, infinite) become None, which is flagged, as JSON has no word for them.

    Args:
        entry: The input, with its name in the run folder.
        digest: SHA-256 of all that was read for it.
        given: What was given for this input alone, such as its vertebral levels.
        told: What is known of it, by keys of a record; the others tell that nothing is.

    Returns:
        Plain data. ``finished`` is the time in UTC: of two records of one input the later one counts.
    """
    record = {
        "name": entry.name,
        "id": entry.name,
        "input": str(entry.path),
        "path": entry.key,
        "kind": entry.kind,
        "sha256": digest,
        "given": given,
        **deepcopy(NOTHING),
        **told,
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    flags: list[str] = []
    measurements = [_finite(dict(measurement), flags.append) for measurement in record.pop("measurements")]
    plain = _plain(record, "", lambda place: flags.append(f"{place} is not a number"))
    plain["flags"] += dict.fromkeys(flags)
    return {**plain, "measurements": measurements}


def _finite(measurement: Record, flag: Callable[[str], None]) -> Record:
    """A measurement whose value is a number, or None with a note."""
    value = measurement["value"]
    if value is None or math.isfinite(value):
        return {**measurement, "value": value.item() if isinstance(value, np.generic) else value}
    flag(f"{' '.join(filter(None, (measurement['structure'], measurement['name'])))} is not a number")
    return {**measurement, "value": None, "note": "; ".join(filter(None, (measurement["note"], "not a number")))}


def _plain(value: Any, place: str, tell: Callable[[str], None]) -> Any:
    """A value as JSON knows it; what was no number is told by its place."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(one, f"{place} {key}".lstrip(), tell) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, place, tell) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        tell(place)
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
