"""What a model that is there writes into files and reads from them: itself, its weights, its training."""

import copy
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nabi import _checks, training
from nabi.errors import ArgumentError, FileFormatError, OutputError, ShapeError
from nabi.files import (
    ModelFile,
    check_tensors,
    part,
    read_kind,
    reading,
    write_model_file,
)
from nabi.layers import only_tensors_of, serialize, small_weights_header
from nabi.models._fitting import Fitting
from nabi.models._foreign import reader_of, writer_for
from nabi.small_weights import arrays_of

__all__ = [
    "UNREADABLE",
    "check_state",
    "describe_model",
    "load_training",
    "load_weights",
    "rebuild",
    "save_model",
    "save_weights",
    "set_weights",
]

UNREADABLE = "its model cannot be made again"
# Limit of numbers in the sample on which a user's model is called to create its weights: 512 MiB.
_LARGEST_INPUT = 1 << 27


def save_model(model: Fitting, path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a model and its training state."""
    _may_write(path, overwrite)
    foreign = writer_for(path)
    if foreign is not None:
        foreign.function("write")(model, path)
        return
    header, tensors = describe_model(model)
    compiled = model._compiled
    if compiled is not None:
        header["training"], more = training.training_to_file(compiled, model.device, model.completed_epoch)
        tensors |= more
    write_model_file(path, "model", header, tensors)


def describe_model(model: Fitting) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a model's header and tensors for a file, from which `make_model` recreates it."""
    small = small_weights_header(model)
    header = {"model": serialize(model), **_built_for(model), **small, "training": None}
    return header, _weights(model) | {f"state/{name}": value for name, value in model.get_extra().items()}


def save_weights(model: Fitting, path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write only the weights."""
    _may_write(path, overwrite)
    if not model.built:
        raise ArgumentError(f"save_weights: {model.name} has no weights yet; build or fit it first")
    foreign = writer_for(path)
    if foreign is not None:
        foreign.function("write_weights")(model, path)
        return
    write_model_file(path, "weights", _built_for(model), _weights(model))


def load_weights(model: Fitting, path: str | os.PathLike[str]) -> None:
    """Load weights into an existing model."""
    foreign = reader_of(path)
    if foreign is not None:
        foreign.function("read_weights")(model, path)
        return
    file = read_kind(path, ("model", "weights"))
    with _fitting(model, file):
        _trial(model, file)
    rebuild(model, file)
    set_weights(model, file, part(file.tensors, "weights/"))


def load_training(model: Fitting, path: str | os.PathLike[str]) -> None:
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
        check_state(built, file)
        _, state = training.training_from_file(
            described, file.tensors, into=compiled, weights=built.trainable_weights
        )
    rebuild(model, file)
    set_weights(model, file, part(file.tensors, "weights/"))
    model.set_extra(part(file.tensors, "state/"))
    model.completed_epoch = state.position.epoch
    compiled.bind(model.trainable_weights)
    compiled.continue_random_state(model.device)
    with reading(file.path, "training cannot go on from it"):
        for name, keeper in compiled.kept_beside.items():
            kept = part(state.extra, f"{name}/")
            if kept:  # none in files of nabi 0.1, nor of a callback that was not there
                keeper.set_extra(kept)


@contextmanager
def _fitting(model: Fitting, file: ModelFile) -> Iterator[None]:
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
            rebuild(built, file)
    check_tensors(weights, arrays_of(built.state_dict()), "weights/")
    return built


def rebuild(model: Any, file: ModelFile) -> None:
    """Make the weights of a model for the inputs that it was built for when the file was written."""
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


def _weights(model: Fitting) -> dict[str, Tensor]:
    return {f"weights/{name}": value for name, value in arrays_of(model.state_dict()).items()}


def set_weights(
    module: torch.nn.Module, file: ModelFile, weights: Mapping[str, Tensor], prefix: str = "weights/"
) -> None:
    """Copy weights from a file into a module: all of them, or none if one does not match.

    Raises:
        FileFormatError: if their names, shapes or dtypes do not match those of the module.
    """
    own = arrays_of(module.state_dict())
    check_tensors(weights, own, prefix)
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(weights[name])


def check_state(model: Any, file: ModelFile) -> None:
    """Refuse states and random seeds that do not match the model's layers."""
    found, own = part(file.tensors, "state/"), model.get_extra()
    check_tensors(found, own, "state/")
    for name, value in own.items():
        if value.dtype is torch.uint8 and value.device.type == "cpu":
            training.check_random_state(f"state/{name}", found[name])


def _may_write(path: str | os.PathLike[str], overwrite: bool) -> None:
    if not overwrite and _checks.path("path", path, wrong=OutputError).exists():
        raise OutputError(f"path: {os.fspath(path)} already exists, and overwrite is False")
