"""The softmax or sigmoid at the end of a model, removed so that a cross-entropy can use the logits."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor

from nabi import training
from nabi.layers import Activation, Dense, Layer

__all__ = ["Readout", "find_readout", "giving_logits", "with_logits"]

# A layer, and the activation at its end.
Readout = tuple[Layer, str]

# Activations whose logits a cross-entropy can use; a layer stores the function itself.
_READOUTS = {Activation(name).activation: name for name in ("softmax", "sigmoid")}


def find_readout(last: Layer | None) -> Readout | None:
    """Return the last layer with the name of its activation if it is a softmax or sigmoid, else None."""
    if isinstance(last, Dense | Activation) and type(last) in (Dense, Activation):
        name = _READOUTS.get(last.activation)
        if name is not None and last.activity_regularizer is None:
            return (last, name)
    return None


@contextmanager
def giving_logits(readouts: Sequence[Readout | None]) -> Iterator[None]:
    """Make these layers return their logits inside the block."""
    with ExitStack() as undo:
        for readout in readouts:
            if readout is not None:
                attributes = vars(readout[0])
                undo.callback(attributes.__setitem__, "activation", attributes["activation"])
                attributes["activation"] = _unchanged
        yield


def with_logits(readout: Readout, logits: Tensor) -> Tensor:
    """Return the outputs for logits, with the logits and the mask attached."""
    last, name = readout
    # The loss uses the logits; gradients through the probabilities are not needed.
    outputs: Any = vars(last)["activation"](logits.detach())
    mask = getattr(logits, "_keras_mask", None)
    if mask is not None:
        outputs._keras_mask = mask
    return training.attach_logits(outputs, name, logits)


def _unchanged(x: Tensor) -> Tensor:
    return x
