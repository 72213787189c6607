"""The operator that torch.compile and torch.export see: `torch.ops.nabi.scan`, one node in a graph.

`nabi._operator` says its name and its arguments to torch, what it does is here. It saves nothing: its
derivative runs the forward pass again, so that a graph holds no tensors whose shapes depend on data.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nabi.ir import Program, find_program
from nabi.scan._definition import differentiate
from nabi.scan._layout import Layout, Options
from nabi.scan._operator import backward_pass, forward_pass
from nabi.scan._way import untraced

__all__ = [
    "backward",
    "backward_shapes",
    "first_derivative",
    "first_setup",
    "forward",
    "forward_shapes",
    "second_derivative",
    "second_setup",
]


class _Inputs(NamedTuple):
    """The arguments of the operator, in the order of its schema.

    Lists that may be empty are None then: in a package of AOTInductor an empty one arrives as None.
    """

    x: Tensor
    states: list[Tensor]
    families_or_none: list[Tensor] | None
    noises_or_none: list[Tensor] | None
    mask: Tensor | None
    resets: Tensor | None
    batch_sizes: Tensor | None
    key: str
    reverse: bool
    truncate: int | None
    all_states: bool

    @property
    def families(self) -> list[Tensor]:
        return self.families_or_none or []

    @property
    def noises(self) -> list[Tensor]:
        return self.noises_or_none or []

    @property
    def program(self) -> Program:
        return find_program(self.key)

    @property
    def options(self) -> Options:
        return Options(self.reverse, self.truncate, self.all_states)

    @property
    def layout(self) -> Layout:
        return Layout(self.mask, self.resets, self.batch_sizes)

    @property
    def learned(self) -> list[Tensor]:
        """What has a gradient."""
        return [self.x, *self.states, *self.families]

    @property
    def plain(self) -> bool:
        """Whether results come with the strides of time-major rows, which must not depend on data."""
        special = self.mask is not None or self.resets is not None or self.truncate is not None
        return self.x.dim() == 3 and not special and not self.reverse

    def gradients(self, found: Sequence[Any]) -> tuple[Any, ...]:
        """Sort the gradients of `learned` into the places of the arguments."""
        n = 1 + len(self.states)
        families = None if self.families_or_none is None else list(found[n:])
        noises = None if self.noises_or_none is None else [None] * len(self.noises)
        return (found[0], list(found[1:n]), families, noises, *(None,) * 7)


def forward(*arguments: Any) -> list[Tensor]:
    """Compute the kept states at every step and the final states."""
    inputs = _Inputs(*arguments)
    with untraced():
        kept, finals, _, _ = forward_pass(
            inputs.program, inputs.options, inputs.layout, inputs.x, inputs.states, inputs.families,
            inputs.noises, save=False,
        )  # fmt: skip
    return [*(value if inputs.plain else value.contiguous() for value in kept), *finals]


def forward_shapes(*arguments: Any) -> list[Tensor]:
    """Return tensors shaped as what `forward` returns, without values."""
    inputs = _Inputs(*arguments)
    x, program = inputs.x, inputs.program
    kept = []
    for i in inputs.options.kept(program):
        width = program.state_widths[i]
        if inputs.plain:
            batch, time = x.shape[0], x.shape[1]
            kept.append(x.new_empty_strided((batch, time, width), (width, batch * width, 1)))
        else:
            kept.append(x.new_empty((*x.shape[:-1], width)))
    return [*kept, *(_empty_like(state) for state in inputs.states)]


def backward(cotangents: list[Tensor], *arguments: Any) -> list[Tensor]:
    """Compute the gradients of input, states and families."""
    inputs = _Inputs(*arguments)
    program, options, families = inputs.program, inputs.options, inputs.families
    _, _, rows, record = forward_pass(
        program, options, inputs.layout, inputs.x, inputs.states, families, inputs.noises, save=True
    )
    kept, needed = options.kept(program), (True,) * len(families)
    found = backward_pass(program, rows, record, kept, inputs.x, families, cotangents, True, needed)
    return [
        torch.zeros_like(v) if g is None else g.contiguous()
        for g, v in zip(found, inputs.learned, strict=True)
    ]


def backward_shapes(cotangents: list[Tensor], *arguments: Any) -> list[Tensor]:
    """Return tensors shaped as what `backward` returns, without values."""
    return [_empty_like(value) for value in _Inputs(*arguments).learned]


def _empty_like(value: Tensor) -> Tensor:
    return torch.empty_like(value, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: _Inputs, cotangents: Sequence[Tensor] = ()) -> None:
    tensors = [*cotangents, inputs.x, *inputs.states, *inputs.families, *inputs.noises]
    ctx.save_for_backward(*tensors, inputs.mask, inputs.resets, inputs.batch_sizes)
    ctx.counts = (len(cotangents), 1, len(inputs.states), len(inputs.families), len(inputs.noises))
    ctx.missing = inputs.families_or_none is None, inputs.noises_or_none is None
    ctx.rest = inputs[7:]


def _saved(ctx: Any) -> tuple[list[Tensor], _Inputs]:
    values = iter(ctx.saved_tensors)
    parts = [[next(values) for _ in range(count)] for count in ctx.counts]
    cotangents, (x,), states, families, noises = parts
    without_families, without_noises = ctx.missing
    return cotangents, _Inputs(
        x, states, None if without_families else families, None if without_noises else noises,
        *values, *ctx.rest,
    )  # fmt: skip


def first_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Save what the derivative reads."""
    _save(ctx, _Inputs(*inputs))


def first_derivative(ctx: Any, cotangents: list[Tensor | None]) -> tuple[Any, ...]:
    """Differentiate by the other operator."""
    _, inputs = _saved(ctx)
    shapes = forward_shapes(*inputs)
    full = [torch.zeros_like(s) if c is None else c for c, s in zip(cotangents, shapes, strict=True)]
    return inputs.gradients(torch.ops.nabi.scan_backward(full, *inputs))


def second_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Save what the derivative of the derivative reads."""
    _save(ctx, _Inputs(*inputs[1:]), inputs[0])


def second_derivative(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    """Differentiate the derivative through the definition."""
    cotangents, inputs = _saved(ctx)
    with torch.enable_grad():
        leaves = [v.detach().requires_grad_() for v in (*cotangents, *inputs.learned)]
        first = differentiate(
            inputs.program,
            inputs.options,
            inputs.layout,
            leaves[len(cotangents) :],
            len(inputs.states),
            tuple(inputs.noises),
            leaves[: len(cotangents)],
            [True] * len(inputs.learned),
        )
        pairs = [(f, g) for f, g in zip(first, gradients, strict=True) if f is not None and g is not None]
        found = torch.autograd.grad(
            [f for f, _ in pairs], leaves, [g for _, g in pairs], allow_unused=True, materialize_grads=True
        )
    return (list(found[: len(cotangents)]), *inputs.gradients(found[len(cotangents) :]))
