"""What recurrent layers read while a model is asked something, for pictures of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.modules.module import register_module_forward_pre_hook

from nabi import layers

__all__ = ["LayerCall", "note_call", "watched_layers"]


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One call of a recurrent layer."""

    layer: layers.RNN
    inputs: Tensor
    """`[B, T, D]`, padded at the end."""
    states: tuple[Tensor, ...] | None
    """Before the first step; None for those that the cell declares."""
    lengths: Tensor | None
    """`[B]`; None for all T steps."""
    reverse: bool
    """Whether the layer reads from the end."""


_watching: ContextVar[list[LayerCall] | None] = ContextVar("watching", default=None)


def note_call(
    layer: layers.RNN,
    inputs: Tensor,
    states: Sequence[Tensor] | None,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> None:
    """Note that a layer is called, where somebody watches."""
    seen = _watching.get()
    if seen is not None:
        kept = None if states is None else tuple(state.detach() for state in states)
        seen.append(LayerCall(layer, inputs.detach(), kept, lengths, reverse))


@contextmanager
def watched_layers() -> Iterator[list[LayerCall]]:
    """Collect the calls of recurrent layers, of every kind of model, while the body runs.

    Layers over one cell of `nabi.cells` are seen; of a decoder that goes step by step, each step is a call of
    its own.

    >>> import torch
    >>> from nabi import Sequential, layers
    >>> model = Sequential([layers.Input((4, 1)), layers.LSTM(3), layers.Dense(1)])
    >>> with watched_layers() as seen:
    ...     _ = model.predict(torch.zeros(2, 4, 1), verbose=0)
    >>> [tuple(call.inputs.shape) for call in seen]
    [(2, 4, 1)]
    """
    seen: list[LayerCall] = []

    def look(module: Any, given: tuple[Any, ...]) -> None:
        if isinstance(module, layers.RNN) and module.built and module.equations is not None and given:
            x = given[0]
            states = module.kept_states() if module.stateful else None
            if isinstance(x, list | tuple):  # Keras 2: a list of the inputs and then the states
                x, states = x[0], tuple(x[1:]) or states
            if module.time_major:
                x = x.transpose(0, 1)
            note_call(module, x, states or None, reverse=module.go_backwards)

    token = _watching.set(seen)
    hook = register_module_forward_pre_hook(look)
    try:
        yield seen
    finally:
        hook.remove()
        _watching.reset(token)
