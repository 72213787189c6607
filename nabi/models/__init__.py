"""Models: layers put together, trained, asked, saved and loaded."""

from nabi.models._files import load_model
from nabi.models._model import Model
from nabi.models._sequential import Sequential

__all__ = ["Model", "Sequential", "load_model"]
