"""One step of torch's three cells, by the fastest way there is for its size."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ShapeError
from nabi.ir import Program
from nabi.native import is_watched
from nabi.nn._stack import States
from nabi.scan import scan_full_batch, step

__all__ = ["check_step_resets", "is_for_kernel", "quick_step", "reset_states", "take_step"]

# With fewer rows torch's products of matrices are faster: kernels bring the weights into their order first.
_ROWS = 32
_NUMBERS_A_ROW = 36_000

_TORCH: dict[str, Callable[..., Any]] = {
    "LSTM": torch.lstm_cell,
    "GRU": torch.gru_cell,
    "RNN_TANH": torch.rnn_tanh_cell,
    "RNN_RELU": torch.rnn_relu_cell,
}


def is_for_kernel(program: Program, batch: int) -> bool:
    """Whether nabi's kernel is faster than torch's cell: many rows, no gradients, more than one gate."""
    if batch < _ROWS or len(program.families[0].gates) == 1 or torch.is_grad_enabled():
        return False
    return program.parameter_count <= _NUMBERS_A_ROW * batch


def take_step(
    mode: str, program: Program, x: Tensor, states: States | None, families: Sequence[Tensor]
) -> States:
    """Take a step from `x [B, D]` and states `[B, width]`, all of the type of the weights.

    Args:
        mode: as torch calls it: `LSTM`, `GRU`, `RNN_TANH` or `RNN_RELU`.
        program: of a cell made by `torch_cell`.
        x: input.
        states: states; None for zeros.
        families: weights in the order of `program.families`.
    """
    projected = any(family.name == "W_m" for family in program.families)  # torch's cell has no projection
    if torch.compiler.is_compiling() or projected or is_for_kernel(program, x.shape[0]) or is_watched():
        return step(program, x, states, families)
    if states is None:
        states = tuple([x.new_zeros(x.shape[0], width) for width in program.state_widths])
    given = {family.name: tensor for family, tensor in zip(program.families, families, strict=True)}
    weights = [given.get(name) for name in ("W_x", "W_h", "b_x", "b_h")]
    new = _TORCH[mode](x, states if mode == "LSTM" else states[0], *weights)
    return (new,) if isinstance(new, Tensor) else tuple(new)


def check_step_resets(resets: Any, batch: int) -> Tensor | None:
    """Check the resets of one step, `[B]`, or one value for a single sequence."""
    if resets is None:
        return None
    found = torch.as_tensor(resets)
    if tuple(found.shape) != (batch,) and not (batch == 1 and found.dim() == 0):
        raise ShapeError(f"resets: expected shape {(batch,)}, got {tuple(found.shape)}")
    return found


def reset_states(states: Sequence[Tensor] | None, resets: Any, dim: int) -> States | None:
    """Return states that are zero where a new sequence begins.

    Args:
        states: states, or None for zeros.
        resets: `[B]`, or one number for a single sequence.
        dim: the axis of the batch; further axes follow, one of which is the width.
    """
    if states is None or resets is None:
        return None if states is None else tuple(states)
    resets = torch.as_tensor(resets, device=states[0].device)
    chosen = resets if resets.dtype == torch.bool else resets != 0
    if chosen.dim():
        chosen = chosen.reshape((1,) * dim + (-1, 1))
    return tuple([state.masked_fill(chosen, 0.0) for state in states])


def quick_step(module: Any, input: Tensor, states: States | None) -> States | None:
    """Take a step of one of the cell modules by nabi's kernel, if that is fast and nothing is unusual."""
    if type(input) is not Tensor or input.dim() != 2:
        return None
    own, families = module._parameters, []
    for name in module._names:
        weight = own.get(name)
        families.append(getattr(module, name) if weight is None else weight)
    found = scan_full_batch(module._program, input.unsqueeze(0), states, families, time_major=True)
    return None if found is None else found[1]
