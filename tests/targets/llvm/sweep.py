"""Cells, settings and a run of both targets on the same data, for the tests that compare kernels."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from nabi import cells
from nabi.cells import Cell
from nabi.ir import Program
from nabi.ir.functions import cos, exp, maximum, mean, norm, sigmoid, sin, softmax, tanh
from nabi.scan import sample_noise, scan
from nabi.targets.llvm._binder import _bound


class MinimalGatedUnit(Cell):
    """Zhou et al. 2016: a product that reads what another one gave."""

    def step(self, x, h):
        f = sigmoid(self.affine("f", x, h))
        return (1 - f) * h + f * tanh(self.affine("h", x, h=f * h))


class Cascade(Cell):
    """Products of products, of another width between them, and a maximum."""

    def step(self, x, h):
        inner = self.linear("a", "v", h, units=self.units + 2) + self.linear(
            "a", "u", x, units=self.units + 2
        )
        middle = self.linear("b", "a", inner)
        outer = self.linear("d", "b", tanh(middle))
        return maximum(tanh(outer + self.bias("d")), 0.5 * h)


class Attentive(Cell):
    """Reductions over units: a softmax of one product, normalisation of another, a mean over both."""

    states = ("h", "c")

    def step(self, x, h, c):
        share = softmax(self.affine("s", x, h))
        value = self.gain("v", "h") * norm(self.affine("v", x, h))
        new = tanh(c + share * value)
        return new * sigmoid(self.affine("o", x, h)), 0.5 * (c + new)


class Uneven(Cell):
    """States of other widths, one of them only the old value of another, one that its gradient skips."""

    states = ("h", "m", "before")

    def state_width(self, name):
        return 2 * self.units + 1 if name == "m" else self.units

    def step(self, x, h, m, before):
        wide = tanh(self.linear("m", "u", x, units=2 * self.units + 1) + 0.5 * m)
        new = tanh(self.affine("h", x, h, m=m) + 0.3 * before)
        return new, wide, h


class Spiral(Cell):
    """A rotation that decays, driven by the last three inputs and read out: no product in the loop."""

    output = "y"
    states = ("re", "im")

    def state_width(self, name):
        return 3 if name == "y" else self.units

    def step(self, x, re, im):
        size, angle = exp(-exp(self.bias("n"))), self.bias("t")
        before = self.previous(x)
        drive = self.affine("re", x, before, self.previous(before), bias=False)
        new = size * cos(angle) * re - size * sin(angle) * im + drive
        im = size * cos(angle) * im + size * sin(angle) * re + self.affine("im", x, bias=False)
        return self.linear("o", "re", new, units=3) + self.linear("o", "im", im, units=3), new, im


class Layered(Cell):
    """Products of low rank before the loop and of gates after it, reductions on both sides, two widths."""

    output = "y"
    states = ("h", "g")

    def state_width(self, name):
        return {"h": self.units, "g": 2 * self.units, "y": 5}[name]

    def step(self, x, h, g):
        low = self.linear("l", "p", 0.3 * x + 0.7 * self.previous(x), units=3)
        z = sigmoid(self.linear("z", "q", low * low) + mean(x) + self.bias("z"))
        new = tanh(z * h + self.affine("h", x))
        wide = tanh(self.linear("g", "wide", x, units=2 * self.units) + 0.5 * g)
        a = sigmoid(self.linear("a", "k", h, units=6))
        inner = a * self.linear("b", "n", new, units=6) + 0.2 * self.linear("c", "m", wide, units=6)
        return norm(self.linear("o", "s", inner, units=5)), new, wide


USERS: list[Cell] = [MinimalGatedUnit(7), Cascade(7), Attentive(7), Uneven(7), Spiral(7), Layered(7)]
CELLS: list[Cell] = [
    cells.SimpleRNN(7),
    cells.SimpleRNN(7, activation="gelu"),
    cells.LSTM(7),
    cells.LSTM(7, dropout=0.3, recurrent_dropout=0.3),
    cells.PeepholeLSTM(7),
    cells.PeepholeLSTM(7, full=True),
    cells.CoupledLSTM(7),
    cells.GRULecture(7),
    cells.GRU2014(7),
    cells.GRU2014(7, recurrent_dropout=0.3),
    cells.GRU(7),
    cells.GRU(7, activation="softsign", recurrent_activation="hard_sigmoid", use_bias=False),
    cells.LayerNormLSTM(7),
    cells.ProjectedLSTM(7, projection=3, cell_clip=0.8, projection_clip=0.5),
    cells.ZoneoutLSTM(7, zoneout_h=0.2, zoneout_c=0.4),
    cells.IndRNN(7),
    *USERS,
]


@dataclass(frozen=True)
class Setting:
    """How a program is run; see `nabi.scan.scan`.

    Attributes:
        valid: "all", "lengths" (zero among them when there is more than one sequence) or "mask".
        side_by_side: whether what an output reads lies side by side in memory, as in torch; else the outputs
            do, as in Keras.
    """

    batch: int = 3
    steps: int = 15
    valid: str = "all"
    resets: bool = False
    reverse: bool = False
    truncate: int | None = None
    initial: bool = True
    all_states: bool = False
    side_by_side: bool = True


@dataclass
class Results:
    """What a run gave, by name."""

    outputs: dict[str, Tensor] = field(default_factory=dict)
    gradients: dict[str, Tensor] = field(default_factory=dict)
    inference: dict[str, Tensor] = field(default_factory=dict)

    def all(self) -> dict[str, Tensor]:
        return {**self.outputs, **self.gradients, **{f"inference {n}": v for n, v in self.inference.items()}}


@dataclass
class Data:
    """Everything that a run reads, in float64, drawn from a seed."""

    program: Program
    setting: Setting
    x: Tensor
    states: list[Tensor] | None
    weights: list[Tensor]
    noise: tuple[Tensor, ...]
    options: dict[str, Any]

    @classmethod
    def draw(cls, cell: Cell, features: int, setting: Setting, seed: int = 0) -> "Data":
        program = cell.program(features, training=True)
        g = torch.Generator().manual_seed(seed)
        batch, steps = setting.batch, setting.steps

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=g, dtype=torch.float64)

        x = normal(batch, steps, features)
        options: dict[str, Any] = {"reverse": setting.reverse, "truncate": setting.truncate}
        valid = torch.ones(batch, steps, dtype=torch.bool)
        if setting.valid == "lengths":
            lengths = torch.randint(1, steps + 1, (batch,), generator=g)
            if batch > 1:
                lengths[int(torch.randint(batch, (), generator=g))] = 0
            options["lengths"] = lengths
            valid = torch.arange(steps) < lengths[:, None]
        elif setting.valid == "mask":
            options["mask"] = valid = torch.rand(batch, steps, generator=g) < 0.6
        if setting.resets:
            options["resets"] = torch.rand(batch, steps, generator=g) < 0.2
        x = torch.where(valid[..., None], x, torch.nan)
        # As torch's initializer spreads them. Far larger ones make a recurrence that magnifies every
        # rounding, whoever computes it.
        weights = [
            normal(*f.shape) / (3 * f.shape[-1] if len(f.shape) > 1 else 4) ** 0.5 for f in program.families
        ]
        states = [normal(batch, width) for width in program.state_widths] if setting.initial else None
        noise = sample_noise(program, batch, steps, dtype=torch.float64, generator=g)
        return cls(program, setting, x, states, weights, noise, options)

    def run(self, dtype: torch.dtype, seed: int = 1, inference: bool = True) -> Results:
        """Outputs, final states, their gradients under random cotangents; outputs without gradients too."""

        def leaf(value: Tensor, turned: bool = False) -> Tensor:
            value = value.to(dtype)
            value = value.t().contiguous().t() if turned and value.dim() == 2 else value.clone()
            return value.requires_grad_()

        turned = not self.setting.side_by_side
        x, weights = leaf(self.x), [leaf(weight, turned) for weight in self.weights]
        states = None if self.states is None else [leaf(state) for state in self.states]
        noise = tuple(value.to(dtype) for value in self.noise)

        def forward() -> dict[str, Tensor]:
            output, finals, every = scan(
                self.program, x, states, weights,
                noise=noise, return_all_states=self.setting.all_states, **self.options,
            )  # fmt: skip
            names = self.program.state_names
            found = {"output": output} | {f"final {n}": f for n, f in zip(names, finals, strict=True)}
            if every is not None:
                found |= {f"every {n}": e for n, e in zip(names[1:], every[1:], strict=True)}
            return found

        results = Results(outputs=forward())
        if inference:
            with torch.no_grad():
                results.inference = forward()
        g = torch.Generator().manual_seed(seed)
        shapes = [value.shape for value in results.outputs.values()]
        cotangents = [torch.randn(s, generator=g, dtype=torch.float64).to(dtype) for s in shapes]
        sources = {"x": x} | {f"initial {i}": s for i, s in enumerate(states or ())}
        sources |= {f.name: w for f, w in zip(self.program.families, weights, strict=True)}
        gradients = torch.autograd.grad(
            list(results.outputs.values()), list(sources.values()), cotangents,
            allow_unused=True, materialize_grads=True,
        )  # fmt: skip
        results.gradients = {f"gradient of {n}": g for n, g in zip(sources, gradients, strict=True)}
        results.outputs = {name: value.detach() for name, value in results.outputs.items()}
        return results


class Calls:
    """How often kernels ran since it was made."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.forward = self.backward = 0
        for owner, direction in ((_bound.Forward, "forward"), (_bound.Backward, "backward")):
            self._count(patch, owner, direction)

    def _count(self, patch: pytest.MonkeyPatch, owner: Any, direction: str) -> None:
        run = owner.run

        def count(*arguments: Any, **options: Any) -> Any:
            setattr(self, direction, getattr(self, direction) + 1)
            return run(*arguments, **options)

        patch.setattr(owner, "run", count)


def eager(data: Data, dtype: torch.dtype = torch.float64, inference: bool = True) -> Results:
    """Run on the eager target."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NABI_NATIVE", "0")
        calls = Calls(patch)
        results = data.run(dtype, inference=inference)
    assert (calls.forward, calls.backward) == (0, 0)
    return results


def native(data: Data, dtype: torch.dtype, inference: bool = True) -> Results:
    """Run on the native target, and on nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NABI_NATIVE", raising=False)
        calls = Calls(patch)
        results = data.run(dtype, inference=inference)
    assert (calls.forward, calls.backward) == (1 + inference, 1)
    return results


def worst(found: dict[str, Tensor], truth: dict[str, Tensor]) -> tuple[float, str]:
    """The largest error, relative to the largest magnitude of all, and what has it."""
    assert {n: v.shape for n, v in found.items()} == {n: v.shape for n, v in truth.items()}
    largest = max([float(v.abs().max()) for v in truth.values() if v.numel()], default=0.0) or 1.0
    errors = {n: _error(found[n], v) / largest for n, v in truth.items() if v.numel()}
    return max(((error, name) for name, error in errors.items()), default=(0.0, ""))


def _error(found: Tensor, truth: Tensor) -> float:
    difference = (found.double() - truth.double()).abs().max()
    return float("inf") if difference.isnan() else float(difference)
