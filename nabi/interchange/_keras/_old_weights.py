"""Weights as Keras 1 and 2 kept them, and as Keras 3 writes them into `.h5`: a list of arrays for each layer.

They belong to layers by their order, not by name. Layers of old files may be in another layout: the gates of
Keras 1 one by one, those of cuDNN transposed, kernels of one-dimensional convolutions with an axis more.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.nn import Parameter

from nabi import layers
from nabi._shown import short
from nabi.interchange._hdf5 import Group
from nabi.interchange._keras._origin import Origin
from nabi.interchange._keras._places import places
from nabi.layers import Layer

__all__ = ["Array", "Pair", "is_list_of_layers", "old_weights"]

Array = np.ndarray[Any, Any]
Pair = tuple[str, Parameter, Array]

_GATES = {"LSTM": 4, "LSTMCell": 4, "GRU": 3, "GRUCell": 3}
# The order of the gates in the lists of Keras 1, and of now.
_FIRST_ORDER = {"LSTM": (0, 2, 1, 3), "GRU": (0, 1, 2)}


def is_list_of_layers(group: Group) -> bool:
    """Tell whether a group has weights in the layout of Keras 1 and 2."""
    return group.texts("layer_names") is not None


def old_weights(group: Group, inside: Sequence[Layer], origin: Origin) -> list[Pair]:
    """Return layer names, weights and the arrays for them.

    Args:
        group: `model_weights` of a model, or the first group of a file of weights.
        inside: the layers of the model in the order of the file.
        origin: of the file.

    Raises:
        FileFormatError: if they do not belong together; it names the layer.
    """
    found: list[tuple[str, list[Array]]] = []
    for name in group.texts("layer_names") or []:
        with origin.naming(name):
            held = group.group(name)
            if held is None:
                raise ValueError("there is no group of its weights")
            names = held.texts("weight_names") or []
            if names:
                found.append((name, [held.array(one) for one in names]))
    having = [layer for layer in inside if layer.weights]
    if len(having) != len(found):
        raise origin.refusal(
            f"expected weights of {len(having)} layers ({short([one.name for one in having])}), got weights "
            f"of {len(found)} ({short([name for name, _ in found])})"
        )
    pairs: list[Pair] = []
    for layer, (name, arrays) in zip(having, found, strict=True):
        with origin.naming(name):
            pairs += _pairs(layer, arrays, origin)
    return pairs


def _pairs(layer: Layer, arrays: Sequence[Array], origin: Origin) -> list[Pair]:
    """Return the weights of one layer, and of all inside of it, with their arrays."""
    weights = [*layer.trainable_weights, *layer.non_trainable_weights]
    home = {id(weight): place.layer for place in places(layer) for weight in place.weights}
    groups: list[tuple[Layer, list[Parameter]]] = []
    for weight in weights:
        own = home.get(id(weight), layer)
        if groups and groups[-1][0] is own:
            groups[-1][1].append(weight)
        else:
            groups.append((own, [weight]))
    # Keras 1 kept the matrices of each gate.
    counts = [_GATES.get(type(own).__name__, 1) * len(some) for own, some in groups]
    single = origin.major == 1 and sum(counts) == len(arrays) > len(weights)
    if not single:
        counts = [len(some) for _, some in groups]
    if sum(counts) != len(arrays):
        raise ValueError(f"expected {sum(counts)} weights, got {len(arrays)}")
    pairs, taken = [], 0
    for (own, some), count in zip(groups, counts, strict=True):
        held = list(arrays[taken : taken + count])
        taken += count
        if count > len(some):
            held = _first_gates(type(own).__name__, held)
        held = _as_now(own, held, origin)
        pairs += [(own.name, weight, array) for weight, array in zip(some, held, strict=True)]
    return pairs


def _first_gates(kind: str, arrays: list[Array]) -> list[Array]:
    """Join the matrices of gates, `W_i, U_i, b_i, W_c, ...` in Keras 1."""
    order = _FIRST_ORDER[kind.removesuffix("Cell")]
    size = len(arrays) // len(order)
    return [np.concatenate([arrays[gate * size + one] for gate in order], axis=-1) for one in range(size)]


def _as_now(layer: Layer, arrays: list[Array], origin: Origin) -> list[Array]:
    """Return the arrays in today's layout, told by their shapes."""
    kind = type(layer).__name__
    gates = _GATES.get(kind)
    full = gates is not None and len(arrays) == 3 and arrays[1].ndim == 2 and arrays[2].ndim == 1
    if gates and full and arrays[2].shape[0] == 2 * gates * arrays[1].shape[0]:
        return _from_cudnn(kind, layer, arrays, gates)
    if isinstance(layer, layers.Conv1D | layers.Conv2D) and arrays and origin.major == 1:
        return [_first_kernel(layer, arrays[0]), *arrays[1:]]
    if isinstance(layer, layers.Conv1D | layers.Conv2D) and arrays and origin.backend == "theano":
        return [_turned(arrays[0]), *arrays[1:]]
    return arrays


def _from_cudnn(kind: str, layer: Any, arrays: Sequence[Array], gates: int) -> list[Array]:
    """Return the weights of CuDNNLSTM and CuDNNGRU: matrices transposed in memory, biases of two products."""
    kernel, recurrent, bias = arrays
    if kind.startswith("GRU") and not layer.reset_after:
        raise ValueError("expected the weights of a GRU with reset_after=False, got those of cuDNN's GRU")
    columns = np.split(kernel, gates, axis=1)
    kernel = np.concatenate([one.T.reshape(one.shape, order="F") for one in columns], axis=1)
    recurrent = np.concatenate([one.T for one in np.split(recurrent, gates, axis=1)], axis=1)
    halves = bias.reshape(2, -1)
    return [kernel, recurrent, halves.sum(0) if kind.startswith("LSTM") else halves]


def _first_kernel(layer: Any, kernel: Array) -> Array:
    """Return a kernel of Keras 1, where one over time had an axis of length 1 after the time."""
    if isinstance(layer, layers.Conv1D) and kernel.ndim == 4:
        if kernel.shape[:2] != (layer.kernel_size[0], 1) or kernel.shape[3] != layer.filters:
            kernel = kernel.transpose(2, 3, 1, 0)  # before 1.0
        kernel = kernel[:, 0]
    return kernel


def _turned(kernel: Array) -> Array:
    """Return a kernel of Theano, which reads windows from the end."""
    return kernel[tuple(slice(None, None, -1) for _ in range(kernel.ndim - 2))]
