"""A language model that writes: one code after the other."""

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from nabi.decoding import select_rows
from nabi.models._language._network import LanguageNetwork, States
from nabi.scan import PreparedStep

__all__ = ["LanguageSteps"]

# Codes of a primer that are read at once.
_CHUNK = 1024


class LanguageSteps:
    """The network with its weights prepared for many steps; what `nabi.decoding` asks.

    Args:
        network: what is asked; its weights as they are now.
        banned: codes that must not be written.
    """

    def __init__(self, network: LanguageNetwork, banned: Collection[int] = ()) -> None:
        self._network = network
        with torch.inference_mode(False), torch.no_grad():
            self._table = network.embedding.embeddings.detach().clone()
            self._layers = [
                PreparedStep(layer.program(), layer.cell_parameters()) for layer in network.recurrent_layers
            ]
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
        x = self._table.index_select(0, codes)
        after: States = []
        for layer, before in zip(self._layers, state, strict=True):
            new = layer(x, before)
            after.append(new)
            x = new[0]
        return torch.addmm(self._bias, x, self._matrix).log_softmax(1), after

    def select(self, state: States, rows: Tensor) -> Any:
        """Return the states of some rows."""
        return select_rows(state, rows)
