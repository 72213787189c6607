"""The models of layers, all of them: whoever reads a file or a config may meet each."""

from nabi.models._cloning import clone_model, model_from_config, model_from_json, save_model
from nabi.models._functional import Functional
from nabi.models._loading import load_model, make_model
from nabi.models._model import Model
from nabi.models._sequential import Sequential

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "make_model",
    "model_from_config",
    "model_from_json",
    "save_model",
]
