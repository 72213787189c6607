"""What stands before all routes: who may ask, what is counted, and what an error tells."""

import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from nabi.errors import ArgumentError, FileFormatError
from nabi.serving._deadline import Deadline
from nabi.serving._limits import Limits
from nabi.serving._metrics import Metrics
from nabi.serving._refused import RefusedError

__all__ = ["LOCAL", "Guard", "refusal_reason"]

LOCAL = ("127.0.0.1", "localhost", "::1")
"""Names of this machine for itself."""

_log = logging.getLogger("nabi.serving")
_Answer = Callable[[Request], Awaitable[Response]]


class Guard:
    """Checks who asks, and turns errors into answers.

    Args:
        key: that clients must send; without one, only requests to a name of this machine itself are answered.
        metrics: count the requests.
        limits: of the server.
    """

    def __init__(self, key: str | None, metrics: Metrics, limits: Limits) -> None:
        self._key = None if key is None else key.encode()
        self._metrics, self._limits = metrics, limits

    def admit(self, connection: HTTPConnection) -> None:
        """Refuse a connection without the key, and a page of another site.

        Raises:
            RefusedError: with 401 or 403.
        """
        host = _name_of(f"//{connection.headers.get('host', '')}")
        if self._key is not None:
            scheme, _, given = connection.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                given = connection.headers.get("x-api-key", "")
            if not hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._key):
                raise RefusedError(
                    401, "expected the API key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
                )
        elif host not in LOCAL:
            # A page of another site reaches this machine under a name that it has pointed here.
            raise RefusedError(403, f"Host: expected one of {', '.join(LOCAL)}")
        origin = connection.headers.get("origin")
        if origin is not None and _name_of(origin) != host:
            raise RefusedError(403, "Origin: pages of other sites are not answered")

    def around(self, method: str, path: str, answer: _Answer, *, open: bool) -> _Answer:
        """Return an endpoint that is guarded and counted; `open` ones need no key."""

        async def guarded(request: Request) -> Response:
            began = time.perf_counter()
            try:
                if not open:
                    self.admit(request)
                Deadline.begin(request, self._limits)
                response = await answer(request)
            except Exception as problem:
                response = refusal(problem)
            self._metrics.count(method, path, response.status_code, time.perf_counter() - began)
            return response

        return guarded


def refusal(problem: Exception) -> Response:
    """Return the answer for an error; only what a client did is told."""
    if isinstance(problem, RefusedError):
        return JSONResponse({"error": problem.reason}, problem.status, problem.headers)
    said = refusal_reason(problem)
    client = isinstance(problem, ArgumentError | FileFormatError | ClientDisconnect)
    return JSONResponse({"error": said}, 400 if client else 500)


def refusal_reason(problem: Exception) -> str:
    """Return what a client is told of an error; the log has the rest of what is the server's own."""
    if isinstance(problem, RefusedError):
        return problem.reason
    if isinstance(problem, ArgumentError | FileFormatError):
        # What it quotes may be half a character, which no answer can hold.
        return str(problem).encode("utf-8", "backslashreplace").decode()
    if isinstance(problem, ClientDisconnect):
        return "the client has gone before its request ended"
    _log.error("a request failed", exc_info=problem)
    return "the server could not answer; its log says why"


def _name_of(address: str) -> str:
    """Return the host in an address, without its port."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
