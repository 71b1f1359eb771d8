"""Commands above single runs: compare two models, tune settings, train on more and more cases."""

from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import Device, Loading, complete_model, complete_protocol, complete_recipe, complete_study
from gracile.errors import UsageError
from gracile.names import STUDIES

app = typer.Typer()


@app.command(cls=Loading)
def compare(
    before: Annotated[
        str, typer.Argument(help="A shipped model's name or a bundle folder.", autocompletion=complete_model)
    ],
    after: Annotated[
        str,
        typer.Argument(help="Likewise, such as what was fine-tuned from the first.", autocompletion=complete_model),
    ],
    data: Annotated[list[Path], typer.Argument(help="Labeled data that neither was trained on.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    protocol: Annotated[
        str,
        typer.Option(help="How to score; by default as the recipe of AFTER says.", autocompletion=complete_protocol),
    ] = "",
    cases: Annotated[str, typer.Option(help="Only these cases: comma-separated ids or file stems.")] = "",
    exclude: Annotated[str, typer.Option(help="Without these cases.")] = "",
    device: Device = "auto",
) -> None:
    """Set two models side by side on the same cases: differences with intervals, OUT/index.html with both overlays."""
    from rich.console import Console

    from gracile import api

    compared = api.compare(
        before, after, data, out, protocol=protocol, cases=cases, exclude=exclude, device=device
    )  # fmt: skip
    Console().print(compared.scores.table())
    typer.echo(f"Report: {compared.report}")


@app.command(cls=Loading)
def tune(
    study: Annotated[
        str,
        typer.Argument(help=f"A .yaml file, or one of: {', '.join(STUDIES)}.", autocompletion=complete_study),
    ],
    data: Annotated[list[Path], typer.Argument(help="Data folders or CSV files of paths, without the test data.")],
    out: Annotated[Path, typer.Option(help="Folder of the study.")],
    recipe: Annotated[str, typer.Option(help="A recipe's name or a .yaml file.", autocompletion=complete_recipe)],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe in every trial."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start every trial from this bundle's weights.", autocompletion=complete_model),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, those of earlier calls included.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that work side by side.")] = 1,
    minutes: Annotated[float, typer.Option(min=0, help="Begin no trial after this time; 0: no limit.")] = 0,
    cases: Annotated[str, typer.Option(help="Only these cases: comma-separated ids or file stems.")] = "",
    exclude: Annotated[str, typer.Option(help="Without these cases.")] = "",
    split: Annotated[Path | None, typer.Option(help="A split.json to use instead of drawing one.")] = None,
    storage: Annotated[str, typer.Option(help="Database for the trials; by default a file in OUT.")] = "",
) -> None:
    """Try settings of a recipe: OUT/index.html, OUT/best.yaml. The same command again goes on, or joins in."""
    from gracile import api

    page = api.tune(
        study, recipe, data, out, settings=settings or (), start=start, trials=trials, workers=workers,
        minutes=minutes, cases=cases, exclude=exclude, split=split, storage=storage, say=typer.echo,
    )  # fmt: skip
    typer.echo(f"Report: {page}")
    if (out / "best.yaml").exists():
        typer.echo(f"Best setting: {out / 'best.yaml'}")


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="A study's name or a .yaml file.", autocompletion=complete_study)],
) -> None:
    """Print a study as YAML, to start one of your own from."""
    from gracile.study import study_path

    typer.echo(study_path(name).read_text(encoding="utf-8"), nl=False)


@app.command("few-shot", cls=Loading)
def few_shot(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or a .yaml file.", autocompletion=complete_recipe)],
    data: Annotated[list[Path], typer.Argument(help="Data folders or CSV files of paths, test cases included.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    test: Annotated[str, typer.Option(help="Test cases: comma-separated ids or file stems, or a .txt or .json list.")],
    shots: Annotated[str, typer.Option(help="Sizes of the training set, such as 1,3,5,12.")],
    repeats: Annotated[int, typer.Option(min=1, help="Trainings of each size.")] = 1,
    order: Annotated[
        str, typer.Option(help="Cases to train on: k shots are the first k. By default they are drawn.")
    ] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start every training from this bundle.", autocompletion=complete_model),
    ] = None,
    exclude: Annotated[str, typer.Option(help="Without these cases.")] = "",
    protocol: Annotated[
        str, typer.Option(help="How to score; by default as the recipe says.", autocompletion=complete_protocol)
    ] = "",
    device: Device = "auto",
    note: Annotated[list[str] | None, typer.Option(help="What the reports must say of the data.")] = None,
) -> None:
    """Train on more and more cases, scored each time: OUT/index.html. The same command again goes on, or adds sizes."""
    from gracile import api

    try:
        sizes = [int(part) for part in shots.split(",")]
    except ValueError:
        raise UsageError(f"--shots needs whole numbers with commas between, not {shots!r}.") from None
    curve = api.few_shot(
        recipe, data, out, test=test, shots=sizes, repeats=repeats, order=order, settings=settings or (), start=start,
        exclude=exclude, protocol=protocol, device=device, notes=note or (), say=typer.echo,
    )  # fmt: skip
    typer.echo(f"Report: {curve.report}")
