"""Sessions over HTTP."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nabi.serving._body import read_json
from nabi.serving._deadline import Deadline
from nabi.serving._endpoint import Endpoint
from nabi.serving._models import Models

__all__ = ["STEPS", "session_endpoints"]

_OPEN = {"state": {"type": "object", "description": "What the export of a session gave, to go on from it."}}
STEPS = {"steps": {"type": "array", "description": "Steps, each a list of numbers, or codes."}}
_PATH = "/v2/models/{model}/sessions"


def session_endpoints(models: Models) -> list[Endpoint]:
    """Return the endpoints of sessions; none if no model goes step by step."""
    if all(model.sessions is None for model in models):
        return []

    async def open_session(request: Request) -> Response:
        body = await read_json(request, models.limits, _OPEN)
        # Looked up after the body has come: the model may have been replaced meanwhile.
        sessions = models.sessions(request.path_params["model"])
        session = sessions.open(body.fields.get("state"))
        return JSONResponse(sessions.described(session), 201)

    async def steps(request: Request) -> Response:
        body = await read_json(request, models.limits, STEPS)
        id = request.path_params["session"]
        sessions = models.sessions(request.path_params["model"], id)
        with sessions.held(id) as session:
            given = sessions.read(body.fields.get("steps"))
            (outputs,) = await sessions.advance([session], given, Deadline.of(request))
            return JSONResponse({"outputs": outputs.tolist(), "steps": session.steps})

    async def look(request: Request) -> Response:
        return JSONResponse(_held(request, lambda sessions, session: sessions.described(session)))

    async def export(request: Request) -> Response:
        return JSONResponse(_held(request, lambda sessions, session: sessions.export(session)))

    async def close(request: Request) -> Response:
        _held(request, lambda sessions, session: sessions.discard(session))
        return Response(status_code=204)

    def _held(request: Request, what: Any) -> Any:
        id = request.path_params["session"]
        sessions = models.sessions(request.path_params["model"], id)
        with sessions.held(id) as session:
            return what(sessions, session)

    one = _PATH + "/{session}"
    return [
        Endpoint("POST", _PATH, open_session, "Open a session.", _OPEN),
        Endpoint("POST", f"{one}/steps", steps, "Read steps; the outputs after each.", STEPS, ("steps",)),
        Endpoint("GET", one, look, "How far a session is."),
        Endpoint("GET", f"{one}/state", export, "The state, for a session on another server."),
        Endpoint("DELETE", one, close, "End a session."),
    ]
