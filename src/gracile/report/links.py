"""Links from a page to files beside it."""

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote


def relative_link(target: Path, page: Path) -> str:
    """A link from a page to a file, with every odd letter escaped.

    It is relative, so that page and files can be moved together, where it leads to the file by each name of the page's
    folder: the one that was typed, and the real one where symbolic links are on the way. Else it is absolute. A target
    that is a symbolic link itself keeps its own name: that of the file it leads to may lack the suffix that a browser
    goes by.
    """
    folders = [Path(os.path.abspath(page.parent)), page.parent.resolve()]  # noqa: PTH100  resolve() follows links
    places = [Path(os.path.abspath(target)), target.parent.resolve() / target.name]  # noqa: PTH100
    with suppress(ValueError):  # another drive
        for place, own in zip(places, folders, strict=True):
            link = os.path.relpath(place, own)
            if all(_leads(folder, link, target) for folder in folders):
                return quote(os.fsencode(Path(link).as_posix()))
    return places[1].as_uri()


def _leads(folder: Path, link: str, target: Path) -> bool:
    """Whether a browser that shows a page of the folder gets from the link to the file, which must be there."""
    with suppress(OSError):  # as a browser does: steps up are taken without looking at the disk
        return Path(os.path.normpath(folder / link)).samefile(target)
    return False
