"""What a server answers, as a table: routes and their description come from the same lines."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Endpoint", "Fields"]

Fields = Mapping[str, Mapping[str, Any]]
"""The fields of a JSON object, each with its JSON schema."""


@dataclass(frozen=True)
class Endpoint:
    """One method of one address.

    Attributes:
        method: of HTTP.
        path: with parameters in braces.
        answer: to a request.
        summary: one sentence.
        body: fields of the JSON object that a request has; None without a body.
        needed: fields that must be there.
        open: whether it is answered without the API key.
    """

    method: str
    path: str
    answer: Callable[[Request], Awaitable[Response]]
    summary: str
    body: Fields | None = None
    needed: tuple[str, ...] = field(default=())
    open: bool = False
