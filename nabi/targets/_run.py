"""Runs a program on the target that can and is fastest: native code, else torch.

Native code is for float32 and float64 on the CPU. On a graphics card torch's own operators (cuDNN) run the
cells whose equations they compute. What neither does (another device or dtype, tensors
that only pretend to hold data) goes to the eager target by itself, and so does everything where llvmlite is
missing, the processor is unknown, or `NABI_NATIVE=0` says so.

`run_forward` and `run_backward` run over any rows. What is run often with something that stays has that
settled once: `full_batch` for batches of one shape, `prepare` for the steps of a training, `prepare_step` for
single steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows, remembered
from nabi.native import (
    NativeError,
    give_up,
    has_failed,
    host,
    made_natively,
    plain_addresses,
    runs_native,
)
from nabi.small_weights import SmallWeight, are_all_small, are_small, as_dense
from nabi.targets import eager, torch_operators

if TYPE_CHECKING:
    from nabi.targets.llvm._binder import Passes, SmallWeightsRun, TrainingPasses

__all__ = [
    "Gradients",
    "Record",
    "Step",
    "TorchPasses",
    "full_batch",
    "is_native",
    "prepare",
    "prepare_step",
    "run_backward",
    "run_forward",
]

Gradients = eager.Gradients

# Takes input [B, D] and states [B, width], gives the new states.
Step = Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, ...]]


@dataclass(eq=False)
class Record:
    """What a forward pass leaves for the backward pass on the same target."""

    native: bool
    kept: Any


def run_forward(
    program: Program,
    rows: Rows,
    x: Tensor,
    initial: tuple[Tensor, ...],
    families: Sequence[Tensor],
    noises: Sequence[Tensor],
    *,
    keep: tuple[int, ...],
    save: bool,
    native: bool | None = None,
    from_zeros: bool = False,
) -> tuple[list[Tensor | None], tuple[Tensor, ...], Record]:
    """Run a program over packed rows.

    Args:
        program: the program.
        rows: the layout.
        x: input rows `[N, D]`.
        initial: initial states `[B, width]`, sequences in the order of the rows.
        families: weights.
        noises: random inputs: `[B, width]` in the order of the rows, or `[N, width]` when per step.
        keep: the states whose rows are wanted.
        save: whether a backward pass will follow.
        native: whether native code runs the program on these tensors, where that has been found out.
        from_zeros: whether all initial states are zeros, which native code then does not multiply.

    Returns:
        The rows of each state (None where not kept), the final states `[B, width]` in the order of the
        rows, and the record for `run_backward`, empty unless `save`.
    """
    if native is None:
        native = is_native(program, (x, *initial, *families, *noises))
    if native and program.has_axes:
        native = _has_native_heads(program, rows)
    if are_small(families):
        small = _run_small(program, rows, x, initial, families, noises, keep) if native else None
        if small is not None:
            return *small, Record(True, None)
        families = [as_dense(family) for family in families]
    if native:
        try:
            noise_rows = eager.noise_rows(program, rows, noises) if noises else ()
            given: tuple[Tensor, ...] | None = initial
            if from_zeros and rows.zero is None and not (program.has_axes or program.noises):
                given = None
            states, finals, kept = _binder_of(program).run_forward(
                program, rows, x, given, families, noise_rows, keep=keep, save=save
            )
        except NativeError as problem:
            give_up(program.key, name_of(program), problem)
        else:
            return states, finals, Record(True, kept)
    elif torch_operators.are_for_operator(program, rows, (x, *initial, *families), keep, save):
        states, finals, found = torch_operators.run_forward(program, rows, x, initial, families, save=save)
        return states, finals, Record(False, found)
    states, finals, record = eager.run_forward(
        program, rows, x, initial, families, noises, keep=keep, save=save
    )
    return states, finals, Record(False, record)


def _run_small(
    program: Program,
    rows: Rows,
    x: Tensor,
    initial: tuple[Tensor, ...],
    families: Sequence[Tensor],
    noises: Sequence[Tensor],
    keep: tuple[int, ...],
) -> tuple[list[Tensor | None], tuple[Tensor, ...]] | None:
    """Run a program with small weights natively; None where that is not possible."""
    if program.has_axes or not are_all_small(families) or not _is_read_small(families, rows):
        return None
    noise_rows = eager.noise_rows(program, rows, noises) if noises else ()

    def run() -> tuple[list[Tensor | None], tuple[Tensor, ...]]:
        small = _binder().small_weights_run(program, families)
        found: tuple[list[Tensor | None], tuple[Tensor, ...]] = small.run(
            rows, x, initial, noise_rows, keep=keep
        )
        return found

    return made_natively(("small weights", program.key), name_of(program), run)


def _is_read_small(families: Sequence[Tensor], rows: Rows) -> bool:
    """Whether kernels read small weights as they are, or float32 weights that are made for a call.

    Widening a weight for every few rows takes longer than making float32 weights once, if there are many rows
    and the weights stay in a near cache. Dot products of bytes widen nothing.
    """
    is_int8 = any(isinstance(one, SmallWeight) and one.stored.kind == "int8" for one in families)
    if (is_int8 and host().has_byte_products) or rows.batch <= _FEW or rows.count < _MANY:
        return True
    return sum(family.numel() for family in families) > _NEAR


_FEW, _MANY, _NEAR = 4, 128, 1 << 18
"""Sequences of a small batch, whose steps wait for weights; rows for which float32 weights can be made; and
weights that stay in the second-level cache as float32."""


def run_backward(
    program: Program,
    rows: Rows,
    record: Record,
    families: Sequence[Tensor],
    state_cotangents: Sequence[Tensor | None],
    final_cotangents: Sequence[Tensor | None],
    *,
    need_input: bool,
    need_initial: bool = True,
    need_families: tuple[bool, ...],
) -> Gradients:
    """Run the derivative over packed rows, last step first.

    Args:
        program, rows, record, families: as in and from `run_forward`.
        state_cotangents: for each state the cotangents of its rows `[N, width]`, or None.
        final_cotangents: for each state the cotangent of its final value `[B, width]`, or None.
        need_input: whether the gradient of the input is wanted.
        need_initial: whether those of the initial states are; they may be given all the same.
        need_families: for each family whether its gradient is wanted.
    """
    if record.native:
        try:
            if program.has_axes:
                dx, initial, gradients = _heads().run_backward(
                    program, rows, record.kept, families, state_cotangents, final_cotangents,
                    need_input=need_input, need_families=need_families,
                )  # fmt: skip
            else:
                dx, initial, gradients = _binder().run_backward(
                    program, rows, record.kept, families, state_cotangents, final_cotangents,
                    need_input=need_input, need_initial=need_initial, need_families=need_families,
                )  # fmt: skip
        except NativeError as problem:
            give_up(program.key, name_of(program), problem)
            record = _run_again(program, rows, record.kept, families)
        else:
            return Gradients(dx, initial, gradients)
    if isinstance(record.kept, torch_operators.OperatorRecord):
        return torch_operators.run_backward(
            rows, record.kept, families, state_cotangents, final_cotangents,
            need_input=need_input, need_families=need_families,
        )  # fmt: skip
    return eager.run_backward(
        program, rows, record.kept, families, state_cotangents, final_cotangents,
        need_input=need_input, need_families=need_families,
    )  # fmt: skip


def _run_again(program: Program, rows: Rows, kept: Any, families: Sequence[Tensor]) -> Record:
    """Run a native forward pass once more on torch, for a backward pass that cannot be native."""
    first = rows.active[0] if rows.active else 0
    # Random inputs were given as rows; those of the first step serve whole sequences.
    noises = [
        values if noise.per_step else values[:first]
        for noise, values in zip(program.noises, kept.noises, strict=True)
    ]
    initial = tuple(kept.initial)
    if not initial:  # zeros
        initial = tuple([kept.x.new_zeros((rows.batch, width)) for width in program.state_widths])
    _, _, record = eager.run_forward(program, rows, kept.x, initial, families, noises, keep=(), save=True)
    return Record(False, record)


def full_batch(
    program: Program,
    families: Sequence[Tensor],
    dtype: torch.dtype,
    batch: int,
    time: int,
    *,
    time_major: bool,
    stacked: bool,
    save: bool,
    from_zeros: bool,
    turned: bool = False,
) -> "tuple[Passes, list[int], tuple[int, ...]] | None":
    """Return what runs a program natively over batches in which every sequence has every step.

    Args:
        program: the program, without random inputs.
        families: weights.
        dtype: of the input and the states, which have been found to be for native code.
        batch, time: sequences and steps, at least one each.
        time_major: whether input and output are `[T, B, width]` or `[B, T, width]`.
        stacked: whether final states are `[1, B, width]` or `[B, width]`.
        save: whether a backward pass will follow.
        from_zeros: whether no states are given to start from.
        turned: whether matrices have their inputs first; then they must be contiguous.

    Returns:
        The passes, where each weight lies, and how far its lines lie apart; None where there is no native
        code, or where a weight has a wrong shape or would have to be copied.
    """
    if program.has_axes:
        return None
    columns_first: bool | tuple[bool, ...] = not turned
    shapes = program.turned_shapes if turned else program.family_shapes
    lines = program.turned_lines if turned else program.family_lines
    weights = plain_addresses(families, shapes, dtype)
    if weights is None:
        found = None if turned else _binder().weights_of(program, families, dtype)
        if found is None:
            return None
        columns_first, lines, weights = found
    # Of several steps, only the first knows the difference.
    of_zeros = from_zeros and time == 1
    passes = _passes(program, dtype, columns_first, batch, time, time_major, stacked, save, of_zeros)
    return None if passes is None else (passes, weights, lines)


@cache
def _binder() -> Any:
    """What runs native code; loaded where something runs natively."""
    from nabi.targets.llvm import _binder

    return _binder


@cache
def _heads() -> Any:
    """What runs programs with axes natively."""
    from nabi.targets.llvm._heads import _run

    return _run


def _binder_of(program: Program) -> Any:
    return _heads() if program.has_axes else _binder()


def _has_native_heads(program: Program, rows: Rows) -> bool:
    """Whether there are steps, and those of a program with axes are independent from head to head."""
    return bool(rows.count) and not _heads().can_run(program)


@remembered(at=4)
def _passes(
    program: Program,
    dtype: torch.dtype,
    columns_first: bool | tuple[bool, ...],
    batch: int,
    time: int,
    time_major: bool,
    stacked: bool,
    save: bool,
    from_zeros: bool,
) -> "Passes | None":
    """Bind a program to full batches; one `columns_first` stands for that of every matrix."""
    if isinstance(columns_first, bool):
        alike = tuple([columns_first or len(shape) != 2 for shape in program.family_shapes])
        return _passes(program, dtype, alike, batch, time, time_major, stacked, save, from_zeros)
    rows = Rows([batch] * time, batch)
    return made_natively(
        program.key,
        name_of(program),
        lambda: _binder().Passes(
            program,
            rows,
            dtype,
            columns_first,
            keep=(0,),
            save=save,
            batched=(time, time_major, stacked),
            from_zeros=from_zeros,
        ),
    )


def prepare(
    program: Program,
    x: Tensor,
    initial: Sequence[Tensor],
    families: Sequence[Tensor],
    *,
    keep: tuple[int, ...],
    need_families: tuple[bool, ...],
    new_finals: bool = False,
    from_zeros: bool = False,
) -> "TrainingPasses | TorchPasses":
    """Settle how a program runs in a training, on the target that can and is fastest.

    Args:
        program: the program, without random inputs.
        x, initial: such an input `[B, T, D]` and such initial states `[B, width]` as the steps will be given.
        families: the weights. They may be written to between two steps, but not lie elsewhere.
        keep: the states whose rows are wanted.
        need_families: for each family whether its gradient is wanted.
        new_finals: whether every step gives final states in memory of their own, for someone to keep.
        from_zeros: whether all initial states will be zeros, which native code then does not multiply.

    Returns:
        What runs forward and backward in turn. Native code raises `NativeError` where it cannot be made;
        `TorchPasses` then do the same.
    """
    # A weight that would be copied into a layout that kernels read is copied at every step.
    in_place = all(family.is_contiguous() or 1 in family.stride() for family in families)
    if in_place and not program.has_axes and is_native(program, (x, *initial, *families)):
        passes: TrainingPasses = _binder().TrainingPasses(
            program, x.dtype, x.shape[0], x.shape[1], families,
            keep=keep, need_families=need_families, new_finals=new_finals, from_zeros=from_zeros,
        )  # fmt: skip
        return passes
    return TorchPasses(program, families, keep, need_families)


class TorchPasses:
    """A program in a training, where torch runs it; see `nabi.targets.llvm._binder._training`."""

    def __init__(
        self,
        program: Program,
        families: Sequence[Tensor],
        keep: tuple[int, ...],
        need_families: tuple[bool, ...],
    ) -> None:
        self._program, self._families = program, families
        self._keep, self._need_families = keep, need_families
        self._last: tuple[Rows, Tensor, Record] | None = None

    def forward(
        self, rows: Rows, x: Tensor, initial: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Run forward; the rows of the states that are kept, and the final states."""
        x = x.reshape(-1, x.shape[-1])
        states, finals, record = run_forward(
            self._program, rows, x, tuple(initial), self._families, (), keep=self._keep, save=True
        )
        self._last = rows, x, record
        return [state for state in states if state is not None], finals

    def backward(
        self, cotangents: Sequence[Tensor], final_cotangents: Sequence[Tensor | None], need_input: bool
    ) -> tuple[Tensor | None, Sequence[Tensor | None]]:
        """Run backward what ran forward last; the gradients of the input rows and of the weights."""
        assert self._last is not None
        (rows, x, record), self._last = self._last, None
        of_states: list[Tensor | None] = [None] * len(final_cotangents)
        if cotangents:
            for i, cotangent in zip(self._keep, cotangents, strict=True):
                of_states[i] = cotangent
        found = run_backward(
            self._program, rows, record, self._families, of_states, final_cotangents,
            need_input=need_input, need_initial=False, need_families=self._need_families,
        )  # fmt: skip
        # Where no equation reads the input, its gradient is zero.
        return torch.zeros_like(x) if need_input and found.x is None else found.x, found.families


def prepare_step(program: Program, families: Sequence[Tensor]) -> Step:
    """Return a function that takes one step, with these weights, which must not change.

    Args:
        program: the program, without random inputs.
        families: weights in the order of `program.families`.

    What the function is given must have the type, the device and the widths of the weights: it looks at
    nothing.
    """
    if are_small(families):
        return _small_step(program, families)
    if not program.has_axes and is_native(program, families):
        found: Step | None = made_natively(
            program.key, name_of(program), lambda: _binder().Steps(program, families)
        )
        if found is not None:
            return found
    definition = eager.step_function(program)
    weights = tuple(families)

    def step(x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return definition(x, tuple(states), weights, ())

    return step


def _small_step(program: Program, families: Sequence[Tensor]) -> Step:
    """Return a function that takes one step with small weights."""
    weights = tuple(families)
    small: SmallWeightsRun | None = None
    vectors = [family for family in weights if family.dim() == 1] or [torch.empty(0)]
    if not program.has_axes and are_all_small(weights) and is_native(program, vectors):
        small = made_natively(
            ("small weights", program.key), name_of(program),
            lambda: _binder().small_weights_run(program, weights).prepared(),
        )  # fmt: skip
    if small is None:
        return prepare_step(program, [as_dense(weight) for weight in weights])
    run = small.run

    def step(x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        batch = x.shape[0]
        return (
            run(_one_step(batch), x, states, keep=())[1] if batch else tuple([one.clone() for one in states])
        )

    return step


@lru_cache(maxsize=64)
def _one_step(batch: int) -> Rows:
    return Rows([batch], batch)


def is_native(program: Program, tensors: Sequence[Tensor]) -> bool:
    """Whether native code runs a program on these tensors."""
    return not has_failed(program.key) and runs_native(*tensors)


def name_of(program: Program) -> str:
    """What a warning calls a program."""
    return type(program.cell).__name__
