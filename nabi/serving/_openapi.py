"""The description of a server for its clients: OpenAPI 3.1."""

import re
from collections.abc import Iterable
from typing import Any

from nabi._version import __version__
from nabi.serving._deadline import HEADER
from nabi.serving._endpoint import Endpoint

__all__ = ["openapi"]

_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_TIMEOUT = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "number", "exclusiveMinimum": 0},
    "description": "Seconds within which the answer is wanted; at most what the server grants.",
}


def openapi(endpoints: Iterable[Endpoint], *, key: bool) -> dict[str, Any]:
    """Return the OpenAPI document of a server; `key` says whether it asks for an API key."""
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        said: dict[str, Any] = {
            "summary": one.summary,
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in re.findall(r"\{(\w+)\}", one.path)
            ],
            "responses": {
                "200": {"description": "The answer."},
                "default": {"description": "The request is refused.", "content": _ERROR},
            },
        }
        if one.body is not None:
            said["parameters"].append({"$ref": "#/components/parameters/Timeout"})
            said["responses"]["504"] = {"$ref": "#/components/responses/TooLate"}
            schema = {
                "type": "object",
                "properties": {name: dict(field) for name, field in one.body.items()},
                "additionalProperties": False,
                "required": list(one.needed),
            }
            said["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        if key and one.open:
            said["security"] = []
        paths.setdefault(one.path, {})[one.method.lower()] = said
    error = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "nabi", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {"Error": error},
            "parameters": {"Timeout": _TIMEOUT},
            "responses": {"TooLate": {"description": "There is no answer in time.", "content": _ERROR}},
        },
    }
    if key:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document
