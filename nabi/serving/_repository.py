"""Models are loaded again and unloaded while the server runs.

Source: the model repository extension of the Open Inference Protocol, as the Triton Inference Server
describes it.
"""

import asyncio
import logging
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nabi.serving._body import parsed, read_bytes, read_json
from nabi.serving._endpoint import Endpoint, Fields
from nabi.serving._model_files import ModelFiles
from nabi.serving._models import Models
from nabi.serving._refused import RefusedError

__all__ = ["Repository"]

_log = logging.getLogger("nabi.serving")
_INDEX: Fields = {"ready": {"type": "boolean", "description": "Only models that are ready."}}
_PATH = "/v2/repository"


class Repository:
    """Replaces models; no request is dropped.

    A request is finished by the model that it began with, and an open session goes on with it until it ends.

    Args:
        models: of the server.
        files: of the models; without them a model can only be unloaded.
        key: whether the server asks for a key; without one, models are not replaced over HTTP.
    """

    def __init__(self, models: Models, files: ModelFiles | None, *, key: bool) -> None:
        self._models, self._files, self._key = models, files, key
        self._one_at_a_time = asyncio.Lock()

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""

        async def index(request: Request) -> Response:
            body = await read_json(request, self._models.limits, _INDEX)
            ready = body.flag("ready", False)
            return JSONResponse([one for one in self._index() if one["state"] == "READY" or not ready])

        async def load(request: Request) -> Response:
            await self.load(await self._named(request))
            return JSONResponse({})

        async def unload(request: Request) -> Response:
            self._models.unload(await self._named(request))
            return JSONResponse({})

        one = _PATH + "/models/{model}"
        return [
            Endpoint("POST", f"{_PATH}/index", index, "Which models there are, loaded or not.", _INDEX),
            Endpoint("POST", f"{one}/load", load, "Load a model again from its file."),
            Endpoint("POST", f"{one}/unload", unload, "Take a model away; what runs is finished."),
        ]

    async def load(self, name: str) -> None:
        """Load a model again, in a thread, and put it in the place of the old one.

        Raises:
            RefusedError: with 404 for an unknown model, with 500 if the file cannot be loaded; the old model
                then goes on.
        """
        if self._files is None or name not in self._files.names:
            raise RefusedError(404, f"model: no file is known for {name[:60]!r}")
        files = self._files
        async with self._one_at_a_time:
            try:
                made = await asyncio.to_thread(lambda: self._models.made(name, files.load(name)))
            except Exception:
                _log.exception("%s could not be loaded", name)
                reason = f"{name} could not be loaded; the log says why, and what was loaded before goes on"
                raise RefusedError(500, reason) from None
            self._models.replace(made)

    async def watch(self) -> None:
        """Load models whose files change, for as long as the server runs."""
        if self._files is None or self._files.watch is None:
            return
        while True:
            await asyncio.sleep(self._files.watch)
            for name in await asyncio.to_thread(self._files.changed):
                try:
                    await self.load(name)
                    _log.warning("%s has changed and was loaded again", name)
                except RefusedError:
                    pass  # it has been logged; the file is tried again when it changes again

    async def _named(self, request: Request) -> str:
        # Clients of the protocol may send settings of the model; there are none here.
        data = await read_bytes(request, self._models.limits)
        if data:
            parsed(data, self._models.limits, ("parameters",))
        if not self._key:
            raise RefusedError(403, "models are replaced over HTTP only if the server has an API key")
        name: str = request.path_params["model"]
        return name

    def _index(self) -> list[dict[str, Any]]:
        loaded = {one.name for one in self._models}
        names = [*loaded, *(name for name in self._models.unloaded if name not in loaded)]
        return [
            {"name": name, "state": "READY" if name in loaded else "UNAVAILABLE", "reason": ""}
            for name in sorted(names)
        ]
