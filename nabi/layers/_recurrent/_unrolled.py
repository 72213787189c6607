"""A cell unrolled over time: one copy of its step for each time step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.scan import initial_states, static_scan, step

__all__ = ["unrolled"]

States = tuple[Tensor, ...]


def unrolled(
    program: Program,
    x: Tensor,
    states: States | None,
    parameters: Sequence[Tensor],
    *,
    noise: Sequence[Tensor] = (),
    mask: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, States]:
    """Run a program over `[B, T, D]` without the scan; like `scan`, return outputs and final states."""
    order = range(x.shape[1] - 1, -1, -1) if reverse else range(x.shape[1])
    if states is None:
        states = initial_states(program, parameters, x.shape[0], x)
    outputs: list[Tensor] = []
    if mask is None and x.shape[1]:
        noise = [one.flip(1) if reverse and one.dim() == 3 else one for one in noise]
        outputs, states = static_scan(
            program, [x[:, t] for t in order], states, tuple(parameters), noise=noise
        )
    elif mask is not None:
        for t in order:
            counts = mask[:, t, None]
            drawn = [one[:, t] if one.dim() == 3 else one for one in noise]
            # Padding may be NaN, which a product with zero would keep, so it is replaced first.
            new = step(program, torch.where(counts, x[:, t], 0.0), states, tuple(parameters), noise=drawn)
            states = tuple(
                torch.where(counts, a, b) for a, b in zip(new[program.readouts :], states, strict=True)
            )
            outputs.append(torch.where(counts, new[0], 0.0))
    if not outputs:
        return x.new_zeros(x.shape[0], 0, program.output_width), tuple(states)
    return torch.stack(outputs[::-1] if reverse else outputs, 1), tuple(states)
