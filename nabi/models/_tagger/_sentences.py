"""Sentences with their tags, as a tagger is given them: from lists or files, checked, and divided."""

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nabi import _checks
from nabi.data import TaggedTokens, read_tagged
from nabi.errors import ArgumentError
from nabi.models._sequences._samples import SequenceSamples

__all__ = ["Sentences", "read_sentences", "token_lists"]

# With fewer documents than this, a held-out tenth would be one or two of them.
_FEWEST_DOCUMENTS = 20


@dataclass(frozen=True)
class Sentences:
    """Sentences, each with one token or more, and the tag of every token."""

    tokens: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    """Of each sentence, for messages."""
    groups: tuple[Hashable, ...]
    """Of each sentence what it belongs to: a group is held out as a whole."""
    columns: tuple[int | str | None, int | str | None] = (None, None)
    """Of tokens and tags in the file that they are from."""

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: Sequence[int]) -> "Sentences":
        """Return some of them."""
        return replace(
            self,
            tokens=tuple(self.tokens[row] for row in rows),
            tags=tuple(self.tags[row] for row in rows),
            names=tuple(self.names[row] for row in rows),
            groups=tuple(self.groups[row] for row in rows),
        )

    def divided(self, share: float, seed: int) -> tuple["Sentences", "Sentences"]:
        """Return what is learnt from and a share that is held out, of whole groups.

        Raises:
            ArgumentError: for a share that cannot be, or leaves nothing to learn from or to hold out.
        """
        rows = [np.array([row]) for row in range(len(self))]
        kept, held = SequenceSamples(rows, None, self.names, self.groups).divided(share, seed)
        return self.take([int(one[0]) for one in kept.inputs]), self.take(
            [int(one[0]) for one in held.inputs]
        )


def read_sentences(name: str, data: Any, tags: Any, reading: Mapping[str, Any]) -> Sentences:
    """Return the sentences that an argument gives.

    Args:
        name: of the argument, for messages.
        data: the path of a file, what `read_tagged` gives, or lists of tokens.
        tags: a list of tags for each list of tokens; None for the others.
        reading: arguments of `read_tagged`, for a file.

    Raises:
        ArgumentError: for something else, no sentence, an empty one, and another number of tags than tokens.
        MissingFileError, FileFormatError: as `read_tagged`.
    """
    documents: Sequence[int] | None = None
    columns: tuple[Any, Any] = (None, None)
    if isinstance(data, str | os.PathLike):
        data = read_tagged(data, **reading)
    if isinstance(data, TaggedTokens):
        if tags is not None:
            raise ArgumentError("tags: expected none beside a file, which has them")
        if data.tags is None:
            raise ArgumentError(f"{name}: expected tags, got tokens that were read without them")
        names, documents, columns = data.places, data.documents, (data.token, data.tag)
        data, tags = data.tokens, data.tags
    else:
        data = token_lists(name, data)
        names = tuple(f"{name}[{row}]" for row in range(len(data)))
        tags = token_lists("tags", tags)
    if len(tags) != len(data):
        raise ArgumentError(f"tags: expected a list for each of {len(data)} sentences, got {len(tags)}")
    if not data:
        raise ArgumentError(f"{name}: expected one sentence or more, got none")
    for place, one, other in zip(names, data, tags, strict=True):
        if not len(one):
            raise ArgumentError(f"{place}: expected a sentence of one token or more, got an empty one")
        if len(one) != len(other):
            raise ArgumentError(
                f"{place}: expected a tag for each of its {len(one)} tokens, got {len(other)}"
            )
    tokens = tuple(map(tuple, data))
    if documents is not None and len(set(documents)) >= _FEWEST_DOCUMENTS:
        groups: tuple[Hashable, ...] = tuple(documents)
    else:
        groups = tokens  # the same sentence is never both learnt from and measured on
    return Sentences(tokens, tuple(map(tuple, tags)), tuple(names), groups, columns)


def token_lists(name: str, value: Any) -> list[list[str]]:
    """Return lists of texts, checked.

    Raises:
        ArgumentError: for something else, and for an empty text.
    """
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
        raise ArgumentError(f"{name}: expected a list of lists of texts, got {_checks.short(value)}")
    found = []
    for row, one in enumerate(value):
        if isinstance(one, str | bytes | Mapping) or not hasattr(one, "__iter__"):
            raise ArgumentError(f"{name}[{row}]: expected a list of texts, got {_checks.short(one)}")
        listed = list(one)
        for place, text in enumerate(listed):
            if not isinstance(text, str) or not text.strip():
                raise ArgumentError(f"{name}[{row}][{place}]: expected a text, got {_checks.short(text)}")
        found.append(listed)
    return found
