"""The definition run on a batch or on packed data, and its derivative to any order."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.scan._layout import Layout, Options
from nabi.targets import eager

__all__ = ["define", "differentiate"]


def differentiate(
    program: Program,
    options: Options,
    layout: Layout,
    inputs: list[Tensor],
    state_count: int,
    noises: tuple[Tensor, ...],
    cotangents: Sequence[Tensor | None],
    need: Sequence[bool],
) -> list[Tensor | None]:
    """The derivative through the definition, itself differentiable to any order where that is asked for."""
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views, so that torch differentiates with respect to these and not to what they came from.
        leaves = [v.view_as(v) if needed else v.detach() for v, needed in zip(inputs, need, strict=True)]
        x, states, families = leaves[0], leaves[1 : 1 + state_count], leaves[1 + state_count :]
        kept, finals = define(program, options, layout, x, tuple(states), tuple(families), noises)
        pairs = [
            (value, c)
            for value, c in zip((*kept, *finals), cotangents, strict=True)
            if c is not None and value.requires_grad
        ]
        wanted = [leaf for leaf, needed in zip(leaves, need, strict=True) if needed]
        found = (
            torch.autograd.grad(
                [value for value, _ in pairs], wanted, [c for _, c in pairs],
                create_graph=create_graph, allow_unused=True,
            )
            if pairs
            else [None] * len(wanted)
        )  # fmt: skip
    results = iter(found)
    return [next(results) if needed else None for needed in need]


def define(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: tuple[Tensor, ...],
    families: tuple[Tensor, ...],
    noises: tuple[Tensor, ...],
    starts: tuple[Tensor, ...] | None = None,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run the definition on a batch or on packed data; after a reset states are `starts`, or zero."""
    if layout.batch_sizes is not None:
        return _define_packed(program, options, layout.batch_sizes, x, states, families, noises)
    step = eager.step_function(program)
    mask = layout.mask_for(x)
    if mask is not None:
        # Padding may hold anything; it must not reach a product, whose gradient would carry it on.
        x = torch.where(mask[..., None], x, torch.zeros_like(x))

    def at(t: int, now: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return step(x[:, t], now, families, [noise[:, t] if noise.dim() == 3 else noise for noise in noises])

    kept, finals = eager.run_definition(
        at,
        x.shape[1],
        states,
        mask=mask,
        resets=layout.resets,
        reverse=options.reverse,
        truncate=options.truncate,
        keep=options.kept(program),
        starts=starts,
    )
    indices = options.kept(program)
    stacked = tuple(
        torch.stack(values, 1) if values else x.new_zeros((x.shape[0], 0, program.state_widths[i]))
        for i, values in zip(indices, kept, strict=True)
    )
    return stacked, finals


def _define_packed(
    program: Program,
    options: Options,
    batch_sizes: Tensor,
    data: Tensor,
    states: tuple[Tensor, ...],
    families: tuple[Tensor, ...],
    noises: tuple[Tensor, ...],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run the definition on packed data by unpacking it."""
    time, batch = len(batch_sizes), int(batch_sizes[0]) if len(batch_sizes) else 0
    mask = torch.arange(batch)[:, None] < batch_sizes[None, :]
    # Row by row in the order of packing: time after time, the longest sequences first.
    steps, sequences = mask.t().nonzero().to(data.device).unbind(1)

    def unpack(values: Tensor) -> Tensor:
        empty = values.new_zeros((batch, time, values.shape[-1]))
        return empty.index_put((sequences, steps), values)

    per_step = {noise.name for noise in program.noises if noise.per_step}
    spread = tuple(
        unpack(noise) if spec.name in per_step else noise
        for spec, noise in zip(program.noises, noises, strict=True)
    )
    layout = Layout(mask.to(data.device), None, None)
    kept, finals = define(program, options, layout, unpack(data), states, families, spread)
    return tuple(values[sequences, steps] for values in kept), finals
