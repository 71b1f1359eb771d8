"""What belongs to one input: its files, and what was given for it alone; and the digest of all of it."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

from gracile.errors import DataError
from gracile.inference.inputs import Input
from gracile.inference.options import Options
from gracile.inference.start_points import start_point
from gracile.io import image_files, volume_parts
from gracile.io.level_volumes import levels_file
from gracile.io.pictures import sidecar_path

Given = dict[str, Any]


def given_for(entry: Input, region: Path | None, options: Options) -> Given:
    """What was given for one input, as plain data: further channels, the mask of its region, vertebral levels, optic
    disc, a point to look around, or the truth of a video.
    """
    given: Given = {"channels": list(map(str, entry.channels)) or None, "region": str(region) if region else None}
    if entry.kind == "volume":
        given |= {"levels": options.measure.get("levels"), "near": options.near or None}
    elif entry.kind == "picture":
        given["disc"] = list(options.measure["disc"]) if options.measure.get("disc") else None
    elif options.video.truth is not None:
        given["truth"] = str(options.video.truth)
    return {name: value for name, value in given.items() if value is not None}


def digest_of(entry: Input, given: Given) -> str:
    """SHA-256 of an input's files and, behind them, of those of its sidecar and of what was given for it.

    Empty when one cannot be read. What a camera sees is never the same again.
    """
    if entry.kind == "camera":
        return uuid.uuid4().hex
    whole = hashlib.sha256()
    sidecar = sidecar_path(entry.path)
    try:
        if entry.kind == "volume":
            files = [part for path in (entry.path, *entry.channels) for part in volume_parts(path)]
        else:
            files = image_files(entry.path) if entry.path.is_dir() else [entry.path, *entry.channels]
        levels = levels_file(given["levels"], entry.name) if "levels" in given else None
        files = [*files, *([Path(given["region"])] if "region" in given else []), *[sidecar] * sidecar.is_file()]
        for part in (*files, *(volume_parts(levels) if levels else [])):
            with part.open("rb") as file:
                hashlib.file_digest(file, lambda: whole)
        words: dict[str, Any] = {name: given[name] for name in ("disc", "truth") if name in given}
        if "near" in given:
            words["near"] = start_point(given["near"], entry.name).tolist()
    except (OSError, DataError):
        return ""
    if words:
        whole.update(json.dumps(words, sort_keys=True).encode())
    return whole.hexdigest()
