"""The letters of DNA as numbers: bases, IUPAC ambiguity codes, words of several bases, the other strand."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, ShapeError

__all__ = [
    "COMPLEMENT",
    "DNA_LETTERS",
    "SHARES",
    "UNKNOWN_BASE",
    "dna_one_hot",
    "dna_words",
    "encode_dna",
    "misplaced_letter",
    "reverse_complement",
]

_BASES = "ACGT"
# The ambiguity codes of IUPAC (Cornish-Bowden 1985, "Nomenclature for incompletely specified bases").
_AMBIGUOUS = {
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "N": "ACGT",
}
DNA_LETTERS = _BASES + "".join(_AMBIGUOUS)
"""The letters by their codes: A, C, G and T are 0 to 3, N is 14."""
UNKNOWN_BASE = DNA_LETTERS.index("N")

_MEANING = {**{base: base for base in _BASES}, **_AMBIGUOUS}
_OTHER_STRAND = {"A": "T", "C": "G", "G": "C", "T": "A"}

SHARES: npt.NDArray[np.float32] = np.array(
    [[(base in _MEANING[letter]) / len(_MEANING[letter]) for base in _BASES] for letter in DNA_LETTERS],
    dtype=np.float32,
)
"""`[15, 4]`: for the code of a letter, how much of it is each base; the four sum to one."""


def _complement(letter: str) -> int:
    wanted = {_OTHER_STRAND[base] for base in _MEANING[letter]}
    return next(code for code, other in enumerate(DNA_LETTERS) if set(_MEANING[other]) == wanted)


COMPLEMENT: npt.NDArray[np.uint8] = np.array([_complement(letter) for letter in DNA_LETTERS], dtype=np.uint8)
"""`[15]`: the code of the letter opposite on the other strand."""

_NO_LETTER = 255
_CODES = np.full(256, _NO_LETTER, dtype=np.uint8)
for _code, _letter in enumerate(DNA_LETTERS):
    _CODES[[ord(_letter), ord(_letter.lower())]] = _code
_CODES[[ord("U"), ord("u")]] = _BASES.index("T")  # RNA
_LETTER_BYTES = np.frombuffer(DNA_LETTERS.encode(), dtype=np.uint8)

_EXPECTED = "the bases A, C, G and T (U) or the ambiguity codes " + " ".join(_AMBIGUOUS)


@public
def encode_dna(sequence: str) -> npt.NDArray[np.uint8]:
    """Return the codes of a sequence's letters, `[T]`, from 0 to 14.

    A, C, G and T are 0 to 3. The IUPAC ambiguity codes follow, in the order of `DNA_LETTERS`. Lower case and
    U are read as upper case and T.

    Raises:
        ArgumentError: for a letter that is no base; the message says where it stands.

    >>> encode_dna("acgtN").tolist()
    [0, 1, 2, 3, 14]
    """
    if not isinstance(sequence, str):
        raise ArgumentError(f"sequence: expected a text of bases, got {_checks.short(sequence)}")
    codes = _codes(sequence)
    wrong = np.flatnonzero(codes == _NO_LETTER)
    if len(wrong):
        place = int(wrong[0])
        raise ArgumentError(f"sequence: expected {_EXPECTED}, got {sequence[place]!r} at base {place + 1}")
    return codes


def misplaced_letter(sequence: str) -> str:
    """Return a description of the first letter that is no base, without its place; empty if all are bases."""
    wrong = np.flatnonzero(_codes(sequence) == _NO_LETTER)
    return f"expected {_EXPECTED}, got {sequence[int(wrong[0])]!r}" if len(wrong) else ""


def _codes(sequence: str) -> npt.NDArray[np.uint8]:
    # Each character outside ASCII becomes one "?", which is no letter either.
    return _CODES[np.frombuffer(sequence.encode("ascii", "replace"), dtype=np.uint8)]


def _letters(codes: npt.NDArray[np.uint8]) -> str:
    return str(_LETTER_BYTES[codes].tobytes(), "ascii")


@public
def reverse_complement(sequence: str) -> str:
    """Return the other strand of a sequence, read in its own direction; ambiguity codes are kept.

    Raises:
        ArgumentError: as `encode_dna`.

    >>> reverse_complement("ACCCGAN")
    'NTCGGGT'
    """
    return _letters(COMPLEMENT[encode_dna(sequence)][::-1])


@public
def dna_words(sequence: str, size: int = 3) -> list[str]:
    """Return the overlapping words of a sequence: one beginning at every base but the last `size - 1`.

    Raises:
        ArgumentError: as `encode_dna`, and for a size below 1.

    >>> dna_words("ACCCGA")
    ['ACC', 'CCC', 'CCG', 'CGA']
    """
    size = _checks.whole("size", size)
    letters = _letters(encode_dna(sequence))
    return [letters[place : place + size] for place in range(len(letters) - size + 1)]


@public
def dna_one_hot(sequence: Any, words: int = 1) -> npt.NDArray[np.float32]:
    """Return a sequence as vectors that say how much of each base or word there is.

    An ambiguity code is shared among its bases: N is a quarter of each. A word of ambiguous letters is shared
    among all words that it may stand for. Every vector sums to one.

    Args:
        sequence: letters, or codes `[T]` from `encode_dna`.
        words: how many letters a word has; 1 for single bases. Words overlap: one begins at every base.

    Returns `[T - words + 1, 4 ** words]`, float32. The columns are in alphabetical order: A, C, G, T, or AA,
    AC, ... TT.

    Raises:
        ArgumentError: as `encode_dna`, and for `words` below 1 or above 6.
        ShapeError: for codes that are not `[T]`.

    >>> dna_one_hot("AN").tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]
    >>> dna_one_hot("ACCCGA", words=3).shape
    (4, 64)
    """
    words = _checks.whole("words", words, 1, 6)
    if isinstance(sequence, str):
        codes = encode_dna(sequence)
    else:
        codes = np.asarray(sequence)
        if codes.ndim != 1 or codes.dtype.kind not in "iu":
            raise ShapeError(
                f"sequence: expected letters or codes of the shape [T], got {_checks.short(sequence)}"
            )
        if len(codes) and not 0 <= codes.min() <= codes.max() < len(DNA_LETTERS):
            raise ArgumentError(
                f"sequence: expected codes from 0 to {len(DNA_LETTERS) - 1}, "
                f"got {codes.min()} to {codes.max()}"
            )
    bases = SHARES[codes]
    count = max(len(bases) - words + 1, 0)
    found = np.ones((count, 1), dtype=np.float32)
    for place in range(words):
        found = (found[:, :, None] * bases[place : place + count, None, :]).reshape(count, 4 ** (place + 1))
    return found
