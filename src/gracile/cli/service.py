"""Commands that open a page: offer predictions, look at results."""

from pathlib import Path
from typing import Annotated

import typer

from gracile.names import MODELS

app = typer.Typer()


@app.command()
def serve(
    models: Annotated[
        list[str] | None, typer.Argument(help="Shipped names or bundle folders; all shipped ones.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's need --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8765,
    token: Annotated[str, typer.Option(help="What clients must show.")] = "",
    keep_hours: Annotated[float, typer.Option(help="How long results are kept.")] = 24.0,
    workers: Annotated[int, typer.Option(help="Jobs at a time, each in a process with the models.")] = 1,
    waiting: Annotated[int, typer.Option(help="Jobs that may wait; further ones are refused for a while.")] = 16,
    max_upload_mb: Annotated[int, typer.Option(help="Largest upload.")] = 512,
    memory_mb: Annotated[int, typer.Option(help="Memory of each worker.")] = 8192,
    folder: Annotated[Path | None, typer.Option(help="Keep jobs here; by default in a temporary folder.")] = None,
) -> None:
    """Offer predictions on a page and to programs: drop a picture, a clip or a volume, see what was found."""
    from gracile.serve.run import serve as run_server
    from gracile.serve.settings import ServeSettings

    settings = ServeSettings(
        tuple(models or MODELS),
        host,
        port,
        token,
        keep_hours,
        workers,
        waiting,
        max_upload_mb,
        job_memory_mb=memory_mb,
        folder=folder,
    )
    run_server(settings, lambda address: typer.echo(f"Open {address}  (Ctrl-C ends)"))


@app.command()
def view(
    results: Annotated[Path, typer.Argument(help="Folder that gracile predict wrote.")],
    truth: Annotated[Path | None, typer.Option(help="Folder of labels or points, to set beside the results.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; this machine's alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8766,
) -> None:
    """Look at results in a browser: layers, volumes, frames, landmarks. Changes nothing in the folder."""
    from gracile.serve.run import view as run_viewer

    run_viewer(results, host, port, truth, lambda address: typer.echo(f"Open {address}  (Ctrl-C ends)"))
