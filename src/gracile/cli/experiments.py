"""Commands above single runs: compare two models, tune a recipe's settings."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def compare(
    before: Annotated[str, typer.Argument(help="A shipped model's name or a bundle folder.")],
    after: Annotated[str, typer.Argument(help="Likewise, such as what was fine-tuned from the first.")],
    data: Annotated[list[Path], typer.Argument(help="Labeled data that neither was trained on.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    protocol: Annotated[str, typer.Option(help="How to score; by default as the recipe of AFTER says.")] = "",
    cases: Annotated[str, typer.Option(help="Only these cases: comma-separated ids or file stems.")] = "",
    exclude: Annotated[str, typer.Option(help="Without these cases.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Set two models side by side on the same cases: differences with intervals, OUT/index.html with both overlays."""
    from rich.console import Console

    from gracile import api

    compared = api.compare(
        before, after, data, out, protocol=protocol, cases=cases, exclude=exclude, device=device
    )  # fmt: skip
    Console().print(compared.scores.table())
    typer.echo(f"Report: {compared.report}")
