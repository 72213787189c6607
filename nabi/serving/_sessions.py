"""Sessions: states of a model that go on with every step a client sends."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.serving._arrays import array, finite
from nabi.serving._deadline import Deadline
from nabi.serving._limits import Limits
from nabi.serving._refused import RefusedError
from nabi.serving._steps import Steps
from nabi.shipping import Stream

__all__ = ["Session", "Sessions"]

Numbers = npt.NDArray[np.float32]

FORMAT = 1
"""Of exported states; it grows when their fields change."""

_EXPORTED = ("format", "structure", "weights", "steps", "state")


@dataclass(eq=False)
class Session:
    """One client's sequence.

    Attributes:
        id: that only the client knows.
        row: where the state of the model after the steps so far is kept.
        steps: read so far.
        used: when it was used last, in seconds of the clock.
        busy: whether a request works with it.
    """

    id: str
    row: int
    steps: int
    used: float
    busy: bool = False


class Sessions:
    """The sessions of one model, bounded in number; unused ones expire.

    Args:
        name: of the model.
        stream: of the model.
        limits: of the server.
        clock: gives seconds.
    """

    def __init__(
        self, name: str, stream: Stream, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name, self._stream, self._limits, self._clock = name, stream, limits, clock
        self._steps = Steps(stream, limits)
        self._open: OrderedDict[str, Session] = OrderedDict()  # the least recently used first
        self._free: list[int] = []

    def __len__(self) -> int:
        self._expire()
        return len(self._open)

    @property
    def calls(self) -> int:
        """How often native code was called for steps."""
        return self._steps.calls

    @property
    def codes(self) -> int:
        """How many codes there are if a step is one code, else 0."""
        return self._stream.program.codes

    @property
    def input_width(self) -> int:
        """Numbers of a step; 1 if a step is one code."""
        return self._stream.program.input.width

    @property
    def output_width(self) -> int:
        """Numbers that the model gives after a step."""
        return self._stream.program.output.width

    # Opening and ending -----------------------------------------------------------------------------------

    def open(self, exported: Any = None) -> Session:
        """Open a session, at the beginning or with a state that `export` gave.

        Raises:
            RefusedError: with 429 if too many are open, with 400 or 422 for a state of another model.
        """
        state, steps = (self._stream.begin(), 0) if exported is None else self._imported(exported)
        self._expire()
        if len(self._open) >= self._limits.sessions:
            raise RefusedError(
                429, f"{len(self._open)} sessions are open, no more are granted", {"Retry-After": "10"}
            )
        row = self._free.pop() if self._free else len(self._open)
        self._steps.put(row, state)
        session = Session(secrets.token_urlsafe(18), row, steps, self._clock())
        self._open[session.id] = session
        return session

    def close(self, id: str) -> None:
        """End a session; one that is not open is refused with 404."""
        self.discard(self._found(id))

    def discard(self, session: Session) -> None:
        """End a session if it is still open."""
        if self._open.pop(session.id, None) is not None:
            self._free.append(session.row)

    @contextmanager
    def held(self, id: str) -> Iterator[Session]:
        """Give a session to one request.

        Raises:
            RefusedError: with 404 if it is not open, with 409 if another request has it.
        """
        session = self._found(id)
        if session.busy:
            raise RefusedError(409, "session: another request works with it; send one after the other")
        session.busy = True
        try:
            yield session
        finally:
            session.busy = False
            session.used = self._clock()
            if session.id in self._open:
                self._open.move_to_end(session.id)

    def begin_anew(self, sessions: Sequence[Session]) -> None:
        """Set sessions back to the beginning."""
        for session in sessions:
            self._steps.put(session.row, self._stream.begin())
            session.steps = 0

    def __contains__(self, id: str) -> bool:
        self._expire()
        return id in self._open

    # Steps ------------------------------------------------------------------------------------------------

    def read(self, value: Any) -> Numbers:
        """Return the steps of a request as `[1, steps, features]`, or codes `[1, steps]`.

        Raises:
            RefusedError: for what are no steps of this model, and too many.
        """
        return self.checked(array("steps", value)[None])

    def checked(self, found: Numbers) -> Numbers:
        """Return steps of several sessions, `[sessions, steps, features]` or codes `[sessions, steps]`.

        Raises:
            RefusedError: for what are no steps of this model, and too many.
        """
        codes = self._stream.program.codes
        if codes:
            if (
                found.ndim != 2
                or not (found == np.floor(found)).all()
                or (found < 0).any()
                or (found >= codes).any()
            ):
                raise RefusedError(400, f"steps: expected a list of codes from 0 to {codes - 1}")
        elif found.ndim != 3 or found.shape[2] != self.input_width:
            raise RefusedError(
                400,
                f"steps: expected a list of steps of {self.input_width} numbers, got {list(found.shape[1:])}",
            )
        if not found.size:
            raise RefusedError(400, "steps: expected at least one step")
        count = found.shape[0] * found.shape[1]
        if found.shape[1] > self._limits.steps or count * self.output_width > self._limits.numbers:
            raise RefusedError(413, f"steps: too many at once: {count}")
        return found

    async def advance(
        self, sessions: Sequence[Session], steps: Numbers, deadline: Deadline | None = None
    ) -> Numbers:
        """Let sessions read steps, and return the outputs `[sessions, steps, outputs]`.

        Args:
            sessions: each of which is held, and there once.
            steps: as `checked` returns them.
            deadline: of the request; by default what the server grants, from now on.

        Raises:
            RefusedError: with 422 for numbers that are not finite, with 429 and 503 under load, with 504
                at the deadline; the sessions stay as they were.
        """
        outputs = await self._steps.advance([session.row for session in sessions], steps, deadline)
        for session in sessions:
            session.steps += steps.shape[1]
        return outputs

    async def finish(self) -> None:
        """Wait until what runs is finished, and take nothing more."""
        await self._steps.close()

    # Moving to another server -----------------------------------------------------------------------------

    def described(self, session: Session) -> dict[str, Any]:
        """Return what a client is told of its session."""
        return {
            "session": session.id,
            "model": self._name,
            "steps": session.steps,
            "expires_after_seconds": self._limits.idle,
        }

    def export(self, session: Session) -> dict[str, Any]:
        """Return a session's state as JSON, for `open` of a server with the same model."""
        named = self._stream.named(self._steps.get(session.row))
        return {
            "format": FORMAT,
            "structure": self._stream.program.structure,
            "weights": self._stream.program.fingerprint,
            "steps": session.steps,
            "state": {name: numbers.tolist() for name, numbers in named.items()},
        }

    def _imported(self, exported: Any) -> tuple[Numbers, int]:
        if not isinstance(exported, dict) or set(exported) != set(_EXPORTED):
            raise RefusedError(400, "state: expected what the export of a session gave")
        if exported["format"] != FORMAT:
            raise RefusedError(400, f"state: expected the format {FORMAT}, of this version of nabi")
        if exported["structure"] != self._stream.program.structure:
            raise RefusedError(400, "state: it was exported from a model of another structure")
        if exported["weights"] != self._stream.program.fingerprint:
            raise RefusedError(400, "state: it was exported from a model with other weights")
        steps, values = exported["steps"], exported["state"]
        if type(steps) is not int or not 0 <= steps < 2**53:
            raise RefusedError(400, "state: expected a number of steps")
        state = self._stream.begin()
        named = self._stream.named(state[0])
        if not isinstance(values, dict) or set(values) != set(named):
            raise RefusedError(400, f"state: expected the names {', '.join(named)}")
        for name, part in named.items():
            numbers = finite(f"state: {name}", array(f"state: {name}", values[name]))
            if numbers.shape != part.shape:
                raise RefusedError(400, f"state: {name}: expected {len(part)} numbers")
            part[...] = numbers
        return state, steps

    # Expiry -----------------------------------------------------------------------------------------------

    def _found(self, id: str) -> Session:
        self._expire()
        if id not in self._open:
            raise RefusedError(
                404, "session: it is not open, or has expired; open one, with a state to go on"
            )
        return self._open[id]

    def _expire(self) -> None:
        now = self._clock()
        while self._open:
            session = next(iter(self._open.values()))
            if session.used >= now - self._limits.idle:
                return
            if session.busy:
                session.used = now
                self._open.move_to_end(session.id)
            else:
                self.discard(session)
