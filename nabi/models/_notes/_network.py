"""The network of a model of notes: from the frames of a piece to how probable each key of the next one is.

It reads excerpts of pieces in training, and one frame after the other when it composes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nabi import layers
from nabi.cells import Cell
from nabi.data import KEYS
from nabi.models._networks._dropout import drop_features
from nabi.models._networks._recurrent_stack import RecurrentStack, StackNetwork, StackSteps, States
from nabi.models._notes._settings import NoteSettings

__all__ = ["END", "NoteNetwork", "NoteSteps"]

# Frames of a primer that are read at once.
_CHUNK = 1024
# What a key that was never heard is expected to do.
_RAREST = 1e-4

END = KEYS
"""The place of the output that says that the piece has ended, after those of the keys."""


class NoteNetwork(StackNetwork):
    """Dense, recurrent layers of any cell, Dense: frames `[B, T, 88]` to logits `[B, T, 89]`.

    A frame is 1 for each key that sounds. Before the first is a frame of zeros. The last logit says that the
    piece has ended with the frame that was read.

    A label is a vector that is added to every frame's.

    The output "keys" says how probable each key is, by itself. The output "chords" goes through the keys from
    the lowest to the highest, and each one also knows which of those below it sound: the logits get one more
    term, `sounding W` with a triangular `W` (a fully visible belief network, Frey 1998, on top of a recurrent
    one as in Boulanger-Lewandowski et al. 2012).

    Dropout, in training only, is the same at all steps of a piece (Gal and Ghahramani 2016): features of the
    frames and of the outputs of every layer, and recurrent weights (Merity et al. 2018).
    """

    def __init__(self, settings: NoteSettings, cell: Cell, labels: int) -> None:
        """Make the network with weights from torch's random numbers; `labels` is how many there are."""
        super().__init__()
        self.settings = settings
        self.frames = layers.Dense(settings.embedding_size, name="frames")
        self.frames.build((None, None, KEYS))
        self.labels: layers.Embedding | None = None
        if labels:
            self.labels = layers.Embedding(labels, settings.embedding_size, name="labels")
            self.labels.build((None,))
        self.recurrent = RecurrentStack(cell, settings.embedding_size, settings.layers)
        self.readout = layers.Dense(KEYS + 1, name="readout")
        self.readout.build((None, None, cell.output_width))
        self.together: torch.nn.Parameter | None = None
        if settings.output == "chords":
            self.together = torch.nn.Parameter(torch.zeros(KEYS, KEYS))

    def expect(self, keys: Tensor, end: float) -> None:
        """Say from the beginning of the training what is true on the whole.

        Most keys are silent most of the time. A network that has to learn this first needs many steps for it.

        Args:
            keys: `[88]`, in which share of all frames each sounds.
            end: how many pieces end with a frame, as a share of the frames.
        """
        shares = torch.cat([keys, keys.new_tensor([end])]).clamp(_RAREST, 1 - _RAREST)
        assert self.readout.bias is not None
        with torch.no_grad():
            self.readout.bias.copy_(torch.logit(shares))

    def start(self, batch: int) -> States:
        """Return the states in which a piece begins: zero."""
        return self.recurrent.start(batch)

    def forward(
        self,
        frames: Tensor,
        states: States,
        labels: Tensor | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, States]:
        """Read frames.

        Args:
            frames: `[B, T, 88]`.
            states: in which the rows are.
            labels: `[B]`, int64, of a network that knows some.
            lengths: `[B]`, how many frames of each row count; None for all.
            generator: of random numbers for dropout; None for none, which is not training.

        Returns:
            Logits `[B, T, 89]` of the frame after each, and the states after the last. Those of "chords" are
            not complete without the keys that sound, see `knowing`.
        """
        settings = self.settings
        x: Tensor = self.frames(frames)
        if self.labels is not None:
            assert labels is not None
            x = x + functional.embedding(labels, self.labels.embeddings)[:, None]
        x = drop_features(x, settings.input_dropout, generator)
        x, after = self.recurrent(
            x,
            states,
            lengths=lengths,
            generator=generator,
            dropout=settings.dropout,
            weight_drop=settings.weight_drop,
        )
        return self.readout(x), after

    def coupling(self) -> Tensor | None:
        """Return what a key that sounds adds to the logits of those above it `[88, 88]`; None for "keys"."""
        return None if self.together is None else self.together.triu(1)

    def knowing(self, logits: Tensor, frames: Tensor) -> Tensor:
        """Return the logits of the keys `[..., 88]`, of which each knows those below it in `frames`."""
        keys, coupling = logits[..., :KEYS], self.coupling()
        return keys if coupling is None else keys + frames @ coupling


class NoteSteps:
    """The network with its weights, as they are now, prepared for many steps of one piece.

    Args:
        network: what is asked.
        label: the number of the piece's label, of a network that knows labels.
    """

    def __init__(self, network: NoteNetwork, label: int | None) -> None:
        self._network, self._label = network, label
        with torch.inference_mode(False), torch.no_grad():
            self._recurrent = StackSteps(network.recurrent)
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
            x, after = self._recurrent(x, states)
            return torch.addmm(self._bias, x, self._matrix)[0], after
