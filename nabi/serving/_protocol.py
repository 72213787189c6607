"""The Open Inference Protocol, version 2: health, readiness, metadata, and arrays in and out.

Source: the KServe project, "Open Inference Protocol", the HTTP/REST part. Binary tensors and versions of
models, which it leaves to extensions, are not offered.
"""

from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nabi._version import __version__
from nabi.serving._arrays import from_tensor, to_tensor
from nabi.serving._body import read_json
from nabi.serving._deadline import Deadline
from nabi.serving._endpoint import Endpoint, Fields
from nabi.serving._models import ArrayInterface, Models, ServedModel, TensorShape
from nabi.serving._page import read_by_page
from nabi.serving._refused import RefusedError

__all__ = ["protocol_endpoints"]

_INFER: Fields = {
    "id": {"type": "string", "description": "Given back with the answer."},
    "inputs": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name", "shape", "datatype", "data"],
            "properties": {
                "name": {"type": "string"},
                "shape": {"type": "array", "items": {"type": "integer"}},
                "datatype": {"type": "string"},
                "data": {"type": "array", "description": "Flat or nested."},
                "parameters": {"type": "object"},
            },
        },
    },
    "outputs": {
        "type": "array",
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        "description": "Which outputs are wanted; all by default.",
    },
    "parameters": {
        "type": "object",
        "properties": {
            "timeout": {
                "type": "integer",
                "minimum": 0,
                "description": "Microseconds within which the answer is wanted; 0 for no bound.",
            }
        },
        "description": "Others are not used.",
    },
}


def protocol_endpoints(models: Models) -> list[Endpoint]:
    """Return the endpoints of the protocol for these models."""

    async def server(request: Request) -> Response:
        return JSONResponse({"name": "nabi", "version": __version__, "extensions": []})

    async def live(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        return JSONResponse({"ready": True})

    async def model(request: Request) -> Response:
        return JSONResponse(_metadata(models[request.path_params["model"]]))

    async def model_ready(request: Request) -> Response:
        return JSONResponse({"name": models[request.path_params["model"]].name, "ready": True})

    async def infer(request: Request) -> Response:
        found = models[request.path_params["model"]]
        body = await read_json(request, models.limits, _INFER)
        if found.arrays is None:
            raise RefusedError(400, f"{found.name} does not read arrays; it is a {found.kind}")
        identity = body.text("id")
        deadline = Deadline.of(request).with_parameters(body.fields.get("parameters"))
        inputs = _inputs(found.arrays, body.items("inputs"), models)
        wanted = _wanted(found.arrays, body.fields.get("outputs"))
        rows = list(zip(*inputs, strict=True))
        shapes = tuple(one.shape[1:] for one in inputs)
        key = ("infer", shapes) if found.arrays.together else object()
        size = _size(inputs) if found.arrays.by_size else None
        answers = await found.worker.answer(key, found.arrays.compute, rows, deadline, size=size)
        outputs = [np.stack(column) for column in zip(*answers, strict=True)]
        if sum(one.size for one in outputs) > models.limits.numbers:
            raise RefusedError(
                413, f"outputs: expected at most {models.limits.numbers} numbers; send fewer rows"
            )
        named = dict(zip([one.name for one in found.arrays.outputs], outputs, strict=True))
        answer: dict[str, Any] = {"model_name": found.name}
        if identity:
            answer["id"] = identity
        answer["outputs"] = [to_tensor(name, named[name]) for name in wanted]
        return JSONResponse(answer)

    return [
        Endpoint("GET", "/v2", server, "Name and version of the server."),
        Endpoint("GET", "/v2/health/live", live, "Whether the server runs.", open=True),
        Endpoint("GET", "/v2/health/ready", ready, "Whether all models are ready.", open=True),
        Endpoint("GET", "/v2/models/{model}", model, "What a model reads and gives."),
        Endpoint("GET", "/v2/models/{model}/ready", model_ready, "Whether a model is ready."),
        Endpoint("POST", "/v2/models/{model}/infer", infer, "Outputs for arrays.", _INFER, ("inputs",)),
    ]


def _metadata(model: ServedModel) -> dict[str, Any]:
    def described(tensors: tuple[TensorShape, ...]) -> list[dict[str, Any]]:
        return [{"name": one.name, "datatype": one.datatype, "shape": list(one.shape)} for one in tensors]

    arrays = model.arrays
    return {
        "name": model.name,
        "versions": [],
        "platform": f"nabi_{model.kind}",
        "inputs": [] if arrays is None else described(arrays.inputs),
        "outputs": [] if arrays is None else described(arrays.outputs),
        "tasks": list(model.tasks),
        "sessions": model.sessions is not None,
        "page": read_by_page(model.model, model.sessions),
    }


def _inputs(arrays: ArrayInterface, tensors: list[Any], models: Models) -> list[Any]:
    """Return an array for each input of the model, all with the same number of rows."""
    names = [one.name for one in arrays.inputs]
    given: dict[str, Any] = {}
    for tensor in tensors:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if not isinstance(name, str) or name not in names or name in given:
            raise RefusedError(400, f"inputs: expected each of {', '.join(names)} once, by its name")
        given[name] = from_tensor(tensor, models.limits)
    if len(given) != len(names):
        raise RefusedError(400, f"inputs: expected each of {', '.join(names)} once, by its name")
    found = []
    for asked in arrays.inputs:
        value = given[asked.name]
        if (value.dtype == object) != (asked.datatype == "BYTES"):
            raise RefusedError(400, f"inputs: {asked.name}: expected the datatype {asked.datatype}")
        found.append(value)
    if len({len(one) for one in found}) != 1 or not len(found[0]):
        raise RefusedError(400, "inputs: expected at least one row, and as many in each input")
    return found


def _size(inputs: list[Any]) -> int:
    """Return how many numbers, or characters of texts, there are to read."""
    return sum(sum(map(len, one)) if one.dtype == object else one.size for one in inputs)


def _wanted(arrays: ArrayInterface, outputs: Any) -> list[str]:
    names = [one.name for one in arrays.outputs]
    if outputs is None:
        return names
    if not isinstance(outputs, list) or not outputs or len(outputs) > len(names):
        raise RefusedError(400, f"outputs: expected a list with some of {', '.join(names)}")
    asked: list[Any] = [one.get("name") if isinstance(one, dict) else None for one in outputs]
    if any(name not in names for name in asked):
        raise RefusedError(400, f"outputs: expected names among {', '.join(names)}")
    return asked
