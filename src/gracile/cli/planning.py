"""The command that plans a training."""

from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import Loading

app = typer.Typer()


@app.command(cls=Loading)
def plan(
    data: Annotated[list[Path], typer.Argument(help="Data folders or CSV files of paths.")],
    out: Annotated[Path, typer.Option(help="Recipe to write; plan.json and plan.html lie beside it.")] = Path(
        "recipe.yaml"
    ),
    minutes: Annotated[float, typer.Option(min=0, help="That a training may take in all; 0: half an hour.")] = 0,
    rules: Annotated[Path | None, typer.Option(help="A file that changes the rules.")] = None,
) -> None:
    """Look at a data set and write a recipe for it, with a reason beside every choice."""
    from gracile import api
    from gracile.io.atomic import require_writable_file

    require_writable_file(out)
    made = api.plan(data, minutes=minutes, rules=rules)
    made.write(out)
    for warning in made.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(out.read_text(encoding="utf-8"))
    typer.echo(f"Recipe: {out}\nPage: {out.with_name('plan.html')}")
    typer.echo(f"Train it: gracile train {out} {' '.join(map(str, data))} --out runs/mine --minutes {made.minutes:g}")
