"""Which models are trained without autograd: the parts that their layers have, and whether they still hold.

Recording a graph and walking back through it costs more than the arithmetic of a small layer. The layers here
know their derivative; where all layers of a model do, a training step calls them one after the other. What
counts as right is autograd's result: tests compare the two over all kinds of layers.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.modules import module as torch_modules

from nabi.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    SimpleRNN,
    SpatialDropout1D,
    has_penalties,
    linear,
)
from nabi.native import is_watched
from nabi.training._losses._classes import FunctionLoss
from nabi.training._step._core import ActivationPass, DensePass, DropoutPass, FlattenPass, Pass
from nabi.training._step._recurrent import BothWaysPass, EmbeddingPass, RecurrentPass

__all__ = ["LayerCall", "Parts", "Snapshot", "Steps", "are_known", "find_parts", "is_unwatched"]

_DTYPES = (torch.float32, torch.float64)
# Methods that decide what a call does; a layer on which one has been replaced is not the layer known here.
_METHODS = frozenset(("__call__", "forward", "call", "compute_mask"))


class LayerCall(NamedTuple):
    """A call of a layer in a model.

    The tensors of a model are numbered: its inputs first, from 0 on.

    Attributes:
        layer: the layer.
        inputs: the numbers of the tensors that it takes.
        output: the number of the one that it gives.
    """

    layer: Layer
    inputs: tuple[int, ...]
    output: int


class Steps(NamedTuple):
    """What a model is, laid open for its training.

    Attributes:
        calls: of its layers, in their order.
        outputs: the numbers of the model's outputs.
        readout: the layer with a softmax or sigmoid at the end, and which of the two; None without one.
    """

    calls: Sequence[LayerCall]
    outputs: tuple[int, ...]
    readout: tuple[Layer, str] | None

    def as_chain(self) -> list[Layer] | None:
        """The layers, if each takes what the one before it gives, and the first the only input."""
        last, found = 0, []
        for layer, inputs, output in self.calls:
            if inputs != (last,):
                return None
            found.append(layer)
            last = output
        return found if found and self.outputs == (last,) else None


# Whether a chain still holds ------------------------------------------------------------------------------


class Snapshot:
    """What a chain is made from: the chain holds as long as another snapshot is the same.

    Everything that decides what a step does is in it: the layers with all their attributes and weights, the
    loss, and where the weights lie. Only torch's modes are not; see `is_unwatched`.

    Attributes:
        weights: of all layers.
        addresses: where they lie.
        is_plain: whether no hook listens, at the model, a layer or a weight, and nothing adds a penalty.
    """

    def __init__(self, model: Layer, layers: Sequence[Layer], loss: FunctionLoss, logits_of: Any) -> None:
        everything = [one for layer in layers for one in (layer, *_inner(layer))]
        found: list[Any] = [logits_of, os.environ.get("NABI_NATIVE") == "0", loss, *vars(loss).values()]
        found += loss.options.values()
        found += everything
        self.is_plain = not has_penalties(model, *everything) and not _is_heard(model)
        self.weights: list[Parameter] = []
        for layer in everything:
            own = vars(layer)
            self.is_plain = self.is_plain and not _is_heard(layer)
            found += own.values()
            found += own["_modules"].values()
            for weight in own["_parameters"].values():
                found.append(weight)
                if weight is None:
                    continue
                if (
                    type(weight) is not Parameter
                    or weight._backward_hooks
                    or weight._post_accumulate_grad_hooks
                ):
                    self.is_plain = False
                found += (weight.requires_grad, weight.dtype, weight.is_contiguous())
                self.weights.append(weight)
        self._objects = found
        # What is no plain parameter may have no memory to ask for.
        self.addresses = list(map(Tensor.data_ptr, self.weights)) if self.is_plain else []

    def is_as(self, other: "Snapshot") -> bool:
        """Whether nothing changed from one to the other, of which one is plain."""
        mine, its = self._objects, other._objects
        if self.is_plain is not other.is_plain or len(mine) != len(its):
            return False
        return all(map(is_, mine, its)) and self.addresses == other.addresses


def _is_heard(module: Layer) -> bool:
    """Whether a hook listens; what it would see or change happens inside of the module's machinery."""
    own = vars(module)
    return bool(
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
    )


def is_unwatched() -> bool:
    """Whether nothing in torch is switched on that changes or records what autograd does."""
    if not torch.is_grad_enabled() or torch.is_anomaly_enabled() or torch.is_inference_mode_enabled():
        return False
    if torch._C._is_any_autocast_enabled() or is_watched():
        return False
    if torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
        return False
    return not (
        torch_modules._global_forward_hooks
        or torch_modules._global_forward_pre_hooks
        or torch_modules._global_backward_hooks
        or torch_modules._global_backward_pre_hooks
    )


def are_known(layers: Sequence[Layer]) -> bool:
    """Whether there may be parts for all layers, by their kinds; subclasses are others."""
    return all(type(layer) in _EVERY_KIND or type(layer) in _over_windows(layer) for layer in layers)


def _is_usual(layer: Layer) -> bool:
    """Whether calling a layer of a plain snapshot, and those in it, does what its class says."""
    own, dtype = vars(layer), layer.dtype
    if not layer.built or dtype not in _DTYPES or not _METHODS.isdisjoint(own):
        return False
    if own.get("_compiled_call_impl") is not None:  # layer.compile(), by torch.compile
        return False
    for weight in own["_parameters"].values():
        # On an accelerator work is queued ahead of the computation, and what surrounds it costs next to
        # nothing.
        if weight is not None and not (
            weight.dtype is dtype and weight.is_contiguous() and weight.device.type == "cpu"
        ):
            return False
    return all(map(_is_usual, _inner(layer)))


def _inner(layer: Layer) -> tuple[Layer, ...]:
    """The layers in a layer that it has a part for."""
    return (layer.forward_layer, layer.backward_layer) if type(layer) is Bidirectional else ()


# The parts ------------------------------------------------------------------------------------------------


class Parts(NamedTuple):
    """The parts of layers that follow one another.

    Attributes:
        layers: each with its part; where two layers share one, the first of them.
        readout: the name and function of the activation that is taken off, if the outputs are its logits.
        masked: those that a mask goes through, from the second layer on; None if the first makes none.
    """

    layers: list[tuple[Layer, Pass]]
    readout: tuple[str, Any] | None
    masked: list[Pass] | None


def find_parts(
    layers: Sequence[Layer], readout: tuple[Layer, str] | None, logits_of: str | None, snapshot: Snapshot
) -> Parts | None:
    """The parts of layers that follow one another; None where only autograd will do.

    That is so for kinds of layers that are not known here, subclasses among them, for layers with penalties,
    hooks, replaced methods, or weights that are not plain parameters on the CPU.
    """
    if not snapshot.is_plain or not all(map(_is_usual, layers)):
        return None
    parts: list[tuple[Layer, Pass]] = []
    logits: tuple[str, Any] | None = None
    masks = isinstance(layers[0], Embedding) and layers[0].mask_zero
    masked = masks
    for layer in layers:
        function = None
        if readout is not None and readout[1] == logits_of and layer is readout[0]:
            function, logits = linear, (readout[1], layer.activation)
        own = _part(layer, function, masked)
        if own is None or layer.dtype is not layers[0].dtype:
            return None
        if isinstance(layer, Embedding) and parts:
            return None  # numbers that other layers computed are rounded, and have no gradient
        parts.append((layer, own))
        masked = masked and not own.ends_masks
    weights = snapshot.weights
    shared = len({id(weight) for weight in weights}) < len(weights)
    if shared or not any(weight.requires_grad for weight in weights):
        return None
    if any(_over_windows(layer) for layer in layers):
        from nabi.training._step._windows import in_pairs

        parts = in_pairs(parts)
    if not masks:
        _choose_embedding(parts)
        return Parts(parts, logits, None)
    through = _with_masks([own for _, own in parts[1:]])
    return None if through is None else Parts(parts, logits, through)


def _choose_embedding(parts: Sequence[tuple[Layer, Pass]]) -> None:
    """Let an embedding without a mask be native, and tell it whether the next layer goes over time."""
    (_, first), *others = parts
    if isinstance(first, EmbeddingPass):
        first.is_native = True
        first.by_time = bool(others) and isinstance(others[0][1], RecurrentPass)


_KINDS: dict[type[Layer], Callable[[Any], Pass | None]] = {
    Bidirectional: BothWaysPass.of,
    Dropout: DropoutPass,
    Embedding: EmbeddingPass,
    Flatten: FlattenPass,
    SpatialDropout1D: DropoutPass,
}
# Layers whose activation may be taken off, so that their logits are seen.
_ACTIVATED: dict[type[Layer], Callable[[Any, Any], Pass | None]] = {
    Activation: ActivationPass.of,
    Dense: DensePass.of,
}
_RECURRENT = (GRU, LSTM, RNN, SimpleRNN)
_EVERY_KIND = frozenset((*_KINDS, *_ACTIVATED, *_RECURRENT))


def _part(layer: Layer, function: Callable[[Tensor], Tensor] | None, masked: bool) -> Pass | None:
    """A layer's own part, with an activation `function` in the place of its own if one is given."""
    kind = type(layer)
    if kind in _RECURRENT:
        assert isinstance(layer, RNN)
        return RecurrentPass.of(layer, masked)
    if kind in _ACTIVATED:
        return _ACTIVATED[kind](layer, function)
    kinds = _KINDS if kind in _KINDS else _over_windows(layer)
    if kind not in kinds or not all(type(inner) in _RECURRENT for inner in _inner(layer)):
        return None
    return kinds[kind](layer)


def _over_windows(layer: Layer) -> Mapping[type[Layer], Callable[[Any], Pass | None]]:
    """How parts of convolution and pooling are made; nothing, and nothing is loaded, for any other layer."""
    if type(layer).__name__ not in ("Conv1D", "GlobalMaxPooling1D", "MaxPooling1D"):
        return {}
    from nabi.training._step._windows import KINDS

    return KINDS


def _with_masks(passes: Sequence[Pass]) -> list[Pass] | None:
    """Those that a mask goes through; None if one of them takes none, or it goes on to the outputs."""
    found: list[Pass] = []
    for own in passes:
        if not own.takes_masks:
            return None
        found.append(own)
        if own.ends_masks:
            return found
    return None
