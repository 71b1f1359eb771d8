"""Where an engine keeps what it made of a graph: in the user's cache folder, bounded, and never needed."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from gracile.names import cache_root

LARGEST = 500_000_000
"""Bytes above which what was used longest ago is removed."""


def cache_for(engine: str, version: str, key: str, largest: int = LARGEST) -> Path | None:
    """The folder in which an engine of a version keeps one graph; None where nothing can be kept.

    Makes room first: folders of graphs that were asked for longest ago are removed until all together are small enough.

    Args:
        engine: Its name.
        version: Of its library; another one keeps its own.
        key: Tells graphs apart.
        largest: Bytes of all folders together.
    """
    try:
        root = cache_root()
        own = root / f"{engine}-{version}" / key
        own.mkdir(parents=True, exist_ok=True)
        os.utime(own)  # it was asked for now
        if not os.access(own, os.W_OK):
            return None
        _make_room(root, engine, own, largest)
    except (OSError, RuntimeError):  # Path.home knows no home
        return None
    return own


def _make_room(root: Path, engine: str, own: Path, largest: int) -> None:
    folders = [folder for folder in root.glob(f"{engine}-*/*") if folder.is_dir()]
    sizes = {folder: _size(folder) for folder in folders}
    total = sum(sizes.values())
    for folder in sorted(folders, key=lambda one: one.stat().st_mtime):
        if total <= largest:
            break
        if folder != own:
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]
            with suppress(OSError):  # the last one of an older version
                folder.parent.rmdir()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def forget(folder: Path) -> None:
    """Remove what an engine kept, which turned out to be of no use."""
    shutil.rmtree(folder, ignore_errors=True)
