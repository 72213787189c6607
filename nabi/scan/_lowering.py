"""What a cell declares and no kernel knows, dealt with before a program runs over time.

Derived weights and values of weights alone are computed once; states that are not given start as declared.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.scan._inputs import join_inputs
from nabi.scan._layout import Layout, Options
from nabi.scan._operator import run_scan
from nabi.scan._segments import run_with_resets
from nabi.targets import eager

__all__ = ["initial_states", "is_lowered", "lowered", "prepare_lowering", "run_declared"]


_WORTH = 1 << 20
"""Numbers from which on it is faster to compute them once; below, torch's calls take longer than kernels."""


def is_lowered(program: Program, rows: int) -> bool:
    """Whether the lowered program runs in the place of a program, on so many rows in all steps.

    Derived weights exist only there. Values of weights alone can also be computed with every row, which a
    kernel does faster than torch can be called if there are few.
    """
    if program.lowered is None:
        return False
    if program.needs_autograd or torch.compiler.is_compiling():
        return True
    return rows * program.once_size >= _WORTH


def prepare_lowering(program: Program) -> None:
    """Make ready what a program computes once a call; torch.compile can trace that, but not its making."""
    if program.lowered is not None:
        eager.prepare_lowering(program)


def run_declared(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: tuple[Tensor, ...] | None,
    families: tuple[Tensor, ...],
    noises: tuple[Tensor, ...],
    extra: Mapping[str, Tensor | None] | None = None,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """As `run_scan`, for any program: no states stand for those that the cell declares.

    `extra` are further inputs, from `check_extra`.
    """
    if program.is_plain and len(program.inputs) == 1:
        return run_scan(program, options, layout, x, states, families, noises)
    starts = None
    if not program.starts_with_zeros and (states is None or layout.resets is not None):
        sizes = layout.batch_sizes
        batch = x.shape[0] if sizes is None else int(sizes[0]) if len(sizes) else 0
        starts = initial_states(program, families, batch, x)
        states = starts if states is None else states
    steps = x.numel() // max(x.shape[-1], 1)
    if is_lowered(program, steps):
        program, families, noises = lowered(program, families, noises)
    if len(program.inputs) > 1:
        program, x, families, noises = join_inputs(
            program, x, extra or {}, families, noises, layout, options.reverse
        )
    if starts is not None and states is not None and layout.resets is not None:
        count = program.readouts
        if count:
            nothing = x.new_zeros((states[0].shape[0], program.output_width))
            program, states, starts = program.as_states, (nothing, *states), (nothing, *starts)
        kept, finals = run_with_resets(program, options, layout, x, states, starts, families, noises)
        return kept, finals[count:]
    return run_scan(program, options, layout, x, states, families, noises)


def lowered(
    program: Program, families: Sequence[Tensor], noises: Sequence[Tensor] = ()
) -> tuple[Program, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the program that runs over time, with its weights and random inputs.

    Args:
        program: a program.
        families: weights in the order of `program.families`, of the right shapes.
        noises: random inputs in the order of `program.noises`.

    Raises:
        ArgumentError: a derived weight is not finite.

    Example:
        >>> from nabi.cells import LSTM
        >>> program = LSTM(units=5).program(input_size=3)
        >>> lowered(program, ())[0] is program
        True
    """
    found = program.lowered
    if found is None:
        return program, tuple(families), tuple(noises)
    device = families[0].device.type if families else "cpu"
    if not torch.compiler.is_compiling() and device != "meta" and torch.is_autocast_enabled(device):
        # The weights are in the type that autocast asks for, or in one that it shall leave alone.
        with torch.autocast(device, enabled=False):
            made = eager.lower(program, families, noises)
    else:
        made = eager.lower(program, families, noises)
    kept = zip(program.noises, noises, strict=False)
    return found.program, made, tuple([noise for one, noise in kept if one.kind != "weights"])


def initial_states(
    program: Program, families: Sequence[Tensor], batch: int, like: Tensor
) -> tuple[Tensor, ...]:
    """Return the states in which sequences begin, as the cell declares, each `[B, width]`.

    Args:
        program: a program, not a lowered one.
        families: weights in the order of `program.families`.
        batch: how many sequences B.
        like: a tensor of the type and on the device of the states.

    Example:
        >>> from nabi.cells import LSTM
        >>> program = LSTM(units=5).program(input_size=3)
        >>> [state.shape for state in initial_states(program, (), 2, torch.ones(1))]
        [torch.Size([2, 5]), torch.Size([2, 5])]
    """
    found = []
    for value, width in zip(program.initial, program.state_widths, strict=True):
        if isinstance(value, str):
            number, rows = program.family_of(value)
            found.append(families[number][rows].to(like).expand(batch, width).contiguous())
        elif value:
            found.append(like.new_full((batch, width), value))
        else:
            found.append(like.new_zeros((batch, width)))
    return tuple(found)
