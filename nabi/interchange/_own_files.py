"""nabi's own model files among the formats: models and ready systems by the kind in the header."""

import os
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nabi import models
from nabi.errors import FileFormatError
from nabi.files import READERS, ModelFile, part, read_model_file

__all__ = ["own_weights", "read_own_model", "read_own_weights", "write_own_model"]

# What a training adds.
_NO_WEIGHTS = ("optimizer/", "random/", "best/", "averages/", "extra/", "state/")


def read_own_model(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Read a model, or a ready system.

    Raises:
        FileFormatError: if the file is damaged, or holds weights alone or a training.
    """
    kind = read_model_file(path).kind
    if kind == "model":
        return models.load_model(path, custom_objects)
    name = READERS.get(kind, "").removeprefix("nabi.").removesuffix(".load")
    if not name.isidentifier():
        hint = f"; read it with {READERS[kind]}" if kind in READERS else ""
        raise FileFormatError(f"path: {path}: expected a model, got {kind}{hint}")
    return getattr(models, name).load(path, custom_objects)


def read_own_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the weights of any model file: without optimizers, random states and states of layers."""
    return own_weights(read_model_file(path))


def own_weights(file: ModelFile) -> dict[str, Tensor]:
    """Return the weights among the tensors of a model file; those of a ready system have no prefix."""
    return part(file.tensors, "weights/") or {
        name: tensor for name, tensor in file.tensors.items() if not name.startswith(_NO_WEIGHTS)
    }


def write_own_model(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model, or a ready system.

    Raises:
        FileFormatError: if it is something else.
        OutputError: if the file cannot be written.
    """
    if not hasattr(model, "save"):
        raise FileFormatError(
            f"model: expected a model or a system of nabi.models, got {type(model).__name__}; a module of "
            "nabi.nn has no model file"
        )
    model.save(path)
