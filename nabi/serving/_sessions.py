"""Sessions: states of a model that go on with every step a client sends."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.serving._arrays import array, nested
from nabi.serving._limits import Limits
from nabi.serving._refused import RefusedError
from nabi.shipping import Stream

__all__ = ["Session", "Sessions"]

Numbers = npt.NDArray[np.float32]


@dataclass(eq=False)
class Session:
    """One client's sequence.

    Attributes:
        id: that only the client knows.
        state: of the model after the steps so far.
        steps: read so far.
        used: when it was used last, in seconds of the clock.
        busy: whether a request works with it.
    """

    id: str
    state: Mapping[str, Numbers]
    steps: int
    used: float
    busy: bool = False


class Sessions:
    """The sessions of one model, bounded in number; unused ones expire.

    One stream computes for all of them: a session is its state, which is put into the stream for the steps of
    a request. A request that fails leaves the state as it was.

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
        self._begin = stream.state
        self._open: OrderedDict[str, Session] = OrderedDict()  # the least recently used first

    def __len__(self) -> int:
        self._expire()
        return len(self._open)

    @property
    def input_width(self) -> int:
        """Numbers of a step; 0 if a step is one code."""
        return 0 if self._stream.program.codes else self._stream.program.input.width

    @property
    def output_width(self) -> int:
        """Numbers that the model gives after a step."""
        return self._stream.program.output.width

    def open(self, exported: Any = None) -> Session:
        """Open a session, at the beginning or with a state that `export` gave.

        Raises:
            RefusedError: with 429 if too many are open, with 400 for a state of another model.
        """
        state, steps = (self._begin, 0) if exported is None else self._imported(exported)
        self._expire()
        if len(self._open) >= self._limits.sessions:
            raise RefusedError(
                429, f"{len(self._open)} sessions are open, no more are granted", {"Retry-After": "10"}
            )
        session = Session(secrets.token_urlsafe(18), state, steps, self._clock())
        self._open[session.id] = session
        return session

    def close(self, id: str) -> None:
        """End a session; one that is not open is refused with 404."""
        del self._open[self._found(id).id]

    def discard(self, session: Session) -> None:
        """End a session if it is still open."""
        self._open.pop(session.id, None)

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

    def steps(self, value: Any) -> Numbers:
        """Return the steps of a request as `[steps, features]`, or codes `[steps]`.

        Raises:
            RefusedError: for what are no steps of this model, and too many.
        """
        found = array("steps", value)
        width, codes = self.input_width, self._stream.program.codes
        if codes:
            if (
                found.ndim != 1
                or not (found == np.floor(found)).all()
                or (found < 0).any()
                or (found >= codes).any()
            ):
                raise RefusedError(400, f"steps: expected a list of codes from 0 to {codes - 1}")
        elif found.ndim != 2 or found.shape[1] != width:
            raise RefusedError(
                400, f"steps: expected a list of steps of {width} numbers, got {list(found.shape)}"
            )
        if not len(found):
            raise RefusedError(400, "steps: expected at least one step")
        if len(found) > self._limits.steps or len(found) * self.output_width > self._limits.numbers:
            raise RefusedError(413, f"steps: too many at once: {len(found)}")
        return found

    def compute(self, items: list[tuple[Session, Numbers]]) -> list[tuple[Mapping[str, Numbers], Numbers]]:
        """Return for each session and its steps the state after them, and the outputs `[steps, outputs]`."""
        found: list[tuple[Mapping[str, Numbers], Numbers]] = []
        for session, steps in items:
            self._stream.state = session.state
            outputs = self._stream.run(steps)
            found.append((self._stream.state, outputs))
        return found

    def advance(self, session: Session, state: Mapping[str, Numbers], outputs: Numbers) -> list[Any]:
        """Take the state after some steps, and return the outputs as lists of numbers.

        Raises:
            RefusedError: with 422 for numbers that are not finite; the session stays as it was.
        """
        given = nested("outputs", outputs)
        for numbers in state.values():
            nested("state", numbers)
        session.state = state
        session.steps += len(outputs)
        return given

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
        return {
            "structure": self._stream.program.structure,
            "steps": session.steps,
            "state": {name: numbers.tolist() for name, numbers in session.state.items()},
        }

    def _imported(self, exported: Any) -> tuple[Mapping[str, Numbers], int]:
        if not isinstance(exported, dict) or set(exported) != {"structure", "steps", "state"}:
            raise RefusedError(400, "state: expected what the export of a session gave")
        if exported["structure"] != self._stream.program.structure:
            raise RefusedError(400, "state: it was exported from a model of another structure")
        steps, values = exported["steps"], exported["state"]
        if type(steps) is not int or not 0 <= steps < 2**53:
            raise RefusedError(400, "state: expected a number of steps")
        if not isinstance(values, dict) or set(values) != set(self._begin):
            raise RefusedError(400, f"state: expected the names {', '.join(self._begin)}")
        state = {name: array(f"state: {name[:60]}", value) for name, value in values.items()}
        for name, numbers in state.items():
            if numbers.shape != self._begin[name].shape:
                raise RefusedError(400, f"state: {name}: expected {len(self._begin[name])} numbers")
        return state, steps

    def _found(self, id: str) -> Session:
        self._expire()
        if id not in self._open:
            raise RefusedError(
                404, "session: it is not open, or has expired; open one, with a state to go on"
            )
        return self._open[id]

    def _expire(self) -> None:
        oldest = self._clock() - self._limits.idle
        for session in list(self._open.values()):
            if session.used >= oldest:
                break
            if not session.busy:
                del self._open[session.id]
