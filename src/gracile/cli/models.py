"""Commands on models: list them, import one."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import AsJson
from gracile.extensions import ALL_LOSSES, ALL_MEASURES, ALL_NETWORKS, Known
from gracile.names import MODELS, MONAI_NETWORKS, NETWORKS, PROTOCOLS, RECIPES, STUDIES, WINDOW_NETWORKS

app = typer.Typer(invoke_without_command=True)


@app.callback()
def listing(context: typer.Context, as_json: AsJson = False) -> None:
    """List the shipped models, recipes, networks, losses, measures and studies; or import a model."""
    if context.invoked_subcommand:
        return
    networks = {name: entry.summary for name, entry in NETWORKS.items()} | WINDOW_NETWORKS
    networks |= {f"monai:{name}": text for name, text in MONAI_NETWORKS.items()} | _summaries(ALL_NETWORKS)
    losses, measures = _summaries(ALL_LOSSES), _summaries(ALL_MEASURES)
    if as_json:
        content = {
            "models": [vars(model) for model in MODELS.values()], "recipes": RECIPES, "networks": networks,
            "losses": losses, "measures": measures, "protocols": PROTOCOLS, "studies": STUDIES,
        }  # fmt: skip
        typer.echo(json.dumps(content, indent=1))
        return
    for title, rows in (
        ("Models", {m.name: m.summary for m in MODELS.values()}), ("Recipes", RECIPES), ("Networks", networks),
        ("Losses", losses), ("Measures", measures), ("Studies", STUDIES),
    ):  # fmt: skip
        typer.echo(title)
        for name, text in rows.items():
            typer.echo(f"  {name:24} {text}")
    for known in (ALL_NETWORKS, ALL_LOSSES, ALL_MEASURES):
        for name, packages in known.passed_over().items():
            typer.echo(f"The {known.what} {name!r} of {' and '.join(packages)} is not used: Gracile has the name.")


def _summaries(known: Known) -> dict[str, str]:
    return {name: entry.problem() or entry.summary for name, entry in known.items()}


@app.command("import-smicnet")
def import_smicnet(
    file: Annotated[Path, typer.Argument(help="Weights of SMICNet as Keras saved them (.h5).")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    landmarks: Annotated[
        str, typer.Option(help="Names of the network's classes in their order, without the last.")
    ] = "",
) -> None:
    """Convert published SMICNet weights to a bundle; the last class is the background."""
    from gracile.learning.import_smicnet import import_smicnet

    names = [name.strip() for name in landmarks.split(",") if name.strip()]
    typer.echo(f"Bundle: {import_smicnet(file, out, names)}")
