"""A linear map with small weights, without float32 weights in between."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi.ir import Cell, Node, Program
from nabi.scan import scan

__all__ = ["small_linear"]


class _Linear(Cell):
    """A cell whose state is a linear map of its input, and that never reads it."""

    states = ("y",)

    use_bias: bool = True

    def step(self, x: Node, y: Node) -> Any:
        """Return `W x + b`."""
        return self.affine("y", x, bias=self.use_bias)


@lru_cache(maxsize=256)
def _program(outputs: int, inputs: int, use_bias: bool) -> Program:
    return _Linear(units=outputs, use_bias=use_bias).program(inputs)


def small_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return `x W^T + b` for a small weight `[outputs, inputs]`, by the kernels of recurrent layers.

    Args:
        x: `[..., inputs]`.
        weight: a small weight.
        bias: `[outputs]`, or None.

    >>> from nabi.small_weights import shrink
    >>> small_linear(torch.ones(1, 2), shrink(torch.eye(2), "int8", axis=0), None)
    tensor([[1., 1.]])
    """
    rows = x.numel() // max(x.shape[-1], 1)
    # Where gradients are wanted, torch has a derivative; autocast wants a type of its own.
    wanted = torch.is_grad_enabled() and x.requires_grad
    if not rows or wanted or x.dtype is not torch.float32 or torch.is_autocast_enabled(x.device.type):
        return functional.linear(x, weight, bias)
    outputs, inputs = weight.shape
    weights = [weight] if bias is None else [weight, bias.detach()]
    found, _, _ = scan(_program(outputs, inputs, bias is not None), x.reshape(rows, 1, inputs), None, weights)
    return found.reshape(*x.shape[:-1], outputs)
