"""The network of a translator: an encoder of the source and a decoder that writes beside it."""

import torch
from torch import Tensor

from nabi.cells import Cell
from nabi.models._networks._decoder import DecoderNetwork
from nabi.models._networks._encoder import TextEncoder
from nabi.models._translator._pair_batches import PairBatch
from nabi.models._translator._settings import TranslatorSettings

__all__ = ["TranslatorNetwork"]


class TranslatorNetwork(torch.nn.Module):
    """Encoder and decoder, both of layers of the same cell.

    Args:
        source_codes: how many there are.
        target_codes: how many there are.
        settings: of the translator.
        cell: of every layer.
    """

    def __init__(
        self, source_codes: int, target_codes: int, settings: TranslatorSettings, cell: Cell
    ) -> None:
        """Make the network with weights from torch's random numbers."""
        super().__init__()
        self.encoder = TextEncoder(
            source_codes,
            cell,
            layer_count=settings.layers,
            embedding_size=settings.embedding_size,
            bidirectional=settings.bidirectional,
            dropout=settings.dropout,
            embedding_dropout=settings.embedding_dropout,
        )
        self.decoder = DecoderNetwork(
            target_codes,
            cell,
            memory_width=self.encoder.memory_width,
            summary_width=self.encoder.summary_width,
            layer_count=settings.layers,
            embedding_size=settings.embedding_size,
            attention=settings.attention,
            input_feeding=settings.input_feeding,
            tied=settings.tied,
            dropout=settings.dropout,
            embedding_dropout=settings.embedding_dropout,
        )

    def forward(
        self, batch: PairBatch, generator: torch.Generator | None = None, sampled: float = 0.0
    ) -> Tensor:
        """Return logits `[B, T, V]` of the code after each that the decoder reads.

        Args:
            batch: of pairs.
            generator: of random numbers for dropout and sampling; None for none, which is not training.
            sampled: how probably a step reads what the network itself found most probable.
        """
        memory = self.encoder(batch.source, batch.source_lengths, generator)
        logits: Tensor = self.decoder(memory, batch.read, batch.target_lengths, generator, sampled)
        return logits
