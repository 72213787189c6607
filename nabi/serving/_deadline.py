"""Until when a request must be answered: the server's bound, or an earlier one that the client names.

The header is that of Google's APIs, with seconds. For `infer` the parameter `timeout` of Triton's extension
for scheduling does the same, in microseconds.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Self

from starlette.requests import Request

from nabi import _checks
from nabi.serving._limits import Limits
from nabi.serving._refused import RefusedError

__all__ = ["HEADER", "Deadline", "seconds_in"]

HEADER = "X-Server-Timeout"

_IN_SCOPE = "nabi.deadline"
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_MOST_MICROSECONDS = 2**63 - 1


@dataclass(frozen=True)
class Deadline:
    """A moment after which nobody waits for an answer any more.

    Attributes:
        at: the moment, by the clock of the event loop.
        seconds: how long that is after the request came.
        asked: the one that the client has named, which may be later than what the server grants.
    """

    at: float
    seconds: float
    asked: "Deadline | None" = None

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return the one that is so many seconds from now."""
        return cls(asyncio.get_running_loop().time() + seconds, seconds)

    @classmethod
    def begin(cls, request: Request, limits: Limits) -> None:
        """Have a request's time begin.

        Raises:
            RefusedError: with 400 for a header that is no number of seconds.
        """
        deadline: Deadline = cls.after(limits.seconds)
        request.scope[_IN_SCOPE] = deadline
        said = request.headers.get(HEADER)
        if said is not None:
            request.scope[_IN_SCOPE] = deadline.earlier(seconds_in(HEADER, said))

    @classmethod
    def of(cls, request: Request) -> "Deadline":
        """Return the deadline of a request that has begun."""
        found: Deadline = request.scope[_IN_SCOPE]
        return found

    def earlier(self, seconds: float) -> "Deadline":
        """Return this deadline, or the one of a client that waits for fewer seconds in all."""
        asked = Deadline(self.at - self.seconds + seconds, seconds)
        if self.asked is not None and self.asked.seconds <= seconds:
            return self
        return Deadline(min(self.at, asked.at), min(self.seconds, seconds), asked)

    def of_piece(self, limits: Limits) -> "Deadline":
        """Return the deadline of the next piece of an answer; all have the client's time together."""
        piece = Deadline.after(limits.seconds)
        return piece if self.asked is None or self.asked.at > piece.at else self.asked

    def with_parameters(self, parameters: Any) -> "Deadline":
        """Return the deadline of a request with these parameters of the protocol.

        Raises:
            RefusedError: with 400 for parameters that are no object.
            ArgumentError: for a timeout that is no whole number; 0 stands for none.
        """
        if parameters is None:
            return self
        if not isinstance(parameters, dict):
            raise RefusedError(400, "parameters: expected an object")
        timeout = parameters.get("timeout")
        if timeout is None or (timeout == 0 and type(timeout) is int):
            return self
        _checks.whole("parameters: timeout", timeout, least=0, most=_MOST_MICROSECONDS)
        return self.earlier(timeout / 1e6)

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return asyncio.get_running_loop().time() >= self.at

    def error(self) -> RefusedError:
        """Return the answer to a request whose time is over."""
        return RefusedError(504, f"no answer within {self.seconds:g} seconds")


def seconds_in(name: str, said: str) -> float:
    """Return the seconds that a client has written.

    Raises:
        RefusedError: with 400 for what is no number above 0.
    """
    if _SECONDS.fullmatch(said.strip()) is None or not float(said):
        raise RefusedError(400, f"{name}: expected seconds above 0, such as 0.5, got {said[:40]!r}")
    return float(said)
