"""Commands that open a page: offer predictions, look at results."""

from pathlib import Path
from typing import Annotated

import typer

from gracile.cli.options import Loading, complete_model
from gracile.names import MODELS

app = typer.Typer()

Host = Annotated[str, typer.Option(help="Address to listen on; others than this machine's need a token.")]
Token = Annotated[str, typer.Option(help="What clients must show. Other users see it in the list of processes.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the token; else GRACILE_TOKEN may hold it.")]
Name = Annotated[list[str] | None, typer.Option(help="Name, or NAME:PORT, that a proxy is asked by. Repeatable.")]
RootPath = Annotated[str, typer.Option(help="Path that a proxy has put this under, such as /gracile.")]
TrustedProxies = Annotated[
    list[str] | None,
    typer.Option(help="Address or network of a proxy whose X-Forwarded-Host, -Proto and -Prefix count. Repeatable."),
]


@app.command(cls=Loading)
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Shipped names or bundle folders; all shipped ones.", autocompletion=complete_model),
    ] = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8765,
    token: Token = "",
    token_file: TokenFile = None,
    name: Name = None,
    root_path: RootPath = "",
    trusted_proxies: TrustedProxies = None,
    keep_hours: Annotated[float, typer.Option(help="How long results are kept.")] = 24.0,
    workers: Annotated[
        int, typer.Option(help="Jobs at a time, each in a process with the models; 0: as memory and cores allow.")
    ] = 0,
    waiting: Annotated[int, typer.Option(help="Jobs that may wait; further ones are refused for a while.")] = 16,
    max_upload_mb: Annotated[int, typer.Option(help="Largest upload.")] = 512,
    memory_mb: Annotated[int, typer.Option(help="Memory of each worker.")] = 8192,
    folder: Annotated[Path | None, typer.Option(help="Keep jobs here; by default in a temporary folder.")] = None,
) -> None:
    """Offer predictions on a page and to programs: drop a picture, a clip or a volume, see what was found."""
    from gracile.serve.run import serve as run_server
    from gracile.serve.settings import ServeSettings, fitting_workers, read_token

    settings = ServeSettings(
        tuple(models or MODELS), keep_hours, workers or fitting_workers(), waiting, max_upload_mb,
        job_memory_mb=memory_mb, folder=folder,
        host=host, port=port, token=read_token(token, token_file), names=tuple(name or ()), root_path=root_path,
        trusted_proxies=tuple(trusted_proxies or ()),
    )  # fmt: skip
    run_server(settings, lambda address: typer.echo(f"Open {address}  (Ctrl-C ends)"))


@app.command(cls=Loading)
def view(
    results: Annotated[Path, typer.Argument(help="Folder that gracile predict wrote.")],
    truth: Annotated[Path | None, typer.Option(help="Folder of labels or points, to set beside the results.")] = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8766,
    token: Token = "",
    token_file: TokenFile = None,
    name: Name = None,
    root_path: RootPath = "",
    trusted_proxies: TrustedProxies = None,
) -> None:
    """Look at results in a browser: layers, volumes, frames, landmarks. Changes nothing in the folder."""
    from gracile.serve.run import view as run_viewer
    from gracile.serve.settings import ListenSettings, read_token

    listen = ListenSettings(
        host=host, port=port, token=read_token(token, token_file), names=tuple(name or ()), root_path=root_path,
        trusted_proxies=tuple(trusted_proxies or ()),
    )  # fmt: skip
    run_viewer(results, truth, listen, lambda address: typer.echo(f"Open {address}  (Ctrl-C ends)"))
