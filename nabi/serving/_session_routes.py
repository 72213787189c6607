"""Sessions over HTTP and WebSocket."""

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from nabi.errors import ArgumentError
from nabi.serving._body import parsed, read_json
from nabi.serving._endpoint import Endpoint
from nabi.serving._models import Models, ServedModel
from nabi.serving._refused import RefusedError
from nabi.serving._sessions import Session, Sessions

__all__ = ["SessionSocket", "session_endpoints"]

_OPEN = {"state": {"type": "object", "description": "What the export of a session gave, to go on from it."}}
_STEPS = {"steps": {"type": "array", "description": "Steps, each a list of numbers, or codes."}}
_POLICY_VIOLATION = 1008
_PATH = "/v2/models/{model}/sessions"


def session_endpoints(models: Models) -> list[Endpoint]:
    """Return the endpoints of sessions; none if no model goes step by step."""

    async def open_session(request: Request) -> Response:
        _, sessions = _sessions(models, request.path_params["model"])
        body = await read_json(request, models.limits, _OPEN)
        session = sessions.open(body.fields.get("state"))
        return JSONResponse(sessions.described(session), 201)

    async def steps(request: Request) -> Response:
        model, sessions = _sessions(models, request.path_params["model"])
        body = await read_json(request, models.limits, _STEPS)
        with sessions.held(request.path_params["session"]) as session:
            return JSONResponse(await _advance(model, sessions, session, body.fields.get("steps")))

    async def look(request: Request) -> Response:
        _, sessions = _sessions(models, request.path_params["model"])
        with sessions.held(request.path_params["session"]) as session:
            return JSONResponse(sessions.described(session))

    async def export(request: Request) -> Response:
        _, sessions = _sessions(models, request.path_params["model"])
        with sessions.held(request.path_params["session"]) as session:
            return JSONResponse(sessions.export(session))

    async def close(request: Request) -> Response:
        _, sessions = _sessions(models, request.path_params["model"])
        with sessions.held(request.path_params["session"]) as session:
            sessions.close(session.id)
        return Response(status_code=204)

    if all(model.sessions is None for model in models):
        return []
    one = _PATH + "/{session}"
    return [
        Endpoint("POST", _PATH, open_session, "Open a session.", _OPEN),
        Endpoint("POST", f"{one}/steps", steps, "Read steps; the outputs after each.", _STEPS, ("steps",)),
        Endpoint("GET", one, look, "How far a session is."),
        Endpoint("GET", f"{one}/state", export, "The state, for a session on another server."),
        Endpoint("DELETE", one, close, "End a session."),
    ]


class SessionSocket:
    """A session as a WebSocket: the client sends `{"steps": ...}`, and gets `{"outputs": ...}`.

    The session ends with the connection. With `?session=ID` the connection goes on with an open session,
    which stays open. A message that is refused is answered with `{"error": ...}`; the session goes on.

    Args:
        models: of the server.
    """

    path = "/v2/models/{model}/stream"

    def __init__(self, models: Models) -> None:
        self._models = models

    async def answer(self, socket: WebSocket) -> None:
        """Serve one connection."""
        try:
            model, sessions = _sessions(self._models, socket.path_params["model"])
            asked = socket.query_params.get("session")
            session = sessions.open() if asked is None else None
            id = asked if session is None else session.id
            try:
                with sessions.held(id or "") as held:
                    await socket.accept()
                    await self._talk(socket, model, sessions, held)
            finally:
                if session is not None:
                    sessions.discard(session)
        except RefusedError as problem:
            await socket.close(_POLICY_VIOLATION, problem.reason[:120])
        except WebSocketDisconnect:
            pass

    async def _talk(
        self, socket: WebSocket, model: ServedModel, sessions: Sessions, session: Session
    ) -> None:
        while True:
            try:
                async with asyncio.timeout(self._models.limits.idle):
                    message = await socket.receive()
            except TimeoutError:
                await socket.close(1000, "no message came for too long")
                return
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            try:
                if text is None:
                    raise RefusedError(400, "message: expected text, got bytes")
                body = parsed(text, self._models.limits, _STEPS)
                answer = await _advance(model, sessions, session, body.fields.get("steps"))
            except (RefusedError, ArgumentError) as problem:
                answer = {"error": str(problem)}
            await socket.send_text(json.dumps(answer))


def _sessions(models: Models, name: str) -> tuple[ServedModel, Sessions]:
    model = models[name]
    if model.sessions is None:
        raise RefusedError(400, f"{model.name} has no sessions: {model.without_sessions}")
    return model, model.sessions


async def _advance(model: ServedModel, sessions: Sessions, session: Session, value: Any) -> dict[str, Any]:
    """Let a session read steps, and return the answer."""
    given = sessions.steps(value)
    found = await model.worker.answer("steps", sessions.compute, [(session, given)])
    state, outputs = found[0]
    return {"outputs": sessions.advance(session, state, outputs), "steps": session.steps}
