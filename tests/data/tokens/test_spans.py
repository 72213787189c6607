"""Spans and the tags that mark them; the examples are worked by hand from the definition of CoNLL."""

import pytest
from hypothesis import given, strategies

from nabi.data import SCHEMES, Span, scheme_of, spans_of, tags_of
from nabi.errors import ArgumentError


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O O", []),
        ("B-X I-X O B-Y", [(0, 2, "X"), (3, 4, "Y")]),
        ("B-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        # IOB1: B only between spans of one type that touch.
        ("I-X I-X B-X I-Y", [(0, 2, "X"), (2, 3, "X"), (3, 4, "Y")]),
        ("B-X E-X S-X S-Y O", [(0, 2, "X"), (2, 3, "X"), (3, 4, "Y")]),
        ("B-X I-X L-X U-X", [(0, 3, "X"), (3, 4, "X")]),
        # Tags that break the rules: what is inside begins a span where there is none to go on with.
        ("O I-X", [(1, 2, "X")]),
        ("B-X I-Y", [(0, 1, "X"), (1, 2, "Y")]),
        ("E-X I-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X E-Y E-Y", [(0, 1, "X"), (1, 2, "Y"), (2, 3, "Y")]),
        ("B-a-b I-a-b", [(0, 2, "a-b")]),
    ],
)
def test_tags_mark_spans_as_conll_defines_them(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert spans_of(tags.split()) == [Span(*one) for one in spans]


@strategies.composite
def sentences_with_spans(draw: strategies.DrawFn) -> tuple[list[Span], int]:
    spans, place = [], 0
    for _ in range(draw(strategies.integers(0, 5))):
        start = place + draw(strategies.integers(0, 2))
        place = start + draw(strategies.integers(1, 4))
        spans.append(Span(start, place, draw(strategies.sampled_from("XY"))))
    return spans, place + draw(strategies.integers(0, 2))


@given(sentences_with_spans(), strategies.sampled_from(SCHEMES))
def test_every_scheme_gives_the_spans_back(given: tuple[list[Span], int], scheme: str) -> None:
    spans, length = given
    tags = tags_of(spans, length, scheme)
    assert spans_of(tags) == spans
    assert len(tags) == length


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_is_recognised(scheme: str) -> None:
    rows = [[Span(0, 3, "X"), Span(3, 4, "X")], [Span(1, 2, "Y"), Span(2, 4, "Y")], []]
    assert scheme_of([tags_of(one, 4, scheme) for one in rows]) == scheme


def test_plain_labels_are_no_spans() -> None:
    assert scheme_of([["NOUN", "O"], ["B-X"]]) is None
    assert scheme_of([["B", "I", "O"]]) is None
    assert scheme_of([["O", "O"]]) is None
    assert scheme_of([["B-X", "E-X", "L-X"]]) is None
    assert scheme_of([["B-X", "O", "I-X"]]) == "BIO"  # with a mistake


def test_spans_must_fit_into_their_sentence() -> None:
    for wrong in ([Span(0, 3, "X")], [Span(0, 2, "X"), Span(1, 2, "Y")], [Span(1, 1, "X")]):
        with pytest.raises(ArgumentError, match="spans: expected some that do not overlap, in 2 tokens"):
            tags_of(wrong, 2)
    with pytest.raises(ArgumentError, match="scheme: expected one of BIO"):
        tags_of([], 2, "BOI")
