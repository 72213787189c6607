"""The encoder of a text: from codes to a memory that a decoder looks at."""

import torch
from torch import Tensor
from torch.nn import functional

from nabi.cells import Cell
from nabi.models._networks._directions import make_directions, read_directions
from nabi.models._networks._dropout import drop_codes, drop_features
from nabi.models._networks._embedding import make_embedding
from nabi.models._networks._memory import Memory

__all__ = ["TextEncoder"]


class TextEncoder(torch.nn.Module):
    """Embedding and recurrent layers of any cell, which read in one or both directions.

    The memory is the outputs of the last layer; the summary the final states of all its directions.

    Args:
        codes: how many there are.
        cell: of every layer.
        layer_count: recurrent layers on top of each other.
        embedding_size: width of the vector of a code.
        bidirectional: whether each layer reads in both directions.
        dropout: share of the features left out of embedded codes and of the outputs of every layer, in
            training, the same at all steps of a sentence.
        embedding_dropout: share of the codes left out of a batch.
    """

    def __init__(
        self,
        codes: int,
        cell: Cell,
        *,
        layer_count: int = 1,
        embedding_size: int = 256,
        bidirectional: bool = True,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
    ) -> None:
        """Make the encoder with weights from torch's random numbers."""
        super().__init__()
        self.dropout, self.embedding_dropout = dropout, embedding_dropout
        self.directions = 2 if bidirectional else 1
        self.embedding = make_embedding(codes, embedding_size)
        self.recurrent, width = make_directions(cell, embedding_size, layer_count, self.directions)
        self.memory_width = width
        self.summary_width = self.directions * sum(cell.state_width(name) for name in cell.states)

    def forward(self, codes: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Memory:
        """Read sentences.

        Args:
            codes: `[B, S]`, int64, padded at the end.
            lengths: `[B]`, from 1 to S.
            generator: of random numbers for dropout; None for none, which is not training.
        """
        table = drop_codes(self.embedding.embeddings, self.embedding_dropout, generator)
        x = drop_features(functional.embedding(codes, table), self.dropout, generator)
        mask = torch.arange(codes.shape[1], device=codes.device) < lengths[:, None]
        reads = read_directions(self.recurrent, self.directions, x, lengths, generator, self.dropout)
        x = drop_features(torch.cat([one.output for one in reads], dim=2), self.dropout, generator)
        finals = [state for one in reads for state in one.final]
        return Memory(x, mask, torch.cat(finals, dim=1))
