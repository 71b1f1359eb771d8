"""Options that several commands have."""

from typing import Annotated

import typer

from gracile.errors import UsageError

EXIT_CODES = (
    "Exit codes: 0 all went well; 1 an input failed (the others are written), or the data or model named cannot be "
    "used; 2 wrong usage; 130 interrupted."
)

Setting = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def numbers(text: str, count: int, option: str) -> list[float]:
    """The numbers of an option such as ``1,2,3``. Raises UsageError."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise UsageError(f"{option} needs {count} numbers with commas between, not {text!r}.")
    return values
