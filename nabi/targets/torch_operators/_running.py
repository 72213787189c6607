"""Runs packed rows through torch's recurrent operators, forward and backward.

Rows lie as `torch.nn.utils.rnn.PackedSequence` lays out its data, so one call serves lengths, masks and both
directions of time. Weights are brought into torch's order first, and their gradients back.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.targets import eager
from nabi.targets.torch_operators._form import TorchForm, torch_form

__all__ = ["OperatorRecord", "are_for_operator", "run_backward", "run_forward", "torch_weights"]

_DTYPES = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
_NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0")


@dataclass(eq=False)
class OperatorRecord:
    """What a forward pass leaves for the backward pass: leaves and results of a graph of torch's own.

    Attributes:
        form: how torch computes the program.
        x, initial, weights: the leaves.
        output, finals: the results.
    """

    form: TorchForm
    x: Tensor
    initial: tuple[Tensor, ...]
    weights: list[Tensor]
    output: Tensor
    finals: tuple[Tensor, ...]


def are_for_operator(
    program: Program, rows: Rows, tensors: Sequence[Tensor], keep: tuple[int, ...], save: bool
) -> bool:
    """Whether torch's operator runs a program on these tensors: on a graphics card, where its equations fit.

    Args:
        program, rows, keep, save: as `nabi.targets.run_forward` takes them.
        tensors: input, initial states and weights.
    """
    x = tensors[0]
    if not (x.is_cuda or _is_asked_for()) or x.dtype not in _DTYPES:
        return False
    if rows.zero is not None or rows.cut is not None or any(keep):
        return False  # states that begin anew in the middle, and states that the operator does not give
    if not rows.active or not rows.active[-1] or torch_form(program) is None:
        return False
    if any(tensor.dtype is not x.dtype or tensor.device != x.device for tensor in tensors):
        return False
    # Inside an operator of nabi's own (torch.compile) torch records nothing.
    recording = not torch._C._dispatch_tls_is_dispatch_key_excluded(torch._C.DispatchKey.AutogradOther)
    return recording or not save


def run_forward(
    program: Program,
    rows: Rows,
    x: Tensor,
    initial: Sequence[Tensor],
    families: Sequence[Tensor],
    *,
    save: bool,
) -> tuple[list[Tensor | None], tuple[Tensor, ...], OperatorRecord | None]:
    """Run a program over packed rows; as `nabi.targets.run_forward`, where `are_for_operator` allows it."""
    form = torch_form(program)
    assert form is not None
    first = rows.active[0]
    with torch.no_grad():
        weights = torch_weights(form, families)
        _lie_together(form, program, weights)
    start = [state[:first].unsqueeze(0).contiguous() for state in initial]
    if save:
        x, start = _leaf(x), [_leaf(state) for state in start]
        weights = [_leaf(weight) for weight in weights]
    with torch.set_grad_enabled(save):
        output, reached = _call(form, rows, x, start, weights)
    finals = [final.detach().squeeze(0) for final in reached]
    if first < rows.batch:  # sequences without a step keep their states
        finals = [torch.cat([final, state[first:]]) for final, state in zip(finals, initial, strict=True)]
    record = OperatorRecord(form, x, tuple(start), weights, output, reached) if save else None
    return [output.detach(), *[None] * (len(initial) - 1)], tuple(finals), record


def run_backward(
    rows: Rows,
    record: OperatorRecord,
    families: Sequence[Tensor],
    state_cotangents: Sequence[Tensor | None],
    final_cotangents: Sequence[Tensor | None],
    *,
    need_input: bool,
    need_families: tuple[bool, ...],
) -> eager.Gradients:
    """Run the derivative; as `nabi.targets.run_backward`."""
    first, form = rows.active[0], record.form
    given = [(record.output, state_cotangents[0])]
    given += [
        (final, None if cotangent is None else cotangent[:first].unsqueeze(0))
        for final, cotangent in zip(record.finals, final_cotangents, strict=True)
    ]
    given = [(result, cotangent) for result, cotangent in given if cotangent is not None]
    if not given:
        return eager.Gradients(None, (None,) * len(record.initial), (None,) * len(families))
    weights = record.weights if any(need_families) else []
    wanted = [*record.initial, *weights, *([record.x] if need_input else [])]
    found = torch.autograd.grad(
        [result for result, _ in given], wanted, [cotangent for _, cotangent in given], materialize_grads=True
    )
    count = len(record.initial)
    initial: list[Tensor | None] = []
    for gradient, cotangent in zip(found[:count], final_cotangents, strict=True):
        whole = gradient.squeeze(0)
        if first < rows.batch:
            rest = whole.new_zeros(rows.batch - first, whole.shape[1])
            whole = torch.cat([whole, rest if cotangent is None else cotangent[first:]])
        initial.append(whole)
    of_weights = found[count : count + len(weights)]
    of_families = _family_gradients(form, of_weights, families, need_families)
    return eager.Gradients(found[-1] if need_input else None, tuple(initial), of_families)


def torch_weights(form: TorchForm, families: Sequence[Tensor]) -> list[Tensor]:
    """Return torch's tensors, in torch's order, from those of a program; differentiable.

    Args:
        form: how torch computes the program.
        families: in the order of `program.families`.
    """
    weights = []
    for parts in form.weights:
        rows = [
            families[0].new_zeros(form.units)
            if part is None
            else families[part.family][part.start : part.stop]
            for part in parts
        ]
        # Always new memory: torch packs the weights for cuDNN in place.
        weights.append(torch.cat(rows) if len(rows) > 1 else rows[0].clone())
    return weights


def _call(
    form: TorchForm, rows: Rows, x: Tensor, start: list[Tensor], weights: list[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Call torch's operator for one layer in one direction.

    `train` is true where gradients are wanted: cuDNN keeps what they need only then. There is no dropout.
    """
    states = tuple(start) if form.mode == "LSTM" else start[0]
    train = torch.is_grad_enabled()
    # Torch has signatures for these, but no types.
    run: Any = {
        "LSTM": torch.lstm, "GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu
    }[form.mode]  # fmt: skip
    if rows.active[-1] == rows.active[0]:
        steps = x.reshape(len(rows.active), rows.active[0], x.shape[1])
        output, *finals = run(steps, states, weights, form.has_biases, 1, 0.0, train, False, False)
        return output.flatten(0, 1), tuple(finals)
    sizes = torch.tensor(rows.active, dtype=torch.int64)  # on the CPU, where torch wants it
    output, *finals = run(x, sizes, states, weights, form.has_biases, 1, 0.0, train, False)
    return output, tuple(finals)


def _lie_together(form: TorchForm, program: Program, weights: list[Tensor]) -> None:
    """Let weights on a graphics card share one piece of memory, as cuDNN reads them; elsewhere do nothing.

    Torch would do so at every call as well, and warn.
    """
    names = [*_NAMES[:2], *(_NAMES[2:4] if form.has_biases else ()), *(_NAMES[4:] if form.projection else ())]
    module = SimpleNamespace(
        _flat_weights=weights, _flat_weights_names=names, mode=form.mode, input_size=program.input_size,
        hidden_size=form.units, proj_size=form.projection, num_layers=1, bias=form.has_biases,
        batch_first=False, bidirectional=False,
    )  # fmt: skip
    nn.RNNBase.flatten_parameters(module)  # type: ignore[arg-type]


def _family_gradients(
    form: TorchForm, found: Sequence[Tensor], families: Sequence[Tensor], need: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """Sort the gradients of torch's weights into those of the program's; the adjoint of `torch_weights`."""
    gradients: list[Tensor | None] = [
        torch.zeros_like(family, memory_format=torch.contiguous_format) if needed else None
        for family, needed in zip(families, need, strict=True)
    ]
    for parts, gradient in zip(form.weights, found, strict=False):
        size = gradient.shape[0] // len(parts)
        for number, part in enumerate(parts):
            into = None if part is None else gradients[part.family]
            if part is not None and into is not None:
                into[part.start : part.stop] += gradient[number * size : (number + 1) * size]
    return tuple(gradients)


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_()


def _is_asked_for() -> bool:
    """Whether torch's operators are to run on the CPU as well, where native code does not: for tests."""
    return os.environ.get("NABI_TORCH_OPERATORS") == "1"
