"""The commands that plan a training and train."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import BEGUN, Loading, Setting, complete_model, complete_recipe
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


@app.command(cls=Loading)
def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe's name, a .yaml file, or auto: planned for the data.", autocompletion=complete_recipe
        ),
    ],
    data: Annotated[list[Path], typer.Argument(help="Data folders or CSV files of paths.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    settings: Setting = None,
    minutes: Annotated[
        float, typer.Option(min=0, help="Wall time of the whole command; 0: as the recipe says, auto half an hour.")
    ] = 0,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start from this bundle's weights.", autocompletion=complete_model),
    ] = None,
    cases: Annotated[str, typer.Option(help="Only these cases: comma-separated ids or file stems.")] = "",
    exclude: Annotated[str, typer.Option(help="Without these cases.")] = "",
    split: Annotated[
        Path | None,
        typer.Option(help="A split.json to use instead of drawing one, or a file of folds (nnU-Net's too)."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    folds: Annotated[
        int | None,
        typer.Option(help="Train so many models, each without its part of the subjects, and join them."),
    ] = None,
    final: Annotated[bool, typer.Option("--final", help="With --folds: train one more model on all cases.")] = False,
) -> None:
    """Train a recipe on labeled cases and write OUT/bundle."""
    from gracile import api

    bundle = api.train(
        recipe,
        data,
        out,
        settings=settings or (),
        cases=cases,
        exclude=exclude,
        split=split,
        start=start,
        resume=resume,
        minutes=minutes,
        started=BEGUN,
        folds=folds,
        final=final,
        say=typer.echo,
    )
    if (out / "folds.csv").is_file():
        typer.echo(f"Scores of held-back cases: {out / 'index.html'}")
    typer.echo(f"Bundle: {bundle}")
    if final:
        typer.echo(f"Final model: {out / 'final' / 'bundle'}")
