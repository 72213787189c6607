"""Models behind an address: an ASGI program that answers over HTTP and WebSocket."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.serving._app import application
    from nabi.serving._limits import Limits
    from nabi.serving._model_files import ModelFiles
    from nabi.serving._server import serve
else:
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.serving._app": ["application"],
            "nabi.serving._limits": ["Limits"],
            "nabi.serving._model_files": ["ModelFiles"],
            "nabi.serving._server": ["serve"],
        },
    )

__all__ = ["Limits", "ModelFiles", "application", "serve"]
