"""Files of which never more is read than they hold: Python takes memory for all that a damaged length asks for."""

import io
import os
from pathlib import Path

USUAL = 65_536
"""Bytes that are read at once without a look at how many there are."""


class BoundedFile(io.BufferedReader):
    """A file opened for reading."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(str(path)))

    def read(self, size: int | None = -1, /) -> bytes:
        """At most ``size`` bytes, or all that are left."""
        if size is not None and size > USUAL:
            size = min(size, max(0, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)
