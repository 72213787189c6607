"""Spans of tokens, and the tags that say where they begin and end: BIO, IOB1, IOBES, BILOU."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nabi._public import public
from nabi.errors import ArgumentError

__all__ = ["SCHEMES", "Span", "scheme_of", "spans_of", "tags_of"]

SCHEMES = ("BIO", "IOB1", "IOBES", "BILOU")
"""The ways of writing spans as tags."""
OUTSIDE = "O"
_TAG = re.compile(r"([BIESLU])-(.+)", re.DOTALL)
# What the first letter of a tag says in each scheme: at the beginning, inside, at the end, alone.
_LETTERS = {"BIO": "BIIB", "IOBES": "BIES", "BILOU": "BILU"}
_BEGINS, _ENDS = "BSU", "ESLU"


class Span(NamedTuple):
    """Tokens that belong together: a name, a phrase."""

    start: int
    """The first token, counted from 0."""
    end: int
    """The token after the last."""
    type: str
    """What it is: "PER"."""


@public
def scheme_of(sentences: Iterable[Sequence[str]]) -> str | None:
    """Return in which of `SCHEMES` the tags of sentences mark spans; None if they are plain labels.

    Tags mark spans if each is `O`, or one of the letters B, I, E, S, L, U with a type: `B-PER`. Which scheme
    it is follows from the letters. `I` at the beginning of a span means IOB1 if every `B` follows a span of
    the same type, as it must there; else it is BIO with mistakes.

    >>> scheme_of([["B-PER", "I-PER", "O", "B-LOC"]]), scheme_of([["I-PER", "I-PER", "O", "I-LOC"]])
    ('BIO', 'IOB1')
    >>> scheme_of([["B-PER", "E-PER", "O", "S-LOC"]]), scheme_of([["NOUN", "VERB"]])
    ('IOBES', None)
    """
    letters: set[str] = set()
    begun_by_i = begun_by_b = False
    for tags in sentences:
        before = ""
        for tag in tags:
            match = _TAG.fullmatch(tag)
            if match is None and tag != OUTSIDE:
                return None
            if match is not None:
                letters.add(match[1])
                begun_by_i |= match[1] == "I" and before != match[2]
                begun_by_b |= match[1] == "B" and before != match[2]
            before = "" if match is None else match[2]
    if not letters:
        return None
    if letters & {"L", "U"}:
        return None if letters & {"E", "S"} else "BILOU"
    if letters & {"E", "S"}:
        return "IOBES"
    return "IOB1" if begun_by_i and not begun_by_b else "BIO"


@public
def spans_of(tags: Sequence[str]) -> list[Span]:
    """Return the spans that tags of any of `SCHEMES` mark, in their order.

    This is the definition of the CoNLL shared tasks (Tjong Kim Sang and Buchholz 2000, `conlleval`): a span
    begins at `B`, `S` or `U`, and at any other letter that does not go on with a span of its type; it ends
    before such a beginning, before `O`, and after `E`, `S`, `L` or `U`. So tags that break the rules of
    their scheme have a meaning, too.

    >>> spans_of(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [Span(start=0, end=2, type='PER'), Span(start=3, end=4, type='LOC'), Span(start=4, end=5, type='LOC')]
    """
    found: list[Span] = []
    start, kind = 0, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        match = _TAG.fullmatch(tag)
        letter, now = ("", "") if match is None else (match[1], match[2])
        if kind and (now != kind or letter in _BEGINS):
            found.append(Span(start, place, kind))
            kind = ""
        if now and not kind:
            start, kind = place, now
        if kind and letter in _ENDS:
            found.append(Span(start, place + 1, kind))
            kind = ""
    return found


@public
def tags_of(spans: Iterable[Span], length: int, scheme: str = "BIO") -> list[str]:
    """Return the tags of a sentence of this many tokens, in one of `SCHEMES`; the contrary of `spans_of`.

    Raises:
        ArgumentError: for spans that overlap or lie outside the sentence, and for another scheme.

    >>> tags_of([Span(0, 2, "PER"), Span(3, 4, "LOC")], 4, "IOBES")
    ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    if scheme not in SCHEMES:
        raise ArgumentError(f"scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}")
    tags = [OUTSIDE] * length
    before = Span(0, 0, "")
    for span in sorted(spans):
        if not before.end <= span.start < span.end <= length:
            raise ArgumentError(f"spans: expected some that do not overlap, in {length} tokens, got {span}")
        if scheme == "IOB1":
            adjoins = span.start == before.end and span.type == before.type
            letters = "BIIB" if adjoins else "IIII"
        else:
            letters = _LETTERS[scheme]
        inside = span.end - span.start - 2
        letter = letters[3] if inside < 0 else letters[0] + letters[1] * inside + letters[2]
        tags[span.start : span.end] = [f"{one}-{span.type}" for one in letter]
        before = span
    return tags
