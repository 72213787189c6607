"""`nabi serve`: models behind an address."""

import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._load import CELL_HELP, load_any
from nabi.errors import ArgumentError

__all__ = ["serve"]

_KEY = "NABI_API_KEY"


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Model files, each as FILE or NAME=FILE; the name of a file is the default.",
            metavar="MODEL...",
        ),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            help=f"Key that clients must send; better in the environment, as {_KEY}.", show_default="none"
        ),
    ] = None,
    max_body: Annotated[int, typer.Option(help="Bytes of a request.", min=1)] = 8 * 1024 * 1024,
    max_steps: Annotated[int, typer.Option(help="Steps of a sequence.", min=1)] = 1_000_000,
    max_sessions: Annotated[int, typer.Option(help="Sessions of a model, open at once.", min=1)] = 1000,
    idle: Annotated[float, typer.Option(help="Seconds until an unused session expires.")] = 600.0,
    queue: Annotated[int, typer.Option(help="Requests that may wait for a model.", min=1)] = 256,
    seconds: Annotated[float, typer.Option(help="Time of a request.")] = 30.0,
    watch: Annotated[bool, typer.Option("--watch", help="Load a model again when its file changes.")] = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="Number of threads.", min=1)] = None,
) -> None:
    """Answer for models over HTTP and WebSocket, until Ctrl-C.

    Arrays by the Open Inference Protocol, texts and sound by task, and sessions that keep their state between
    steps. GET /openapi.json describes all of it.

    nabi serve reviews.nabi lines=shakespeare.nabi --port 8000
    """
    missing = [name for name in ("starlette", "uvicorn", "websockets") if find_spec(name) is None]
    if missing:
        raise ArgumentError(
            f"serve: expected {', '.join(missing)}; install it with: pip install 'nabi[serve]'"
        )
    from nabi.serving import Limits, ModelFiles, serve as serve_models
    from nabi.training import on_threads

    limits = Limits(
        body=max_body, steps=max_steps, sessions=max_sessions, idle=idle, queue=queue, seconds=seconds
    )
    loaded, paths = {}, {}
    for name, path in map(_named, models):
        if name in loaded:
            raise ArgumentError(f"MODEL: expected different names, got {name} twice; write NAME=FILE")
        loaded[name], paths[name] = load_any(path, cell or ()), path
    files = ModelFiles(paths, lambda path: load_any(path, cell or ()), watch=2.0 if watch else None)
    key = api_key if api_key is not None else os.environ.get(_KEY) or None
    # It ends by a signal, which is no failure: what is running has been answered by then.
    with on_threads(threads), suppress(KeyboardInterrupt):
        serve_models(loaded, host=host, port=port, key=key, limits=limits, files=files, ready=_ready)


def _named(given: str) -> tuple[str, Path]:
    """Return the name and the file of a model."""
    name, equals, path = given.partition("=")
    if equals and name and not Path(given).exists():
        return name, Path(path)
    return Path(given).stem.replace(" ", "-"), Path(given)


def _ready(address: str) -> None:
    typer.echo(f"{address} answers; {address}/openapi.json says what")
