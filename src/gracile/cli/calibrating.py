"""The command that calibrates a model on a site's own cases."""

from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import EXIT_CODES, Device, Loading, complete_model, completing

app = typer.Typer()

FORMS = {
    "average": "in the mean over new people",
    "confidence": "of all people, but for a stated share of calibrations",
}


@app.command(cls=Loading, epilog=EXIT_CODES)
def calibrate(
    model: Annotated[
        str, typer.Argument(help="A shipped model's name or a bundle folder.", autocompletion=complete_model)
    ],
    data: Annotated[
        list[Path], typer.Argument(help="Labeled frames of people it has not seen: data folders or CSV files of paths.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    recall: Annotated[
        float | None, typer.Option(help="Share of the frames with the structures that shall pass; as the recipe says.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            help="; ".join(f"{name}: promised {words}" for name, words in FORMS.items()),
            autocompletion=completing(FORMS),
        ),
    ] = None,
    confidence: Annotated[float | None, typer.Option(help="Of the form confidence.")] = None,
    join: Annotated[bool, typer.Option("--join", help="Also go by the scores that the model keeps.")] = False,
    clips: Annotated[
        bool, typer.Option("--clips", help="A person's cases are frames of a clip, evenly in time: tell by the minute.")
    ] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="Also learn how good answers are; of a model without a gate, only that.")
    ] = False,
    page: Annotated[Path | None, typer.Option(help="Page to write; calibration.html beside OUT.")] = None,
    cases: Annotated[str, typer.Option(help="Only these cases: comma-separated ids or file stems.")] = "",
    exclude: Annotated[str, typer.Option(help="Without these cases.")] = "",
    device: Device = "auto",
) -> None:
    """Choose a model's thresholds anew on one's own cases, without training, and say what is promised."""
    from rich.console import Console

    from gracile import api
    from gracile.cli.progress import Progress

    with Progress("Calibrating", quiet=False) as bar:
        made = api.calibrate(
            model, data, out, recall=recall, form=form, confidence=confidence,  # type: ignore[arg-type]
            join=join, clips=clips, quality=quality, page=page, cases=cases, exclude=exclude, device=device,
            progress=lambda done, total, name: bar.step(done, total, {"name": name, "status": "looked at"}),
        )  # fmt: skip
    console = Console()
    for gate in made.gates:
        typer.echo(f"Gate {gate.name}: {' '.join(gate.sentences)}")
        if (trade := gate.trade) is not None:
            console.print(trade.table())
        if (remembering := gate.trade_on_clips) is not None:
            typer.echo("The same with the gate's memory, on clips:")
            console.print(remembering.table())
        if gate.savings is not None:
            console.print(gate.savings.table())
    if made.quality is not None:
        typer.echo(made.quality.sentence)
    typer.echo(f"Bundle: {made.bundle}" + (f"\nPage: {made.page}" if made.page else ""))
