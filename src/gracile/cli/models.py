"""Commands on models: list them, import one, bring one to the newest format, check what engines make of one."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import AsJson, Loading
from gracile.errors import UsageError, nearest
from gracile.extensions import ALL_LOSSES, ALL_MEASURES, ALL_NETWORKS, Known
from gracile.names import MODELS, MONAI_NETWORKS, NETWORKS, PROTOCOLS, RECIPES, STUDIES, WINDOW_NETWORKS

app = typer.Typer(invoke_without_command=True)


@app.callback()
def listing(context: typer.Context, as_json: AsJson = False) -> None:
    """List the shipped models, recipes, networks, losses, measures and studies; or import, upgrade or verify one."""
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
        ("Models", {m.name: f"{m.summary}; {m.licence}" for m in MODELS.values()}), ("Recipes", RECIPES),
        ("Networks", networks), ("Losses", losses), ("Measures", measures), ("Studies", STUDIES),
    ):  # fmt: skip
        typer.echo(title)
        for name, text in rows.items():
            typer.echo(f"  {name:24} {text}")
    for known in (ALL_NETWORKS, ALL_LOSSES, ALL_MEASURES):
        for name, packages in known.passed_over().items():
            typer.echo(f"The {known.what} {name!r} of {' and '.join(packages)} is not used: Gracile has the name.")


def _summaries(known: Known) -> dict[str, str]:
    return {name: entry.problem() or entry.summary for name, entry in known.items()}


@app.command("import-smicnet", cls=Loading)
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


@app.command(cls=Loading)
def ensemble(
    models: Annotated[list[str], typer.Argument(help="Models that answer together: names or bundle folders.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
) -> None:
    """Join models to one bundle that averages their answers; it holds a copy of each."""
    from gracile.ensemble import read_bundles, write_ensemble

    if len(models) < 2:
        raise UsageError("An ensemble has two members at least.", "Name another model.")
    typer.echo(f"Bundle: {write_ensemble(read_bundles(models), out)}")


@app.command(cls=Loading)
def upgrade(bundle: Annotated[str, typer.Argument(help="A bundle folder.")]) -> None:
    """Bring a bundle to the newest format in place: it gets graphs and golden answers, its weights stay as they are."""
    from gracile.learning.graphs import upgrade_bundle

    reasons = upgrade_bundle(bundle)
    for network, reason in reasons.items():
        typer.echo(f"{network} has no graph, so that PyTorch computes it: {reason}")
    typer.echo(f"Bundle: {bundle}")


@app.command(cls=Loading)
def verify(
    model: Annotated[str, typer.Argument(help="A shipped model's name or a bundle folder.")],
    engine: Annotated[str, typer.Option(help="One engine alone: openvino, onnxruntime or torch.")] = "",
    as_json: AsJson = False,
) -> None:
    """Compute a model's golden cases by every engine that is installed, and print the largest differences."""
    from gracile.bundle import read_bundle
    from gracile.runners.choice import ENGINES
    from gracile.runners.verify import verify as verified

    if engine and engine not in ENGINES:
        raise UsageError(f"There is no engine {engine!r}.", nearest(engine, ENGINES))
    rows = verified(read_bundle(model), [engine] if engine else [])
    if as_json:
        typer.echo(json.dumps([{**vars(row), "right": row.right} for row in rows], indent=1))
    else:
        typer.echo(f"{'stage':20} {'engine':12} {'version':12} {'numbers':10} largest difference")
        for row in rows:
            said = row.why if row.difference is None else f"{row.difference:.1e} of the range"
            judged = "" if row.right else "  WRONG"
            typer.echo(f"{row.stage:20} {row.engine:12} {row.version:12} {row.precision:10} {said}{judged}")
    if not all(row.right for row in rows):
        raise typer.Exit(1)
