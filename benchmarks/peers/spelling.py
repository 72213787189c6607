"""The words of the texts for which servers are measured."""

__all__ = ["WORDS", "spelled"]

WORDS = 5000


def spelled(number: int) -> str:
    """Return a word for a number, of letters alone: so every program takes it for one word.

    >>> spelled(305)
    'wdaf'
    """
    return "w" + "".join("abcdefghij"[int(digit)] for digit in str(number))
