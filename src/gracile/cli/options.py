"""Options that several commands have."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from gracile.errors import UsageError
from gracile.names import MODELS, PROTOCOLS, RECIPES, STUDIES

BEGUN = time.monotonic()
"""When the command began, but for the start of Python itself."""

EXIT_CODES = (
    "Exit codes: 0 all went well; 1 an input failed (the others are written), or the data or model named cannot be "
    "used; 2 wrong usage; 130 interrupted."
)

Complete = Callable[[str], list[tuple[str, str]]]


def completing(names: Mapping[str, str]) -> Complete:
    """What a shell offers for names with their summaries; where none begins so, it offers files."""

    def offered(incomplete: str) -> list[tuple[str, str]]:  # typer goes by the parameter's name
        return [(name, summary) for name, summary in names.items() if name.startswith(incomplete)]

    return offered


complete_model = completing({name: model.summary for name, model in MODELS.items()})
complete_recipe = completing(RECIPES)
complete_study = completing(STUDIES)
complete_protocol = completing(PROTOCOLS)
complete_device = completing({"auto": "", "cpu": "", "cuda": ""})

Setting = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.", autocompletion=complete_device)]


def numbers(text: str, count: int, option: str) -> list[float]:
    """The numbers of an option such as ``1,2,3``. Raises UsageError."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise UsageError(f"{option} needs {count} numbers with commas between, not {text!r}.")
    return values


class Loading(TyperCommand):
    """A command that loads for a while before it can tell anything: says so at once to whoever sits at a terminal."""

    def invoke(self, ctx: Any) -> Any:
        if sys.stderr.isatty():
            typer.echo("Loading ...", err=True)
        return super().invoke(ctx)
