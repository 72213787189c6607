"""Models and weights from Keras files; nothing in them is run."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nabi import _checks
from nabi._public import public
from nabi._shown import short
from nabi.errors import FileFormatError, NotReadyError
from nabi.files import begins_as_safetensors, file_content, plain_json, reading
from nabi.interchange._formats import recognised
from nabi.interchange._hdf5 import SIGNATURE as HDF5, Group, h5py_module, opened
from nabi.interchange._keras._archive import CONFIG, METADATA, SIGNATURE as ZIP, WEIGHTS, members_of
from nabi.interchange._keras._graphs import Made, make_model
from nabi.interchange._keras._old_weights import Array, Pair, is_list_of_layers, old_weights
from nabi.interchange._keras._origin import Origin, version_of
from nabi.interchange._keras._places import Place, places
from nabi.interchange._keras._training import as_tensor, read_training
from nabi.layers import Layer, only_tensors_of
from nabi.models import Model

__all__ = ["read_keras", "read_keras_weights"]

_UNREADABLE = "it cannot be read as a Keras file"
# Keras keeps a path of its own for layers in Keras 2.12's `.keras`.
_OLD_LAYERS = "_layer_checkpoint_dependencies"
# States of stateful layers are no part of the file; no real batch has more samples.
_MOST_SAMPLES = 1 << 14


@dataclass(frozen=True)
class _Opened:
    """A Keras file: its description of the model, if it has one, and its variables."""

    origin: Origin
    described: Any
    compiled: Any
    # The group with the variables of the model, and the one with the optimizer's.
    weights: Group
    optimizer: Group | None
    is_list: bool


@public
def read_keras(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Model:
    """Read a model from a Keras file: `.keras` of Keras 3 and 2, `.h5` of Keras 1 to 3. Keras is not needed.

    `nabi.models.load_model` calls this for such files. What the file is follows from its content, whatever
    its name ends in. Nothing in it is imported or run: layers are nabi's, by their class names, and a class
    or function of your own is only taken from `custom_objects`. The optimizer goes on with its state if it is
    an Adam, an RMSprop or an SGD of Keras 3. States of stateful layers and random seeds are not in a file.

    Args:
        path: the file.
        custom_objects: your own layer classes, losses and so on by name, and functions for Lambda layers by
            the name of the layer.
        compile: whether to compile the model as it was, if it was.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged, of another program, or has what nabi lacks; it names the layer.
        ArgumentError: if h5py is not installed (`pip install "nabi[keras-files]"`).

    >>> import tempfile
    >>> from nabi import interchange, layers, models
    >>> model = models.Sequential([layers.LSTM(2, input_shape=(4, 1)), layers.Dense(1)])
    >>> file = tempfile.mkdtemp() + "/model.keras"
    >>> interchange.write_keras(model, file)
    >>> interchange.read_keras(file).count_params()
    35
    """
    place = _checks.path("path", path)
    with _file(place, custom_objects) as file:
        if file.described is None:
            raise file.origin.refusal(
                "it has weights only: build the model in code and read them with model.load_weights(path)"
            )
        shapes = [one.shape for one in _arrays(file)]
        with only_tensors_of(shapes, [(_MOST_SAMPLES,)]), torch.random.fork_rng(devices=[]):
            model, made = make_model(file.described, file.origin)
            if not model.built:
                raise file.origin.refusal(
                    f"the model {short(model.name)} was saved before it knew the shape of its inputs, so "
                    "without weights; build it in code"
                )
        _assign(_pairs(model, made, file), file.origin)
        if compile and file.compiled is not None:
            inside = [weight for place in places(model, "", made.layers_of) for weight in place.weights]
            model.trainable_weights  # noqa: B018 - freezes what is inside of frozen layers
            order = [weight for weight in dict.fromkeys(inside) if weight.requires_grad]
            read_training(model, file.compiled, file.optimizer, order, file.origin)
    return model


@public
def read_keras_weights(model: Model, path: str | os.PathLike[str]) -> None:
    """Read the weights of a model that exists from a Keras file: `.weights.h5`, `.h5` or `.keras`.

    `model.load_weights` calls this for such files. Layers must be those of the file in the same order, as in
    Keras. The model is unchanged if the file does not fit.

    Args:
        model: with weights: built, or with a known input shape.
        path: the file.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged, of another program, or of another model; it names the layer.
        NotReadyError: if the model has no weights yet.
        ArgumentError: if h5py is not installed.

    >>> import tempfile
    >>> from nabi import interchange, layers, models
    >>> model = models.Sequential([layers.GRU(2, input_shape=(4, 1))])
    >>> file = tempfile.mkdtemp() + "/model.weights.h5"
    >>> interchange.write_keras_weights(model, file)
    >>> interchange.read_keras_weights(model, file)
    """
    if not model.built:
        raise NotReadyError(
            f"model: {model.name} has no weights yet: give its first layer an input_shape, or build it"
        )
    with _file(_checks.path("path", path), None) as file:
        _assign(_pairs(model, Made(file.origin), file), file.origin)


# Opening --------------------------------------------------------------------------------------------------


@contextmanager
def _file(path: Path, custom_objects: Mapping[str, Any] | None) -> Iterator[_Opened]:
    """Open a Keras file, and turn everything that goes wrong inside into an error that says so."""
    content = file_content(path)
    if content.startswith((ZIP, HDF5)):
        h5py_module()
    custom = dict(custom_objects or {})
    if content.startswith(ZIP):
        with reading(path, _UNREADABLE):
            members = members_of(content)
            if CONFIG not in members or WEIGHTS not in members:
                raise _other(path, "a zip archive without the members of a Keras model")
            with opened(members[WEIGHTS]) as group:
                yield _of_archive(path, members, group, custom)
    elif content.startswith(HDF5):
        with reading(path, _UNREADABLE), opened(content) as group:
            yield _of_hdf5(path, group, custom)
    else:
        raise _other(path, _what(path, content))


def _other(path: Path, what: str) -> FileFormatError:
    return FileFormatError(f"path: expected a Keras file, got {what} in {path}")


def _what(path: Path, content: bytes) -> str:
    """Say what a file is that is no Keras file."""
    if not content:
        return "nothing"
    if begins_as_safetensors(content, len(content)):
        return "a safetensors file (nabi's own are read with nabi.models.load_model)"
    if content.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "a pickle, which is never read since it can run code,"
    other = recognised(path)
    if other is not None:
        return other.with_article
    if content.lstrip()[:1] in (b"{", b"["):
        return "JSON without weights"
    return "no zip archive and no HDF5 file"


def _of_archive(path: Path, members: Mapping[str, bytes], group: Group, custom: Mapping[str, Any]) -> _Opened:
    metadata = plain_json(members.get(METADATA, b"{}"))
    if not isinstance(metadata, Mapping):
        raise ValueError(f"{METADATA}: expected an object, got {short(metadata)}")
    # An archive without its metadata is of Keras 3: older ones had the same members.
    version, inside = version_of(metadata.get("keras_version", "3.0"))
    described = plain_json(members[CONFIG])
    if not isinstance(described, Mapping):
        raise ValueError(f"{CONFIG}: expected an object, got {short(described)}")
    return _Opened(
        Origin(path, version, inside, custom),
        described,
        described.get("compile_config"),
        group,
        group.group("optimizer"),
        False,
    )


def _of_hdf5(path: Path, group: Group, custom: Mapping[str, Any]) -> _Opened:
    config, training = group.text("model_config"), group.text("training_config")
    weights = group.group("model_weights")
    holder = group if weights is None else weights
    described = None if config is None else plain_json(config)
    compiled = None if training is None else plain_json(training)
    is_list = is_list_of_layers(holder)
    if not is_list and config is not None:
        raise ValueError("model_weights: expected the names of layers, got none")
    if not is_list and not any(holder.is_group(name) for name in ("layers", _OLD_LAYERS, "vars")):
        raise _other(path, "an HDF5 file of another program")
    said = [one.text("keras_version") for one in (holder, group)]
    # The layout of groups came with Keras 3, which does not write its version into a file of weights.
    known = next((one for one in said if one is not None), None if is_list else "3.0")
    version, inside = version_of(known)
    backend = holder.text("backend") or group.text("backend") or ""
    origin = Origin(path, version, inside, custom, backend)
    optimizer = group.group("optimizer_weights") if is_list else group.group("optimizer")
    return _Opened(origin, described, compiled, holder, optimizer, is_list)


# Weights --------------------------------------------------------------------------------------------------


def _arrays(file: _Opened) -> list[Array]:
    """Return all arrays of the model's variables, before there is a model to compare them with."""
    found: list[Array] = []
    if file.is_list:
        for name in file.weights.texts("layer_names") or []:
            held = file.weights.group(name)
            names = (held.texts("weight_names") or []) if held is not None else []
            found += [held.array(one) for one in names if held is not None]
        return found
    waiting = [
        one for one in (file.weights.group("layers"), file.weights.group(_OLD_LAYERS)) if one is not None
    ]
    while waiting:
        group = waiting.pop()
        for name in group.names():
            inside = group.group(name)
            if inside is not None:
                waiting.append(inside)
            elif name.isdigit():
                found.append(group.array(name))
    return found


def _pairs(model: Any, made: Made, file: _Opened) -> list[Pair]:
    """Return every weight of the model with the array for it.

    Raises:
        FileFormatError: if one is missing, or the file has more.
    """
    if file.is_list:
        return old_weights(file.weights, _flat(model, made), file.origin)
    pairs: list[Pair] = []
    for place in places(model, "", made.layers_of):
        with file.origin.naming(place.layer.name):
            pairs += _of_place(place, file.weights)
    return pairs


def _flat(model: Any, made: Made) -> Sequence[Layer]:
    inside = made.layers_of.get(id(model))
    return model.layers if inside is None else inside


def _of_place(place: Place, weights: Group) -> list[Pair]:
    if not place.weights:
        return []
    path = f"{place.path}/vars" if place.path else "vars"
    group = weights.group(path) or weights.group(path.replace("layers/", f"{_OLD_LAYERS}/"))
    names = [] if group is None else [name for name in group.names() if name.isdigit()]
    if group is None or len(names) != len(place.weights):
        raise ValueError(f"{path}: expected {len(place.weights)} variables, got {len(names)}")
    return [
        (place.layer.name, weight, group.array(str(number))) for number, weight in enumerate(place.weights)
    ]


def _assign(pairs: Sequence[Pair], origin: Origin) -> None:
    """Copy arrays into weights: all of them, or none if one does not fit."""
    values = []
    for name, weight, array in pairs:
        with origin.naming(name):
            if tuple(array.shape) != tuple(weight.shape):
                raise ValueError(f"expected a weight of shape {tuple(weight.shape)}, got {array.shape}")
            if array.dtype.kind not in "fiu":
                raise ValueError(f"expected numbers, got {array.dtype}")
            values.append(as_tensor(array))
    with torch.no_grad():
        for (_, weight, _), value in zip(pairs, values, strict=True):
            weight.copy_(value)
