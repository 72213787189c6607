"""A decoder that writes: one code after the other, each row beside its source."""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nabi.data import Vocabulary
from nabi.decoding import select_rows
from nabi.models._networks._decoder import DecoderNetwork
from nabi.models._networks._memory import Memory
from nabi.models._networks._recurrent_stack import StackSteps, States

__all__ = ["NEVER_WRITTEN", "DecoderSteps", "Writing"]

NEVER_WRITTEN = (Vocabulary.PADDING, Vocabulary.UNKNOWN, Vocabulary.SEPARATOR)
"""Codes that say nothing to a reader."""


class Writing(NamedTuple):
    """The state of rows that are being written."""

    states: States
    query: Tensor
    """The output of the step before, `[B, 1, units]`."""
    read: Tensor
    """What was read out at the step before, `[B, 1, embedding_size]`."""
    values: Tensor
    keys: Tensor | None
    mask: Tensor | None


class DecoderSteps:
    """The decoder with its weights prepared for many steps; what `nabi.decoding` asks.

    Args:
        network: what is asked; its weights as they are now.
        banned: codes that must not be written.
    """

    def __init__(self, network: DecoderNetwork, banned: Collection[int] = ()) -> None:
        self._network = network
        with torch.no_grad():
            self._table = network.embedding.embeddings.detach()
            self._recurrent = StackSteps(network.recurrent)
            matrix, bias = network.readout_weights()
            self._matrix, self._bias = matrix.detach().T, bias.detach().clone()
            self._bias[list(banned)] = -math.inf

    def start(self, memory: Memory) -> Writing:
        """Return the state before the first step."""
        with torch.no_grad():
            states = self._network.first_states(memory)
            read = self._table.new_zeros((len(memory.values), 1, self._table.shape[1]))
            query = self._network.recurrent.output_before(states)[:, None]
            return Writing(states, query, read, memory.values, self._network.keys(memory), memory.mask)

    def step(self, codes: Tensor, state: Writing) -> tuple[Tensor, Writing]:
        """Read a code of each row `[B]`; log probabilities `[B, V]` of the next, and the new state."""
        network, attention = self._network, self._network.attention
        with torch.no_grad():
            x, query, context = self._table.index_select(0, codes), state.query, None
            if attention is not None and network.looks_before:
                assert state.keys is not None
                context, _ = attention(query, state.values, state.keys, state.mask)
                x = torch.cat([x, context[:, 0]], dim=1)
            elif network.input_feeding:
                x = torch.cat([x, state.read[:, 0]], dim=1)
            x, states = self._recurrent(x, state.states)
            query = x[:, None]
            if attention is not None and not network.looks_before:
                assert state.keys is not None
                context, _ = attention(query, state.values, state.keys, state.mask)
            read = network.combine(query if context is None else torch.cat([query, context], dim=2))
            log_probabilities = torch.addmm(self._bias, read[:, 0], self._matrix).log_softmax(1)
            return log_probabilities, state._replace(states=states, query=query, read=read)

    def select(self, state: Writing, rows: Tensor) -> Any:
        """Return the states of some rows."""
        return select_rows(state, rows)
