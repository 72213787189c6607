"""Weights of a checkpoint of TensorFlow 1, loaded into cells."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange._report import LoadReport
from nabi.interchange._tensorflow._cells import FoundCell, find_cells, is_optimizer_state, of_kind
from nabi.interchange._tensorflow._checkpoint import TensorFlowCheckpoint, read_tensorflow_checkpoint
from nabi.interchange._tensorflow._targets import Target, roles, targets_of

__all__ = ["load_tensorflow_weights"]

_SHOWN = 8


@public
def load_tensorflow_weights(
    cell: Any,
    path: str | os.PathLike[str],
    scope: str | None = None,
    forget_bias: float | None = None,
) -> LoadReport:
    """Load weights that TensorFlow 1 saved into a cell, a stack or a pair of directions.

    The cells of a checkpoint are found by the names of their variables, at any depth of scopes, in the
    spellings of all versions (`rnn/lstm_cell/kernel`, `rnn/lstm_cell/weights`, `RNN/LSTMCell/W_0`). All
    weights are compared before the first is set: a cell is loaded in whole, or left as it is. Activations and
    limits (`cell_clip`, `proj_clip`) are not in a checkpoint: they are those of the cell.

    Args:
        cell: a `BasicRNNCell`, `BasicLSTMCell`, `LSTMCell` or `GRUCell` of `nabi.tf1`, a `MultiRNNCell` of
            them, with or without `DropoutWrapper`; or a `SimpleRNN`, `LSTM` or `GRU(reset_after=False)` of
            `nabi.layers`, or a list of them, for a stack; or an `LSTM` or `ElmanRNN` of `nabi.nn`; or a pair
            `(forwards, backwards)` of any of these, or a `Bidirectional` layer. It may have no weights yet.
        path: of the checkpoint, as for `read_tensorflow_checkpoint`.
        scope: where to look, such as `"decoder/rnn"`; everywhere by default. The scope of a single cell also
            finds one that has a name of its own, or that is one layer of a stack.
        forget_bias: what TensorFlow added to the forget gate of an LSTM at every step. It is not in the file.
            By default, that of a cell of `nabi.tf1`, and for layers TensorFlow's default, 1. The bias is
            changed by the difference to what the cell adds itself.

    Returns:
        A report: what was loaded, what is left, how many tensors were an optimizer's.

    Raises:
        ArgumentError: something else than such a cell; no cell in the checkpoint fits, or several do. The
            message names what is there, and why it does not fit.
        MissingFileError: if a file of the checkpoint does not exist.
        FileFormatError: if the checkpoint is damaged, or tensors of a cell are not floating-point numbers.

    Source: variables and gates as in TensorFlow 1's `rnn_cell_impl.py`.

    Example:
        >>> import nabi.tf1 as tf
        >>> from nabi.interchange import load_tensorflow_weights
        >>> cell = tf.nn.rnn_cell.BasicLSTMCell(3)
        >>> report = load_tensorflow_weights(cell, "tests/interchange/tensorflow/files/basic-lstm")
        >>> report.left_over, len(report.optimizer)
        (('global_step', 'head/bias', 'head/kernel'), 10)
    """
    stacks = targets_of(cell)
    added = None if forget_bias is None else _checks.real("forget_bias", forget_bias)
    if added is not None and not any(target.kind == "lstm" for stack in stacks for target in stack):
        raise ArgumentError("forget_bias: expected None, since there is no LSTM among the cells")
    checkpoint = read_tensorflow_checkpoint(path)
    shapes = {name: info.shape for name, info in checkpoint.info.items()}
    found = find_cells(shapes)
    pairs: list[tuple[str, Target, FoundCell]] = []
    for stack, direction in zip(stacks, ("fw", "bw") if len(stacks) == 2 else (None,), strict=True):
        named = [_named(one, stack, scope, shapes) for one in found]
        chosen = _choose(checkpoint.path, [one for one in named if one], stack, scope, direction)
        pairs += zip(_names(stack, direction), stack, chosen, strict=True)
    values = [_values(checkpoint, target, one, added) for _, target, one in pairs]
    loaded: dict[str, str] = {}
    for (name, target, one), tensors in zip(pairs, values, strict=True):
        target.take(one.inputs, tensors)
        loaded |= {f"{name}/{role}": one.tensors[role] for role in tensors}
    rest = [name for name in checkpoint.info if name not in set(loaded.values())]
    optimizer = tuple(name for name in rest if is_optimizer_state(name, checkpoint.info))
    left_over = tuple([name for name in rest if name not in set(optimizer)])
    return LoadReport(checkpoint.path, loaded, left_over, optimizer=optimizer)


def _named(
    cell: FoundCell, stack: Sequence[Target], scope: str | None, shapes: Mapping[str, tuple[int, ...]]
) -> FoundCell | None:
    """Return a cell with a kind; for one with a name of its own, only if it was asked for by that name."""
    if cell.kind is not None:
        return cell
    last = cell.path.rpartition("/")[2]
    target = next((one for one in stack if one.name.rpartition("/")[2] == last), None)
    if target is None and scope == cell.path and len(stack) == 1:
        target = stack[0]
    return None if target is None else of_kind(cell, target.kind, shapes)


def _choose(
    path: Path, found: Sequence[FoundCell], stack: Sequence[Target], scope: str | None, direction: str | None
) -> list[FoundCell]:
    """Return the cells of a checkpoint for a stack.

    Raises:
        ArgumentError: none fit, or several.
    """
    fitting, reasons = [], []
    for place, cells in _groups(found, scope, direction).items():
        if len(cells) != len(stack):
            reasons.append(f"{place}: {_count(len(cells))}, not {len(stack)}")
            continue
        wrong = (
            f"{one.path}: {target.misfit(one)}"
            for one, target in zip(cells, stack, strict=True)
            if target.misfit(one)
        )
        first = next(wrong, None)
        if first is None:
            fitting.append((place, cells))
        else:
            reasons.append(first)
    within = "" if scope is None else f" under {scope!r}"
    if len(fitting) > 1:
        places = ", ".join(place for place, _ in fitting[:_SHOWN])
        raise ArgumentError(
            f"scope: expected one that leads to one cell{within}, got several in {path}: {places}"
        )
    if fitting:
        return fitting[0][1]
    wanted = ", ".join(target.name for target in stack)
    turned = "" if direction is None else f" with {direction!r} in its scopes"
    shown = "; ".join(reasons[:_SHOWN]) or "there is no recurrent cell of a known name"
    raise ArgumentError(f"path: {path} has no cell{within}{turned} that fits {wanted}: {shown}")


def _groups(
    found: Sequence[FoundCell], scope: str | None, direction: str | None
) -> dict[str, list[FoundCell]]:
    """Return single cells and the layers of stacks in their order, by scope."""
    groups: dict[str, list[FoundCell]] = {}
    for cell in found:
        if direction is not None and cell.direction != direction:
            continue
        if scope is not None and cell.path != scope and not cell.path.startswith(f"{scope}/"):
            continue
        place = cell.path
        # A scope inside a stack asks for one of its layers.
        if cell.layer is not None and (scope is None or f"{cell.layer[0]}/".startswith(f"{scope}/")):
            place = cell.layer[0]
        groups.setdefault(place, []).append(cell)
    return groups


def _names(stack: Sequence[Target], direction: str | None) -> list[str]:
    """Return a name for each cell of a stack, of which two may have the same."""
    names = [target.name for target in stack]
    if len(set(names)) < len(names):
        names = [f"{number}/{name}" for number, name in enumerate(names)]
    return names if direction is None else [f"{direction}/{name}" for name in names]


def _count(cells: int) -> str:
    return "one cell" if cells == 1 else f"a stack of {cells} cells"


def _values(
    checkpoint: TensorFlowCheckpoint, target: Target, found: FoundCell, forget_bias: float | None
) -> dict[str, Tensor]:
    """Read what a target needs; the forget gate's bias takes up what TensorFlow added beside it."""
    values = {role: checkpoint[found.tensors[role]] for role in roles(target)}
    for role, value in values.items():
        if not value.is_floating_point():
            raise FileFormatError(
                f"path: {checkpoint.path}: {found.tensors[role]}: expected floating-point numbers, got "
                f"{str(value.dtype).removeprefix('torch.')}"
            )
    if target.kind == "lstm":
        trained = target.trained_with if forget_bias is None else forget_bias
        i, j, f, o = values["bias"].chunk(4)
        values["bias"] = torch.cat([i, j, f + (trained - target.forget_bias), o])
    return values
