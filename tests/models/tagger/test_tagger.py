"""Taggers: what they learn, how they decode, and how they are measured."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi.data import SCHEMES, spans_of, tags_of
from nabi.errors import ArgumentError
from nabi.models import Tagger
from nabi.models._tagger._baseline import FrequentTags
from nabi.models._tagger._codes import LONGEST, TokenCodes
from nabi.models._tagger._decoding import best_tags, forbidden
from nabi.models._tagger._network import CharacterFeatures
from nabi.models._tagger._report import score_spans

from .corpus import as_conll, sentences
from .test_files import small

LEARNS: dict[str, Any] = {
    "cell": "gru", "units": 16, "embedding_size": 16, "characters": 8, "character_size": 8, "dropout": 0.1,
    "batch_size": 8, "epochs": 8, "learning_rate": 0.03,
}  # fmt: skip


@pytest.fixture(scope="module")
def learnt() -> Tagger:
    model = Tagger(**LEARNS)
    model.fit(*sentences(200), test_share=0.1, verbose=0)
    return model


def test_names_that_were_never_seen_are_known_by_what_stands_around_them(learnt: Tagger) -> None:
    report = learnt.report
    assert (report.part, report.held_out, report.train, report.scheme) == ("test", 20, 162, "BIO")
    assert report.unseen > 20
    assert report.f1 is not None
    assert report.unseen_accuracy is not None
    assert report.f1 > 0.6 > 0.3 > report.baselines[FrequentTags.name]
    assert report.unseen_accuracy > 0.6
    assert report.verdict.startswith("Better than most frequent tag")
    assert {one.label for one in report.by_type} == {"LOC", "ORG", "PER"}
    other = learnt.evaluate(*sentences(100, 1))
    assert other.f1 is not None
    assert other.f1 > 0.6
    assert "span F1" in str(other)
    assert list(learnt.history) == ["loss", "val_loss", "val_f1"]


def test_tags_are_the_same_alone_and_among_longer_sentences(learnt: Tagger) -> None:
    tokens, _ = sentences(6, 3)
    several = learnt.predict([*tokens, tokens[0] * 4, []])
    assert several[-1].tokens == several[-1].tags == ()
    for row, one in zip(tokens, several, strict=False):
        (alone,) = learnt.predict([row])
        assert alone.tags == one.tags
        assert alone.probabilities == pytest.approx(one.probabilities, abs=1e-5)
        assert alone.spans == tuple(spans_of(alone.tags))
    (values,) = learnt.probabilities([tokens[0]])
    np.testing.assert_allclose(values.sum(1), 1, rtol=1e-5)


def test_texts_are_cut_into_words(learnt: Tagger) -> None:
    (told,) = learnt.predict(["Kalo met Miru in Solten, didn't she?"])
    assert told.tokens == ("Kalo", "met", "Miru", "in", "Solten", ",", "didn't", "she", "?")
    found = told.to_dict()
    assert [one["text"] for one in found["spans"]] == [
        " ".join(told.tokens[one.start : one.end]) for one in told.spans
    ]


def test_the_weights_are_those_of_the_best_f1() -> None:
    model = small(epochs=8, learning_rate=0.05)
    model.fit(*sentences(60), validation_share=0.3, verbose=0)
    assert model.report.part == "validation"
    assert model.report.f1 == pytest.approx(max(model.history["val_f1"]))
    assert model.report.f1 > 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_come_back_in_the_scheme_of_the_training(scheme: str) -> None:
    tokens, tags = sentences(24)
    # Two names of one type that touch: only then does IOB1 have a B.
    tokens, tags = [*tokens, ["Kalo", "Miru"]], [*tags, ["B-PER", "B-PER"]]
    rows = [tags_of(spans_of(row), len(row), scheme) for row in tags]
    model, usual = small(epochs=1), small(epochs=1)
    model.fit(tokens, rows, validation_share=0, verbose=0)
    usual.fit(tokens, tags, validation_share=0, verbose=0)
    assert model.scheme == scheme
    assert model.labels.names == usual.labels.names
    for one, other in zip(model.predict(tokens), usual.predict(tokens), strict=True):
        assert one.spans == other.spans
        assert list(one.tags) == tags_of(other.spans, len(other.tags), scheme)


def test_plain_tags_are_measured_by_accuracy(tmp_path: Path) -> None:
    tokens, tags = sentences(60)
    plain = [["NAME" if tag != "O" else "WORD" for tag in row] for row in tags]
    model = small(epochs=6, learning_rate=0.03)
    report = model.fit(tokens, plain, test_share=0.1, verbose=0)
    assert (model.scheme, report.f1, report.measure) == (None, None, "accuracy")
    assert report.accuracy is not None
    # Capital letters tell names that were never seen.
    assert report.accuracy > 0.9 > report.baselines[FrequentTags.name]
    assert list(model.history) == ["loss", "val_loss", "val_accuracy"]
    strange = model.evaluate([["Kalo", "met"]], [["NAME", "VERB"]])
    assert strange.accuracy == 0.5
    assert strange.scores is not None
    assert [one.label for one in strange.scores.by_label] == ["NAME", "WORD", "VERB"]
    assert report.picture(tmp_path / "tags.png").exists()


def test_files_are_read_as_in_training(tmp_path: Path) -> None:
    train, test = tmp_path / "train.conll", tmp_path / "test.conll"
    train.write_text(as_conll(*sentences(30)))
    test.write_text(as_conll(*sentences(10, 1)))
    model = small(epochs=1)
    report = model.fit(train, test=test, tag=2, token="0", verbose=0)
    assert (report.held_out, model.columns) == (10, ("0", 2))
    assert model.evaluate(test).to_dict() == {**report.to_dict(), "part": "other"} | {
        "scores": {**report.to_dict()["scores"], "part": "other tokens"}
    }
    with pytest.raises(ArgumentError, match="token: expected a column from 0 to 2"):
        model.evaluate(test, token=5)


# Parts ------------------------------------------------------------------------------------------------------


def test_the_best_path_is_the_best_of_all_paths() -> None:
    names = ("B-A", "B-B", "I-A", "I-B", "O")
    draw = np.random.default_rng(0)
    scores = torch.from_numpy(draw.normal(size=(8, 4, 5)))
    lengths = torch.tensor([4, 3, 2, 1, 4, 4, 3, 4])
    allowed = {
        size: [
            path
            for path in itertools.product(range(5), repeat=size)
            # What is inside goes on with its own type.
            if all(
                names[one][0] != "I" or (step > 0 and names[path[step - 1]][1:] == names[one][1:])
                for step, one in enumerate(path)
            )
        ]
        for size in range(1, 5)
    }
    found = best_tags(scores, lengths, forbidden(names))
    for row, length, path in zip(scores.tolist(), lengths.tolist(), found, strict=True):
        assert tuple(path) == max(
            allowed[length], key=lambda one: sum(row[step][tag] for step, tag in enumerate(one))
        )
    assert best_tags(scores, lengths) == [
        row[:length].argmax(1).tolist() for row, length in zip(scores, lengths, strict=True)
    ]


def test_spans_are_right_if_place_and_type_are() -> None:
    right = [["B-X", "I-X", "O", "B-Y"], ["B-X", "O", "O", "O"]]
    said = [["B-X", "I-X", "O", "B-X"], ["B-X", "I-X", "O", "B-Y"]]
    found = score_spans(said, right)
    # 1 of 4 said is right, of 3 that there are.
    assert found[:3] == (1 / 4, 1 / 3, 2 / 7)
    assert [(one.label, one.precision, one.recall, one.rows) for one in found.by_type] == [
        ("X", 1 / 3, 1 / 2, 2),
        ("Y", 0.0, 0.0, 1),
    ]
    assert score_spans([["O"]], [["O"]])[:3] == (0.0, 0.0, 0.0)


def test_the_most_frequent_tag_of_each_token() -> None:
    found = FrequentTags.learn([["a", "b", "a"], ["a", "c"]], [["X", "Y", "Z"], ["X", "Y"]])
    assert found.tags(["a", "b", "new"]) == ["X", "Y", "X"]  # X is as frequent as Y
    assert FrequentTags.from_dict(found.to_dict()).tags(["a", "b", "new"]) == ["X", "Y", "X"]


def test_tokens_as_codes() -> None:
    codes, counts = TokenCodes.learn([["In", "in", "1987", "2003", "나비"]], True, 50, 2)
    assert codes.words == ("0000", "in")
    assert counts.tolist() == [0, 0, 2, 2]
    found = codes.encode(["IN", "x", "나비", "a" * 50])
    assert found[:, 0].tolist() == [3, 1, 1, 1]
    assert (found[2] > 0).sum() == 1 + 4  # ㄴㅏㅂㅣ
    assert (found[3] > 0).sum() == 1 + LONGEST
    assert TokenCodes.from_dict(codes.to_dict()).encode(["in"]).tolist() == codes.encode(["in"]).tolist()


def test_characters_do_not_depend_on_the_padding_beside_them() -> None:
    torch.manual_seed(0)
    read = CharacterFeatures(9, 4, 6)
    codes = torch.tensor([[3, 4, 0, 0, 0, 0], [5, 6, 7, 8, 2, 0], [0] * 6])
    with torch.no_grad():
        together, alone = read(codes), read(codes[:1, :2])
    torch.testing.assert_close(together[:1], alone)
    assert not together[2].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a b"], [["O"]]), r"data\[0\]: expected a list of texts, got 'a b'"),
        (([["a", "b"]], [["O"]]), r"data\[0\]: expected a tag for each of its 2 tokens, got 1"),
        (([["a", ""]], [["O", "O"]]), r"data\[0\]\[1\]: expected a text, got ''"),
        (([[]], [[]]), r"data\[0\]: expected a sentence of one token or more"),
        (([["a"]] * 9, [["O"]]), r"tags: expected a list for each of 9 sentences, got 1"),
        (([], []), "data: expected one sentence or more, got none"),
        (([["a"], ["b"]] * 9, [["O"]] * 18), "expected at least two classes"),
    ],
)
def test_what_is_wrong_is_said_before_training(arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        small().fit(*arguments, validation_share=0, verbose=0)
