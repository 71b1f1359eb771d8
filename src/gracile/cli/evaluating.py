"""The command that scores predictions."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gracile.cli.options import EXIT_CODES, Loading, complete_model, complete_protocol, complete_recipe
from gracile.errors import UsageError
from gracile.names import PROTOCOLS

app = typer.Typer()


@app.command(cls=Loading, epilog=EXIT_CODES)
def evaluate(
    predictions: Annotated[list[Path], typer.Argument(help="Folder of masks (several: runs), then folder of labels.")],
    protocol: Annotated[str, typer.Option(help=" | ".join(PROTOCOLS), autocompletion=complete_protocol)],
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe, by name or .yaml file, that names the classes of the labels.", autocompletion=complete_recipe
        ),
    ] = None,
    fov: Annotated[Path | None, typer.Option(help="Folder of field-of-view masks.")] = None,
    probabilities: Annotated[list[Path] | None, typer.Option(help="Folder of probability maps, one per run.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the scores to this file.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the scores of each case to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report to this file, worst cases first.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, to show in the report.")] = None,
    missing_is_worst: Annotated[
        bool, typer.Option("--missing-is-worst", help="Count a missing prediction with the worst scores.")
    ] = False,
    groups: Annotated[Path | None, typer.Option(help="CSV name,group: intervals are then by group (patient).")] = None,
    min_area: Annotated[int, typer.Option(min=0, help="Pixels beyond which a mask's structure is present.")] = 0,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="MM", help="Of the normalized surface distance; of pictures in pixels [default: 1]."
        ),
    ] = None,
    absent: Annotated[
        Literal["leave-out", "count"] | None,
        typer.Option(
            help="A class that neither truth nor prediction has: left out of means (default), or counted as right.",
        ),
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(
            help="Landmarks: a model; score how it classifies windows of the truth as well.",
            autocompletion=complete_model,
        ),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Also score the predicted quality that the predictions carry.")
    ] = False,
    failure: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            help="With --trust: an answer below it, of landmarks above it in mm, is a failure [default: the worst "
            "tenth].",
        ),
    ] = None,
) -> None:
    """Score masks, classes or points against the truth: gracile evaluate PREDICTIONS... TRUTH --protocol NAME."""
    from rich.console import Console

    from gracile import api
    from gracile.io.atomic import require_writable_file

    if len(predictions) < 2:
        raise UsageError("evaluate needs two folders.", "Name the predictions, then the labels.")
    for file in filter(None, (json_file, csv_file)):
        require_writable_file(file)
    runs = predictions[:-1]
    evaluation = api.evaluate(
        runs,
        predictions[-1],
        protocol,
        recipe=recipe,
        fov=fov,
        probabilities=probabilities,
        missing="worst" if missing_is_worst else "error",
        images=images,
        report=report,
        groups=groups,
        min_area=min_area,
        windows=windows,
        tolerance=tolerance,
        absent=absent,
        trust=trust,
        failure=failure,
    )
    Console().print(evaluation.table())
    for table in evaluation.more_tables():
        Console().print(table)
    if json_file:
        evaluation.to_json(json_file)
    if csv_file:
        evaluation.to_csv(csv_file)
    if report:
        typer.echo(f"Report: {report}")
