"""What a row of a table says of a frame's place in its clip."""

import math
from collections.abc import Mapping

from gracile.case import Moment
from gracile.errors import DataError

MOMENT_COLUMNS = ("clip", "frame", "time_s", "source", "weight")


def moment_of(where: str, row: Mapping[str, str | None], subject: str) -> Moment | None:
    """What a row says of when a frame was and who labeled it; None where it says nothing.

    Args:
        where: Names the row at the beginning of a sentence.
        row: Cells by column.
        subject: Whose the frame is; its clip has that name where the row gives none.

    Raises:
        DataError: A time, a number of a frame or a weight is no number, or a weight is below 0.
    """
    cells = {name: (row.get(name) or "").strip() for name in MOMENT_COLUMNS}
    if not any(cells.values()):
        return None
    time, frame, weight = (_number(where, name, cells[name]) for name in ("time_s", "frame", "weight"))
    if weight is not None and weight < 0:
        raise DataError(f"{where}: the weight {weight:g} is below 0.", "0 leaves a frame out of learning.")
    order = time if time is not None else frame if frame is not None else 0.0
    return Moment(cells["clip"] or subject, order, time, cells["source"], 1.0 if weight is None else weight)


def _number(where: str, column: str, cell: str) -> float | None:
    try:
        number = float(cell) if cell else None
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise DataError(f"{where}: {column} is {cell!r}.", "Write a number, with a point.")
    return number
