"""A training step of a chain of layers without autograd, where all of its layers know their derivative."""

import os
from collections.abc import Sequence
from math import prod
from operator import is_
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules import module as torch_modules

from nabi.layers import Embedding, Layer, linear
from nabi.native import is_watched
from nabi.training._step._chain import DirectLayer, direct_layer, direct_pair, facts, is_untouched

__all__ = ["Chain", "make_chain"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = (
    "_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks",
    "_global_backward_pre_hooks",
)  # fmt: skip


# Numbers of weights and outputs up to which passes are kept for later.
_SMALL = 1 << 21


class Chain:
    """The layers of a model one after the other, forward and backward.

    Args:
        layers: each layer with its own passes.
        readout: "softmax" or "sigmoid" if the outputs are the logits of one, else None.
    """

    def __init__(self, layers: list[tuple[Layer, DirectLayer]], readout: Any) -> None:
        self.readout: tuple[str, Any] | None = readout
        self.made_from: list[Any] = []
        first = layers[0][0]
        self._dtype, self._casts_integers = first.dtype, first._casts_integers
        self._numbers = isinstance(first, Embedding)  # then inputs are whole numbers, and stay so
        self._passes = [own for _, own in layers]
        trained = [any(weight.requires_grad for weight in layer.parameters()) for layer, _ in layers]
        # Layers before the first one with weights to train need no backward pass.
        self._first = trained.index(True)
        self._forward = [own.forward for own in self._passes]
        self._backward = [own.backward for own in reversed(self._passes[self._first + 1 :])]
        self._last_backward = self._passes[self._first].backward
        self._weights = [weight for layer, _ in layers for weight in layer.parameters()]
        self._places = [weight.data_ptr() for weight in self._weights]
        self._shape: torch.Size | None = None
        self._largest = 0

    @property
    def is_small(self) -> bool:
        """Whether what it has in memory is too little to matter, so that it may wait for more batches."""
        return self._largest + sum(weight.numel() for weight in self._weights) <= _SMALL

    def holds(self, made_from: list[Any]) -> bool:
        """Whether passes made now, from untouched layers, would be the same; ready for batches if so."""
        known = self.made_from
        if len(made_from) != len(known) or not all(map(is_, made_from, known)):
            return False
        self._shape = None  # states may have been set for another batch size
        return [weight.data_ptr() for weight in self._weights] == self._places

    def takes(self, x: Tensor) -> bool:
        """Whether all layers take such inputs; if not, calling the layers says why.

        Also whether the weights lie where they lay: whoever makes the batches may have given one another
        memory (`weight.data = ...`), and the passes would read the old.
        """
        if [weight.data_ptr() for weight in self._weights] != self._places:
            return False
        if self._numbers and x.dtype not in (torch.int64, torch.int32):
            return False
        if x.shape == self._shape:
            return True
        if not (x.is_floating_point() or self._casts_integers or self._numbers):
            return False
        shape: tuple[int, ...] | None = tuple(x.shape)
        numbers = 0
        for own in self._passes:
            shape = None if shape is None else own.fits(shape)
            numbers += 0 if shape is None else prod(shape)
        if shape is not None:
            self._shape, self._largest = x.shape, max(self._largest, numbers)
        return shape is not None

    def forward(self, x: Tensor) -> Tensor:
        """The outputs, or their logits where there is a `readout`; gradient mode is off."""
        if x.dtype is not self._dtype and not self._numbers:
            x = x.to(self._dtype)
        for forward in self._forward:
            x = forward(x)
        return x

    def backward(self, cotangent: Tensor) -> None:
        """Set the gradients of all weights that are trained."""
        passed: Tensor | None = cotangent
        for backward in self._backward:
            assert passed is not None
            passed = backward(passed, True)
        assert passed is not None
        self._last_backward(passed, False)


class MaskedChain(Chain):
    """Layers of which the first one makes a mask: it goes along up to the layer that leaves no steps."""

    def __init__(self, layers: list[tuple[Layer, DirectLayer]], readout: Any, masked: list[Any]) -> None:
        super().__init__(layers, readout)
        self._masked = masked
        # Windows go over steps that lie side by side: masked ones must come last in their rows.
        self._in_front = any(hasattr(own, "takes_masks") for own in masked)
        self._mask: Tensor | None = None

    def takes(self, x: Tensor) -> bool:
        """Whether all layers take such inputs and their mask."""
        if x.dim() != 2 or not super().takes(x):
            return False
        mask = x != 0
        if self._in_front and bool((mask[:, 1:] > mask[:, :-1]).any()):
            return False
        self._mask = None if bool(mask.all()) else mask.unsqueeze(-1)
        return True

    def forward(self, x: Tensor) -> Tensor:
        """The outputs, or their logits where there is a `readout`, for inputs just taken."""
        mask = self._mask
        for own in self._masked:
            mask = own.masked(mask)
        return super().forward(x)


def _with_masks(layers: list[tuple[Layer, DirectLayer]]) -> list[Any] | None:
    """The passes that a mask goes through; None if one of them takes none, or it goes on to the outputs."""
    found: list[Any] = []
    for _, own in layers[1:]:
        if not hasattr(own, "masked") or not getattr(own, "takes_masks", True):
            return None
        found.append(own)
        if getattr(own, "ends_mask", False):
            return found
    return None


def make_chain(
    model: Layer, chain: Sequence[Layer], readout: tuple[Layer, str] | None, previous: Any = None
) -> Chain | None:
    """The passes of a model whose layers are a chain; None where a layer or what watches needs autograd.

    `previous` are passes of this model that may be given again, if they are what would be made.
    """
    if not _is_unwatched() or any(vars(model)[name] for name in _HOOKS) or model._call_losses:
        return None
    if not all(map(is_untouched, chain)):
        return None
    made_from: list[Any] = [readout, os.environ.get("NABI_NATIVE") == "0", *chain]
    for layer in chain:
        made_from += facts(layer)
    if isinstance(previous, Chain) and previous.holds(made_from):
        return previous
    made = _new_chain(chain, readout)
    if made is not None:
        made.made_from = made_from
    return made


def _new_chain(chain: Sequence[Layer], readout: tuple[Layer, str] | None) -> Chain | None:
    layers: list[tuple[Layer, DirectLayer]] = []
    logits: tuple[str, Any] | None = None
    masks = isinstance(chain[0], Embedding) and chain[0].mask_zero
    masked = masks
    for layer in chain:
        function = None
        if readout is not None and layer is readout[0]:
            function, logits = linear, (readout[1], layer.activation)
        own = direct_layer(layer, function, masked=masked)
        if own is None or layer.dtype is not chain[0].dtype:
            return None
        if isinstance(layer, Embedding) and layers:
            return None  # numbers that other layers computed are rounded, and have no gradient
        layers.append((layer, own))
        masked = masked and not getattr(own, "ends_mask", False)
    weights = [weight for layer, _ in layers for weight in layer.parameters()]
    shared = len({id(weight) for weight in weights}) < len(weights)
    if shared or not any(weight.requires_grad for weight in weights):
        return None
    layers = _in_pairs(layers)
    if not masks:
        return Chain(layers, logits)
    through = _with_masks(layers)
    return None if through is None else MaskedChain(layers, logits, through)


def _in_pairs(layers: list[tuple[Layer, DirectLayer]]) -> list[tuple[Layer, DirectLayer]]:
    """The passes, those of two layers in one where there are such: then the first stands for both."""
    found: list[tuple[Layer, DirectLayer]] = []
    rest = iter([*layers, None])
    now = next(rest)
    while now is not None:
        following = next(rest)
        pair = None if following is None else direct_pair(now[0], following[0])
        if pair is not None:
            now, following = (now[0], pair), next(rest)
        found.append(now)
        now = following
    return found


def _is_unwatched() -> bool:
    """Whether nothing in torch is switched on that changes or records what autograd does."""
    if not torch.is_grad_enabled() or torch.is_anomaly_enabled() or torch.is_inference_mode_enabled():
        return False
    if torch._C._is_any_autocast_enabled() or is_watched():
        return False
    if torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
        return False
    return not any(getattr(torch_modules, name) for name in _GLOBAL_HOOKS)
