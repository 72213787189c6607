"""Cells that torch does not have: with `nabi.nn.RNN(cell)`, and as loops of torch operations.

The loops are as fast as possible without a kernel: the input is projected for all steps at once, and all
gates are one product per step.
"""

import math
import zlib
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from benchmarks.layers.arrays import Arrays, uniform
from benchmarks.layers.peers.torch_run import runner
from benchmarks.layers.points import Task
from benchmarks.layers.work import Work
from nabi import cells
from nabi.cells import LSTM, Cell
from nabi.ir import Node
from nabi.ir.functions import sigmoid, tanh

__all__ = ["LOOPS", "ResidualLSTM", "cell_of", "make"]


class ResidualLSTM(LSTM):
    """A custom cell with an LSTM's matrix products; the candidate passes where the output gate is closed."""

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """Compute an LSTM step up to the cell; the output mixes the cell and the candidate."""
        i_t = sigmoid(self.affine("i", x, h))
        f_t = sigmoid(self.affine("f", x, h))
        g_t = tanh(self.affine("c", x, h))
        c_t = f_t * c + i_t * g_t
        o_t = sigmoid(self.affine("o", x, h))
        return o_t * tanh(c_t) + (1 - o_t) * g_t, c_t


def cell_of(name: str, units: int) -> Cell:
    return ResidualLSTM(units) if name == "residual-lstm" else cells.get(name)(units)


def make(task: Task, loop: bool) -> Work:
    name, (batch, time, inputs, units) = task["cell"], task["shape"]
    families = cell_of(name, units).program(inputs).families
    random = np.random.default_rng(zlib.crc32(name.encode()))
    x = torch.from_numpy(random.standard_normal((time, batch, inputs), np.float32))
    cotangent = torch.from_numpy(random.standard_normal((time, batch, units), np.float32))
    values = [torch.from_numpy(uniform(random, each.shape, 1 / math.sqrt(units))) for each in families]
    run_layer: Callable[[Tensor], Tensor]
    if loop:
        weights = [value.requires_grad_() for value in values]
        run_layer = lambda x: LOOPS[name](x, *weights)  # noqa: E731
    else:
        from nabi import nn

        module = nn.RNN(cell_of(name, units), inputs, batch_first=False)
        weights = list(module.parameters())
        with torch.no_grad():
            for weight, value in zip(weights, values, strict=True):
                weight.copy_(value)
        module.train(task["kind"] == "training")
        run_layer = lambda x: module(x)[0]  # noqa: E731
    names = ["output", "x", *[family.name for family in families]]
    run = runner(run_layer, x, weights, cotangent, task["kind"])

    def results() -> Arrays:
        return {key: value.numpy() for key, value in zip(names, run(), strict=False)}

    return Work(run, results)


def peephole(x: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor, w_c: Tensor) -> Tensor:
    w_ci, w_cf, w_co = w_c.chunk(3)
    h = c = x.new_zeros(x.shape[1], w_h.shape[1])
    outputs = []
    for row in (x @ w_x.t() + b).unbind(0):
        i, f, g, o = torch.addmm(row, h, w_h.t()).chunk(4, 1)
        c = torch.sigmoid(f + w_cf * c) * c + torch.sigmoid(i + w_ci * c) * torch.tanh(g)
        h = torch.sigmoid(o + w_co * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def coupled(x: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    h = c = x.new_zeros(x.shape[1], w_h.shape[1])
    outputs = []
    for row in (x @ w_x.t() + b).unbind(0):
        f, g, o = torch.addmm(row, h, w_h.t()).chunk(3, 1)
        c = torch.lerp(torch.tanh(g), c, torch.sigmoid(f))
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def gru_2014(x: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    units = w_h.shape[1]
    gates, candidate = w_h[: 2 * units].t(), w_h[2 * units :].t()
    h = x.new_zeros(x.shape[1], units)
    outputs = []
    for row in (x @ w_x.t() + b).unbind(0):
        z, r = torch.sigmoid(torch.addmm(row[:, : 2 * units], h, gates)).chunk(2, 1)
        n = torch.tanh(torch.addmm(row[:, 2 * units :], r * h, candidate))
        h = torch.lerp(n, h, z)
        outputs.append(h)
    return torch.stack(outputs)


def residual(x: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    h = c = x.new_zeros(x.shape[1], w_h.shape[1])
    outputs = []
    for row in (x @ w_x.t() + b).unbind(0):
        i, f, g, o = torch.addmm(row, h, w_h.t()).chunk(4, 1)
        g = torch.tanh(g)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * g
        h = torch.lerp(g, torch.tanh(c), torch.sigmoid(o))
        outputs.append(h)
    return torch.stack(outputs)


LOOPS: dict[str, Callable[..., Tensor]] = {
    "peephole-lstm": peephole,
    "coupled-lstm": coupled,
    "gru-2014": gru_2014,
    "residual-lstm": residual,
}
