"""A setting that was chosen, and why."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One setting of a recipe.

    Args:
        key: Its dotted name.
        value: What it is set to.
        why: In words.
    """

    key: str
    value: Any
    why: str
