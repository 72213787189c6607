"""Draws the random inputs of a program: dropout masks and zoneout masks."""

import torch
from torch import Tensor

from nabi._row_share import drawn_for_rows
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
        rate = noise.rate if noise.kind == "keep" else 1 - noise.rate

        def draw(sizes: tuple[int, ...], rate: float = rate) -> Tensor:
            return torch.bernoulli(torch.full(sizes, rate, dtype=dtype, device=device), generator=generator)

        is_of_rows = noise.kind != "weights" and (time is None or time >= 0)
        drawn = drawn_for_rows(draw, shape) if is_of_rows else draw(shape)
        found.append(drawn if noise.kind == "keep" else drawn / rate)
    return tuple(found)
