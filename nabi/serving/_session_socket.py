"""Sessions over a WebSocket: one, or many side by side."""

import asyncio
import json
from contextlib import ExitStack
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from nabi.serving._arrays import array
from nabi.serving._body import parsed
from nabi.serving._deadline import Deadline, seconds_in
from nabi.serving._frames import read_many, read_one, write_many, write_one
from nabi.serving._guard import refusal_reason
from nabi.serving._models import Models
from nabi.serving._refused import RefusedError
from nabi.serving._session_routes import STEPS
from nabi.serving._sessions import Session, Sessions

__all__ = ["SessionSocket"]

_POLICY_VIOLATION = 1008
_MANY = {**STEPS, "sessions": {}, "reset": {}}


class SessionSocket:
    """Sessions as a WebSocket; a message is answered in its own form, JSON or bytes of float32.

    One session: `{"steps": ...}` is answered with `{"outputs": ...}`; bytes are steps, answered with outputs.
    It ends with the connection. With `?session=ID` the connection goes on with an open session, which stays
    open.

    Many sessions, with `?sessions=N`: numbered from 0, each message names those that it is for, and all of
    them read as many steps. They end with the connection.

    With `timeout=SECONDS` in the address, a message that is not answered in so many seconds is refused.

    A message that is refused is answered with `{"error": ...}`; the sessions stay as they were.

    Args:
        models: of the server.
    """

    path = "/v2/models/{model}/stream"

    def __init__(self, models: Models) -> None:
        self._models = models

    async def answer(self, socket: WebSocket) -> None:
        """Serve one connection."""
        try:
            with ExitStack() as stack:
                seconds = self._seconds(socket)
                sessions, held, many = self._opened(socket, stack)
                await socket.accept()
                await self._talk(socket, sessions, held, many, seconds)
        except RefusedError as problem:
            await socket.close(_POLICY_VIOLATION, problem.reason[:120])
        except WebSocketDisconnect:
            pass

    def _opened(self, socket: WebSocket, stack: ExitStack) -> tuple[Sessions, list[Session], bool]:
        """Return the sessions of a connection; the stack gives them back."""
        name, asked = socket.path_params["model"], socket.query_params.get("session")
        if asked is not None:
            sessions = self._models.sessions(name, asked)
            return sessions, [stack.enter_context(sessions.held(asked))], False
        sessions, count = self._models.sessions(name), socket.query_params.get("sessions")
        if count is not None and not (
            count.isascii() and count.isdigit() and 0 < len(count) < 8 and int(count)
        ):
            raise RefusedError(400, "sessions: expected how many, from 1")
        if int(count or 1) > self._models.limits.sessions:
            raise RefusedError(429, f"sessions: at most {self._models.limits.sessions} are granted")
        held = []
        for _ in range(int(count or 1)):
            session = sessions.open()
            stack.callback(sessions.discard, session)
            held.append(stack.enter_context(sessions.held(session.id)))
        return sessions, held, count is not None

    def _seconds(self, socket: WebSocket) -> float:
        """Return the time of each message of a connection."""
        granted, asked = self._models.limits.seconds, socket.query_params.get("timeout")
        return granted if asked is None else min(granted, seconds_in("timeout", asked))

    async def _talk(
        self, socket: WebSocket, sessions: Sessions, held: list[Session], many: bool, seconds: float
    ) -> None:
        loop, idle = asyncio.get_running_loop(), self._models.limits.idle
        answer = self._many if many else self._one
        try:
            async with asyncio.timeout(idle) as timeout:
                while True:
                    message = await socket.receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    # To set the time anew costs as much as a step; once in a while is enough.
                    if (timeout.when() or 0) - loop.time() < 0.9 * idle:
                        timeout.reschedule(loop.time() + idle)
                    deadline, data = Deadline.after(seconds), message.get("bytes")
                    try:
                        given = message["text"] if data is None else data
                        said = await answer(sessions, held, given, deadline)
                    except Exception as problem:
                        said = json.dumps({"error": refusal_reason(problem)})
                    if isinstance(said, bytes):
                        await socket.send_bytes(said)
                    else:
                        await socket.send_text(said)
        except TimeoutError:
            await socket.close(1000, "no message came for too long")

    async def _one(
        self, sessions: Sessions, held: list[Session], message: str | bytes, deadline: Deadline
    ) -> str | bytes:
        if isinstance(message, bytes):
            given = read_one(message, sessions.input_width)
            return write_one(await sessions.advance(held, self._codes(sessions, given), deadline))
        body = parsed(message, self._models.limits, STEPS)
        (outputs,) = await sessions.advance(held, sessions.read(body.fields.get("steps")), deadline)
        return json.dumps({"outputs": outputs.tolist(), "steps": held[0].steps})

    async def _many(
        self, sessions: Sessions, held: list[Session], message: str | bytes, deadline: Deadline
    ) -> str | bytes:
        if isinstance(message, bytes):
            numbers, given = read_many(message, sessions.input_width)
            outputs = await sessions.advance(_chosen(held, numbers), self._codes(sessions, given), deadline)
            return write_many(numbers, outputs)
        body = parsed(message, self._models.limits, _MANY)
        if "reset" in body:
            if len(body.fields) > 1:
                raise RefusedError(400, "reset: expected nothing else in this message")
            sessions.begin_anew(_chosen(held, body.fields["reset"]))
            return json.dumps({"reset": body.fields["reset"]})
        chosen = _chosen(held, body.fields.get("sessions"))
        given = array("steps", body.fields.get("steps"))
        if given.ndim < 2 or len(given) != len(chosen):
            raise RefusedError(
                400, f"steps: expected a list for each of {len(chosen)} sessions, of one length"
            )
        outputs = await sessions.advance(chosen, sessions.checked(given), deadline)
        return json.dumps({"sessions": body.fields["sessions"], "outputs": outputs.tolist()})

    @staticmethod
    def _codes(sessions: Sessions, given: Any) -> Any:
        return sessions.checked(given[..., 0] if sessions.codes else given)


def _chosen(held: list[Session], numbers: Any) -> list[Session]:
    """Return the sessions with these numbers."""
    whole = isinstance(numbers, list) and numbers and all(type(one) is int for one in numbers)
    if not whole or min(numbers) < 0 or max(numbers) >= len(held):
        raise RefusedError(400, f"sessions: expected a list of numbers from 0 to {len(held) - 1}")
    if len(set(numbers)) != len(numbers):
        raise RefusedError(400, "sessions: expected each number once")
    return [held[number] for number in numbers]
