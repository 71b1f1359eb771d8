"""The errors a user may meet. Each says what is wrong and what to do about it."""

import difflib
from collections.abc import Iterable


class GracileError(Exception):
    """Something the user can mend.

    Args:
        message: What is wrong, in one sentence.
        remedy: What to do about it, in one sentence; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


class DataError(GracileError):
    """A file, folder or label that cannot be used as it is."""


class RecipeError(GracileError):
    """A recipe or setting that makes no sense."""

    exit_code = 2


class BundleError(GracileError):
    """A trained bundle that is absent, damaged or made for something else."""


class GeometryError(GracileError):
    """Grids, spacings or coordinate systems that do not fit together."""


class UsageError(GracileError):
    """A command that was called in a way that cannot work."""

    exit_code = 2


def nearest(word: str, words: Iterable[str]) -> str:
    """A remedy for a word that is not known: the nearest ones, or, where none is near, all that there are."""
    known = list(dict.fromkeys(words))
    folded = {one.casefold(): one for one in reversed(known)}
    close = difflib.get_close_matches(word.casefold(), folded, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(folded[one] for one in close)}?"
    return f"There are: {', '.join(known)}." if known else "There are none."
