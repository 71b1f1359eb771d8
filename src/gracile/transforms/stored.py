"""Arrays that stay in their files: memory holds what is read of them, whatever the number of cases."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError


class StoredArray:
    """An array in a ``.npy`` file, mapped anew whenever it is read.

    It holds neither memory nor an open file, and goes to another process as a path.

    Args:
        path: The file.

    Raises:
        DataError: It is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            mapped = self._mapped()
        except MemoryError:
            raise
        except Exception:  # whatever numpy meets in a damaged header
            raise DataError(f"{path} is damaged.", "Delete it: it is made anew.") from None
        self.shape: tuple[int, ...] = mapped.shape
        self.dtype = mapped.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._mapped()[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._mapped(), dtype=dtype, copy=copy)

    def _mapped(self) -> np.ndarray:
        return np.lib.format.open_memmap(self.path, mode="r")


Array = np.ndarray | StoredArray
"""In memory, or in a file."""

Keep = Callable[[str, Callable[[], np.ndarray]], Array]
"""Gives what was made under a name before, or makes it and keeps it."""


def keep_nothing(name: str, make: Callable[[], np.ndarray]) -> Array:
    """Makes it each time, in memory."""
    return make()
