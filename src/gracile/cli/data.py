"""Commands on data: check it, write and read run lengths."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import AsJson, Loading, Setting, complete_recipe, numbers
from gracile.errors import UsageError

app = typer.Typer(help="Look at data before anything long.", no_args_is_help=True)


@app.command("check", cls=Loading)
def check(
    sources: Annotated[list[Path], typer.Argument(help="Data folders or CSV files of paths.")],
    recipe: Annotated[
        str, typer.Option(help="Recipe that names the classes.", autocompletion=complete_recipe)
    ] = "retina-av",
    settings: Setting = None,
    split: Annotated[Path | None, typer.Option(help="A split.json whose sides must share nothing.")] = None,
    as_json: AsJson = False,
) -> None:
    """List every problem of a data set at once, those that are alike as one; exit 1 when there are errors."""
    from gracile.api.checking import check_data
    from gracile.data import problem_lines
    from gracile.recipe import read_recipe

    report = check_data(sources, read_recipe(recipe, settings), split)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        lines = problem_lines(report.problems)
        for line in lines:
            typer.echo(line)
        if len(lines) < len(report.problems):
            typer.echo("With --json each problem is listed by itself.")
        typer.echo(f"Read with the recipe {recipe}.")
        typer.echo(report.summary())
    if report.errors:
        raise typer.Exit(1)


@app.command("export-rle", cls=Loading)
def export_rle(
    predictions: Annotated[Path, typer.Argument(help="Folder of masks.")],
    out: Annotated[Path, typer.Argument(help="CSV to write: img,pixels.")],
    structure: Annotated[str, typer.Option(help="Which class or tree.")],
    recipe: Annotated[
        str | None, typer.Option(help="Recipe that names the classes.", autocompletion=complete_recipe)
    ] = None,
) -> None:
    """Write masks as run lengths: column by column, counted from 1, as Kaggle takes them."""
    from gracile.data.kaggle import export_run_lengths

    typer.echo(f"{export_run_lengths(predictions, out, structure, recipe)} masks: {out}")


@app.command("import-rle", cls=Loading)
def import_rle(
    table: Annotated[Path, typer.Argument(metavar="CSV", help="Table of run lengths: img,pixels.")],
    size: Annotated[str, typer.Option(help="HEIGHT,WIDTH of the masks in pixels.")],
    out: Annotated[Path, typer.Option(help="Folder to write NAME.png to.")],
) -> None:
    """Write the masks of a table of run lengths as pictures."""
    from gracile.data.kaggle import import_run_lengths

    height, width = (int(number) for number in numbers(size, 2, "--size"))
    if min(height, width) < 1:
        raise UsageError(f"--size needs a height and a width above 0, not {size!r}.")
    typer.echo(f"{import_run_lengths(table, (height, width), out)} masks: {out}")
