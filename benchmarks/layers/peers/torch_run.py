"""A layer made of torch's operations, run once: forward, or forward and back."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["runner"]


def runner(
    layer: Callable[[Tensor], Tensor], x: Tensor, weights: Sequence[Tensor], cotangent: Tensor, kind: str
) -> Callable[[], tuple[Any, ...]]:
    """Return a function that runs the layer, and in training goes back to the input and all weights.

    The results are the output and the gradients, new tensors each time.
    """
    if kind == "inference":

        def infer() -> tuple[Any, ...]:
            with torch.inference_mode():
                return (layer(x),)

        return infer
    x = x.clone().requires_grad_()

    def train() -> tuple[Any, ...]:
        output = layer(x)
        return (output.detach(), *torch.autograd.grad(output, (x, *weights), cotangent))

    return train
