"""Recurrent layers of any cell on top of each other: over whole sequences, and step by step."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from nabi import layers
from nabi.cells import Cell
from nabi.models._networks._dropout import drop_features, drop_weights
from nabi.models._networks._watching import note_call
from nabi.scan import PreparedStep, sample_noise, scan, step

__all__ = ["RecurrentStack", "StackNetwork", "StackSteps", "States", "run_layer"]

States = list[tuple[Tensor, ...]]
"""For each layer its states, each `[B, width]`."""


def run_layer(
    layer: torch.nn.Module,
    x: Tensor,
    states: Sequence[Tensor] | None,
    lengths: Tensor | None = None,
    generator: torch.Generator | None = None,
    *,
    resets: Tensor | None = None,
    reverse: bool = False,
    weight_drop: float = 0.0,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run the cell of a built `layers.RNN` over `[B, T, D]`; return outputs and final states.

    With a generator this is training, and what the cell itself draws at random is drawn from it; a share of
    the weights between a state and the next is left out (Merity et al. 2018).
    """
    assert isinstance(layer, layers.RNN)
    note_call(layer, x, states, lengths, reverse)
    program = layer.program(training=generator is not None)
    weights = layer.cell_parameters()
    noise: tuple[Tensor, ...] = ()
    if generator is not None:
        weights = drop_weights(program, weights, weight_drop, generator)
        noise = sample_noise(program, len(x), x.shape[1], dtype=x.dtype, device=x.device, generator=generator)
    output, final, _ = scan(
        program, x, states, weights, noise=noise, lengths=lengths, resets=resets, reverse=reverse
    )
    return output, final


class RecurrentStack(torch.nn.ModuleList):
    """Recurrent layers of one cell, of which each reads what the one below it says.

    In a file their weights are numbered: "recurrent.0.kernel", where the network calls it `recurrent`.

    Args:
        cell: of every layer.
        reads: features that the first layer reads.
        count: how many layers there are. A network that draws other weights between those of the layers calls
            `add` for each instead.
    """

    def __init__(self, cell: Cell, reads: int, count: int = 0) -> None:
        """Make the layers with weights from torch's random numbers."""
        super().__init__()
        self.cell, self._reads = cell, reads
        for _ in range(count):
            self.add()

    def add(self) -> None:
        """Put one more layer on top."""
        layer = layers.RNN(self.cell, return_sequences=True, name=f"recurrent_{len(self)}")
        layer.build((None, None, self._reads))
        self.append(layer)
        self._reads = self.cell.output_width

    @property
    def rnns(self) -> Iterator[layers.RNN]:
        """The layers from the first to the last."""
        return cast(Iterator[layers.RNN], iter(self))

    def start(self, batch: int) -> States:
        """Return the states in which a sequence begins: zero."""
        return [tuple(layer.get_initial_state(batch)) for layer in self.rnns]

    def output_before(self, states: States) -> Tensor:
        """Return what stands for the output before the first step, `[B, width]`, given the states there.

        It is the first state of the last layer, or zero for a cell whose output is no state.
        """
        first = states[-1][0]
        return first.new_zeros(first.shape[0], self.cell.output_width) if self.cell.output else first

    def forward(
        self,
        x: Tensor,
        states: States,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        generator: torch.Generator | None = None,
        dropout: float = 0.0,
        masks: Sequence[Tensor | None] | None = None,
        weight_drop: float = 0.0,
    ) -> tuple[Tensor, States]:
        """Read `[B, T, D]`; return the outputs of the last layer and the states of all after the last step.

        Args:
            x: what the first layer reads.
            states: in which the rows are.
            lengths: `[B]`, how many steps of a row count; None for all.
            resets: `[B, T]`, True where the states become zero before a step; None for nowhere.
            generator: of random numbers for dropout; None for none, which is not training.
            dropout: share of the features of every layer's outputs left out, the same at all steps of a row.
            masks: of the outputs of each layer, drawn already; instead of `dropout`.
            weight_drop: share of the weights between a state and the next left out.
        """
        after: States = []
        for place, (layer, before) in enumerate(zip(self, states, strict=True)):
            x, final = run_layer(layer, x, before, lengths, generator, resets=resets, weight_drop=weight_drop)
            after.append(final)
            if masks is None:
                x = drop_features(x, dropout, generator)
            elif (mask := masks[place]) is not None:
                x = x * mask
        return x, after

    def draw_noises(
        self, batch: int, steps: int, like: Tensor, generator: torch.Generator | None
    ) -> list[Sequence[Tensor]]:
        """Return what the cells draw at random in `step`, for all steps; none without a generator."""
        if generator is None:
            return [()] * len(self)
        return [
            sample_noise(
                layer.program(training=True),
                batch,
                steps,
                dtype=like.dtype,
                device=like.device,
                generator=generator,
            )
            for layer in self.rnns
        ]

    def step(
        self,
        x: Tensor,
        states: States,
        number: int,
        noises: Sequence[Sequence[Tensor]],
        masks: Sequence[Tensor | None],
        training: bool,
    ) -> tuple[Tensor, States]:
        """Read `[B, D]`, the step of this number; return the last layer's output and the new states.

        `noises` are those of `draw_noises`, `masks` `[B, 1, width]` those of the outputs of each layer.
        """
        after: States = []
        for layer, before, drawn, mask in zip(self.rnns, states, noises, masks, strict=True):
            note_call(layer, x[:, None], before)
            noise = [one[:, number] if one.dim() == 3 else one for one in drawn]
            found = step(layer.program(training=training), x, before, layer.cell_parameters(), noise)
            # An output that is no state comes before the states.
            after.append(found[len(found) - len(before) :])
            x = found[0] if mask is None else (found[0][:, None] * mask)[:, 0]
        return x, after


class StackNetwork(torch.nn.Module):
    """A network whose `recurrent` is a stack."""

    recurrent: RecurrentStack

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what a pickle holds; those of version 0.1 have a plain list there. This goes with 0.3."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        found: Any = self.recurrent
        if not isinstance(found, RecurrentStack):
            cell = found[0].cell
            self.recurrent = RecurrentStack(cell, cell.output_width)
            self.recurrent.extend(found)


class StackSteps:
    """A stack with its weights, as they are now, prepared for many steps without gradients."""

    def __init__(self, stack: RecurrentStack) -> None:
        with torch.no_grad():
            self._layers = [PreparedStep(layer.program(), layer.cell_parameters()) for layer in stack.rnns]

    def __call__(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """Read `[B, D]`; return the last layer's output and the new states."""
        after: States = []
        for layer, before in zip(self._layers, states, strict=True):
            x, new = layer.read(x, before)
            after.append(new)
        return x, after
