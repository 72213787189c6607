"""Models made from files: load_model."""

import os
from collections.abc import Mapping
from typing import Any

import torch

from nabi import training
from nabi._public import public
from nabi.errors import FileFormatError
from nabi.files import ModelFile, part, read_kind, reading
from nabi.layers import deserialize, only_tensors_of, quantize_as
from nabi.models._files import UNREADABLE, check_state, rebuild, set_weights
from nabi.models._foreign import reader_of
from nabi.models._model import Model

__all__ = ["load_model", "make_model"]

# Layers, initializers, regularizers and so on, each of which is an object, and calls of layers.
_MOST_PARTS = 10_000


@public
def load_model(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Model:
    """Load a model that was saved with `Model.save`, by Keras (`.keras`, `.h5`), or as ONNX (`.onnx`).

    Files of other programs are read by `nabi.interchange.read_keras` and `read_onnx`. After a nabi file,
    training goes on as if it had never stopped: `fit` with the same data and `initial_epoch` produces the
    same numbers, bit for bit. To this end, the first `fit` restores torch's random state from the file,
    unless `set_random_seed` has been called since loading.

    Args:
        path: the file.
        custom_objects: your own classes and functions that the model uses, by name.
        compile: whether to restore the arguments of `compile` and the training state.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged, truncated, of another program, or of a newer layout.
        ArgumentError: if `custom_objects` are missing.

    >>> import tempfile, pathlib
    >>> from nabi import layers, models
    >>> model = models.Sequential([layers.Dense(2, input_dim=3)])
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "model.nabi"
    >>> model.save(file)
    >>> models.load_model(file).count_params()
    8
    """
    foreign = reader_of(path)
    if foreign is not None:
        more = (compile,) if foreign.keeps_training else ()
        read = foreign.function("read")(path, custom_objects, *more)
        if not isinstance(read, Model):
            raise FileFormatError(
                f"path: expected a model, got a {type(read).__name__} in {os.fspath(path)}; read it with "
                "nabi.interchange.read_model"
            )
        return read
    file = read_kind(path, ("model",))
    model = make_model(file, custom_objects)
    if compile:
        _set_training(model, file, custom_objects)
    return model


def make_model(file: ModelFile, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """Recreate the model of `describe_model` with its weights and states; raises as `load_model`."""
    weights, states = part(file.tensors, "weights/"), part(file.tensors, "state/")
    held = only_tensors_of((one.shape for one in weights.values()), (one.shape for one in states.values()))
    with reading(file.path, UNREADABLE, of_own_classes=True), held, torch.random.fork_rng(devices=[]):
        _check_count(file.header["model"])
        model: Any = deserialize(file.header["model"], dict(custom_objects or {}))
        if not hasattr(model, "rebuild"):
            raise FileFormatError(f"model: expected a model, got {type(model).__name__}")
        rebuild(model, file)
        quantize_as(model, file.header)
    with reading(file.path, UNREADABLE):
        check_state(model, file)
        set_weights(model, file, weights)
        model.set_extra(states)
    return model  # type: ignore[no-any-return]


def _check_count(described: Any) -> None:
    """Refuse a model that would take unreasonably long to create."""
    count, level = 0, [described]
    while level:
        parts = [one for one in level if isinstance(one, dict | list)]
        count += sum("class_name" in one or "arguments" in one for one in parts if isinstance(one, dict))
        level = [value for one in parts for value in (one.values() if isinstance(one, dict) else one)]
    if count > _MOST_PARTS:
        raise FileFormatError(
            f"model: expected {_MOST_PARTS:,} layers, initializers and calls at most, got {count:,}"
        )


def _set_training(model: Any, file: ModelFile, custom_objects: Mapping[str, Any] | None) -> None:
    described = file.header.get("training")
    if described is None:
        return
    with reading(file.path, UNREADABLE, of_own_classes=True):
        weights = model.trainable_weights if model.built else []
        model._compiled, state = training.training_from_file(
            described, file.tensors, custom_objects, weights=weights
        )
        model.completed_epoch = state.position.epoch
