"""What the viewer has drawn so far, of bounded size: what was not looked at for longest goes first."""

import shutil
from collections import OrderedDict
from pathlib import Path

_MOST_BYTES = 2 * 2**30
_MOST_FOLDERS = 5000


class DrawnCases:
    """The folders of drawn cases.

    Args:
        folder: Where they lie.
        most_bytes: Their size together; beyond it the oldest are deleted, all but the last two.
        most_folders: Their number, likewise.
    """

    def __init__(self, folder: Path, most_bytes: int = _MOST_BYTES, most_folders: int = _MOST_FOLDERS) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._most_folders = most_folders
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def place(self, kind: str, index: int) -> Path:
        """The folder of a kind of drawing of a case; used now."""
        name = f"{kind}-{index}"
        if name in self._sizes:
            self._sizes.move_to_end(name)
        return self._folder / name

    def keep(self, place: Path) -> None:
        """Count a folder that was drawn, and delete what is too much."""
        self._sizes[place.name] = sum(path.stat().st_size for path in place.iterdir())
        self._sizes.move_to_end(place.name)
        while len(self._sizes) > 2 and (
            len(self._sizes) > self._most_folders or sum(self._sizes.values()) > self._most_bytes
        ):
            name, _ = self._sizes.popitem(last=False)
            shutil.rmtree(self._folder / name, ignore_errors=True)
