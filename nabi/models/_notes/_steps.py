"""A model of notes that composes: one frame after the other."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nabi.data import KEYS, LOWEST, Frame
from nabi.models._notes._network import END, NoteNetwork, States
from nabi.models._notes._sampling import FrameSampling
from nabi.scan import PreparedStep

__all__ = ["NoteSteps", "compose"]

# Frames of a primer that are read at once.
_CHUNK = 1024


class NoteSteps:
    """The network with its weights, as they are now, prepared for many steps of one piece.

    Args:
        network: what is asked.
        label: the number of the piece's label, of a network that knows labels.
    """

    def __init__(self, network: NoteNetwork, label: int | None) -> None:
        self._network, self._label = network, label
        with torch.inference_mode(False), torch.no_grad():
            self._layers = [
                PreparedStep(layer.program(), layer.cell_parameters()) for layer in network.recurrent_layers
            ]
            self._keys = network.frames.kernel.detach().clone()
            assert network.frames.bias is not None
            assert network.readout.bias is not None
            self._silence = network.frames.bias.detach().clone()[None]
            if network.labels is not None:
                self._silence += network.labels.embeddings.detach()[label]
            self._matrix = network.readout.kernel.detach().clone()
            self._bias = network.readout.bias.detach().clone()
            coupling = network.coupling()
            self.coupling = None if coupling is None else coupling.double().numpy()

    def start(self, roll: Tensor) -> tuple[Tensor, States]:
        """Return the logits `[89]` after reading the frames `[T, 88]` of a beginning, and the states."""
        frames = torch.cat([torch.zeros(1, KEYS), roll.float()])[None]
        labels = None if self._label is None else torch.tensor([self._label])
        states = self._network.start(1)
        with torch.no_grad():
            for at in range(0, frames.shape[1], _CHUNK):
                logits, states = self._network(frames[:, at : at + _CHUNK], states, labels)
        return logits[0, -1], states

    def step(self, keys: Sequence[int], states: States) -> tuple[Tensor, States]:
        """Return the logits `[89]` after a frame in which these keys sound, and the new states."""
        with torch.inference_mode():
            x = self._silence
            if keys:
                x = x + self._keys[list(keys)].sum(0)
            after: States = []
            for layer, before in zip(self._layers, states, strict=True):
                new = layer(x, before)
                after.append(new)
                x = new[0]
            return torch.addmm(self._bias, x, self._matrix)[0], after


def compose(
    steps: NoteSteps, roll: Tensor, frames: int, sampling: FrameSampling, *, ends: bool
) -> Iterator[Frame]:
    """Compose at most so many frames after those of a beginning."""
    drawer = sampling.drawer(steps.coupling)
    logits, states = steps.start(roll)
    for number in range(frames):
        values = logits.double().numpy()
        # Something is played in any case.
        if ends and (number or len(roll)) and drawer.ends(float(values[END])):
            return
        keys = drawer.keys(values[:KEYS])
        yield tuple([key + LOWEST for key in keys])
        if number + 1 < frames:
            logits, states = steps.step(keys, states)
