"""The network of a language model: from codes to how probable each next code is.

It reads windows of a text in training, and one code after the other when it writes.
"""

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi import layers
from nabi.cells import Cell
from nabi.data import Vocabulary
from nabi.decoding import select_rows
from nabi.models._language._settings import LanguageSettings
from nabi.models._networks._dropout import drop_codes, drop_features
from nabi.models._networks._embedding import make_embedding
from nabi.models._networks._recurrent_stack import RecurrentStack, StackNetwork, StackSteps, States

__all__ = ["LanguageNetwork", "LanguageSteps"]

# Codes of a primer that are read at once.
_CHUNK = 1024


class LanguageNetwork(StackNetwork):
    """Embedding, recurrent layers of any cell, Dense: codes `[B, T]` to logits `[B, T, V]`.

    With tied weights the Dense layer's kernel is the embedding, turned (Press and Wolf 2017); a layer before
    it brings the outputs to the width of the embedding where they have another.

    Dropout, in training only: whole codes (Gal and Ghahramani 2016), features of the embedded codes, of the
    outputs of every layer, each the same at all steps of a window (variational dropout, the same), and
    recurrent weights (Merity et al. 2018).

    Where there are `several` texts, the states become zero at the `START` that stands between them.
    """

    def __init__(self, codes: int, settings: LanguageSettings, cell: Cell, several: bool = False) -> None:
        """Make the network with weights from torch's random numbers."""
        super().__init__()
        self.settings, self.several = settings, several
        self.embedding = make_embedding(codes, settings.embedding_size, 0.1 if settings.tied else 0.5)
        self.recurrent = RecurrentStack(cell, settings.embedding_size, settings.layers)
        width = cell.output_width
        self.projection: layers.Dense | None = None
        self.readout: layers.Dense | None = None
        self.bias: torch.nn.Parameter | None = None
        if settings.tied:
            if width != settings.embedding_size:
                self.projection = layers.Dense(settings.embedding_size, use_bias=False, name="projection")
                self.projection.build((None, None, width))
            self.bias = torch.nn.Parameter(torch.zeros(codes))
        else:
            self.readout = layers.Dense(codes, name="readout")
            self.readout.build((None, None, width))

    def start(self, batch: int) -> States:
        """Return the states in which a text begins: zero."""
        return self.recurrent.start(batch)

    def readout_weights(self) -> tuple[Tensor, Tensor]:
        """Return matrix `[V, width]` and bias `[V]` of the last layer."""
        if self.readout is None:
            assert self.bias is not None
            return self.embedding.embeddings, self.bias
        assert self.readout.bias is not None
        return self.readout.kernel.T, self.readout.bias

    def forward(
        self, codes: Tensor, states: States, generator: torch.Generator | None = None
    ) -> tuple[Tensor, States]:
        """Read codes.

        Args:
            codes: `[B, T]`, int64.
            states: in which the rows are.
            generator: of random numbers for dropout; None for none, which is not training.

        Returns:
            Logits `[B, T, V]` of the code after each, and the states after the last.
        """
        settings = self.settings
        resets = codes == Vocabulary.START if self.several else None
        table = drop_codes(self.embedding.embeddings, settings.embedding_dropout, generator)
        x = drop_features(functional.embedding(codes, table), settings.input_dropout, generator)
        x, after = self.recurrent(
            x,
            states,
            resets=resets,
            generator=generator,
            dropout=settings.dropout,
            weight_drop=settings.weight_drop,
        )
        if self.projection is not None:
            x = self.projection(x)
        return functional.linear(x, *self.readout_weights()), after


class LanguageSteps:
    """The network with its weights, as they are now, prepared for many steps; what `nabi.decoding` asks.

    Args:
        network: what is asked.
        banned: codes that must not be written.
    """

    def __init__(self, network: LanguageNetwork, banned: Collection[int] = ()) -> None:
        self._network = network
        with torch.inference_mode(False), torch.no_grad():
            self._table = network.embedding.embeddings.detach().clone()
            self._recurrent = StackSteps(network.recurrent)
            matrix, bias = (weight.detach().clone() for weight in network.readout_weights())
            bias[list(banned)] = -math.inf
            projection = network.projection
            if projection is not None:
                matrix = matrix @ projection.kernel.detach().T
            self._matrix, self._bias = matrix.T.contiguous(), bias

    def start(self, codes: Tensor) -> States:
        """Return the states after reading codes `[B, T]`; T may be zero."""
        states = self._network.start(len(codes))
        with torch.no_grad():
            for at in range(0, codes.shape[1], _CHUNK):
                _, states = self._network(codes[:, at : at + _CHUNK], states)
        return states

    def step(self, codes: Tensor, state: States) -> tuple[Tensor, States]:
        """Read a code of each row `[B]`; log probabilities `[B, V]` of the next, and the new states."""
        # Nothing here wants a gradient, and saying so at each step would take a tenth of its time.
        x, after = self._recurrent(self._table.index_select(0, codes), state)
        return torch.addmm(self._bias, x, self._matrix).log_softmax(1), after

    def select(self, state: States, rows: Tensor) -> Any:
        """Return the states of some rows."""
        return select_rows(state, rows)
