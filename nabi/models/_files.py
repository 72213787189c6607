"""Saving and loading of models."""

import copy
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi import _checks, training
from nabi._public import public
from nabi.errors import ArgumentError, FileFormatError, OutputError, ShapeError
from nabi.interchange import (
    ModelFile,
    check_counter,
    check_tensors,
    part,
    read_kind,
    reading,
    write_model_file,
)
from nabi.layers import deserialize, only_tensors_of, serialize

if TYPE_CHECKING:
    from nabi.models._model import Model

__all__ = [
    "describe_model",
    "load_model",
    "load_training",
    "load_weights",
    "make_model",
    "save_model",
    "save_weights",
    "set_weights",
]

_RESULT = "its model cannot be recreated"
# Limit of objects in a file: layers, initializers, regularizers and so on, and calls of layers.
_MOST_PARTS = 10_000
# Limit of numbers in the sample on which a user's model is called to create its weights: 512 MiB.
_LARGEST_INPUT = 1 << 27


def save_model(model: "Model", path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a model and its training state."""
    _may_write(path, overwrite)
    header, tensors = describe_model(model)
    compiled = model._compiled
    if compiled is not None:
        header["training"], more = training.training_to_file(compiled, model.device)
        header["training"]["completed_epoch"] = model.completed_epoch
        tensors |= more
    write_model_file(path, "model", header, tensors)


def describe_model(model: "Model") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a model's header and tensors for a file, from which `make_model` recreates it."""
    header = {"model": serialize(model), **_built_for(model), "training": None}
    return header, _weights(model) | {f"state/{name}": value for name, value in model.get_extra().items()}


def save_weights(model: "Model", path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write only the weights."""
    _may_write(path, overwrite)
    if not model.built:
        raise ArgumentError(f"save_weights: {model.name} has no weights yet; build or fit it first")
    write_model_file(path, "weights", _built_for(model), _weights(model))


@public
def load_model(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> "Model":
    """Load a model that was saved with `Model.save`.

    Training continues as if it had never stopped: `fit` with the same data and `initial_epoch` produces the
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
    file = read_kind(path, ("model",))
    model = make_model(file, custom_objects)
    if compile:
        _set_training(model, file, custom_objects)
    return model


def make_model(file: ModelFile, custom_objects: Mapping[str, Any] | None = None) -> "Model":
    """Recreate the model of `describe_model` with its weights and states; raises as `load_model`."""
    weights, states = part(file.tensors, "weights/"), part(file.tensors, "state/")
    held = only_tensors_of((one.shape for one in weights.values()), (one.shape for one in states.values()))
    with reading(file.path, _RESULT, of_own_classes=True), held, torch.random.fork_rng(devices=[]):
        _check_count(file.header["model"])
        model: Any = deserialize(file.header["model"], dict(custom_objects or {}))
        if not hasattr(model, "rebuild"):
            raise FileFormatError(f"model: expected a model, got {type(model).__name__}")
        _rebuild(model, file)
    with reading(file.path, _RESULT):
        _check_extra(model, file)
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


def load_weights(model: "Model", path: str | os.PathLike[str]) -> None:
    """Load weights into an existing model."""
    file = read_kind(path, ("model", "weights"))
    with _fitting(model, file):
        _trial(model, file)
    _rebuild(model, file)
    set_weights(model, file, part(file.tensors, "weights/"))


def load_training(model: "Model", path: str | os.PathLike[str]) -> None:
    """Restore a compiled model's training state from a file."""
    file = read_kind(path, ("model",))
    described = file.header.get("training")
    if described is None:
        raise FileFormatError(f"path: expected a compiled model, got an uncompiled one in {file.path}")
    compiled = model.compiled
    with _fitting(model, file):
        built = _trial(model, file)
    # Anything that can fail comes before the first change.
    with reading(file.path, "training cannot go on from it"):
        _check_extra(built, file)
        epoch = check_counter("training.completed_epoch", described["completed_epoch"])
        training.training_from_file(described, file.tensors, into=compiled, weights=built.trainable_weights)
    _rebuild(model, file)
    set_weights(model, file, part(file.tensors, "weights/"))
    model.set_extra(part(file.tensors, "state/"))
    model.completed_epoch = epoch
    compiled.bind(model.trainable_weights)
    compiled.continue_random_state(model.device)


@contextmanager
def _fitting(model: "Model", file: ModelFile) -> Iterator[None]:
    """Report mismatched tensors as a `ShapeError` of the existing model."""
    try:
        yield
    except FileFormatError as problem:
        raise ShapeError(
            f"path: the weights in {file.path} are not those of {model.name}: {problem}"
        ) from problem


def _trial(model: Any, file: ModelFile) -> Any:
    """Return a model with the same weights as this one, which is not changed.

    Raises:
        FileFormatError: if the file does not hold these weights.
    """
    weights = part(file.tensors, "weights/")
    built = model
    if not model.built or not any(True for _ in model.parameters()):
        states = part(file.tensors, "state/").values()
        try:
            built = copy.deepcopy(model)
        except Exception:  # a user's model with something that can't be copied
            built = model
        held = only_tensors_of((one.shape for one in weights.values()), (one.shape for one in states))
        with reading(file.path, "the weights cannot be created"), held:
            _rebuild(built, file)
    check_tensors(weights, built.state_dict(), "weights/")
    return built


def _rebuild(model: Any, file: ModelFile) -> None:
    shape, dtype = file.header.get("input_shape"), file.header.get("input_dtype", "float32")
    if shape is None:
        return
    sizes = shape if isinstance(shape, list) else [None]
    whole = all(size is None or (type(size) is int and size > 0) for size in sizes[1:])
    if not whole or len(sizes) < 2 or math.prod(size or 1 for size in sizes[1:]) > _LARGEST_INPUT:
        raise FileFormatError(f"input_shape: expected sizes of axes, got {repr(shape)[:80]}")
    if not isinstance(getattr(torch, str(dtype), None), torch.dtype):
        raise FileFormatError(f"input_dtype: expected a torch dtype, got {repr(dtype)[:80]}")
    model.rebuild(shape, dtype)


def _built_for(model: Any) -> dict[str, Any]:
    if model._input is None or not model.built:
        return {"input_shape": None}
    shape, dtype = model._input
    return {"input_shape": list(shape), "input_dtype": dtype}


def _weights(model: "Model") -> dict[str, Tensor]:
    return {f"weights/{name}": value for name, value in model.state_dict().items()}


def set_weights(
    module: torch.nn.Module, file: ModelFile, weights: Mapping[str, Tensor], prefix: str = "weights/"
) -> None:
    """Copy weights from a file into a module: all of them, or none if one does not match.

    Raises:
        FileFormatError: if their names, shapes or dtypes do not match those of the module.
    """
    own = module.state_dict()
    check_tensors(weights, own, prefix)
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(weights[name])


def _check_extra(model: Any, file: ModelFile) -> None:
    """Refuse states and random seeds that do not match the model's layers."""
    found, own = part(file.tensors, "state/"), model.get_extra()
    check_tensors(found, own, "state/")
    for name, value in own.items():
        if value.dtype is torch.uint8 and value.device.type == "cpu":
            training.check_random_state(f"state/{name}", found[name])


def _set_training(model: Any, file: ModelFile, custom_objects: Mapping[str, Any] | None) -> None:
    described = file.header.get("training")
    if described is None:
        return
    with reading(file.path, _RESULT, of_own_classes=True):
        weights = model.trainable_weights if model.built else []
        epoch = check_counter("training.completed_epoch", described["completed_epoch"])
        model._compiled = training.training_from_file(
            described, file.tensors, custom_objects, weights=weights
        )
        model.completed_epoch = epoch


def _may_write(path: str | os.PathLike[str], overwrite: bool) -> None:
    if not overwrite and _checks.path("path", path, wrong=OutputError).exists():
        raise OutputError(f"path: {os.fspath(path)} already exists, and overwrite is False")
