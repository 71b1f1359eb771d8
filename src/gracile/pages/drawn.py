"""What was drawn of cases, kept beside a run folder's page, so that the next run into it draws nothing anew."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from gracile.errors import DataError
from gracile.io import write_text
from gracile.plain_data import read_json
from gracile.report import ReportCase, ReportLayer, ReportStill

_KEPT = ("base", "layers", "figures", "stills")


class DrawnCases:
    """A folder with a file for each case whose pictures a page shows.

    A drawing belongs to one record of a case, by the time when it was finished; records without one are not kept.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, entry: ReportCase, record: Mapping[str, Any]) -> None:
        """Keep what was drawn of a case."""
        if record.get("finished"):
            drawn = {name: value for name, value in asdict(entry).items() if name in _KEPT}
            content = {"finished": record["finished"], **drawn}
            write_text(self._path(entry.id), json.dumps(content, default=lambda data: b64encode(data).decode("ascii")))

    def put_back(self, entry: ReportCase, record: Mapping[str, Any]) -> bool:
        """Give a case what was drawn of it; False where nothing was kept of this record."""
        try:
            content = read_json(self._path(entry.id), "")
            if not record.get("finished") or content["finished"] != record["finished"]:
                return False
            entry.base = b64decode(content["base"])
            entry.figures = [(caption, svg) for caption, svg in content["figures"]]
            entry.layers = [_part(ReportLayer, part) for part in content["layers"]]
            entry.stills = [_part(ReportStill, part) for part in content["stills"]]
        except (DataError, ValueError, KeyError, TypeError):  # it is drawn anew
            entry.drop_pictures()
            return False
        return True

    def retain(self, ids: Iterable[str]) -> None:
        """Remove what was kept of all other cases."""
        kept = {self._path(name) for name in ids}
        for path in self._folder.glob("*.json"):
            if path not in kept:
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _part(kind: Any, content: Mapping[str, Any]) -> Any:
    """A layer or a still as it was: bytes from their text, colors as tuples."""
    values = {}
    for each in fields(kind):
        value = content[each.name]
        values[each.name] = (
            b64decode(value) if each.type is bytes else tuple(value) if isinstance(value, list) else value
        )
    return kind(**values)
