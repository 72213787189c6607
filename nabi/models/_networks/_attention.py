"""Attention: for each step of a decoder, which of the vectors in its memory matter."""

import math

import torch
from torch import Tensor

from nabi import layers
from nabi.errors import unknown_name
from nabi.models._task._shared_settings import ATTENTIONS

__all__ = ["Attention"]


class Attention(torch.nn.Module):
    """Scores of a query for the vectors of a memory, and their mean weighted by the softmax of the scores.

    "luong": `score(q, m) = qᵀ W m` (Luong, Pham and Manning 2015, "general"); "bahdanau":
    `score(q, m) = vᵀ tanh(W q + U m + b)` (Bahdanau, Cho and Bengio 2015, section A.1.2).

    Args:
        kind: "luong" or "bahdanau".
        query_width: features of a query.
        memory_width: features of a vector of the memory.
        width: of the layer in which "bahdanau" compares them; "luong" has none.

    Raises:
        UnknownNameError: for another kind.
    """

    def __init__(self, kind: str, query_width: int, memory_width: int, width: int) -> None:
        """Make the attention with weights from torch's random numbers."""
        super().__init__()
        if kind not in ATTENTIONS:
            raise unknown_name("attention", kind, ATTENTIONS)
        self.kind = kind
        self._query: layers.Dense | None = None
        self._vector: torch.nn.Parameter | None = None
        # W m does not depend on the query: it is computed once for all steps.
        if kind == "luong":
            self._memory = layers.Dense(query_width, use_bias=False, name="memory")
        else:
            self._memory = layers.Dense(width, name="memory")
            self._query = layers.Dense(width, use_bias=False, name="query")
            self._query.build((None, None, query_width))
            bound = 1 / math.sqrt(width)
            self._vector = torch.nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self._memory.build((None, None, memory_width))

    def keys(self, memory: Tensor) -> Tensor:
        """Return what the scores need of a memory `[B, S, M]`, once for a source: `[B, S, width]`."""
        keys: Tensor = self._memory(memory)
        return keys

    def forward(
        self, query: Tensor, memory: Tensor, keys: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Look at a memory.

        Args:
            query: `[B, T, Q]`.
            memory: `[B, S, M]`; what the mask hides must be finite.
            keys: of the memory.
            mask: `[B, S]`, bool, True where there is something; None where there is everywhere. A row needs
                one True at least.

        Returns:
            Contexts `[B, T, M]` and weights `[B, T, S]`, which sum to 1 over S.
        """
        if self._query is None:
            scores = query @ keys.transpose(1, 2)
        else:
            compared = torch.tanh(self._query(query)[:, :, None] + keys[:, None])
            assert self._vector is not None
            scores = compared @ self._vector
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], -math.inf)
        weights = scores.softmax(dim=2)
        return weights @ memory, weights
