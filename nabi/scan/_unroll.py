"""Other ways of running a cell: one copy of the step per time step, a single step, any torch function."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Input, Program
from nabi.scan._arguments import check_families, check_mask, check_resets, check_states, check_steps
from nabi.scan._fast_path import scan_full_batch
from nabi.scan._inputs import Extra, check_extra, check_extra_of_step, join_inputs
from nabi.scan._lowering import initial_states, is_lowered, lowered
from nabi.scan._scan import scan
from nabi.small_weights import are_small
from nabi.targets import eager

__all__ = ["loop", "new_states", "static_scan", "step"]


def static_scan(
    program: Program,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor] | None,
    parameters: Sequence[Tensor],
    *,
    noise: Sequence[Tensor] = (),
    extra: Extra | None = None,
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Run a program over a list of inputs with one copy of the step for each (static unrolling).

    All copies share the weights. The graph that torch records grows with the number of steps; `scan`
    gives the same numbers with a graph that does not.

    Args:
        program, parameters: as in `scan`.
        inputs: one tensor `[B, D]` for each time step.
        states: initial states, each `[B, width]`; None for those that the cell declares, or zeros.
        noise: as in `scan`, per-step noise `[B, T, width]`.
        extra: as in `scan`.

    Returns:
        The list of outputs, each `[B, H]`, and the final states.

    Raises:
        ShapeError: an input has another shape than `[B, D]`.
        ArgumentError: there are no inputs and no states, so that the batch size is not known.

    Example:
        >>> import torch
        >>> from nabi.cells import SimpleRNN
        >>> program = SimpleRNN(units=5).program(input_size=3)
        >>> weights = [torch.zeros(family.shape) for family in program.families]
        >>> outputs, (h,) = static_scan(program, [torch.ones(4, 3), torch.ones(4, 3)], None, weights)
        >>> len(outputs), torch.equal(outputs[-1], h)
        (2, True)
    """
    if not inputs and states is None:
        raise ArgumentError("inputs: expected at least one time step, or initial states")
    families = check_families(program, parameters)
    noise = tuple(noise)
    batch = inputs[0].shape[0] if inputs else (states or [])[0].shape[0]
    for t, x in enumerate(inputs):
        if tuple(x.shape) != (batch, program.input_size):
            raise ShapeError(
                f"inputs[{t}]: expected shape {(batch, program.input_size)}, got {tuple(x.shape)}"
            )
    further = check_extra(program, extra, (batch, len(inputs)), batch)
    now = _start(program, states, batch, inputs[0] if inputs else families[0], families)
    if is_lowered(program, batch * len(inputs)):
        program, families, noise = lowered(program, families, noise)
    outputs = []
    for t, x in enumerate(inputs):
        found = step(
            program, x, now, families, [n[:, t] if n.dim() == 3 else n for n in noise],
            extra=_at_step(further, t),
        )  # fmt: skip
        outputs.append(found[0])
        now = found[program.readouts :]
    return outputs, now


def step(
    program: Program,
    x: Tensor,
    states: Sequence[Tensor] | None,
    parameters: Sequence[Tensor],
    noise: Sequence[Tensor] = (),
    *,
    extra: Extra | None = None,
) -> tuple[Tensor, ...]:
    """Run one step, for input that arrives one time step after the other.

    Args:
        program, parameters: as in `scan`.
        x: input `[B, D]`.
        states: states `[B, width]`; None for those that the cell declares, or zeros.
        noise: random inputs, each `[B, width]`.
        extra: what the step reads beside `x`, by name: `[B]` or `[B, width]`; for `position` the number of
            this step, which must be given.

    Returns:
        The new states; the first is the output. If the cell names an output that is no state, that, and then
        the new states.

    Raises:
        ShapeError: `x` or a state has the wrong shape.
        ArgumentError: a further input is missing.

    Example:
        >>> import torch
        >>> from nabi.cells import LSTM
        >>> program = LSTM(units=5).program(input_size=3)
        >>> weights = [torch.zeros(family.shape) for family in program.families]
        >>> h, c = step(program, torch.ones(2, 3), None, weights)
        >>> h.shape
        torch.Size([2, 5])
    """
    if x.dim() != 2 or x.shape[1] != program.input_size:
        raise ShapeError(f"x: expected shape [batch, {program.input_size}], got {tuple(x.shape)}")
    if not program.is_plain:
        families = check_families(program, parameters)
        states = _start(program, states, x.shape[0], x, families)
        if is_lowered(program, x.shape[0]):
            program, parameters, noise = lowered(program, families, noise)
    if extra or len(program.inputs) > 1:
        further = check_extra_of_step(program, extra, x.shape[0])
        if not torch.compiler.is_compiling():
            weights = check_families(program, parameters)
            program, x, parameters, noise = join_inputs(program, x, further, weights, noise, None)
    if torch.compiler.is_compiling() or are_small(parameters):
        # The operator on one time step: torch.compile cannot trace the making of the step function, and torch
        # would make float32 weights of small ones at every step.
        specs = zip(program.noises, noise, strict=True)
        spread = [value.unsqueeze(1) if spec.per_step else value for spec, value in specs]
        extra = {given.name: _over_time(given, (extra or {}).get(given.name)) for given in program.inputs[1:]}
        output, finals, _ = scan(program, x.unsqueeze(1), states, parameters, noise=spread, extra=extra)
        return (output.squeeze(1), *finals) if program.readouts else finals
    if not noise:
        # The kernel for one time step; autograd wants the final states alone.
        found = scan_full_batch(program, x.unsqueeze(0), states, parameters, time_major=True)
        if found is not None:
            return (found[0].squeeze(0), *found[1]) if program.readouts else found[1]
    families = check_families(program, parameters)
    start = _start(program, states, x.shape[0], x, families)
    whole = program.as_states
    if program.readouts:
        start = (x.new_zeros(x.shape[0], whole.state_widths[0]), *start)
    return eager.step_function(whole)(x, start, families, noise)


def _over_time(given: Input, value: Any) -> Any:
    """Return a further input of one step as one of a sequence with one step."""
    stays = value is None or given.per_sequence or given.name == "position"
    return value if stays or not torch.as_tensor(value).dim() else torch.as_tensor(value).unsqueeze(1)


def _at_step(further: dict[str, Tensor | None], t: int) -> dict[str, Tensor | None]:
    """Return further inputs of one step; those of a sequence have two dimensions and stay."""
    found = {
        name: None if value is None else value[:, t] if value.dim() == 3 else value
        for name, value in further.items()
    }
    if "position" in found:
        first = found["position"]
        found["position"] = torch.as_tensor(t) if first is None else first + t
    return found


def _start(
    program: Program, states: Any, batch: int, like: Tensor, families: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Check initial states, or make those that the cell declares, of the type of `like`."""
    if states is None:
        return initial_states(program, families, batch, like)
    return check_states(states, program.state_names, program.state_widths, (batch,))


def loop(
    step_function: Callable[..., Tensor | Sequence[Tensor]],
    x: Tensor,
    states: Sequence[Tensor],
    *,
    lengths: Tensor | Sequence[int] | None = None,
    mask: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    truncate: int | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run any function of torch tensors over time: for steps that the cell language cannot express.

    Slower than `scan`, with the same meaning of every argument.

    Args:
        step_function: called as `step_function(x_t, *states)` with `[B, D]` and the states; returns the
            new states, the first of which is the output, or one state as a tensor alone.
        x: input `[B, T, D]`.
        states: initial states, each `[B, width]`.
        lengths, mask, resets, reverse, truncate: as in `scan`.
        extra: what the function takes by name at every step, each `[B, T, ...]`.

    Returns:
        The output `[B, T, H]`, the final states, and every state at every step.

    Raises:
        ShapeError, ArgumentError: as `scan`; also when the function returns anything but the new states, each
            with the shape of the old one.

    Example:
        >>> import torch
        >>> cell = torch.nn.GRUCell(3, 5)
        >>> output, (h,), _ = loop(cell, torch.ones(2, 7, 3), [torch.zeros(2, 5)])
        >>> output.shape
        torch.Size([2, 7, 5])
    """
    if x.dim() < 3:
        raise ShapeError(
            f"x: expected at least 3 dimensions [batch, time steps, ...], got shape {tuple(x.shape)}"
        )
    truncate = check_steps("truncate", truncate)
    batch, time = x.shape[0], x.shape[1]
    valid = check_mask(lengths, mask, batch, time, x.device)
    named = dict(extra or {})
    if valid is not None:
        x = _where_valid(valid, x)
        named = {name: _where_valid(valid, value) for name, value in named.items()}
    # A partial function has what it was made of.
    inner = getattr(step_function, "func", step_function)
    name = getattr(inner, "__name__", type(inner).__name__)

    def at(t: int, now: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given = {key: value[:, t] for key, value in named.items()}
        return new_states(step_function(x[:, t], *now, **given), now, name)

    kept, finals = eager.run_definition(
        at,
        time,
        tuple(states),
        mask=valid,
        resets=check_resets(resets, batch, time, x.device),
        reverse=reverse,
        truncate=truncate,
        keep=range(len(states)),
    )
    all_states = tuple(
        torch.stack(values, 1) if values else state.new_zeros((batch, 0, *state.shape[1:]))
        for values, state in zip(kept, states, strict=True)
    )
    return all_states[0], finals, all_states


def _where_valid(valid: Tensor, values: Tensor) -> Tensor:
    shape = (*valid.shape, *(1,) * (values.dim() - 2))
    return torch.where(valid.reshape(shape), values, torch.zeros_like(values))


def new_states(returned: object, old: Sequence[Tensor], name: str) -> tuple[Tensor, ...]:
    """Check what a step on torch tensors returned, and return the new states.

    Args:
        returned: the new states; a tensor alone is the one state of a step that has one.
        old: the states before the step, whose shapes the new ones must have.
        name: of the step, for the message.

    Raises:
        ArgumentError: it is not the new states.
        ShapeError: a new state has another shape than the old one.
    """
    expected = f"{name}: expected the {len(old)} new states as a tuple of tensors"
    found = (returned,) if isinstance(returned, Tensor) else returned
    if not isinstance(found, (tuple, list)):
        raise ArgumentError(f"{expected}, got {type(returned).__name__}")
    if len(found) != len(old):
        got = "one tensor" if isinstance(returned, Tensor) else f"{len(found)} values"
        raise ArgumentError(f"{expected}, got {got}")
    for place, (new, state) in enumerate(zip(found, old, strict=True)):
        if not isinstance(new, Tensor):
            raise ArgumentError(f"{expected}, got {type(new).__name__} for state {place}")
        if new.shape != state.shape:
            raise ShapeError(
                f"{name}: the new state {place} has shape {tuple(new.shape)}, expected {tuple(state.shape)}"
            )
    return tuple(found)
