"""Bodies of requests: read up to a bound, and checked field by field."""

import asyncio
import json
import math
from collections.abc import Collection
from typing import Any

from starlette.requests import Request

from nabi import _checks
from nabi.serving._arrays import is_unicode
from nabi.serving._deadline import Deadline
from nabi.serving._limits import Limits
from nabi.serving._refused import RefusedError

__all__ = ["Body", "parsed", "read_bytes", "read_json"]

# A body that is too large is read, and thrown away, up to so many times the bound: a client that is cut off
# while it sends does not get to read the reason.
_PATIENCE = 8


async def read_bytes(request: Request, limits: Limits) -> bytes:
    """Return the body of a request.

    Raises:
        RefusedError: with 413 for too many bytes, with 408 if they come too slowly.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > limits.body * _PATIENCE):
        raise _too_large(limits)
    parts, size, deadline = [], 0, Deadline.of(request)
    try:
        async with asyncio.timeout_at(deadline.at):
            async for part in request.stream():
                size += len(part)
                if size > limits.body * _PATIENCE:
                    raise _too_large(limits)
                if size <= limits.body:
                    parts.append(part)
                else:
                    parts.clear()
    except TimeoutError:
        raise RefusedError(408, f"the body did not arrive within {deadline.seconds:g} seconds") from None
    if size > limits.body:
        raise _too_large(limits)
    return b"".join(parts)


async def read_json(request: Request, limits: Limits, known: Collection[str]) -> "Body":
    """Return the JSON object in the body of a request; `known` are the fields it may have.

    Raises:
        RefusedError: with 415 for another content type, with 400 for what is no such object, with 422 for NaN
            and Infinity, as `read_bytes`.
    """
    # A page of another site can send a form or plain text without asking, but no JSON.
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, "Content-Type: expected application/json")
    return parsed(await read_bytes(request, limits), limits, known)


def parsed(data: bytes | str, limits: Limits, known: Collection[str]) -> "Body":
    """Return the JSON object in a text; arguments and errors of `read_json`."""
    try:
        found = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        said = problem.msg if isinstance(problem, json.JSONDecodeError) else "it cannot be read"
        raise RefusedError(400, f"body: expected JSON: {said}") from None
    if not isinstance(found, dict):
        raise RefusedError(400, "body: expected a JSON object")
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise RefusedError(400, f"body: unknown field {unknown[0][:60]!r}; known: {', '.join(sorted(known))}")
    return Body(found, limits)


class Body:
    """A JSON object from a client; each method returns a field of one type, or refuses the request.

    Args:
        fields: of the object.
        limits: of the server.
    """

    def __init__(self, fields: dict[str, Any], limits: Limits) -> None:
        self.fields, self._limits = fields, limits

    def __contains__(self, name: str) -> bool:
        return self.fields.get(name) is not None

    def text(self, name: str, otherwise: str = "") -> str:
        """Return a text."""
        value = self.fields.get(name)
        return otherwise if value is None else self._checked_text(name, value)

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; a text alone is a list of one."""
        value = self.fields.get(name)
        if isinstance(value, str):
            value = [value]
        return [
            self._checked_text(f"{name}[{place}]", one) for place, one in enumerate(self.items(name, value))
        ]

    def items(self, name: str, value: Any = None) -> list[Any]:
        """Return a list that is not empty."""
        value = self.fields.get(name) if value is None else value
        if not isinstance(value, list) or not value:
            raise RefusedError(400, f"{name}: expected a list of at least one item")
        if len(value) > self._limits.items:
            raise RefusedError(413, f"{name}: expected at most {self._limits.items} items, got {len(value)}")
        return value

    def number(self, name: str, otherwise: float, least: float, most: float) -> float:
        """Return a number in a range."""
        value = self.fields.get(name)
        if value is None:
            return otherwise
        return _checks.real(name, _finite(name, value), least=least, most=most)

    def whole(self, name: str, otherwise: int, least: int, most: int) -> int:
        """Return a whole number in a range."""
        value = self.fields.get(name)
        if value is None:
            return otherwise
        return _checks.whole(name, _finite(name, value), least=least, most=most)

    def flag(self, name: str, otherwise: bool) -> bool:
        """Return true or false."""
        value = self.fields.get(name)
        if value is None:
            return otherwise
        if not isinstance(value, bool):
            raise RefusedError(400, f"{name}: expected true or false")
        return value

    def _checked_text(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise RefusedError(400, f"{name}: expected a text")
        if len(value) > self._limits.characters:
            raise RefusedError(413, f"{name}: expected at most {self._limits.characters} characters")
        if not is_unicode(value):
            raise RefusedError(400, f"{name}: expected characters of Unicode, got half of one")
        return value


def _too_large(limits: Limits) -> RefusedError:
    return RefusedError(413, f"body: expected at most {limits.body} bytes")


def _finite(name: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise RefusedError(422, f"{name}: expected a finite number, got {value}")
    return value


def _refuse_constant(name: str) -> float:
    raise RefusedError(422, f"body: expected finite numbers, got {name}")
