"""How far back a gradient reaches: its norm against the distance in time."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nabi import _checks, cells as all_cells
from nabi._public import public
from nabi.drawing import check_suffix, write_figure
from nabi.errors import ArgumentError
from nabi.ir import Cell, Family, Program
from nabi.nn import initializers, set_declared_values
from nabi.scan import scan

__all__ = ["gradient_distance", "gradient_distance_picture"]

_CELLS = ("simple-rnn", "lstm", "gru")
_COLOURS = ("#c1440e", "#1f5fa8", "#1b7f5c", "#7b3fa0", "#8a6d00", "#3c4651")


@public
def gradient_distance(
    cells: Sequence[str | Cell] = _CELLS,
    *,
    steps: int = 100,
    units: int = 32,
    inputs: int = 8,
    batch: int = 32,
    seed: int = 0,
    remember: int | None = None,
) -> dict[str, Tensor]:
    """Measure how much of the gradient of the last output reaches inputs at increasing distance.

    The weights are Keras' initial weights: Glorot for input kernels, orthogonal for recurrent kernels, zero
    biases except one for the forget gate. The inputs are standard normal. The loss is a random projection of
    the last output (a unit vector for each sequence); the result is the norm of its gradient with respect to
    `x_{T-k}`, averaged over the batch. Everything is computed in float64, because vanishing gradients would
    be zero in float32.

    With these weights the forget gate of an LSTM is about `σ(1) = 0.73`, so its gradient fades too, only more
    slowly. The remedy is an open gate: `remember` sets the gate biases for a memory of that many steps, as
    derived by Tallec and Ollivier (2018, "Can recurrent neural networks warp time?"): `b_f = log u`,
    `b_i = -log u`, with `u` uniform between 1 and `remember - 1` for each unit. `b_z` of a GRU is set like
    `b_f`, because there `z` is the share of the old state. A plain RNN has no such gate.

    Args:
        cells: names from `nabi.cells.names()`, created with `units`, or cells.
        steps: length T of the sequences.
        units: width of the states of cells given by name.
        inputs: width of the input.
        batch: sequences to average the norm over.
        seed: of weights, inputs and directions.
        remember: set the gate biases for a memory of this many steps, at least 3; None for Keras' biases.

    Returns:
        The mean norms `[steps]` by the name of each cell's class; entry k is for distance k.

    Raises:
        ArgumentError: a size is not a positive integer, `remember` is less than 3, or two cells have the
            same class and settings.
        UnknownNameError: a name is not the name of a cell.

    Example:
        >>> norms = gradient_distance(steps=100)
        >>> fading = {name: float(norm[99] / norm[0]) for name, norm in norms.items()}
        >>> fading["SimpleRNN"] < 1e-3 * fading["LSTM"]
        True
    """
    steps, units = _checks.whole("steps", steps), _checks.whole("units", units)
    inputs, batch = _checks.whole("inputs", inputs), _checks.whole("batch", batch)
    seed = _checks.seed("seed", seed)
    if remember is not None:
        remember = _checks.whole("remember", remember, 3, otherwise=" steps or None")
    chosen = [_make(cell, units, inputs) for cell in cells]
    names = [type(cell).__name__ for cell in chosen]
    names = [repr(cell) if names.count(name) > 1 else name for name, cell in zip(names, chosen, strict=True)]
    if len(set(names)) < len(names):
        raise ArgumentError(f"cells: expected different cells, got {', '.join(names)}")
    return {
        name: _norms(cell, steps, inputs, batch, seed, remember)
        for name, cell in zip(names, chosen, strict=True)
    }


def _make(cell: str | Cell, units: int, inputs: int) -> Cell:
    if isinstance(cell, Cell):
        return cell
    found = all_cells.get(cell)
    return found(units, **found.needed_settings(units, inputs))


def _norms(cell: Cell, steps: int, inputs: int, batch: int, seed: int, remember: int | None) -> Tensor:
    program = cell.program(inputs)
    # Draws from torch's generator, and restores its state.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = [_initial(family) for family in program.families]
        set_declared_values(program, weights, {})
        if remember is not None:
            _open_gates(program, weights, remember)
        x = torch.randn(batch, steps, inputs, dtype=torch.float64, requires_grad=True)
        direction = torch.nn.functional.normalize(torch.randn(batch, cell.output_width, dtype=torch.float64))
    with torch.enable_grad():
        output, _, _ = scan(program, x, None, weights)
        (gradient,) = torch.autograd.grad((output[:, -1] * direction).sum(), x)
    norms: Tensor = gradient.norm(dim=2).mean(0).flip(0)
    return norms


def _initial(family: Family) -> Tensor:
    """Return initial weights as in Keras, with gates as rows; diagonals as in `nabi.nn`."""
    if family.role == "gain":
        return torch.ones(family.shape, dtype=torch.float64)
    if family.role in ("bias", "parameter"):
        bias = torch.zeros(family.shape, dtype=torch.float64)
        if "f" in family.gates:
            bias[family.rows("f")] = 1.0
        return bias
    drawn = initializers.get("orthogonal" if family.role == "recurrent" else "glorot_uniform")
    if len(family.shape) == 2:
        values: Tensor = drawn(tuple(reversed(family.shape)), dtype=torch.float64)
        return values.T
    rows = family.shape[0] // len(family.gates)
    vector = initializers.get("glorot_uniform")
    return torch.cat([vector((rows,), dtype=torch.float64) for _ in family.gates])


def _open_gates(program: Program, weights: list[Tensor], remember: int) -> None:
    """Set the biases of the gates that keep the state, and of the input gates."""
    # z is the share of the new value in the lecture's GRU, and of the old one elsewhere.
    kept = -1.0 if isinstance(program.cell, all_cells.GRULecture) else 1.0
    found: dict[int, Tensor] = {}
    for family, tensor in zip(program.families, weights, strict=True):
        if family.role != "bias" or family.name == "b_h":
            continue
        for gate, sign in (("f", 1.0), ("z", kept), ("i", -1.0)):
            if gate in family.gates:
                units = len(tensor[family.rows(gate)])
                if units not in found:
                    drawn = torch.rand(units, dtype=torch.float64)
                    found[units] = torch.log(1 + drawn * (remember - 2))
                tensor[family.rows(gate)] = sign * found[units]


@public
def gradient_distance_picture(
    path: str | os.PathLike[str],
    cells: Sequence[str | Cell] = _CELLS,
    *,
    steps: int = 100,
    units: int = 32,
    inputs: int = 8,
    batch: int = 32,
    seed: int = 0,
    title: str | None = None,
) -> Path:
    """Draw the norm of the gradient against the distance in time, on a logarithmic scale.

    Keras' initial weights are on the left, gates set for a memory of `steps` steps on the right; see
    `gradient_distance`. Norms are relative to distance 0. A plain RNN has no gates and is the same in both.

    Args:
        path: the file to write, .svg or .png.
        cells, steps, units, inputs, batch, seed: as in `gradient_distance`; at least 3 steps.
        title: above the picture.

    Returns:
        The path.

    Raises:
        ArgumentError: as in `gradient_distance`, or for another suffix.
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    sizes = {"steps": steps, "units": units, "inputs": inputs, "batch": batch, "seed": seed}
    panels = {
        "weights as Keras starts with": gradient_distance(cells, **sizes),
        f"gates set to remember {steps} steps": gradient_distance(cells, **sizes, remember=steps),
    }
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    for axes, (text, norms) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
        for number, (name, norm) in enumerate(norms.items()):
            relative = (norm / norm[0]).clamp_min(1e-300)
            # Every other line is dashed, so that overlapping lines are both visible.
            style = "--" if number % 2 == 0 and number else "-"
            colour = _COLOURS[number % len(_COLOURS)]
            axes.semilogy(relative.numpy(), style, color=colour, linewidth=2, label=name)
        axes.set_title(text, loc="left", fontsize=11)
        axes.set_xlabel("distance $k$ in time steps")
        axes.set_xlim(0, steps - 1)
        axes.grid(color="#e4e4e4", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    left = figure.axes[0]
    left.set_ylabel(r"$\Vert \partial\,\mathrm{loss}_T\,/\,\partial x_{T-k} \Vert$, relative to $k = 0$")
    left.legend(frameon=False, loc="lower left")
    title = (
        f"How far back the gradient reaches ({units} units, {batch} sequences)" if title is None else title
    )
    figure.suptitle(title, fontsize=13)
    return write_figure(figure, path, title=title)
