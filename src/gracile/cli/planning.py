"""The command that plans a training."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import Loading, Setting
from gracile.errors import UsageError

app = typer.Typer()


@app.command(cls=Loading)
def plan(
    data: Annotated[list[Path], typer.Argument(help="Data folders or CSV files of paths.")],
    out: Annotated[Path, typer.Option(help="Recipe to write; its page and a .json lie beside it.")] = Path(
        "recipe.yaml"
    ),
    minutes: Annotated[float, typer.Option(min=0, help="That a training may take in all; 0: half an hour.")] = 0,
    rules: Annotated[Path | None, typer.Option(help="A file that changes the rules.")] = None,
    cases: Annotated[str, typer.Option(help="Only these cases: comma-separated ids or file stems.")] = "",
    exclude: Annotated[str, typer.Option(help="Without these cases.")] = "",
    settings: Setting = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a recipe that is there.")] = False,
) -> None:
    """Look at a data set and write a recipe for it, with a reason beside every choice."""
    from gracile import api
    from gracile.io.atomic import require_writable_file

    if out.exists() and not force:
        raise UsageError(f"{out} is there already.", "Choose another --out, or add --force.")
    require_writable_file(out)
    made = api.plan(data, minutes=minutes, rules=rules, cases=cases, exclude=exclude, settings=settings or ())
    made.write(out)
    for warning in made.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(out.read_text(encoding="utf-8"))
    typer.echo(f"Recipe: {out}\nPage: {out.with_suffix('.html')}")
    command = ["gracile", "train", str(out), *map(str, data), "--out", "runs/mine", "--minutes", f"{made.minutes:g}"]
    typer.echo(f"Train it: {shlex.join(command)}")
