"""Layers trained without autograd: a forward and a backward function instead of a graph that is recorded.

Recording a graph and walking back through it costs more than the arithmetic of a small layer. The layers here
know their derivative; where all layers of a model do, a training step calls them one after the other. What
counts as right is autograd's result: tests compare the two over all kinds of layers.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import Parameter

from nabi.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalMaxPooling1D,
    Layer,
    MaxPooling1D,
    SimpleRNN,
    SpatialDropout1D,
)
from nabi.training._step._both_ways import direct_bidirectional, direct_masked_recurrent
from nabi.training._step._core import direct_activation, direct_dense, direct_dropout, direct_flatten
from nabi.training._step._pooled import direct_pooled_convolution
from nabi.training._step._recurrent import direct_recurrent
from nabi.training._step._sequence import direct_embedding
from nabi.training._step._windows import (
    direct_convolution,
    direct_global_max_pooling,
    direct_max_pooling,
)

__all__ = ["DirectLayer", "direct_layer", "direct_pair", "facts", "is_untouched"]

_KINDS: dict[type[Layer], Callable[..., Any]] = {
    Activation: direct_activation,
    Bidirectional: direct_bidirectional,
    Conv1D: direct_convolution,
    Dense: direct_dense,
    Dropout: direct_dropout,
    Embedding: direct_embedding,
    Flatten: direct_flatten,
    GRU: direct_recurrent,
    GlobalMaxPooling1D: direct_global_max_pooling,
    LSTM: direct_recurrent,
    MaxPooling1D: direct_max_pooling,
    RNN: direct_recurrent,
    SimpleRNN: direct_recurrent,
    SpatialDropout1D: direct_dropout,
}
_RECURRENT = tuple(kind for kind, make in _KINDS.items() if make is direct_recurrent)
_DTYPES = (torch.float32, torch.float64)
# Whatever a hook would see or change happens inside of autograd's or the module's machinery.
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# Methods that decide what a call does; a layer on which one has been replaced is not the layer known here.
_METHODS = frozenset(("__call__", "forward", "call", "compute_mask"))


class DirectLayer(Protocol):
    """One step of training of one layer: `forward`, then `backward`, which sets `grad` of the weights."""

    def fits(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """The shape of the output for inputs of a shape; None if the layer refuses it."""

    def forward(self, x: Tensor) -> Tensor:
        """The output in training."""

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """Set the gradients of the weights; the gradient of the input if it is needed."""


def direct_layer(
    layer: Layer, activation: Callable[[Tensor], Tensor] | None = None, *, masked: bool = False
) -> DirectLayer | None:
    """The layer's own forward and backward pass, or None where only autograd will do.

    Args:
        layer: a layer that is built.
        activation: instead of the layer's own, for a layer whose logits are wanted.
        masked: whether steps of its input may be masked. Only passes with a method `masked`, which takes the
            mask of the next batch and returns that of the output, then serve.

    None is returned for kinds of layers that are not known here, subclasses among them, for layers with
    penalties, hooks, replaced methods, or weights that are not plain parameters on the CPU.
    """
    make = _KINDS.get(type(layer))
    if make is None or not is_untouched(layer):
        return None
    if not all(type(inner) in _RECURRENT for inner in _inner(layer)):
        return None
    if masked and isinstance(layer, RNN):
        return direct_masked_recurrent(layer)
    made: DirectLayer | None = make(layer) if activation is None else make(layer, activation)
    return made


def facts(layer: Layer) -> list[Any]:
    """What a layer's passes are made from: while each of these is the same object, they hold.

    Beside them a layer must be untouched, and its weights must lie where they lay.
    """
    own, weights = vars(layer), layer._parameters.values()
    found = [value for name, value in own.items() if name != "training"]
    found += weights
    found += [weight is not None and weight.requires_grad for weight in weights]
    found += layer._modules.values()
    for inner in _inner(layer):
        found += facts(inner)
    return found


def is_untouched(layer: Layer) -> bool:
    """Whether calling a layer, and the layers in it, does what its class says and nothing else."""
    attributes = vars(layer)
    if not layer.built or layer._dtype not in _DTYPES or not _METHODS.isdisjoint(attributes):
        return False
    for name in _HOOKS:
        if attributes[name]:
            return False
    if attributes.get("_compiled_call_impl") is not None:  # layer.compile(), by torch.compile
        return False
    if layer._weight_regularizers or layer._call_losses or layer.activity_regularizer is not None:
        return False
    for weight in layer._parameters.values():
        if not _is_plain(weight, layer._dtype):
            return False
    return all(map(is_untouched, _inner(layer)))


def _inner(layer: Layer) -> tuple[Layer, ...]:
    """The layers in a layer that it has passes for."""
    return (layer.forward_layer, layer.backward_layer) if type(layer) is Bidirectional else ()


def direct_pair(first: Layer, second: Layer) -> DirectLayer | None:
    """The passes of two layers at once, where that is faster; both have passes of their own."""
    if type(first) is Conv1D and type(second) is MaxPooling1D:
        return direct_pooled_convolution(first, second)
    return None


def _is_plain(weight: Parameter | None, dtype: torch.dtype) -> bool:
    if weight is None:
        return True
    hooked = weight._backward_hooks or weight._post_accumulate_grad_hooks
    if type(weight) is not Parameter or hooked:
        return False
    # On an accelerator work is queued ahead of the computation, and what surrounds it costs next to nothing.
    return weight.dtype is dtype and weight.is_contiguous() and weight.device.type == "cpu"
