"""The network of a tagger: words and their characters, recurrent layers in both directions, a tag a token."""

import torch
from torch import Tensor
from torch.nn import functional

from nabi._row_share import drawn_for_rows
from nabi.cells import Cell
from nabi.models._networks._directions import make_directions, read_directions
from nabi.models._networks._dropout import drop_features
from nabi.models._networks._embedding import make_embedding
from nabi.models._tagger._codes import UNKNOWN
from nabi.models._tagger._settings import TaggerSettings

__all__ = ["CharacterFeatures", "TaggerNetwork"]

_KERNEL = 3


class CharacterFeatures(torch.nn.Module):
    """What a convolution over the characters of a token finds, at its strongest (Ma and Hovy 2016).

    Args:
        characters: codes of characters; 0 is padding.
        size: width of the vector of a character.
        features: how many are found.
    """

    def __init__(self, characters: int, size: int, features: int) -> None:
        """Make it with weights from torch's random numbers."""
        super().__init__()
        self.embedding = make_embedding(characters, size, 0.3)
        self.convolution = torch.nn.Conv1d(size, features, _KERNEL, padding=_KERNEL // 2)

    def forward(self, codes: Tensor) -> Tensor:
        """Return `[N, features]`, none below zero, for the characters of tokens `[N, K]`."""
        inside = codes != 0
        # What no token of the batch has is not computed; one character is left, also where all is padding.
        longest = max(int(inside.sum(1).max()), 1)
        codes, inside = codes[:, :longest], inside[:, :longest]
        x = functional.embedding(codes, self.embedding.embeddings) * inside[:, :, None]
        found = self.convolution(x.transpose(1, 2)).relu() * inside[:, None]
        strongest: Tensor = found.amax(2)
        return strongest


class TaggerNetwork(torch.nn.Module):
    """From the codes of tokens to logits of their tags.

    Args:
        words: codes of words; 0 is padding, 1 unknown.
        characters: codes of characters.
        tags: how many there are.
        cell: of every layer.
        settings: sizes, layers, directions and dropout.
    """

    def __init__(self, words: int, characters: int, tags: int, cell: Cell, settings: TaggerSettings) -> None:
        """Make the network with weights from torch's random numbers."""
        super().__init__()
        self.dropout, self.directions = settings.dropout, 2 if settings.bidirectional else 1
        self.embedding = make_embedding(words, settings.embedding_size)
        self.characters = (
            CharacterFeatures(characters, settings.character_size, settings.characters)
            if settings.characters
            else None
        )
        width = settings.embedding_size + settings.characters
        self.recurrent, width = make_directions(cell, width, settings.layers, self.directions)
        self.head = torch.nn.Linear(width, tags)

    def forward(
        self,
        codes: Tensor,
        lengths: Tensor,
        generator: torch.Generator | None = None,
        hidden: Tensor | None = None,
    ) -> Tensor:
        """Return logits `[B, T, tags]`.

        Args:
            codes: `[B, T, 1 + K]`, of the word of each token and of its characters, padded with 0.
            lengths: `[B]`, tokens of each sentence.
            generator: of random numbers for dropout and hidden words; None for none, which is not training.
            hidden: the probability with which each word is taken for unknown in training, by its code.
        """
        words, letters = codes[..., 0].long(), codes[..., 1:].long()
        if generator is not None and hidden is not None:
            drawn = drawn_for_rows(lambda sizes: torch.rand(sizes, generator=generator), words.shape)
            words = torch.where(drawn < hidden[words], UNKNOWN, words)
        x = functional.embedding(words, self.embedding.embeddings)
        if self.characters is not None:
            found = self.characters(letters.flatten(0, 1))
            x = torch.cat([x, found.unflatten(0, letters.shape[:2])], 2)
        x = drop_features(x, self.dropout, generator)
        reads = read_directions(self.recurrent, self.directions, x, lengths, generator, self.dropout)
        x = drop_features(torch.cat([one.output for one in reads], 2), self.dropout, generator)
        logits: Tensor = self.head(x)
        return logits
