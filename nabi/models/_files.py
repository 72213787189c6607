"""Models to and from files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi import training
from nabi.errors import ArgumentError, FileFormatError, OutputError, ShapeError
from nabi.interchange import ModelFile, read_model_file, write_model_file
from nabi.layers import deserialize, serialize
from nabi.layers._torch_module import module_sizes

if TYPE_CHECKING:
    from nabi.models._model import Model

__all__ = [
    "describe_model",
    "load_model",
    "load_training",
    "load_weights",
    "make_model",
    "read_kind",
    "save_model",
    "save_weights",
]


def save_model(model: "Model", path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a model and where its training stands."""
    _may_write(path, overwrite)
    header, tensors = describe_model(model)
    compiled = model._compiled
    if compiled is not None:
        header["training"], more = training.training_to_file(compiled, model.device)
        header["training"]["completed_epoch"] = model.completed_epoch
        tensors |= more
    write_model_file(path, "model", header, tensors)


def describe_model(model: "Model") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what a file says of a model, and the tensors it holds of it; `make_model` makes it again."""
    header = {"model": serialize(model), **_built_for(model), "training": None}
    return header, _weights(model) | {f"state/{name}": value for name, value in model.get_extra().items()}


def save_weights(model: "Model", path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write the weights alone."""
    _may_write(path, overwrite)
    if not model.built:
        raise ArgumentError(f"save_weights: {model.name} has no weights yet; build or fit it first")
    write_model_file(path, "weights", _built_for(model), _weights(model))


def load_model(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> "Model":
    """Read a model that `Model.save` wrote.

    Training goes on from there as if it had never stopped: `fit` with the same data and `initial_epoch` gives
    the same numbers, bit by bit. For that, the first `fit` puts back torch's random state of the file, unless
    `set_random_seed` has been called since.

    Args:
        path: the file.
        custom_objects: classes and functions of your own that the model uses, by name.
        compile: whether to read how it was compiled and where its training stood.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged, cut short, of another program, or of a newer layout.
        ArgumentError: if it needs `custom_objects` that are not given.

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
    """Make the model that `describe_model` described, with its weights and states; raises as `load_model`."""
    try:
        _check_sizes(file)
        with torch.random.fork_rng(devices=[]):
            model: Any = deserialize(file.header["model"], dict(custom_objects or {}))
            _rebuild(model, file)
    except FileFormatError:
        raise
    except ArgumentError as problem:
        raise type(problem)(f"{problem} (in the model file {file.path}; see custom_objects)") from problem
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, MemoryError) as problem:
        raise _damaged(file, problem) from problem
    try:
        _set_weights(model, file)
        model.set_extra(_part(file, "state/"))
    except (ArgumentError, RuntimeError, TypeError) as problem:
        raise _damaged(file, problem) from problem
    return model  # type: ignore[no-any-return]


def load_weights(model: "Model", path: str | os.PathLike[str]) -> None:
    """Read weights into a model that is there."""
    file = read_kind(path, ("model", "weights"))
    _rebuild(model, file)
    _set_weights(model, file)


def load_training(model: "Model", path: str | os.PathLike[str]) -> None:
    """Put a compiled model back to where its training stood when the file was written."""
    file = read_kind(path, ("model",))
    if file.header.get("training") is None:
        raise FileFormatError(f"path: {file.path} holds a model that was not compiled")
    _rebuild(model, file)
    _set_weights(model, file)
    model.set_extra(_part(file, "state/"))
    compiled = model.compiled
    training.training_from_file(file.header["training"], file.tensors, into=compiled)
    model.completed_epoch = int(file.header["training"]["completed_epoch"])
    compiled.bind(model.trainable_weights)
    compiled.continue_random_state(model.device)


# What reads a file of another kind than the one expected.
_READERS = {
    "captioner": "nabi.Captioner.load",
    "captioner training": "checkpoint= of nabi.Captioner.fit",
    "model": "nabi.models.load_model",
    "weights": "load_weights of a model",
    "text classifier": "nabi.TextClassifier.load",
    "language model": "nabi.LanguageModel.load",
    "language model training": "checkpoint= of nabi.LanguageModel.fit",
    "note model": "nabi.NoteModel.load",
    "note model training": "checkpoint= of nabi.NoteModel.fit",
    "translator": "nabi.Translator.load",
    "translator training": "checkpoint= of nabi.Translator.fit",
}


def read_kind(path: str | os.PathLike[str], kinds: tuple[str, ...]) -> ModelFile:
    """Read a model file that holds one of these kinds.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged or holds another kind.
    """
    file = read_model_file(path)
    if file.kind not in kinds:
        hint = f"; read it with {_READERS[file.kind]}" if file.kind in _READERS else ""
        raise FileFormatError(f"path: {file.path} holds {file.kind}, expected {' or '.join(kinds)}{hint}")
    return file


# Arguments of layers that are sizes of weights.
_SIZES = ("units", "input_dim", "output_dim", "filters")


def _check_sizes(file: ModelFile) -> None:
    """Refuse layers that are larger than the weights in the file, before memory is taken for them.

    Raises:
        FileFormatError: if a layer has a size that no weight has.
    """
    weights = _part(file, "weights/").values()
    if not weights and file.header.get("input_shape") is None:
        return
    largest = max((size for weight in weights for size in weight.shape), default=0)
    waiting: list[Any] = [file.header["model"]]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            for name in _SIZES:
                size = part.get(name)
                if isinstance(size, int) and size > largest:
                    raise FileFormatError(
                        f"path: {file.path} is damaged: a layer has {name}={size}, "
                        f"but no weight in the file is larger than {largest} on any axis"
                    )
            if "torch_class" in part and module_sizes(part) > largest:
                raise FileFormatError(
                    f"path: {file.path} is damaged: a torch module has larger weights than the file"
                )
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _damaged(file: ModelFile, problem: Exception) -> FileFormatError:
    return FileFormatError(
        f"path: {file.path} is damaged: its model cannot be made again ({type(problem).__name__}: {problem})"
    )


def _rebuild(model: Any, file: ModelFile) -> None:
    shape = file.header.get("input_shape")
    if shape is not None:
        model.rebuild(shape, file.header.get("input_dtype", "float32"))


def _built_for(model: Any) -> dict[str, Any]:
    if model._input is None or not model.built:
        return {"input_shape": None}
    shape, dtype = model._input
    return {"input_shape": list(shape), "input_dtype": dtype}


def _weights(model: "Model") -> dict[str, Tensor]:
    return {f"weights/{name}": value for name, value in model.state_dict().items()}


def _part(file: ModelFile, prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value for name, value in file.tensors.items() if name.startswith(prefix)
    }


def _set_weights(model: "Model", file: ModelFile) -> None:
    there, own = _part(file, "weights/"), model.state_dict()
    missing, foreign = sorted(own.keys() - there.keys()), sorted(there.keys() - own.keys())
    if missing or foreign:
        names = [f"lacks {', '.join(missing)}"] if missing else []
        names += [f"has {', '.join(foreign)} besides"] if foreign else []
        raise ShapeError(
            f"path: the weights in {file.path} are not those of {model.name}: it {'; it '.join(names)}"
        )
    for name, value in own.items():
        if value.shape != there[name].shape:
            raise ShapeError(
                f"path: {name} in {file.path} has shape {tuple(there[name].shape)}, {model.name} expects "
                f"{tuple(value.shape)}"
            )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(there[name])


def _set_training(model: Any, file: ModelFile, custom_objects: Mapping[str, Any] | None) -> None:
    description = file.header.get("training")
    if description is None:
        return
    try:
        model._compiled = training.training_from_file(description, file.tensors, custom_objects)
        model.completed_epoch = int(description["completed_epoch"])
    except ArgumentError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as problem:
        raise _damaged(file, problem) from problem


def _may_write(path: str | os.PathLike[str], overwrite: bool) -> None:
    if not overwrite and Path(path).exists():
        raise OutputError(f"path: {os.fspath(path)} is there already, and overwrite is false")
