"""What a loaded model answers: a result that shows itself and writes itself."""

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from gracile.api.arguments import checked
from gracile.case import Case
from gracile.errors import DataError
from gracile.inference.result_files import write_result
from gracile.io.run_tables import measurement_rows
from gracile.recipe import Recipe
from gracile.report import case_overlay, is_drawn
from gracile.report.wording import NOTICE, number
from gracile.result import Result

_LONGEST = 900
"""Longer side in pixels of the picture in a notebook."""


@dataclass(repr=False)
class Answer(Result):
    """A result with the case it belongs to and the recipe that it was found by; a notebook shows its picture.

    Args:
        case: What was looked at.
        recipe: What was looked for.
    """

    case: Case = field(kw_only=True)
    recipe: Recipe = field(kw_only=True)

    @classmethod
    def of(cls, result: Result, case: Case, recipe: Recipe) -> "Answer":
        """A result with its case and its recipe."""
        return cls(**vars(result), case=case, recipe=recipe)

    def overlay(self) -> Image.Image:
        """The picture with the classes laid over it, at its own size; of a volume a sheet of views.

        Raises:
            DataError: There is nothing to draw, as a recipe of gates alone finds no place.
        """
        if not is_drawn(self):
            raise DataError(f"{self.case_id}: there is nothing to draw.", self.reason)
        colors = [spec.color for spec in self.recipe.classes]
        return Image.open(BytesIO(case_overlay(self.case, self, colors)))

    def table(self) -> list[dict[str, Any]]:
        """The measurements as rows of ``measurements.csv``; ``pandas.DataFrame(result.table())`` makes a data frame."""
        return measurement_rows(self.case_id, [vars(measurement) for measurement in self.measurements])

    @checked
    def save(self, folder: str | Path) -> list[Path]:
        """Write mask, points, tables and kept probabilities as ``gracile predict`` writes them.

        Args:
            folder: Made where it is not there.

        Returns:
            What was written.

        Raises:
            DataError: A file cannot be written.
            UsageError: The folder is no path.
        """
        return [Path(folder) / file for file in write_result(self, Path(folder)).values()]

    def __repr__(self) -> str:
        said = f"{self.status}: {self.reason}" if self.reason else self.status
        flags = f", {len(self.flags)} flags" if self.flags else ""
        return f"<{type(self).__name__} {self.case_id}, {self.recipe.name}, {said}{flags}>"

    def _repr_html_(self) -> str:
        parts = [f"<b>{escape(self.case_id)}</b>: {escape(f'{self.status} {self.reason}'.strip())}"]
        parts += [f"<div>&#9888; {escape(flag)}</div>" for flag in self.flags]
        if is_drawn(self):
            parts.append(
                f'<img alt="{escape(self.case_id)} with what was found" src="{_data_address(self.overlay())}">'
            )
        rows = [
            f"<tr><td>{escape(m.structure)}</td><td>{escape(m.name)}</td><td>{number(m.value)}</td>"
            f"<td>{escape(m.unit)}</td><td>{escape(m.note)}</td></tr>"
            for m in self.measurements
        ]
        heads = "".join(f"<th>{name}</th>" for name in ("structure", "measure", "value", "unit", "note"))
        parts.append(f"<table><tr>{heads}</tr>{''.join(rows)}</table>" if rows else "")
        parts += [f"<small>{escape(note)}</small><br>" for note in (*self.notes, NOTICE)]
        return "\n".join(part for part in parts if part)


def _data_address(picture: Image.Image) -> str:
    small = picture.convert("RGB")
    small.thumbnail((_LONGEST, _LONGEST))
    buffer = BytesIO()
    small.save(buffer, format="JPEG", quality=88)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode('ascii')}"
