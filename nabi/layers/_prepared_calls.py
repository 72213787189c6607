"""Calls of a stack of layers that is called again and again on batches of the same shape, without gradients.

A call of a layer finds out what it is given, what its weights are and who listens; for a batch of one row all
that takes several times as long as computing. Where nothing can have changed since the last call, each layer
of the stack is down to what computes its output, by the same kernels and operators as its `call`, so with the
same bits. Whether nothing has changed is one comparison: of all attributes, weights and addresses with those
from which the calls were prepared. Whatever is unusual is left to the layers.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter, functional
from torch.nn.modules import module as torch_modules

from nabi.layers._core import Activation, Dense, Dropout, Flatten
from nabi.layers._layer._base import Layer
from nabi.layers._recurrent._families import GRU, LSTM, SimpleRNN
from nabi.layers._recurrent._rnn import RNN
from nabi.layers._sequence import Embedding
from nabi.native import Likeness, likeness, plain_addresses, runs_now
from nabi.scan import PreparedBatch

__all__ = ["PreparedCalls"]

_Key = tuple[torch.Size, torch.dtype]
_Call = Callable[[Tensor], Tensor]
# What stands for a layer while its calls are prepared: the call, and the shape and dtype of its outputs.
_Found = tuple[_Call | None, tuple[int, ...], torch.dtype]

# For how many shapes of batches calls are prepared, and how many are looked at for coming again.
_SHAPES, _SHAPES_SEEN = 16, 64
_dtype = attrgetter("dtype")
_FLOATING, _WHOLE = (torch.float32, torch.float64), (torch.int64, torch.int32)
# Methods that decide what a call does; a layer that has one of its own is not the layer known here.
_METHODS = frozenset(("__call__", "forward", "call", "compute_mask", "_compiled_call_impl"))


# The stack ------------------------------------------------------------------------------------------------


class PreparedCalls:
    """Calls of layers that follow one another, prepared for batches of shapes that come again."""

    def __init__(self) -> None:
        self._seen: set[_Key] = set()
        # What the calls are prepared from, and the calls: replaced together, for other threads may read them.
        self._ready: tuple[_Watch | None, dict[_Key, list[_Call] | None]] = (None, {})
        # Shapes and dtypes of arrays that a model has been given, and for which of its input shapes it takes
        # them as they are.
        self.arrays: dict[Any, tuple[Any]] = {}

    def __call__(self, stack: torch.nn.ModuleList, x: Any) -> Tensor | None:
        """Return the output of a stack out of training; None, with nothing done, if it must be called.

        Args:
            stack: the layers. Gradient mode is off.
            x: what the first one is given.
        """
        if type(x) is not Tensor or not _is_unwatched():
            return None
        key = x.shape, x.dtype
        watch, known = self._ready
        calls = known.get(key)
        if calls is None or watch is None:
            if key not in known:
                self._look_at(stack, key)
            return None
        return self._run(watch, calls, stack, x) if _is_plain(x) else None

    def of_array(self, stack: torch.nn.ModuleList, x: Any) -> Tensor | None:
        """As a call; `x` is a new tensor on the memory of an array. None also if nothing is ready for it."""
        watch, known = self._ready
        calls = known.get((x.shape, x.dtype))
        if calls is None or watch is None or not _is_unwatched():
            return None
        return self._run(watch, calls, stack, x)

    def _run(
        self, watch: "_Watch", calls: list[_Call], stack: torch.nn.ModuleList, x: Tensor
    ) -> Tensor | None:
        if not watch.holds(stack):
            self._ready = None, {}
            return None
        try:
            for call in calls:
                x = call(x)
        except IndexError:
            return None  # the layer says which number has no vector
        return x

    def calls_for(self, x: Tensor) -> list[_Call] | None:
        """Return what stands for the layers on inputs like this one, one after the other; None if they do."""
        return self._ready[1].get((x.shape, x.dtype))

    def _look_at(self, stack: torch.nn.ModuleList, key: _Key) -> None:
        """Prepare calls for a shape and dtype that come again."""
        if key not in self._seen:
            if len(self._seen) >= _SHAPES_SEEN:
                self._seen.clear()
            self._seen.add(key)
            return
        watch, known = self._ready
        if watch is None or not watch.holds(stack) or len(known) >= _SHAPES:
            watch, known = _Watch.of(stack), {}
        if watch is None:
            self._seen.discard(key)  # not at every call
        else:
            self._ready = watch, {**known, key: _prepare(watch.layers, *key)}


class _Watch:
    """All that decides what layers compute; `holds` as long as it is the same.

    Attributes:
        layers: the layers.
    """

    def __init__(self, layers: Sequence[Layer], weights: Sequence[Tensor], dtype: torch.dtype) -> None:
        self.layers, self._weights = layers, weights
        owns = [vars(layer) for layer in layers]
        self._kinds = list(map(type, layers))
        self._attributes = [(own, dict(own)) for own in owns]
        self._attributes += [(own["_parameters"], dict(own["_parameters"])) for own in owns]
        self._hooks = [own[name] for own in owns for name in ("_forward_hooks", "_forward_pre_hooks")]
        shapes = [weight.shape for weight in weights]
        self._addresses = plain_addresses(weights, shapes, dtype)
        self._shapes, self._dtypes = shapes, [dtype] * len(weights)
        # Says so in a fraction of the time if weights are alike; not if they are not.
        self._alike: Likeness | None = likeness(weights) if weights else None

    @classmethod
    def of(cls, stack: torch.nn.ModuleList) -> "_Watch | None":
        """Look at a stack; None where its layers must be called."""
        layers: list[Any] = list(stack)
        if not layers or not all(type(layer) in _KINDS and _is_usual(layer) for layer in layers):
            return None
        weights = [weight for layer in layers for weight in vars(layer)["_parameters"].values()]
        found = cls(layers, [weight for weight in weights if weight is not None], layers[0].dtype)
        return found if found._addresses is not None and found.holds(stack) else None

    def holds(self, stack: torch.nn.ModuleList) -> bool:
        """Return whether nothing has changed."""
        # Lists and dictionaries compare by identity before they ask what they hold.
        if list(stack._modules.values()) != self.layers or list(map(type, self.layers)) != self._kinds:
            return False
        try:
            for own, before in self._attributes:
                if own != before:
                    return False
        except (RuntimeError, TypeError, ValueError):
            return False  # another array or tensor in an attribute
        # The weights are the same objects; they may have been given other memory.
        weights = self._weights
        if any(self._hooks) or list(map(Tensor.data_ptr, weights)) != self._addresses:
            return False
        return (self._alike is not None and self._alike(*weights)) or (
            list(map(Tensor.size, weights)) == self._shapes
            and list(map(_dtype, weights)) == self._dtypes
            and all(map(Tensor.is_contiguous, weights))
        )


def _is_unwatched() -> bool:
    """Whether native code runs, and nobody listens or changes what operators compute."""
    return (
        runs_now()
        and not torch._C._is_any_autocast_enabled()
        and not (torch_modules._global_forward_hooks or torch_modules._global_forward_pre_hooks)
    )


def _is_plain(x: Tensor) -> bool:
    """Whether an input is nothing but numbers in memory, and carries no mask."""
    try:
        return x.data_ptr() != 0 and x.is_cpu and not x.is_neg() and not hasattr(x, "_keras_mask")
    except RuntimeError:  # it only stands for a tensor
        return False


def _is_usual(layer: Layer) -> bool:
    own = vars(layer)
    return (
        layer.built
        and not layer.training
        and layer.activity_regularizer is None
        and not layer._call_losses
        and _METHODS.isdisjoint(own)
        and not own["_modules"]
    )


# The layers -----------------------------------------------------------------------------------------------


def _prepare(layers: Sequence[Layer], size: torch.Size, dtype: torch.dtype) -> list[_Call] | None:
    """The calls of layers on inputs of a shape; None if one of them must be called."""
    calls, shape = [], tuple(size)
    for layer in layers:
        found = _KINDS[type(layer)](layer, shape, dtype)
        if found is None:
            return None
        call, shape, dtype = found
        if call is not None:
            calls.append(call)
    return calls or None


def _dense(layer: Dense, shape: tuple[int, ...], dtype: torch.dtype) -> _Found | None:
    kernel, bias, activation = layer.kernel, layer.bias, layer.activation
    if type(kernel) is not Parameter or dtype is not layer.dtype or dtype not in _FLOATING:
        return None
    if len(shape) < 2 or shape[-1] != kernel.shape[0]:
        return None
    if len(shape) == 2 and type(bias) is Parameter:
        # What `linear` calls, too.
        def product(x: Tensor) -> Tensor:
            return torch.addmm(bias, x, kernel)
    else:
        # As the layer does: torch takes other ways for a matrix that is trained, with other last digits.
        def product(x: Tensor) -> Tensor:
            return functional.linear(x, kernel.T, bias)

    outputs = (*shape[:-1], layer.units)
    if _is_linear(activation):
        return product, outputs, dtype
    return (lambda x: activation(product(x))), outputs, dtype


def _is_linear(activation: Any) -> bool:
    from nabi import activations

    return activation is activations.linear


def _activation(layer: Activation, shape: tuple[int, ...], dtype: torch.dtype) -> _Found | None:
    # Whole numbers are cast first.
    return (layer.activation, shape, dtype) if dtype is layer.dtype else None


def _dropout(layer: Dropout, shape: tuple[int, ...], dtype: torch.dtype) -> _Found | None:
    return (None, shape, dtype) if dtype is layer.dtype else None


def _flatten(layer: Flatten, shape: tuple[int, ...], dtype: torch.dtype) -> _Found | None:
    if len(shape) < 2 or 0 in shape or dtype is not layer.dtype:
        return None
    flat = shape[0], torch.Size(shape[1:]).numel()
    return (lambda x: x.reshape(flat)), flat, dtype


def _embedding(layer: Embedding, shape: tuple[int, ...], dtype: torch.dtype) -> _Found | None:
    weight = layer.embeddings
    if layer.mask_zero or dtype not in _WHOLE or type(weight) is not Parameter:
        return None
    return (lambda x: torch.embedding(weight, x)), (*shape, layer.output_dim), weight.dtype


def _recurrent(layer: RNN, shape: tuple[int, ...], dtype: torch.dtype) -> _Found | None:
    if layer.equations is None or layer.stateful or layer.return_state or layer.time_major:
        return None
    if layer.go_backwards or layer.unroll or dtype is not layer.dtype:
        return None
    program = layer.program()
    weights = [layer.stored_weight(family).detach() for family in program.families]
    if len(program.inputs) > 1 or not all(_lies_in(layer, weight) for weight in weights):
        return None
    found = PreparedBatch.of(program, weights, shape, dtype)
    if found is None:
        return None
    run = found.run
    if layer.return_sequences:
        return (lambda x: run(x)[0]), (*shape[:2], program.output_width), dtype
    return (lambda x: run(x)[1][0]), (shape[0], program.output_width), dtype


def _lies_in(layer: Layer, weight: Tensor) -> bool:
    """Whether a weight is a parameter of a layer or a part of one, and so stays as long as that does."""
    own = vars(layer)["_parameters"].values()
    memory = weight.untyped_storage().data_ptr() if type(weight) is Tensor else None
    return any(one is not None and one.untyped_storage().data_ptr() == memory for one in own)


_KINDS: dict[type[Any], Callable[[Any, tuple[int, ...], torch.dtype], _Found | None]] = {
    Activation: _activation,
    Dense: _dense,
    Dropout: _dropout,
    Embedding: _embedding,
    Flatten: _flatten,
    GRU: _recurrent,
    LSTM: _recurrent,
    RNN: _recurrent,
    SimpleRNN: _recurrent,
}
