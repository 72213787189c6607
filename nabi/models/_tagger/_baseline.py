"""The usual baseline of tagging: each token gets the tag that it had most often."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

from nabi.errors import ArgumentError

__all__ = ["FrequentTags"]


class FrequentTags:
    """The most frequent tag of each token; of two that are as frequent, the first in the alphabet.

    Args:
        usual: the tag of tokens that were never seen: the most frequent of all.
        of_token: the tags of tokens that have another.
    """

    name = "most frequent tag of each token"

    def __init__(self, usual: str, of_token: Mapping[str, str]) -> None:
        self.usual, self.of_token = usual, dict(of_token)

    @classmethod
    def learn(cls, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]) -> Self:
        """Count the tags of tokens."""
        counts: dict[str, Counter[str]] = {}
        overall: Counter[str] = Counter()
        for tokens, row in zip(sentences, tags, strict=True):
            overall.update(row)
            for token, tag in zip(tokens, row, strict=True):
                counts.setdefault(token, Counter())[tag] += 1
        usual = _first(overall)
        found = {token: _first(one) for token, one in counts.items()}
        return cls(usual, {token: tag for token, tag in found.items() if tag != usual})

    def tags(self, tokens: Sequence[str]) -> list[str]:
        """Return a tag for each token."""
        return [self.of_token.get(token, self.usual) for token in tokens]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it: tokens by their tag."""
        tokens: dict[str, list[str]] = {}
        for token, tag in self.of_token.items():
            tokens.setdefault(tag, []).append(token)
        return {"usual": self.usual, "tokens": tokens}

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Self:
        """Make what `to_dict` described.

        Raises:
            ArgumentError, KeyError, AttributeError, TypeError: for something else.
        """
        found = {token: tag for tag, tokens in described["tokens"].items() for token in tokens}
        if not all(isinstance(one, str) for one in (described["usual"], *found, *found.values())):
            raise ArgumentError("baseline: expected texts")
        return cls(described["usual"], found)


def _first(counts: Counter[str]) -> str:
    return min(counts, key=lambda tag: (-counts[tag], tag))
