"""A server process: uvicorn with a bound on connections, that ends gracefully."""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn

from nabi._public import public
from nabi.errors import ArgumentError
from nabi.serving._app import application
from nabi.serving._guard import LOCAL
from nabi.serving._limits import Limits
from nabi.serving._model_files import ModelFiles

__all__ = ["serve"]

_GRACE = 5  # seconds beyond the time of a request


@public
def serve(
    models: Mapping[str, Any],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    key: str | None = None,
    limits: Limits | None = None,
    files: ModelFiles | None = None,
    ready: Callable[[str], Any] | None = None,
) -> None:
    """Answer for models until the process is asked to end, by Ctrl-C or SIGTERM; what runs is finished.

    Args:
        models, key, limits, files: as `application` takes them.
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        ready: called with the server's address as soon as it listens.

    Raises:
        ArgumentError: as `application`; for another host than this machine without a key, and for an address
            that cannot be listened on.
    """
    limits = limits or Limits()
    if host not in LOCAL and key is None:
        raise ArgumentError(f"host: expected an API key where others can connect, got none with {host}")
    app = application(models, key=key, limits=limits, files=files)
    listening = _listen(host, port)
    name = f"[{host}]" if ":" in host else host
    if ready is not None:
        ready(f"http://{name}:{listening.getsockname()[1]}")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=int(limits.seconds) + _GRACE,
        h11_max_incomplete_event_size=64 * 1024,
        ws_max_size=limits.body,
        ws="websockets-sansio",
        http="h11",
    )
    with listening:
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio has answers sent at once; else the system waits up to 40 ms for more.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(1024)
    except (OSError, OverflowError) as problem:
        found.close()
        said = problem.strerror if isinstance(problem, OSError) else "it is no port"
        raise ArgumentError(f"port: expected an address to listen on, got {host}:{port}: {said}") from None
    return found
