"""Characters as codes."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nabi.data._text._one_hot import one_hot
from nabi.errors import ArgumentError, unknown_name

__all__ = ["Characters"]


@dataclass(frozen=True)
class Characters:
    """An alphabet: a character's code is its position in it.

    Raises `ArgumentError` if the alphabet is empty or repeats a character.

    >>> letters = Characters("helo")
    >>> letters.encode("hell")
    array([0, 1, 2, 2])
    >>> letters.decode([1, 2, 2, 3])
    'ello'
    >>> letters.one_hot("he")
    array([[1., 0., 0., 0.],
           [0., 1., 0., 0.]], dtype=float32)
    """

    alphabet: str

    def __post_init__(self) -> None:
        if not self.alphabet or len(set(self.alphabet)) < len(self.alphabet):
            raise ArgumentError(f"alphabet: expected each character once, got {self.alphabet!r}")

    def __len__(self) -> int:
        return len(self.alphabet)

    @classmethod
    def of(cls, text: str) -> "Characters":
        """Return the alphabet of a text: its characters in order of first appearance.

        >>> Characters.of("hello")
        Characters(alphabet='helo')
        """
        return cls("".join(dict.fromkeys(text)))

    def encode(self, text: str) -> npt.NDArray[np.int64]:
        """Return the codes `[T]` of a text; raise `UnknownNameError` for a character not in the alphabet."""
        for character in text:
            if character not in self.alphabet:
                raise unknown_name("text", character, self.alphabet)
        return np.array([self.alphabet.index(character) for character in text], dtype=np.int64)

    def decode(self, codes: Iterable[int]) -> str:
        """Return the text of codes; raise `ArgumentError` for a code outside the alphabet."""
        characters = []
        for position, code in enumerate(codes):
            if not 0 <= code < len(self):
                raise ArgumentError(f"codes[{position}]: expected 0 to {len(self) - 1}, got {code}")
            characters.append(self.alphabet[int(code)])
        return "".join(characters)

    def one_hot(self, text: str) -> npt.NDArray[np.float32]:
        """Return the one-hot encoding of a text `[T]`, `[T, len(alphabet)]`."""
        return one_hot(self.encode(text), len(self))
