"""The command that writes a model for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import EXIT_CODES, Loading, Setting, complete_model, completing
from gracile.export.formats import FORMATS

app = typer.Typer()

complete_format = completing({name: entry.summary for name, entry in FORMATS.items()})


@app.command(cls=Loading, epilog=EXIT_CODES)
def export(
    model: Annotated[
        str, typer.Argument(help="A shipped model's name or a bundle folder.", autocompletion=complete_model)
    ],
    to: Annotated[
        str,
        typer.Option(
            help="; ".join(f"{name}: {entry.summary}" for name, entry in FORMATS.items()),
            autocompletion=complete_format,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    cases: Annotated[
        list[Path] | None,
        typer.Option(help="Pictures, clips or folders to try it on; the model's demo by default. Repeatable."),
    ] = None,
    settings: Setting = None,
) -> None:
    """Write a model for other programs to OUT, and try it beside Gracile: a table, and OUT/parity.json.

    Fails, with the figures, where the exported model answers otherwise.
    """
    from rich.console import Console

    from gracile import api

    exported = api.export(model, to, out, cases=cases or (), settings=settings or ())
    Console().print(exported.parity.table())
    for file in exported.files:
        typer.echo(f"Wrote {file}")
