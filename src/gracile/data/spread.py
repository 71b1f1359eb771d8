"""Which of many cases are looked at where not all can be."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def spread(items: Sequence[Item]) -> list[Item]:
    """All items in an order of which every beginning is spread evenly over them, the first one first.

    Whoever stops early has seen some of each part, such as of each hospital where cases are sorted by it. The order is
    the van der Corput sequence, positions with their binary digits reversed.
    """
    digits = max(1, (len(items) - 1).bit_length())
    positions = (int(f"{number:0{digits}b}"[::-1], 2) for number in range(2**digits))
    return [items[position] for position in positions if position < len(items)]
