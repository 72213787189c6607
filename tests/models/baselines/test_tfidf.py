"""TF-IDF of words, pairs of words and runs of characters, against its definition."""

import math

import numpy as np
import pytest
import torch

from nabi.errors import ArgumentError, FileFormatError
from nabi.models._baselines._tfidf import TextFeatures

TEXTS = ["a good film", "a bad film", "Good film, good film"]


def by_name(features: TextFeatures, text: str, aspect: str | None = None) -> dict[str, float]:
    row = features([text], None if aspect is None else [aspect]).to_dense()[0]
    return {features.name(number): float(value) for number, value in enumerate(row) if value}


def test_weights_are_those_of_the_definition() -> None:
    features = TextFeatures.learn(TEXTS)
    # Of three texts, two have "a" and "good", all have "film", two have the pair; "bad" is in one only.
    rarity = {"a": 2, "good": 2, "film": 3, "good film": 2}
    idf = {name: 1 + math.log(4 / (1 + count)) for name, count in rarity.items()}
    twice = 1 + math.log(2)
    expected = {"good": twice * idf["good"], "film": twice * idf["film"], "good film": idf["good film"]}
    length = math.sqrt(sum(value**2 for value in expected.values()))
    found = by_name(features, "good bad film? GOOD film")
    assert found == pytest.approx({name: value / length for name, value in expected.items()}, rel=1e-6)
    assert by_name(features, "") == by_name(features, "unheard of") == {}


def test_a_run_does_not_cross_texts_and_rows_are_those_of_each_text_alone() -> None:
    features = TextFeatures.learn(["x y", "y x", "x y", "y x"])
    assert set(by_name(features, "x y")) == {"x", "y", "x y"}
    together = features(["x y", "", "y x", "x"]).to_dense()
    alone = torch.cat([features([text]).to_dense() for text in ("x y", "", "y x", "x")])
    torch.testing.assert_close(together, alone, rtol=0, atol=0)
    assert features([]).shape == (0, len(features))


def test_runs_of_characters() -> None:
    features = TextFeatures.learn(["영화가 좋다", "영화는 좋다"], unit="characters", runs=(2, 3, 4))
    names = set(by_name(features, "좋다 영화"))
    assert {"영화", "좋다"} <= names
    assert all(2 <= len(name) <= 4 for name in names)


def test_each_word_counts_with_its_aspect_too() -> None:
    texts, aspects = ["slow food", "slow food", "slow bar", "slow bar"], ["food", "food", "bar", "bar"]
    features = TextFeatures.learn(texts, aspects)
    assert set(by_name(features, "slow", "food")) == {"slow", "food: slow", "food: "}
    assert set(by_name(features, "slow", "unheard of")) == {"slow"}


def test_the_most_frequent_are_kept() -> None:
    features = TextFeatures.learn(["a b c", "a b c", "a b", "a"], runs=(1,), most=2)
    assert [features.name(number) for number in range(2)] == ["a", "b"]


@pytest.mark.parametrize(("unit", "runs"), [("words", (1, 2)), ("characters", (2, 3))])
def test_places_add_up_to_the_weights(unit: str, runs: tuple[int, ...]) -> None:
    features = TextFeatures.learn(TEXTS, ["x", "y", "x"], unit=unit, runs=runs)
    text = "a film, a good film"
    sums = np.zeros(len(features))
    for place in features.places(text, "x"):
        sums[place.feature] += place.weight
        written = text[place.start : place.end]
        assert features.name(place.feature).removeprefix("x: ") == written
    np.testing.assert_allclose(sums, features([text], ["x"]).to_dense()[0], rtol=1e-6)


def test_a_file_gives_them_back() -> None:
    features = TextFeatures.learn(TEXTS, ["x", "y", "x"])
    again = TextFeatures.from_file(*features.to_file())
    asked = (["a good film", "film"], ["x", "z"])
    assert torch.equal(again(*asked).to_dense(), features(*asked).to_dense())


@pytest.mark.parametrize(
    ("described", "tensors"),
    [
        ({"runs": [5]}, {}),
        ({"runs": []}, {}),
        ({"aspects": [1]}, {}),
        ({"vocabulary": None}, {}),
        ({}, {"keys": torch.tensor([2, 1])}),
        ({}, {"rarity": torch.tensor([1])}),
    ],
)
def test_what_is_no_file_is_refused(described: dict, tensors: dict) -> None:  # type: ignore[type-arg]
    said, held = TextFeatures.learn(TEXTS).to_file()
    with pytest.raises((ArgumentError, FileFormatError)):
        TextFeatures.from_file(said | described, held | tensors)


def test_texts_without_a_common_word() -> None:
    with pytest.raises(ArgumentError):
        TextFeatures.learn(["one", "two"])
