"""The network of a model of notes: from the frames of a piece to how probable each key of the next one is."""

import torch
from torch import Tensor
from torch.nn import functional

from nabi import layers
from nabi.cells import Cell
from nabi.data import KEYS
from nabi.models._networks._dropout import drop_features
from nabi.models._networks._recurrent_stack import run_layer
from nabi.models._notes._settings import NoteSettings

__all__ = ["END", "NoteNetwork", "States"]

# For each layer its states, each [B, width].
States = list[tuple[Tensor, ...]]

# What a key that was never heard is expected to do.
_RAREST = 1e-4

END = KEYS
"""The place of the output that says that the piece has ended, after those of the keys."""


class NoteNetwork(torch.nn.Module):
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
        self.recurrent = torch.nn.ModuleList()
        width = settings.embedding_size
        for number in range(settings.layers):
            layer = layers.RNN(cell, return_sequences=True, name=f"recurrent_{number}")
            layer.build((None, None, width))
            self.recurrent.append(layer)
            width = cell.output_width
        self.readout = layers.Dense(KEYS + 1, name="readout")
        self.readout.build((None, None, width))
        self.together: torch.nn.Parameter | None = None
        if settings.output == "chords":
            self.together = torch.nn.Parameter(torch.zeros(KEYS, KEYS))

    @property
    def recurrent_layers(self) -> list[layers.RNN]:
        """The layers over time."""
        return list(self.recurrent)  # type: ignore[arg-type]

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
        return [tuple(layer.get_initial_state(batch)) for layer in self.recurrent_layers]

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
        after: States = []
        for layer, before in zip(self.recurrent_layers, states, strict=True):
            x, final = run_layer(layer, x, before, lengths, generator, weight_drop=settings.weight_drop)
            after.append(final)
            x = drop_features(x, settings.dropout, generator)
        return self.readout(x), after

    def coupling(self) -> Tensor | None:
        """Return what a key that sounds adds to the logits of those above it `[88, 88]`; None for "keys"."""
        return None if self.together is None else self.together.triu(1)

    def knowing(self, logits: Tensor, frames: Tensor) -> Tensor:
        """Return the logits of the keys `[..., 88]`, of which each knows those below it in `frames`."""
        keys, coupling = logits[..., :KEYS], self.coupling()
        return keys if coupling is None else keys + frames @ coupling
