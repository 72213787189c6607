"""Draws the random inputs of a program: dropout masks and zoneout masks."""

import torch
from torch import Tensor

from nabi.ir import Program

__all__ = ["sample_noise"]


def sample_noise(
    program: Program,
    batch: int,
    time: int | None,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
) -> tuple[Tensor, ...]:
    """Draw the random inputs of a program in the order of `program.noises`.

    Args:
        program: traced with `training=True`; otherwise it has no random inputs.
        batch: number of sequences B.
        time: number of steps T; with None a single step is drawn for, `[B, width]` everywhere. For packed
            data give its N rows as `batch=B, time=-N`: per-step noise is then `[N, width]`.
        dtype, device, generator: of the random numbers.

    Returns:
        For each random input `[B, width]` when it serves a whole sequence, else `[B, T, width]`; for the mask
        of a weight its shape.

    Example:
        >>> from nabi.cells import LSTM
        >>> program = LSTM(units=4, recurrent_dropout=0.5).program(input_size=3, training=True)
        >>> [noise.shape for noise in sample_noise(program, batch=2, time=7)]
        [torch.Size([2, 4]), torch.Size([2, 4]), torch.Size([2, 4]), torch.Size([2, 4])]
    """
    found = []
    for noise in program.noises:
        shape: tuple[int, ...] = (batch, noise.width)
        if noise.kind == "weights":
            shape = noise.shape
        elif noise.per_step and time is not None:
            shape = (batch, time, noise.width) if time >= 0 else (-time, noise.width)
        if noise.kind != "keep":
            share = 1 - noise.rate
            keep = torch.full(shape, share, dtype=dtype, device=device)
            found.append(torch.bernoulli(keep, generator=generator) / share)
        else:
            keep = torch.full(shape, noise.rate, dtype=dtype, device=device)
            found.append(torch.bernoulli(keep, generator=generator))
    return tuple(found)
