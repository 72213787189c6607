"""The gates of a cell over a sequence: each named value of its equations, at every step."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nabi import layers
from nabi._dtypes import to_numpy
from nabi._public import public
from nabi._shown import short
from nabi.drawing import check_suffix, write_figure
from nabi.errors import ArgumentError, ShapeError, unknown_name
from nabi.ir import LATEX, Cell, Program, named_nodes, symbol
from nabi.nn import RNN
from nabi.scan import Layout, check_extra, initial_states, lowered, scan, whole_rows
from nabi.targets.eager import named_values

__all__ = ["gates", "gates_picture", "is_share", "program_of"]

# Results of these are between 0 and 1, which is the scale of their maps.
_SHARES = frozenset({"sigmoid", "hard_sigmoid", "softmax"})
# The share of units within the scale of unbounded values; those beyond it have the darkest colour.
_NEARLY_ALL = 0.95


@public
def gates(
    layer: Any, inputs: Any, states: Sequence[Any] | None = None, extra: Mapping[str, Any] | None = None
) -> dict[str, Tensor]:
    """Return the values of gates, candidates and states at every step of a sequence.

    The names are those of the cell's equations: `i f g c o h` for an LSTM, `z r n h` for a GRU, and the names
    used in `step` for a custom cell. Nothing is random: dropout is off, and zoneout mixes old and new states
    by its rates.

    Args:
        layer: a recurrent layer of `nabi.layers` over a cell of `nabi.cells`, a unidirectional `nabi.nn.RNN`
            of one layer, or `(program, weights)` with the weights in the order of `program.families`.
        inputs: `[B, T, D]`, or `[T, D]` for one sequence. A layer with `go_backwards` reads them from the
            end, and the steps are returned in that order.
        states: initial states in the order of the cell's, each `[B, width]`; by default those that the cell
            declares, or zeros.
        extra: what the cell reads beside `x`, by name, as `nabi.scan.scan` takes it, with a batch.

    Returns:
        The values of each name, `[B, T, width]`, in the order of the equations; on the device of the weights.

    Raises:
        ArgumentError: `layer` is none of these, or not built; or an input that the cell needs is missing.
        ShapeError: inputs or states have the wrong rank or width.

    Example:
        >>> import torch, nabi.cells, nabi.nn
        >>> rnn = nabi.nn.RNN(nabi.cells.GRU(units=5), input_size=3)
        >>> values = gates(rnn, torch.zeros(2, 7, 3))
        >>> list(values), values["z"].shape
        (['z', 'r', 'n', 'h'], torch.Size([2, 7, 5]))
    """
    program, weights, backwards = _open(layer)
    like = weights[0] if weights else torch.zeros(())
    x = _as_numbers("inputs", inputs, like)
    if x.dim() == 2:
        x = x.unsqueeze(0)
    if x.dim() != 3:
        raise ShapeError(f"inputs: expected [B, T, D] or [T, D], got shape {tuple(x.shape)}")
    if backwards:
        x = x.flip(1)
    batch, time = x.shape[:2]
    further = check_extra(program, extra, (batch, time), batch)
    if backwards:
        further = {name: v.flip(1) if v is not None and v.dim() == 3 else v for name, v in further.items()}
    with torch.no_grad():
        initial = None
        if states is not None:
            initial = [_as_numbers("states", state, like) for state in states]
        _, _, every = scan(program, x, initial, weights, return_all_states=True, extra=further)
        assert every is not None
        if initial is None:
            initial = list(initial_states(program, weights, batch, x))
        # The states before step t are those after step t - 1, so all steps can be computed in parallel.
        before = [
            torch.cat([first[:, None], each[:, :-1]], 1).flatten(0, 1) if time else each.flatten(0, 1)
            for first, each in zip(initial, every, strict=True)
        ]
        rows = whole_rows(program, x, further, Layout(None, None, None))
        if program.derived:
            program, kept, _ = lowered(program, weights)
            weights = list(kept)
        values = named_values(program)(rows.flatten(0, 1), before, weights, ())
        named = named_nodes(program)
        return {
            name: value.expand(batch * time, node.width or 1).unflatten(0, (batch, time))
            for (name, node), value in zip(named.items(), values, strict=True)
        }


@public
def gates_picture(
    layer: Any,
    inputs: Any,
    path: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    gates: Sequence[str] | None = None,
    steps: Sequence[int] | slice | None = None,
    states: Sequence[Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Draw the gates over a sequence: units from top to bottom, time from left to right.

    Each value has a map of all its units and, below it, their mean. The scale is 0 (closed) to 1 (open) for
    gates, and symmetric around 0 up to the 95th percentile of the units for other values. To show patterns,
    units are sorted by the step at which they are largest in the first map, in the same order in all maps of
    that width.

    Args:
        layer: as in `gates`; or the values themselves, a mapping from names to `[B, T, width]`.
        inputs: as in `gates`, the first sequence is drawn; ignored if values are given.
        path: the file to write, .svg or .png.
        labels: one for each drawn step, such as notes or words; numbers from 1 by default.
        title: above the picture.
        gates: the names to draw, in this order; all by default.
        steps: which time steps to draw; all by default.
        states: initial states, as in `gates`.
        extra: what the cell reads beside `x`, as in `gates`.

    Returns:
        The path.

    Raises:
        ArgumentError: as in `gates`; the number of labels is not that of the steps; another suffix.
        UnknownNameError: a name in `gates` is not one of the cell's.
        OutputError: the file cannot be written.
    """
    check_suffix(path)
    if isinstance(layer, Mapping):
        values, program = {str(name): torch.as_tensor(value) for name, value in layer.items()}, None
    else:
        values, program = _gates(layer, inputs, states, extra), _open(layer)[0]
    for name in gates or ():
        if name not in values:
            raise unknown_name("gates", name, values)
    drawn = {name: values[name][0].detach().cpu() for name in gates or values}
    if steps is not None:
        chosen = steps if isinstance(steps, slice) else torch.as_tensor(steps, dtype=torch.long)
        drawn = {name: value[chosen] for name, value in drawn.items()}
    time = len(next(iter(drawn.values())))
    if not time:
        raise ShapeError("inputs: expected at least one time step to draw, got none")
    if labels is not None and len(labels) != time:
        raise ArgumentError(f"labels: expected one for each of the {time} steps, got {len(labels)}")
    figure = _draw(drawn, program, labels, title)
    return write_figure(figure, path, title=title or "")


_gates = gates  # the argument of `gates_picture` has the same name


def _draw(
    drawn: dict[str, Tensor], program: Program | None, labels: Sequence[str] | None, title: str | None
) -> Any:
    from matplotlib.figure import Figure

    named = named_nodes(program) if program is not None else {}
    time = len(next(iter(drawn.values())))
    width = min(max(6.0, 0.19 * time + 2.2), 22.0)
    figure = Figure(figsize=(width, 1.55 * len(drawn) + 0.9), layout="constrained")
    rows = figure.subplots(
        2 * len(drawn), 1, sharex=True, squeeze=False, height_ratios=[3, 1.3] * len(drawn)
    )[:, 0]
    orders: dict[int, Tensor] = {}
    for number, (name, value) in enumerate(drawn.items()):
        heat, curve = rows[2 * number], rows[2 * number + 1]
        share = is_share(named[name].operation if name in named else None, value)
        low, high = (0.0, 1.0) if share else _range_around_zero(value)
        units = value.shape[1]
        order = orders.setdefault(units, value.argmax(0).argsort(stable=True))
        image = heat.imshow(
            to_numpy(value[:, order].T),
            aspect="auto",
            vmin=low,
            vmax=high,
            interpolation="nearest",
            cmap="YlGnBu" if share else "RdBu_r",
        )
        written = symbol(named[name], LATEX, name) if name in named else rf"\mathrm{{{name}}}"
        heat.set_ylabel(f"${written}$", rotation=0, ha="right", va="center", fontsize=14, labelpad=12)
        heat.set_yticks([])
        figure.colorbar(
            image,
            ax=heat,
            ticks=[low, (low + high) / 2, high],
            pad=0.01,
            fraction=0.03,
            format="%.2g",
            extend="both" if float(value.abs().max()) > high else "neither",
        )
        mean = to_numpy(value.mean(1))
        curve.plot(mean, color="#1f5fa8" if share else "#c1440e", linewidth=1.6, drawstyle="steps-mid")
        curve.set_ylim((0, 1) if share else None)
        curve.axhline(0.5 if share else 0.0, color="#c9ced4", linewidth=0.7, zorder=0)
        curve.text(1.01, 0.5, "mean", transform=curve.transAxes, va="center", fontsize=8, color="#59636e")
        curve.tick_params(labelsize=7)
        curve.spines[["top", "right"]].set_visible(False)
    last = rows[-1]
    last.set_xlim(-0.5, time - 0.5)
    for axes in rows[:-1]:
        axes.tick_params(bottom=False)
    if labels is None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        last.xaxis.set_major_locator(MaxNLocator(integer=True))
        last.xaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{place + 1:.0f}"))
        last.set_xlabel("time step", fontsize=9)
    else:
        size = 9 if time <= 60 else 6
        upright = max(map(len, labels)) <= 2 and time <= 60
        last.set_xticks(range(time), list(labels), fontsize=size, rotation=0 if upright else 90)
    if title:
        figure.suptitle(title, fontsize=13)
    return figure


def _range_around_zero(value: Tensor) -> tuple[float, float]:
    """Return the scale of unbounded values `[time, units]`, robust against a few outlying units."""
    peaks = value.abs().amax(0).float()
    limit = max(float(peaks.quantile(_NEARLY_ALL, interpolation="nearest")), 1e-6)
    return -limit, limit


def program_of(layer: Any) -> Program:
    """Return the equations of a layer, as `gates` takes it."""
    return _open(layer)[0]


def is_share(operation: str | None, value: Any) -> bool:
    """Return whether a value of the equations lies between 0 and 1 by what computes it, or else by itself."""
    if operation is not None:
        return operation in _SHARES
    return bool((value >= 0).all() and (value <= 1).all())


def _open(layer: Any) -> tuple[Program, list[Tensor], bool]:
    """Return the program of a layer, its weights, and whether it reads from the end."""
    if isinstance(layer, tuple) and len(layer) == 2 and isinstance(layer[0], Program):
        return layer[0], list(layer[1]), False
    cell = getattr(layer, "cell", None)
    if isinstance(layer, RNN) and isinstance(cell, Cell):
        if layer.num_layers != 1 or layer.bidirectional:
            raise ArgumentError(
                f"layer: expected one layer in one direction, got an RNN of {layer.num_layers} layers"
                + (" in both directions" if layer.bidirectional else "")
            )
        assert layer.input_size is not None
        program = cell.program(layer.input_size)
        return program, [getattr(layer, f"{family.name}_l0").detach() for family in program.families], False
    if isinstance(layer, layers.RNN) and isinstance(cell, Cell):
        if not layer.built:
            raise ArgumentError(f"layer: {layer.name} is not built yet: call it or build(input_shape) first")
        weights = [weight.detach() for weight in layer.cell_parameters()]
        return layer.program(), weights, layer.go_backwards
    raise ArgumentError(
        "layer: expected a recurrent layer of nabi.layers, a nabi.nn.RNN or (program, weights), "
        f"got {type(layer).__name__}"
    )


def _as_numbers(argument: str, values: Any, like: Tensor) -> Tensor:
    try:
        return torch.as_tensor(values, dtype=like.dtype, device=like.device)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise ArgumentError(f"{argument}: expected an array of numbers, got {short(values)}") from None
