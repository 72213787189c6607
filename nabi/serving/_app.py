"""The ASGI program that answers for models."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from nabi._public import public
from nabi.errors import ArgumentError
from nabi.serving._endpoint import Endpoint
from nabi.serving._guard import Guard
from nabi.serving._limits import Limits
from nabi.serving._metrics import Metrics
from nabi.serving._model_files import ModelFiles
from nabi.serving._models import Models
from nabi.serving._openapi import openapi
from nabi.serving._page import page_endpoint
from nabi.serving._protocol import protocol_endpoints
from nabi.serving._refused import RefusedError
from nabi.serving._repository import Repository
from nabi.serving._session_routes import session_endpoints
from nabi.serving._session_socket import SessionSocket
from nabi.serving._tasks import task_endpoints

__all__ = ["application", "program"]

_POLICY_VIOLATION = 1008


@public
def application(
    models: Mapping[str, Any],
    *,
    key: str | None = None,
    limits: Limits | None = None,
    files: ModelFiles | None = None,
) -> Starlette:
    """Return an ASGI program that answers for models over HTTP and WebSocket.

    `nabi serve` runs it with uvicorn; any other ASGI server can.

    Args:
        models: loaded models, by the names that clients use.
        key: an API key that clients must send; without one, only requests to 127.0.0.1, ::1 or localhost are
            answered.
        limits: what clients are granted.
        files: of the models, from which they can be loaded again while the program runs.

    Raises:
        ArgumentError: for no model, a name that cannot stand in an address, a model that cannot be asked over
            HTTP, and an empty key.

    >>> import nabi
    >>> from nabi.serving import application
    >>> model = nabi.Sequential([nabi.layers.GRU(4, input_shape=(None, 3)), nabi.layers.Dense(1)])
    >>> app = application({"gauge": model})
    """
    if key is not None and not key.strip():
        raise ArgumentError("key: expected a key of at least one character, got an empty text")
    return program(Models(models, limits or Limits()), key=key, files=files)


def program(served: Models, *, key: str | None = None, files: ModelFiles | None = None) -> Starlette:
    """Return the ASGI program for models, as `application` does."""
    metrics = Metrics(served)
    repository = Repository(served, files, key=key is not None)
    guard = Guard(None if key is None else key.strip(), metrics, served.limits)
    endpoints = [
        *protocol_endpoints(served),
        *task_endpoints(served),
        *session_endpoints(served),
        *repository.endpoints(),
        page_endpoint(),
        Endpoint("GET", "/metrics", _metrics(metrics), "Figures for Prometheus."),
    ]
    document = openapi(endpoints, key=key is not None)

    async def described(request: Request) -> Response:
        return JSONResponse(document)

    endpoints.append(Endpoint("GET", "/openapi.json", described, "This description."))
    socket = SessionSocket(served)

    async def session(connection: WebSocket) -> None:
        try:
            guard.admit(connection)
        except RefusedError as problem:
            await connection.close(_POLICY_VIOLATION, problem.reason[:120])
            return
        await socket.answer(connection)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(repository.watch())
        yield
        watching.cancel()
        await served.finish()

    routes: list[Any] = [
        Route(one.path, guard.around(one.method, one.path, one.answer, open=one.open), methods=[one.method])
        for one in endpoints
    ]
    routes.append(WebSocketRoute(socket.path, session))
    return Starlette(routes=routes, lifespan=life, exception_handlers={HTTPException: _unknown})


def _metrics(metrics: Metrics) -> Any:
    async def answer(request: Request) -> Response:
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    return answer


async def _unknown(request: Request, problem: Exception) -> Response:
    """Answer for an address or a method that there is not."""
    assert isinstance(problem, HTTPException)
    said = "there is no such address; GET /openapi.json tells which there are"
    if problem.status_code == 405:
        said = "this address does not take this method"
    return JSONResponse({"error": said}, problem.status_code, problem.headers)
