"""Whether a bundle's own table says that an engine may compute in bfloat16: its answers agree with float32's."""

from collections.abc import Mapping
from typing import Any

PIXELS, SCORE, GATES = 0.997, 0.1, 1.0
"""Share of pixels or voxels that agree at least, points by which the score differs at most, share of gate decisions."""


def row_name(engine: str, precision: str) -> str:
    """Name of an engine's row in ``card["engines"]``."""
    return f"{engine} {precision}"


def agrees(card: Mapping[str, Any], engine: str, precision: str) -> bool:
    """Whether the table of a bundle's card states that answers agree with those of float32; False without a row.

    A row has ``pixels``, the share that agrees; ``score_difference`` in points of 100; ``gates``, the share of
    decisions that agree. One of the first two it must have; a model without gates has no ``gates``.
    """
    table = card.get("engines")
    row = table.get(row_name(engine, precision)) if isinstance(table, Mapping) else None
    if not isinstance(row, Mapping):
        return False
    pixels, score, gates = (_number(row.get(name)) for name in ("pixels", "score_difference", "gates"))
    if pixels is None and score is None:
        return False
    return (
        (pixels is None or pixels >= PIXELS)
        and (score is None or abs(score) <= SCORE)
        and (gates is None or gates >= GATES)
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
