"""Translators: what they learn, what they write, where they look, what they refuse."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from nabi import Translator, cells
from nabi.cells import Cell
from nabi.errors import ArgumentError, NotFiniteError, UnknownNameError
from nabi.ir.functions import sigmoid, tanh
from nabi.models import TranslatorReport

NUMBERS = ("zero", "one", "two", "three", "four")
# Numbers backwards in digits: all of up to three numbers.
DIGITS = [combination for length in (1, 2, 3) for combination in product(range(5), repeat=length)]
SOURCES = [" ".join(NUMBERS[digit] for digit in digits) for digits in DIGITS]
TARGETS = [" ".join(str(digit) for digit in reversed(digits)) for digits in DIGITS]


def small(**options: Any) -> Translator:
    chosen = {"units": 12, "embedding_size": 8, "batch_size": 16, "epochs": 2, "dropout": 0.1, "warmup": 4}
    return Translator(**{**chosen, **options})


def learning(**options: Any) -> Translator:
    chosen = {"units": 32, "embedding_size": 32, "epochs": 24, "learning_rate": 0.015, "dropout": 0.0}
    return small(**{**chosen, "label_smoothing": 0.0, **options})


@pytest.fixture(scope="module")
def learnt() -> Translator:
    """A translator that has learnt to turn numbers around."""
    translator = learning()
    translator.fit(SOURCES, TARGETS, verbose=0)
    return translator


class MinimalGatedUnit(Cell):
    """A cell of one's own, as the documents have it."""

    states = ("h",)

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine("f", x, h))
        candidate = tanh(self.affine("h", x, h=f * h))
        return (1 - f) * h + f * candidate


# Learning ---------------------------------------------------------------------------------------------------


def share_right(translator: Translator) -> float:
    written = [found.text for found in translator.translate(SOURCES)]
    return float(np.mean([one == other for one, other in zip(written, TARGETS, strict=True)]))


def test_it_learns_what_it_is_shown(learnt: Translator) -> None:
    """All pairs are right, those that were held out among them."""
    assert share_right(learnt) == 1
    assert learnt.report.validation is not None
    assert learnt.report.validation < 0.1 < 1 < learnt.history["val_loss"][0]


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize(
    "options",
    [
        {"attention": "bahdanau"},
        {"input_feeding": True, "cell": "lstm"},
        {"attention": None, "epochs": 45},
        {"unit": "words", "layers": 2, "bidirectional": False, "tied": False},
    ],
)
def test_it_learns_in_every_form(options: dict[str, Any]) -> None:
    translator = learning(**options)
    translator.fit(SOURCES, TARGETS, validation_share=0, verbose=0)
    assert share_right(translator) > 0.97


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("peephole-lstm", {"layers": 2}),
        ("projected-lstm", {"attention": "bahdanau"}),
        (MinimalGatedUnit, {"layers": 2, "scheduled_sampling": 0.5}),
        (MinimalGatedUnit, {"bidirectional": False, "attention": None}),
        (cells.ZoneoutLSTM(12), {"input_feeding": True}),
    ],
)
def test_any_cell_learns(cell: Any, options: dict[str, Any]) -> None:
    translator = small(cell=cell, epochs=4, learning_rate=0.01, **options)
    translator.fit(SOURCES[::3], TARGETS[::3], verbose=0)
    losses = translator.history["loss"]
    assert losses[-1] < losses[0] - 0.1
    assert translator.translate(SOURCES[:3]) == translator.translate(SOURCES[:3])


@pytest.mark.parametrize("unit", ["subwords", "words", "characters", "pieces"])
def test_every_unit_gives_text(unit: str) -> None:
    """Spaces and marks are where a reader expects them."""
    questions = ["Who are you?", "What's that?", "Where is it?"]
    answers = ["I'm nabi, a butterfly.", "That's a song (of one).", "Here, in Korea!"]
    translator = learning(unit=unit, vocabulary_size=200, epochs=80, maxlen=None)
    report = translator.fit(questions, answers, validation_share=0, verbose=0)
    assert [found.text for found in translator.translate(questions)] == answers
    assert report.unit == unit
    assert report.validation is None
    assert "nothing was held out" in str(report)


def test_averages_and_patience_are_used() -> None:
    averaged, plain = small(averaging=0.9), small()
    for translator in (averaged, plain):
        translator.fit(SOURCES, TARGETS, verbose=0)
    assert averaged.history["loss"] == plain.history["loss"]
    assert averaged.history["val_loss"] != plain.history["val_loss"]
    patient = small(patience=1, epochs=50, learning_rate=0.5, schedule="constant")
    patient.fit(SOURCES, TARGETS, verbose=0)
    assert len(patient.history["loss"]) < 50


def test_scheduled_sampling_changes_training_only() -> None:
    with_it, without = small(scheduled_sampling=1.0), small()
    reports = [translator.fit(SOURCES, TARGETS, verbose=0) for translator in (with_it, without)]
    # It begins without any, so the first batch is the same; the loss of the epoch is not.
    assert with_it.history["loss"] != without.history["loss"]
    assert all(translator.evaluate(["one"], ["1"]) > 0 for translator in (with_it, without))
    assert reports[0].validation == pytest.approx(with_it.history["val_loss"][-1])


def test_a_seed_gives_the_same_model_and_leaves_random_numbers_alone() -> None:
    before = torch.random.get_rng_state()
    models = [small(seed=seed) for seed in (1, 1, 2)]
    for model in models:
        model.fit(SOURCES, TARGETS, verbose=0)
    weights = [model.network.state_dict()["encoder.embedding.embeddings"] for model in models]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(before, torch.random.get_rng_state())


def test_epochs_are_chosen_from_the_number_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nabi.models._translator._model._EPOCHS_OF_ONE", 80)
    translator = small(epochs=None)
    report = translator.fit(SOURCES, TARGETS, verbose=0)
    assert translator.settings.epochs == round(80 / report.train_pairs**0.5) == 7


# Measuring --------------------------------------------------------------------------------------------------


def test_evaluate_is_the_mean_over_all_codes(learnt: Translator) -> None:
    """Of each pair by itself, without padding, the end counted."""
    total, count = 0.0, 0
    for source, target in zip(SOURCES[:40], TARGETS[:40], strict=True):
        (left,) = learnt.source_vocabulary.encode([source])
        (right,) = learnt.target_vocabulary.encode([target])
        read = torch.from_numpy(right.astype(np.int64))[None]
        said = torch.cat([read[0, 1:], torch.tensor([1])])
        codes = torch.from_numpy(left[1:].astype(np.int64))[None]
        with torch.no_grad():
            memory = learnt.network.encoder(codes, torch.tensor([codes.shape[1]]))
            logits = learnt.network.decoder(memory, read)[0]
        total += float(functional.cross_entropy(logits, said, reduction="sum"))
        count += len(said)
    assert learnt.evaluate(SOURCES[:40], TARGETS[:40]) == pytest.approx(total / count, rel=1e-4, abs=1e-6)


def test_the_report_says_what_was_left_out() -> None:
    translator = small(maxlen=6, epochs=1)
    sources = [*SOURCES, "", "one " * 7, "two"]
    targets = [*TARGETS, "1", "1", " "]
    report = translator.fit(sources, targets, validation=(["one", "two six"], ["1", ""]), verbose=0)
    assert report.train_pairs == len(SOURCES)
    assert report.validation_pairs == 1
    assert report.left_out == 4
    assert report.first_left_out == [
        f"sources[{len(SOURCES)}] is empty",
        f"sources[{len(SOURCES) + 1}] has 7 subwords",
        f"targets[{len(SOURCES) + 2}] is empty",
        "validation targets[1] is empty",
    ]
    assert f"left out: 4 (sources[{len(SOURCES)}] is empty;" in str(report)
    assert f"pairs: {len(SOURCES)} to learn from, 1 for validation" in str(report)
    assert f"validation: {report.validation:.4f} nats per subword" in str(report)
    assert not report.interrupted
    assert TranslatorReport.from_dict(report.to_dict()) == report


def test_the_report_says_what_was_unknown() -> None:
    translator = small(unit="words", epochs=1)
    report = translator.fit(SOURCES, TARGETS, validation=(["one six", "two"], ["1 6 7 8", "2"]), verbose=0)
    assert report.unknown_source == pytest.approx(1 / 3)
    assert report.unknown_target == pytest.approx(3 / 5)
    assert (report.source_codes, report.target_codes) == (5, 5)
    assert "known: 5 words of the sources (33.33% unknown), 5 of the targets (60.00% unknown)" in str(report)
    assert translator.unknown("one six two seven six") == ["six", "seven"]


# Writing ----------------------------------------------------------------------------------------------------


def test_together_is_as_one_by_one(learnt: Translator) -> None:
    """Whatever is translated beside it, and in which order."""
    sources = [SOURCES[place] for place in (100, 2, 40, 77, 5, 31)]
    sources.append("one two three four " * 6)  # longer than all that was learnt from
    together = learnt.translate(sources, best=3)
    for source, found in zip(sources, together, strict=True):
        (alone,) = learnt.translate([source], best=3)
        assert alone.text == found.text
        assert alone.log_probability == pytest.approx(found.log_probability, rel=1e-3, abs=1e-4)
        assert [other.text for other in alone.others] == [other.text for other in found.others]


def test_several_translations_are_in_their_order(learnt: Translator) -> None:
    ((first),) = learnt.translate(["one two"], best=4, length_penalty=1.0)
    scores = [first.score, *(other.score for other in first.others)]
    assert len(first.others) == 3
    assert scores == sorted(scores, reverse=True)
    assert len({first.text, *(other.text for other in first.others)}) == 4
    assert first.score == pytest.approx(first.log_probability / 3, rel=1e-5)
    assert first.ended
    assert learnt.translate([]) == []


def test_a_log_probability_is_what_evaluate_says(learnt: Translator) -> None:
    (found,) = learnt.translate(["three one"], beam=1)
    assert -found.log_probability / 3 == pytest.approx(learnt.evaluate(["three one"], [found.text]), abs=1e-4)


def test_maxlen_ends_a_translation(learnt: Translator) -> None:
    (found,) = learnt.translate(["one two three"], beam=1, maxlen=2)
    assert not found.ended
    assert len(found.text.split()) == 2


def test_long_targets_may_be_written() -> None:
    """An answer may be far longer than its question."""
    translator = learning(epochs=100, unit="words")
    answers = [" ".join(chr(number) for number in range(ord("a"), ord("z") + 1)), "none"]
    translator.fit(["long", "short"], answers, validation_share=0, verbose=0)
    assert translator.room == 26 - 2
    assert [found.text for found in translator.translate(["long", "short"])] == answers


def test_attention_says_where_it_looked(learnt: Translator) -> None:
    looked = learnt.attention("one two  three")
    assert looked.source == ("▁one", "▁two", "▁three")
    assert looked.target == ("▁3", "▁2", "▁1")
    assert looked.weights.shape == (3, 3)
    assert looked.weights.sum(1) == pytest.approx(np.ones(3), abs=1e-5)
    given = learnt.attention("one two three", "3 2 1")
    assert given.target == looked.target
    assert given.weights == pytest.approx(looked.weights)
    assert learnt.attention("one two", "4").weights.shape == (1, 2)


# Refusing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "targets", "options", "message"),
    [
        ([], [], {}, "sources, targets: none of the 0 pairs to learn from has text on both sides"),
        (["", "a"], ["b", " "], {}, "none of the 2 pairs to learn from has text on both sides"),
        (["a"], ["b", "c"], {}, "sources, targets: got 1 and 2 texts"),
        (["a"], ["b"], {"validation": (["a"], [])}, "validation sources, validation targets: got 1 and 0"),
        (["a"], ["b"], {"validation": (["a"], [""])}, "validation: no pair is left of 1: validation targets"),
        (["a"], ["b"], {"validation": 3}, "validation: expected a list or None, got 3"),
        (["a"], ["b"], {"validation_share": 1}, "validation_share: expected a rate of at least 0 and below"),
        (["a b c d"], ["a b c d"], {}, r"no pair is left of 1: sources\[0\] has 4 words"),
    ],
)
def test_pairs_that_cannot_be_learnt_from_are_refused(
    sources: Any, targets: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        small(unit="words", maxlen=3).fit(sources, targets, verbose=0, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cell": "gruu"}, UnknownNameError, "gru"),
        ({"units": 0}, ArgumentError, "units: expected a whole number of at least 1, got 0"),
        ({"attention": "loung"}, UnknownNameError, "luong"),
        (
            {"attention": None, "input_feeding": True},
            ArgumentError,
            "input_feeding: expected attention='luong' beside it",
        ),
        ({"unit": "word"}, UnknownNameError, "words"),
        ({"schedule": "cosinus"}, UnknownNameError, "cosine"),
        ({"maxlen": 0}, ArgumentError, "maxlen: expected a whole number of at least 1 or None, got 0"),
        ({"patience": 0}, ArgumentError, "patience: expected a whole number of at least 1 or None, got 0"),
        ({"averaging": 1.0}, ArgumentError, r"averaging: expected a rate of at least 0 and below 1, got"),
        ({"label_smoothing": -0.1}, ArgumentError, r"label_smoothing: expected a rate of at least 0 and"),
        ({"scheduled_sampling": 1.1}, ArgumentError, r"scheduled_sampling: expected a probability from 0"),
        ({"clipnorm": 0}, ArgumentError, "clipnorm: expected a number above 0, got 0"),
        ({"bidirectional": "yes"}, ArgumentError, "bidirectional: expected True or False, got 'yes'"),
        ({"vocabulary_size": 5}, ArgumentError, "vocabulary_size: expected a whole number of at least 6 or"),
    ],
)
def test_settings_that_cannot_be_used(
    options: dict[str, Any], error: type[ArgumentError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Translator(**options)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda t: t.translate("one"), "sources: expected a list of texts, got 'one'"),
        (lambda t: t.translate(["one", " "]), r"sources\[1\]: expected text that is not empty, got ' '"),
        (lambda t: t.translate(["one"], beam=0), "beam: expected a whole number of at least 1, got 0"),
        (lambda t: t.translate(["one"], best=6), "best: expected at most the beam of 5, got 6"),
        (lambda t: t.translate(["one"], length_penalty=-1), "length_penalty: expected a number from 0 to"),
        (lambda t: t.translate(["one"], maxlen=0), "maxlen: expected a whole number of at least 1 or None,"),
        (lambda t: t.evaluate(["one"], []), "got 1 and 0 texts"),
        (lambda t: t.evaluate([], []), "no pairs were given"),
        (lambda t: t.evaluate(["one"], [""]), r"targets\[0\]: expected text that is not empty, got ''"),
        (lambda t: t.attention(""), "source: expected text that is not empty, got ''"),
        (lambda t: t.attention("one", ""), "translation: expected text that is not empty, got ''"),
    ],
)
def test_questions_that_have_no_answer(learnt: Translator, ask: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ask(learnt)


def test_there_is_no_attention_to_show_without_any() -> None:
    translator = small(attention=None, epochs=1)
    translator.fit(SOURCES, TARGETS, verbose=0)
    with pytest.raises(ArgumentError, match="attention: this translator was made without"):
        translator.attention("one")


def test_nothing_can_be_asked_before_it_has_learnt() -> None:
    for ask in (
        lambda t: t.translate(["a"]),
        lambda t: t.attention("a"),
        lambda t: t.evaluate(["a"], ["b"]),
        lambda t: t.unknown("a"),
        lambda t: t.save("x"),
    ):
        with pytest.raises(ArgumentError, match="not fitted"):
            ask(small())


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    with pytest.raises(NotFiniteError, match="loss: it became nan in epoch"):
        small(cell=cells.SimpleRNN(12, activation="relu"), learning_rate=1e30, warmup=0).fit(
            SOURCES, TARGETS, verbose=0
        )
