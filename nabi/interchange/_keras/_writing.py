"""Models and weights as files for Keras 3."""

import io
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import Parameter

from nabi._public import public
from nabi.errors import NotReadyError
from nabi.files import write_atomically
from nabi.interchange._hdf5 import h5py_module
from nabi.interchange._keras._archive import CONFIG, METADATA, WEIGHTS, write_members
from nabi.interchange._keras._places import places
from nabi.interchange._keras._to_configs import described_model
from nabi.interchange._keras._training import described_training, optimizer_state
from nabi.layers import Layer
from nabi.models import Model

__all__ = ["write_keras", "write_keras_weights"]

# The Keras whose layout is written.
_VERSION = "3.15.1"
# Always the same, so that equal models give equal files.
_DATE = "1980-01-01@00:00:00"
# What fits into one attribute of HDF5, as references to texts.
_MOST_NAMES = 2000


@public
def write_keras(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as a file that Keras 3 loads: `.keras`, or `.h5` if the name ends in `.h5` or `.hdf5`.

    `model.save` calls this for such names. Written are the layers, the weights and, as far as Keras has them,
    the arguments of `compile` with the state of an Adam, RMSprop or SGD. Equal models give equal files.

    Args:
        model: a Sequential or functional model with weights.
        path: of the file.

    Raises:
        ArgumentError: for a layer, cell or activation that Keras does not have, or if h5py is not installed
            (`pip install "nabi[keras-files]"`).
        NotReadyError: if the model has no weights yet.
        OutputError: if the file cannot be written.

    >>> import tempfile
    >>> from nabi import interchange, layers, models
    >>> model = models.Sequential([layers.GRU(3, input_shape=(None, 2)), layers.Dense(1)])
    >>> interchange.write_keras(model, tempfile.mkdtemp() + "/model.h5")
    """
    _check_built(model)
    h5py_module()
    described, compiled = described_model(model), described_training(model)
    if os.fspath(path).endswith((".h5", ".hdf5")):
        content = _whole_list(model, described, compiled)
        with write_atomically(path) as file:
            file.write(content)
        return
    config = {**described, "compile_config": compiled} if compiled else described
    members = {
        METADATA: json.dumps({"keras_version": _VERSION, "date_saved": _DATE}).encode(),
        CONFIG: json.dumps(config).encode(),
        WEIGHTS: _tree(model, state=bool(compiled)),
    }
    with write_atomically(path) as file:
        write_members(file, members)


@public
def write_keras_weights(model: Model, path: str | os.PathLike[str]) -> None:
    """Write only the weights, as Keras 3 reads them with `load_weights`.

    `model.save_weights` calls this for names that end in `.weights.h5`. Other names that end in `.h5` get the
    list of layers that Keras 1 and 2 write, which Keras 3 reads too.

    Args:
        model: with weights.
        path: of the file.

    Raises:
        NotReadyError: if the model has no weights yet.
        OutputError: if the file cannot be written.
        ArgumentError: if h5py is not installed.

    >>> import tempfile
    >>> from nabi import interchange, layers, models
    >>> model = models.Sequential([layers.GRU(3, input_shape=(None, 2))])
    >>> interchange.write_keras_weights(model, tempfile.mkdtemp() + "/model.weights.h5")
    """
    _check_built(model)
    old = not os.fspath(path).endswith(".weights.h5")
    content = _list(model) if old else _tree(model, state=False)
    with write_atomically(path) as file:
        file.write(content)


def _check_built(model: Model) -> None:
    if not model.built:
        raise NotReadyError(
            f"model: {model.name} has no weights yet: give its first layer an input_shape, or build it"
        )


def _trained(model: Model) -> list[Parameter]:
    """Return the trained weights in the order in which Keras' optimizers keep them."""
    known = {id(weight) for weight in model.trainable_weights}
    inside = [weight for place in places(model) for weight in place.weights]
    return [weight for weight in dict.fromkeys(inside) if id(weight) in known]


def _array(weight: Tensor) -> np.ndarray[Any, Any]:
    values = weight.detach().cpu()
    # NumPy has no bfloat16; float32 has room for all its numbers.
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()


# Keras 3 --------------------------------------------------------------------------------------------------


def _tree(model: Model, *, state: bool) -> bytes:
    """Return an HDF5 file with the variables in groups, as inside of `.keras`."""
    buffer = io.BytesIO()
    with h5py_module().File(buffer, "w") as file:
        for place in places(model):
            group = file.create_group(f"{place.path}/vars" if place.path else "vars")
            group.attrs["name"] = place.name
            for number, weight in enumerate(place.weights):
                group[str(number)] = _array(weight)
        if state:
            group = file.create_group("optimizer/vars")
            group.attrs["name"] = model.optimizer.name
            for number, array in enumerate(optimizer_state(model, _trained(model))):
                group[str(number)] = array
    return buffer.getvalue()


# Keras 1 and 2 --------------------------------------------------------------------------------------------


def _whole_list(model: Model, described: dict[str, Any], compiled: dict[str, Any] | None) -> bytes:
    """Return an HDF5 file with the model's description and its weights layer by layer."""
    buffer = io.BytesIO()
    with h5py_module().File(buffer, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = _VERSION, "torch"
        file.attrs["model_config"] = json.dumps({name: described[name] for name in ("class_name", "config")})
        _write_list(file.create_group("model_weights"), model)
        if compiled is not None:
            optimizer = compiled["optimizer"]
            said = {key: one for key, one in compiled.items() if key != "optimizer"}
            said["optimizer_config"] = {name: optimizer[name] for name in ("class_name", "config")}
            file.attrs["training_config"] = json.dumps(said)
            group = file.create_group("optimizer_weights")
            arrays = optimizer_state(model, _trained(model))
            names = [f"{model.optimizer.name}/{number}" for number in range(len(arrays))]
            _write_texts(group, "weight_names", names)
            for name, array in zip(names, arrays, strict=True):
                group[name] = array
    return buffer.getvalue()


def _list(model: Model) -> bytes:
    buffer = io.BytesIO()
    with h5py_module().File(buffer, "w") as file:
        _write_list(file, model)
    return buffer.getvalue()


def _write_list(group: Any, model: Model) -> None:
    group.attrs["keras_version"], group.attrs["backend"] = _VERSION, "torch"
    _write_texts(group, "layer_names", [layer.name for layer in model.layers])
    for layer in model.layers:
        held = group.create_group(layer.name)
        names = _weight_names(layer)
        weights = [*layer.trainable_weights, *layer.non_trainable_weights]
        _write_texts(held, "weight_names", [names[id(weight)] for weight in weights])
        for weight in weights:
            held[names[id(weight)]] = _array(weight)


def _weight_names(layer: Layer) -> dict[int, str]:
    """Return names such as `lstm_1/cell/kernel`; Keras goes by the order, people read the names."""
    found: dict[int, str] = {}
    for place in places(layer, layer.name):
        for attribute, weight in place.layer.named_parameters(recurse=False):
            found.setdefault(id(weight), f"{place.path}/{attribute}")
    return found


def _write_texts(group: Any, name: str, texts: Sequence[str]) -> None:
    """Write a list of texts as an attribute, in parts if it is long."""
    text = h5py_module().string_dtype()
    parts = [texts[first : first + _MOST_NAMES] for first in range(0, len(texts), _MOST_NAMES)]
    if len(parts) < 2:
        group.attrs.create(name, np.array(list(texts), dtype=object), dtype=text)
        return
    for number, one in enumerate(parts):
        group.attrs.create(f"{name}{number}", np.array(list(one), dtype=object), dtype=text)
