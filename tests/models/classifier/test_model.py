"""From texts to labels: learning, asking, saving."""

import os
import signal
import time

import numpy as np
import pytest
import torch

import nabi
from nabi import cells, layers
from nabi.callbacks import Callback, LambdaCallback
from nabi.cells import Cell
from nabi.data import Labels, LengthGroups, Vocabulary
from nabi.errors import ArgumentError, NotFiniteError
from nabi.models import Prediction, Report, Sequential, TextClassifier
from nabi.models._classifier._network import read_codes

from ..task_checks import (
    Task,
    test_a_training_that_fails_leaves_the_model_as_it_was,  # noqa: F401
)

SMALL = {"units": 6, "embedding_size": 8, "epochs": 8, "learning_rate": 0.03, "batch_size": 16}


@pytest.fixture(scope="module")
def task(reviews):
    """For the check of all systems that needs no checkpoint: a text classifier has none."""
    return Task(
        make=lambda: TextClassifier(**SMALL | {"epochs": 1}),
        data=reviews,
        other_data=(),
        ask=lambda model: model.predict(["a lovely film"]),
        material="",
    )


@pytest.fixture(scope="module")
def learnt(reviews):
    classifier = TextClassifier(**SMALL)
    classifier.fit(*reviews, verbose=0)
    return classifier


def test_it_learns_what_decides(learnt):
    assert learnt.report.accuracy > 0.9
    assert learnt.report.rows == 30
    assert [each.label for each in learnt.report.by_label] == ["bad", "good"]
    first, second = learnt.predict(["a lovely film", "the actor was dreary and cold"])
    assert (first.label, second.label) == ("good", "bad")
    assert first.probability == first.probabilities["good"] > 0.5
    assert sum(first.probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_predictions_are_those_of_each_text_alone_and_in_order(learnt, reviews):
    texts = [*reviews[0][:70], "", "film"]
    together = learnt.probabilities(texts)
    alone = np.concatenate([learnt.probabilities([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert [prediction.probability for prediction in learnt.predict(texts)] == together.max(1).tolist()


def test_predictions_have_the_bits_of_the_network_as_training_calls_it(learnt, reviews):
    """Of batches padded to their longest text, and of texts alone."""
    texts = list(dict.fromkeys(reviews[0]))[:70]
    for given in (texts, *([text] for text in texts[:5])):
        codes = learnt.encode(given)
        groups = LengthGroups(codes, batch_size=64, shuffle=False, seed=0)
        recorded = np.empty((len(given), 2), np.float32)
        recorded[groups.order] = np.concatenate([learnt.model(x).detach().numpy() for x, *_ in groups])
        found = read_codes(learnt.model, codes, 2)
        assert found.tobytes() == recorded.tobytes()
        assert found.tobytes() != read_codes(learnt.model, codes[::-1], 2).tobytes() or len(given) == 1


def test_the_report_counts_what_predict_says(learnt, reviews):
    texts, labels = reviews
    report = learnt.evaluate(texts, labels)
    given = [prediction.label for prediction in learnt.predict(texts)]
    assert report.rows == 300
    assert report.accuracy == pytest.approx(np.mean([a == b for a, b in zip(given, labels, strict=True)]))
    pairs = list(zip(labels, given, strict=True))
    names = ("bad", "good")
    assert report.confusion == tuple(tuple(pairs.count((true, said)) for said in names) for true in names)


def test_the_network_is_a_plain_sequential_made_as_asked(reviews):
    classifier = TextClassifier("gru", **SMALL, pooling="last", bidirectional=False)
    classifier.fit(*reviews, verbose=0)
    assert type(classifier.model) is Sequential
    kinds = [type(layer).__name__ for layer in classifier.model.layers]
    assert kinds == ["Embedding", "SpatialDropout1D", "RNN", "Dropout", "Dense"]
    assert classifier.model.layers[2].cell == cells.GRU(6)
    assert classifier.model.layers[0].output_dim == 8


@pytest.mark.parametrize("pooling", ["max", "mean", "last"])
def test_padding_changes_nothing(reviews, pooling):
    classifier = TextClassifier(**SMALL | {"epochs": 1}, pooling=pooling, word_features=False)
    classifier.fit(*reviews, verbose=0)
    codes = classifier.encode(["a lovely film"])[0]
    padded = np.zeros((2, 40), dtype=np.int64)
    padded[0, : len(codes)] = codes
    padded[1, :] = 4
    alone = classifier.probabilities(["a lovely film"])[0]
    np.testing.assert_allclose(classifier.model.predict(padded)[0], alone, atol=1e-6)


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize("cell", ["simple-rnn", "peephole-lstm", "projected-lstm", cells.GRU, cells.LSTM(5)])
def test_any_cell_by_name_class_or_object(reviews, cell):
    settings = SMALL if not isinstance(cell, Cell) else {k: v for k, v in SMALL.items() if k != "units"}
    classifier = TextClassifier(cell, **settings | {"epochs": 1})
    classifier.fit(*reviews, verbose=0)
    assert classifier.settings.units == (5 if isinstance(cell, Cell) else 6)
    assert classifier.predict(["a lovely film"])[0].label in ("bad", "good")


def test_the_same_seed_gives_the_same_result_and_leaves_random_numbers_alone(reviews):
    def run(seed):
        classifier = TextClassifier(**SMALL | {"epochs": 2}, seed=seed)
        classifier.fit(*reviews, verbose=0)
        return classifier.probabilities(reviews[0])

    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first = run(1)
    assert torch.equal(torch.rand(2), expected)
    np.random.seed(77)
    assert np.array_equal(first, run(1))
    assert not np.array_equal(first, run(2))


def test_what_was_chosen_is_said(reviews, capsys):
    classifier = TextClassifier(**SMALL | {"epochs": 1, "batch_size": None})
    classifier.fit(*reviews, verbose=2)
    shown = capsys.readouterr().out
    assert "unit words (0% of the words of held-out texts would be unknown)" in shown
    assert "maxlen 50 (95 of 100 texts have at most" in shown
    assert "batch_size 32 (for 240 rows)" in shown
    assert "Epoch 1/1" in shown
    assert "epochs" not in classifier.reasons  # it was given


def test_words_that_are_rare_are_read_in_pieces(reviews):
    draw = np.random.default_rng(0)
    stems = ["".join(draw.choice(list("abdegiklmnoprstu"), 5)) for _ in range(150)]
    endings = [f"{a}{b}" for a in ("nun", "ga", "rul", "ero", "man") for b in ("yo", "da", "ni", "kka")]
    texts = [" ".join(draw.choice(stems) + draw.choice(endings) for _ in range(5)) for _ in range(200)]
    classifier = TextClassifier(**SMALL | {"epochs": 1})
    classifier.fit(texts, ["x", "y"] * 100, verbose=0)
    assert classifier.vocabulary.unit == "pieces"
    assert "would be unknown" in classifier.reasons["unit"]


# What is read of a text -------------------------------------------------------------------------------------


def test_an_empty_text_gets_the_shares_of_training(reviews):
    texts, labels = reviews
    classifier = TextClassifier(**SMALL | {"epochs": 1})
    classifier.fit(texts[:40:2] + texts[1::2], ["bad"] * 20 + labels[1::2], verbose=0)
    share = sum(label == "bad" for label in ["bad"] * 20 + labels[1::2]) / 170
    for text in ("", "  \n\t"):
        (prediction,) = classifier.predict([text])
        assert prediction.label == "good"
        assert prediction.probabilities["bad"] == pytest.approx(share, abs=0.01)
    assert classifier.predict([]) == []


def test_unknown_words_and_characters_are_read_as_unknown(learnt):
    (prediction,) = learnt.predict(["쀍 xyzzy \ud800 😀"])
    assert set(learnt.encode(["쀍 xyzzy"])[0][1:].tolist()) == {learnt.vocabulary.UNKNOWN}
    assert 0 < prediction.probability < 1


@pytest.mark.parametrize("truncating", ["post", "pre"])
def test_a_long_text_is_cut_quickly(reviews, truncating):
    classifier = TextClassifier(**SMALL | {"epochs": 1}, maxlen=12, truncating=truncating)
    classifier.fit(*reviews, verbose=0)
    start = time.perf_counter()
    long = "lovely " * 5_000 + "x" * 1_000_000 + " dull" * 5_000
    codes, unbroken = classifier.encode([long, "y" * 3_000_000])
    assert time.perf_counter() - start < 5
    word = "lovely" if truncating == "post" else "dull"
    assert codes.tolist() == [1] + [classifier.vocabulary.words.index(word)] * 11
    assert unbroken.tolist() == [1, classifier.vocabulary.UNKNOWN]
    assert len(classifier.predict([long])) == 1


# Stopping ---------------------------------------------------------------------------------------------------


def test_training_stops_early_with_the_best_weights(reviews):
    losses = []
    classifier = TextClassifier(**SMALL | {"epochs": 60}, patience=2)
    watch = LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["val_loss"]))
    texts, labels = reviews
    classifier.fit(texts, labels[:200] + labels[200:][::-1], verbose=0, callbacks=watch)
    assert len(losses) < 60
    assert losses[-1] > min(losses)
    assert classifier.history["val_loss"] == losses
    assert losses.index(min(losses)) == len(losses) - 3


class Interrupting(Callback):
    def __init__(self, epoch: int, batch: int) -> None:
        self.epoch, self.batch, self.now = epoch, batch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
@pytest.mark.parametrize("epoch", [0, 3])
def test_ctrl_c_keeps_what_has_been_learnt(reviews, epoch, tmp_path):
    classifier = TextClassifier(**SMALL)
    report = classifier.fit(*reviews, verbose=0, callbacks=Interrupting(epoch, 2))
    assert report.interrupted
    assert report.rows == 30
    assert len(classifier.history.get("loss", [])) == epoch
    classifier.save(tmp_path / "model.nabi")
    assert TextClassifier.load(tmp_path / "model.nabi").report == report


def test_a_loss_that_is_not_finite_is_said(reviews):
    with pytest.raises(NotFiniteError, match="learning rate"):
        TextClassifier(**SMALL | {"learning_rate": 1e38}).fit(*reviews, verbose=0)


# Arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "lstn"}, "cell: 'lstn' is not known; did you mean 'lstm'"),
        ({"cell": 3}, "cell: expected a name such as 'lstm'"),
        ({"cell": cells.LSTM(5), "units": 6}, "units: got 6, but the cell given has 5"),
        ({"units": 0}, "units: expected a whole number of at least 1 or None, got 0"),
        ({"maxlen": 3}, "maxlen: expected a whole number of at least 4 or None, got 3"),
        ({"vocabulary_size": 4}, "vocabulary_size: expected a whole number of at least 5 or None, got 4"),
        ({"unit": "word"}, "unit: 'word' is not known; did you mean 'words'"),
        ({"pooling": "maximum"}, "pooling: 'maximum' is not known"),
        ({"truncating": "end"}, "truncating: 'end' is not known"),
        ({"dropout": 1.0}, r"dropout: expected a rate of at least 0 and below 1, got 1\.0"),
        ({"learning_rate": 0}, "learning_rate: expected a number above 0 or None, got 0"),
        ({"class_weight": "even"}, "class_weight: expected 'auto', 'balanced' or None, got 'even'"),
        ({"word_features": 1.5}, "word_features: expected True or False, got 1.5"),
        ({"label_separator": ""}, "label_separator: expected text such as ';' or None, got ''"),
        ({"bidirectional": "yes"}, "bidirectional: expected True or False, got 'yes'"),
        ({"seed": -1}, r"seed: expected a whole number from 0 to 2\*\*63 - 1, got -1"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        TextClassifier(**arguments)


def test_what_has_learnt_nothing_cannot_be_asked(tmp_path):
    for ask in (
        lambda: TextClassifier().predict(["a"]),
        lambda: TextClassifier().evaluate(["a"], ["b"]),
        lambda: TextClassifier().save(tmp_path / "model.nabi"),
    ):
        with pytest.raises(ArgumentError, match="not fitted"):
            ask()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda one: one.predict("a text"), "texts: expected a list of texts, got 'a text'"),
        (lambda one: one.predict(["a", None]), r"texts\[1\]: expected a text, got None"),
        (lambda one: one.predict(["a"], ["b"]), "aspects: expected None, the classifier was trained without"),
        (lambda one: one.predict(["a"], threshold=2), "threshold: expected a number from 0 to 1, got 2"),
        (lambda one: one.evaluate(["a"]), "labels: expected the right ones"),
        (lambda one: one.evaluate(["a"], ["b", "c"]), "labels: expected 1, one for each text, got 2"),
        (lambda one: one.evaluate(["a"], ["goood"]), "'goood' is not known; did you mean 'good'"),
    ],
)
def test_wrong_questions(learnt, ask, message):
    with pytest.raises(ArgumentError, match=message):
        ask(learnt)


def test_it_is_public():
    assert nabi.TextClassifier is TextClassifier
    assert {Prediction.__name__, Report.__name__} <= set(nabi.models.__all__)


def own_network(outputs, activation, masked=True):
    vocabulary = Vocabulary.learn(["a good film", "a bad film"])
    stack = [layers.Embedding(len(vocabulary), 4, mask_zero=masked), layers.LSTM(3)]
    model = Sequential([layers.Input((None,)), *stack, layers.Dense(outputs, activation=activation)])
    return model, vocabulary


def test_one_output_is_the_probability_of_the_second_label(tmp_path):
    model, vocabulary = own_network(1, "sigmoid")
    classifier = TextClassifier.of(model, vocabulary, Labels(["no", "yes"]), maxlen=9, shares=[0.3, 0.7])
    texts = ["good", "a bad film", " "]
    expected = [float(model.predict(codes[None], verbose=0)[0, 0]) for codes in vocabulary.encode(texts[:2])]
    found = classifier.probabilities(texts)
    assert found[:, 1] == pytest.approx([*expected, 0.7], abs=1e-6)
    assert found.sum(1) == pytest.approx(1)
    classifier.save(tmp_path / "own.nabi")
    again = TextClassifier.load(tmp_path / "own.nabi")
    assert (again.probabilities(texts) == found).all()
    with pytest.raises(ArgumentError, match="report: the classifier was not measured"):
        _ = again.report
    assert again.evaluate(["good"], ["yes"]).rows == 1


@pytest.mark.parametrize(
    ("outputs", "names", "masked", "message"),
    [
        (1, ["a", "b", "c"], True, "1 outputs for 3 labels"),
        (4, ["a", "b", "c"], True, "4 outputs for 3 labels"),
        (2, ["a", "b"], False, "no mask_zero"),
    ],
)
def test_parts_that_do_not_fit_are_refused(outputs, names, masked, message):
    model, vocabulary = own_network(outputs, "softmax", masked)
    with pytest.raises(ArgumentError, match=f"do not fit together: .*{message}"):
        TextClassifier.of(model, vocabulary, Labels(names), maxlen=9)


def test_a_vocabulary_of_another_size_is_refused():
    model, _ = own_network(2, "softmax")
    with pytest.raises(ArgumentError, match="knows 8 codes, its vocabulary"):
        TextClassifier.of(model, Vocabulary.learn(["others"]), Labels(["a", "b"]), maxlen=9)
