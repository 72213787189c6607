"""The front of a classifier of DNA: words, ambiguity, strands, places, and padding that changes nothing."""

import numpy as np
import pytest
import torch

from nabi.data import COMPLEMENT, dna_one_hot, encode_dna, reverse_complement
from nabi.models._dna._front import PLACE_WIDTH, DNAFront, other_strand

TEXTS = ["ACGTNRACGT", "ACC", "AC", "G"]


def front(size: int, centred: bool = False, **said) -> DNAFront:
    return DNAFront(
        size=size, centred=centred, **{"places": None, "hidden": 0.0, "either_strand": False, **said}
    )


def batch(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(text) for text in texts])
    codes = torch.zeros(len(texts), int(lengths.max()), dtype=torch.uint8)
    for row, text in zip(codes, texts, strict=True):
        row[: len(text)] = torch.from_numpy(encode_dna(text))
    return codes, lengths


@pytest.mark.parametrize("size", [1, 2, 3])
def test_words_are_those_of_the_data_package(size) -> None:
    codes, lengths = batch(TEXTS)
    made = front(size)
    features, steps = made(codes, lengths)
    assert torch.equal(steps, made.frames(lengths))
    for text, row, count in zip(TEXTS, features, steps.tolist(), strict=True):
        # A sequence that is shorter than a word ends with N.
        expected = dna_one_hot(text.ljust(size, "N"), size)
        assert count == len(expected)
        np.testing.assert_allclose(row[:count], expected, rtol=1e-6)
        alone, _ = made(*batch([text]))
        assert torch.equal(alone[0, :count], row[:count])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_centred_words_are_as_many_as_bases(size) -> None:
    codes, lengths = batch(TEXTS)
    features, steps = front(size, centred=True)(codes, lengths)
    assert torch.equal(steps, lengths)
    assert features.shape[1] == codes.shape[1]
    before = (size - 1) // 2
    for text, row in zip(TEXTS, features, strict=True):
        expected = dna_one_hot("N" * before + text + "N" * (size - 1 - before), size)
        np.testing.assert_allclose(row[: len(text)], expected, rtol=1e-6)


def test_the_other_strand_is_that_of_the_data_package() -> None:
    codes, lengths = batch(TEXTS)
    turned = other_strand(codes.long(), lengths, torch.tensor(COMPLEMENT.tolist()))
    for text, row in zip(TEXTS, turned, strict=True):
        assert row[: len(text)].tolist() == encode_dna(reverse_complement(text)).tolist()
        assert not row[len(text) :].any()


def test_in_training_strands_are_random_and_bases_are_hidden() -> None:
    codes, lengths = batch(["ACGGTTAACC"] * 400)
    plain, _ = front(1)(codes, lengths)
    either, _ = front(1, either_strand=True)(codes, lengths, torch.Generator().manual_seed(0))
    as_is = (either == plain).flatten(1).all(1)
    assert 160 < int(as_is.sum()) < 240
    turned, _ = front(1)(*batch([reverse_complement("ACGGTTAACC")]))
    assert torch.equal(either[~as_is], turned.expand(int((~as_is).sum()), -1, -1))
    hidden, _ = front(1, hidden=0.3)(codes, lengths, torch.Generator().manual_seed(0))
    gone = (hidden == 0.25).all(2)
    assert 0.27 < float(gone.float().mean()) < 0.33
    assert torch.equal(hidden[~gone], plain[~gone])
    # Nothing is random where nothing is learnt.
    assert torch.equal(front(1, hidden=0.3, either_strand=True)(codes, lengths)[0], plain)


def test_each_place_has_a_vector() -> None:
    made = front(3, places=10)
    assert (made.width, made.placed) == (64, PLACE_WIDTH)
    features, _ = made(*batch(["ACGTACGTAC"] * 2))
    placed = made.place(features)
    assert placed.shape == (2, 8, 64 + PLACE_WIDTH)
    assert torch.equal(placed[..., :64], features)
    assert torch.equal(placed[1, :, 64:], made.places)
    assert torch.equal(front(3).place(features), features)
