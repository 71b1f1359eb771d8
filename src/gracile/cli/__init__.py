"""The command line: thin words around `gracile.api`. Nothing heavy is imported before a command runs."""

import atexit
import io
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gracile.cli import calibrating, data, evaluating, experiments, exporting, models, service, training
from gracile.cli.options import (
    EXIT_CODES,
    AsJson,
    Device,
    Loading,
    Setting,
    complete_model,
    complete_recipe,
    numbers,
)
from gracile.cli.progress import Progress, print_summary
from gracile.errors import GracileError, UsageError
from gracile.names import MODELS, RECIPES, VERSION, demo_folder


class _Interruptible(TyperGroup):
    """Says how to go on when a command is interrupted; typer would end it without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("Interrupted. Run the same command again to go on (training: with --resume).", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Interruptible,
    help="Gracile finds slender anatomy and delineates it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(training.app)
app.add_typer(evaluating.app)
app.add_typer(calibrating.app)
app.add_typer(experiments.app)
app.add_typer(exporting.app)
app.add_typer(service.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gracile {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    _State.debug = debug
    if debug:
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("gracile").setLevel(logging.DEBUG)


class _State:
    debug = False


@app.command(cls=Loading, epilog=EXIT_CODES)
def predict(
    model: Annotated[
        str, typer.Argument(help="A shipped model's name or a bundle folder.", autocompletion=complete_model)
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, volumes, DICOM series, videos, folders, quoted patterns, frames:FOLDER, camera:0."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    ensemble: Annotated[
        list[str] | None,
        typer.Option(
            help="A further model; all answer together. Repeatable.", metavar="MODEL", autocompletion=complete_model
        ),
    ] = None,
    settings: Setting = None,
    engine: Annotated[
        str, typer.Option(help="auto, openvino, onnxruntime or torch: what computes the networks.")
    ] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Of the processor, for the networks; 0: all, videos half.")] = 0,
    device: Device = "auto",
    shard: Annotated[str | None, typer.Option(help="Only this part of the inputs, e.g. 2/8.")] = None,
    fov: Annotated[Path | None, typer.Option(help="Folder of field-of-view masks.")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Also write probability maps.")] = False,
    dicom_seg: Annotated[
        bool,
        typer.Option(
            "--dicom-seg", help="DICOM inputs: also write NAME.seg.dcm; it bears the patient's data, as they do."
        ),
    ] = False,
    um_per_pixel: Annotated[float | None, typer.Option(help="Pixel size in micrometers.")] = None,
    disc: Annotated[str | None, typer.Option(help="Optic disc as ROW,COLUMN,DIAMETER in pixels.")] = None,
    levels: Annotated[
        Path | None, typer.Option(help="Vertebral levels of volumes: a label volume, or a folder of NAME.nii.gz.")
    ] = None,
    level_range: Annotated[
        str | None, typer.Option(help="Vertebral levels to measure as one, such as C2:C3; needs --levels.")
    ] = None,
    near: Annotated[
        str,
        typer.Option(help="Landmarks: look only around X,Y,Z in RAS mm, a file of points, or a folder of NAME.fcsv."),
    ] = "",
    points: Annotated[
        str, typer.Option(help="Landmarks: files to write, of mrk.json, fcsv, csv, nnlandmark.")
    ] = "mrk.json,fcsv,csv",
    overlay_opacity: Annotated[float, typer.Option(help="Videos: opacity of the overlay, 0 to 1.")] = 0.2,
    contour: Annotated[bool, typer.Option("--contour", help="Videos: draw outlines.")] = False,
    smooth: Annotated[float, typer.Option(help="Videos: half-life of smoothing over time in seconds; 0: none.")] = 0.0,
    video_format: Annotated[str, typer.Option(help="Videos: mp4 or avi.")] = "mp4",
    truth: Annotated[Path | None, typer.Option(help="Videos: folder of labels, for scores and side by side.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do not reuse what OUT holds.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no HTML report.")] = False,
    as_json: AsJson = False,
) -> None:
    """Predict into a run folder: masks, predictions.json, tables, OUT/report/index.html of all that OUT holds.

    Run after run adds to OUT; an interrupted one goes on when it is given again.
    """
    from gracile import api
    from gracile.inference import Options, Shard, VideoOptions

    measure: dict[str, Any] = {}
    if um_per_pixel is not None:
        measure["um_per_pixel"] = um_per_pixel
    if levels is not None:
        measure["levels"] = str(levels)
    if level_range is not None:
        measure["level_range"] = level_range
    if disc:
        measure["disc"] = numbers(disc, 3, "--disc")
    video = VideoOptions(overlay_opacity, contour, smooth, video_format, truth)
    formats = tuple(dict.fromkeys(part.strip() for part in points.split(",") if part.strip()))
    part = Shard.parse(shard) if shard else None
    options = Options(part, fov, probabilities, overwrite, measure, video, near, formats, dicom_seg)
    with Progress("Predicting", quiet=as_json) as progress:
        summary = api.predict(
            model, inputs, out, ensemble=ensemble or (), settings=settings or (), device=device, engine=engine,
            precision=precision,
            threads=threads, options=options, report=not no_report, progress=progress.step,
        )  # fmt: skip
    if as_json:
        typer.echo(summary.predictions.read_text(encoding="utf-8"))
    else:
        print_summary(summary)
    if summary.failed:
        raise typer.Exit(1)


@app.command(cls=Loading, epilog=EXIT_CODES)
def explain(
    model: Annotated[
        str,
        typer.Argument(
            help="A shipped model's name or a bundle folder; its recipe has a gate.", autocompletion=complete_model
        ),
    ],
    inputs: Annotated[list[str], typer.Argument(help="Pictures, volumes, folders or quoted patterns.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    method: Annotated[str, typer.Option(help="gradcam, guided or saliency.")] = "gradcam",
    layer: Annotated[str, typer.Option(help="Layer of the gate's network; by default its last one with maps.")] = "",
    target: Annotated[str, typer.Option("--class", help="Class to explain; by default the likeliest.")] = "",
    settings: Setting = None,
    device: Device = "auto",
) -> None:
    """Show what a gate looked at: heat maps over the pictures, feature maps and OUT/index.html."""
    from gracile import api

    explained = api.explain(
        model, inputs, out, method=method, layer=layer, target=target, settings=settings or (), device=device
    )
    for name, reason in explained.failed.items():
        typer.echo(f"  {name}: {reason}", err=True)
    typer.echo(f"Report: {explained.report}")
    if explained.failed:
        raise typer.Exit(1)


@app.command(cls=Loading)
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("demo-output"),
    model: Annotated[
        str,
        typer.Option(help="Which shipped model to show; all of them by default.", autocompletion=complete_model),
    ] = "",
) -> None:
    """Predict the bundled pictures, clips and volumes of the shipped models and write a report for each."""
    from gracile import api
    from gracile.inference import Options

    if model and model not in MODELS:
        raise UsageError(f"There is no shipped model {model!r}.", f"There are: {', '.join(MODELS)}.")
    failed = False
    for name in [model] if model else MODELS:
        if not MODELS[name].demo:
            typer.echo(f"{name}: {MODELS[name].summary}. It is not shown: {MODELS[name].why_no_demo}")
            continue
        pictures = demo_folder(MODELS[name].demo)
        _, credits = (pictures / "CREDITS.md").read_text(encoding="utf-8").split("\n", 1)
        typer.echo(f"{name}: {MODELS[name].summary}")
        with Progress("Predicting", quiet=False) as progress:
            summary = api.predict(
                name,
                pictures,
                out / name,
                options=Options(overwrite=True),
                credits=" ".join(credits.replace("`", "").split()),
                progress=progress.step,
            )
        print_summary(summary)
        failed = failed or bool(summary.failed)
    if failed:
        raise typer.Exit(1)


@app.command()
def recipe(
    name: Annotated[str, typer.Argument(help="A recipe's name or a .yaml file.", autocompletion=complete_recipe)],
    settings: Setting = None,
) -> None:
    """Check a recipe and print it as YAML, to start one of your own from."""
    from gracile.recipe import read_recipe, recipe_path

    chosen = read_recipe(name, settings)
    if settings or name not in RECIPES:  # the shipped ones are tested, and come at once
        from gracile.api.checking import check_recipe

        check_recipe(chosen)
    typer.echo(chosen.to_yaml() if settings else recipe_path(name).read_text(encoding="utf-8"), nl=False)


@app.command(cls=Loading)
def merge(out: Annotated[Path, typer.Argument(help="Folder with predictions.1of8.json and so on.")]) -> None:
    """Join the predictions of array jobs into one predictions.json and one report."""
    from gracile import api

    summary = api.merge(out)
    typer.echo(f"Merged: {summary.predictions}")
    typer.echo(f"Report: {summary.report}")


@app.command()
def table(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders that gracile predict wrote.")],
    out: Annotated[Path | None, typer.Option(help="CSV file to write; by default it is printed.")] = None,
    long: Annotated[bool, typer.Option("--long", help="A row for each measurement, not for each case.")] = False,
) -> None:
    """Join the tables of runs, also of different recipes; columns name each row's run and model."""
    from gracile.io.atomic import require_writable_file
    from gracile.io.run_tables import join_runs, write_rows

    if out is not None:
        require_writable_file(out)
    joined = join_runs(folders, long=long)
    if out is None:
        write_rows(sys.stdout, joined.columns, joined.rows)
    else:
        joined.write(out)


def main() -> None:
    """Run the command line; the user's own errors become one sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names of old disks need not be Unicode
    try:
        app()
    except GracileError as error:
        if _State.debug:
            raise
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)


def run() -> None:
    """The command line as a process of its own, which ends as soon as it has said all.

    Taking a Python with so many modules apart takes as long as a network does. Where PyTorch was loaded or threads are
    left, it ends in the usual way.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads and the engine's would wait for each other
    try:
        main()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None) or "torch" in sys.modules or threading.active_count() > 1:
            raise
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(ended.code or 0)
