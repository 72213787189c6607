"""Language models: what they learn, how their states go on, what they write, what they refuse."""

import gc
import math
import tracemalloc
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from nabi import LanguageModel, cells
from nabi.data import Vocabulary
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, NotFiniteError, UnknownNameError
from nabi.models._language._network import LanguageNetwork, LanguageSteps
from nabi.models._language._settings import LanguageSettings
from nabi.models._language._training import Streams, Training, nats

TEXT = "the cat sat on the mat. the dog sat on the log. " * 30
SMALL: dict[str, Any] = {"units": 12, "embedding_size": 8, "window": 16, "batch_size": 4, "warmup": 4}


def small(**options: Any) -> LanguageModel:
    return LanguageModel(**{**SMALL, "epochs": 3, **options})


@pytest.fixture(scope="module")
def learnt() -> LanguageModel:
    """A model that knows the text by heart."""
    model = small(units=32, window=32, epochs=80, learning_rate=0.01, dropout=0.0, seed=1)
    model.fit([TEXT], verbose=0)
    return model


# Learning ---------------------------------------------------------------------------------------------------


def test_it_learns_and_the_report_says_how_well(learnt: LanguageModel) -> None:
    report = learnt.report
    assert report.validation is not None
    assert report.test is not None
    assert report.validation < 0.3 < 1.5 < learnt.history["val_loss"][0]
    assert (report.train_codes, report.validation_codes, report.test_codes) == (1296, 72, 72)
    assert report.unit == "characters"
    assert not report.interrupted
    assert f"validation: {report.validation:.4f} nats per character" in str(report)
    held_out = [TEXT[1296:1368]]
    assert learnt.evaluate(held_out) == pytest.approx(report.validation)


def test_the_best_weights_are_kept(learnt: LanguageModel) -> None:
    """Those of the lowest validation loss, which was measured in one stream here."""
    assert learnt.report.validation == pytest.approx(min(learnt.history["val_loss"]), rel=1e-4)


def test_streams_are_the_text_shifted_by_one() -> None:
    streams = Streams(torch.arange(100, 121), rows=2, window=4, offset=1)
    x, y = (torch.cat(parts, dim=1) for parts in zip(*streams.windows(), strict=True))
    start = Vocabulary.START
    assert y.tolist() == [list(range(101, 111)), list(range(111, 121))]
    assert x.tolist() == [[start, *range(101, 110)], [start, *range(111, 120)]]
    assert streams.count == 3
    assert [len(y[0]) for _, y in streams.windows(first=1)] == [4, 2]
    several = Streams(torch.arange(100, 121), rows=2, window=4, offset=1, several=True)
    assert next(several.windows())[0][:, 0].tolist() == [100, 110]
    several = Streams(torch.arange(100, 121), rows=2, window=4, several=True)
    assert next(several.windows())[0][:, 0].tolist() == [start, 109]


def test_states_go_on_from_window_to_window() -> None:
    """What the loss is does not depend on where windows end, nor on how long they are."""
    network = LanguageNetwork(9, LanguageSettings(units=5, layers=2, embedding_size=4), cells.LSTM(5))
    codes = np.random.default_rng(0).integers(4, 9, 1100)
    once = torch.from_numpy(np.concatenate([[Vocabulary.START], codes[:-1]]))[None]
    with torch.no_grad():
        logits, _ = network(once, network.start(1))
    whole = float(functional.cross_entropy(logits[0], torch.from_numpy(codes)))
    assert nats(network, codes) == pytest.approx(whole, rel=1e-5)


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize("cell", ["gru", "peephole-lstm", "projected-lstm", cells.ZoneoutLSTM(12)])
def test_any_cell_learns(cell: Any) -> None:
    model = small(cell=cell, layers=2)
    model.fit([TEXT], verbose=0)
    losses = model.history["loss"]
    assert losses[-1] < losses[0] - 0.1
    assert len("".join(model.write("the ", 20))) == 20


def test_words_are_learnt_with_tied_weights() -> None:
    model = small(unit="words", tied=True, units=24, epochs=30, learning_rate=0.02)
    model.fit(["(One, two) isn't film's three. " * 60], verbose=0)
    # The matrix is the embedding, behind a layer that fits the widths.
    names = set(dict(model.network.named_parameters()))
    assert not any("readout" in name for name in names)
    assert "projection.kernel" in names
    assert model.next_words("(One,", 2)[0].word == "two"
    # Spaces are where a reader expects them.
    assert "".join(model.write("(One", 10, temperature=0)) == ", two) isn't film's three. (One"


def test_all_kinds_of_dropout_work_in_training_only() -> None:
    dropout = {"embedding_dropout": 0.1, "input_dropout": 0.2, "dropout": 0.3, "weight_drop": 0.4}
    settings = LanguageSettings(units=6, layers=2, embedding_size=8, **dropout)
    network = LanguageNetwork(9, settings, cells.LSTM(6))
    codes = torch.randint(4, 9, (3, 7))
    with torch.no_grad():
        plain = [network(codes, network.start(3))[0] for _ in range(2)]
        draws = [network(codes, network.start(3), torch.Generator().manual_seed(s))[0] for s in (0, 0, 1)]
    assert torch.equal(*plain)
    assert torch.equal(draws[0], draws[1])
    assert not torch.allclose(draws[0], draws[2])
    for name in dropout:  # each of them does something
        alone = LanguageSettings(units=6, layers=2, embedding_size=8, **{name: 0.5})
        other = LanguageNetwork(9, alone, cells.LSTM(6))
        with torch.no_grad():
            dropped = other(codes, other.start(3), torch.Generator().manual_seed(0))[0]
            assert not torch.allclose(dropped, other(codes, other.start(3))[0])


def test_dropout_of_outputs_is_the_same_at_all_steps() -> None:
    settings = LanguageSettings(units=40, embedding_size=8, dropout=0.5)
    network = LanguageNetwork(9, settings, cells.SimpleRNN(40))
    seen: list[torch.Tensor] = []
    readout = network.readout
    assert readout is not None
    network.readout_weights = lambda: (torch.eye(40), torch.zeros(40))  # type: ignore[method-assign]
    with torch.no_grad():
        seen.append(
            network(torch.randint(4, 9, (2, 6)), network.start(2), torch.Generator().manual_seed(3))[0]
        )
    zero = seen[0] == 0
    assert bool((zero == zero[:, :1]).all())
    assert 0.2 < float(zero.float().mean()) < 0.8
    assert not torch.equal(zero[0], zero[1])


def test_the_learning_rate_rises_and_falls() -> None:
    settings = LanguageSettings(learning_rate=1.0, warmup=10)
    rates = [settings.rate(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[-1] == pytest.approx(0.02, abs=0.001)
    assert all(one > other for one, other in pairwise(rates[10:]))
    constant = LanguageSettings(learning_rate=1.0, warmup=0, schedule="constant")
    assert {constant.rate(step, 10) for step in range(10)} == {1.0}


# Writing ----------------------------------------------------------------------------------------------------


def test_it_writes_what_it_has_learnt(learnt: LanguageModel) -> None:
    assert "".join(learnt.write("the cat ", 16, temperature=0)) == "sat on the mat. "
    written = "".join(learnt.write("", 300, temperature=0.5, seed=4))
    assert len(written) == 300
    assert set(written.split()) <= set(TEXT.split()) | {written.split()[0], written.split()[-1]}
    assert written != "".join(learnt.write("", 300, temperature=0.5, seed=5))
    assert written == "".join(learnt.write("", 300, temperature=0.5, seed=4))


def test_text_streams_while_it_is_written(learnt: LanguageModel) -> None:
    """Any length may be asked for: nothing is written that nobody takes."""
    stream = learnt.write("the ", 10**9, seed=1)
    first = "".join(islice(stream, 50))
    assert first == "".join(learnt.write("the ", 50, seed=1))


def test_it_learns_how_a_text_begins() -> None:
    """Rows begin anew now and then, else states of zero would be met at the first window alone."""
    network = LanguageNetwork(9, LanguageSettings(units=5, embedding_size=4), cells.LSTM(5))
    settings = LanguageSettings(epochs=1, batch_size=40, window=8)
    training = Training(network, np.arange(4000) % 5 + 4, np.empty(0, dtype=np.int64), settings, None)
    training.states = [tuple(torch.ones(40, 5) for _ in range(2))]
    x, begun = torch.full((40, 8), 7), 0
    for _ in range(50):
        inputs, ((h, c),) = training._begin_some(x)
        fresh = inputs[:, 0] == Vocabulary.START
        assert torch.equal(fresh, h[:, 0] == 0)
        assert torch.equal(fresh, c.sum(1) == 0)
        assert bool((inputs[:, 1:] == 7).all())
        begun += int(fresh.sum())
    assert 10 < begun < 90  # 2 of 100 of 2000
    assert bool((x == 7).all())


def test_any_length_takes_the_same_memory(learnt: LanguageModel) -> None:
    """Nothing of what was written is kept; a hundred bytes for each character would be seen."""
    tracemalloc.start()
    try:
        written = learnt.write("the ", 6000)
        used = []
        for count in (1000, 5000):
            for _ in islice(written, count):
                pass
            gc.collect()
            used.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert used[1] - used[0] < 100_000


def test_a_step_with_prepared_weights_is_a_step_of_the_network() -> None:
    for tied, layers in ((False, 1), (True, 2)):
        settings = LanguageSettings(units=6, layers=layers, embedding_size=5, tied=tied)
        network = LanguageNetwork(9, settings, cells.GRU(6))
        codes = torch.randint(4, 9, (3, 5))
        with torch.no_grad():
            logits, _ = network(codes, network.start(3))
        banned = [0, 3]
        logits[..., banned] = -math.inf
        steps = LanguageSteps(network, banned)
        state = steps.start(codes[:, :2])
        for at in range(2, 5):
            log_probabilities, state = steps.step(codes[:, at], state)
            torch.testing.assert_close(log_probabilities, logits[:, at].log_softmax(-1), atol=1e-5, rtol=0)


def test_reserved_codes_are_never_written() -> None:
    model = small(epochs=1)
    model.fit([TEXT], verbose=0)
    written = "".join(model.write("", 400, temperature=3.0))
    assert "[" not in written


def test_a_model_of_several_texts_ends_them(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["anna", "otto", "hannah", "bob"] * 40), encoding="utf-8")
    model = small(units=24, epochs=40, learning_rate=0.02)
    model.fit(names, lines=True, verbose=0)
    assert model.ends
    written = {"".join(model.write(temperature=0.7, seed=seed)) for seed in range(12)}
    assert written <= {"anna", "otto", "hannah", "bob"}
    assert len(written) > 1
    # A text knows nothing of the one before it: how probable it is does not depend on that.
    alone, after = (model.evaluate(texts, lines=False) for texts in (["bob"], ["otto", "bob"]))
    assert model.evaluate(["otto"]) * 5 + alone * 4 == pytest.approx(after * 9, rel=1e-4)


def test_next_words_of_a_model_of_characters_are_spelt(learnt: LanguageModel) -> None:
    found = learnt.next_words("the cat sat on the", 3)
    assert found[0].word == "mat"
    assert found[0].probability > 0.4
    assert sum(word.probability for word in found) <= 1 + 1e-6
    assert [word.probability for word in found] == sorted((w.probability for w in found), reverse=True)


def test_unknown_characters_of_a_start_are_named(learnt: LanguageModel) -> None:
    assert learnt.unknown("the ÿ catß ÿ") == ["ÿ", "ß"]
    with pytest.raises(ArgumentError, match=r"start: 'ÿ', 'ß' is not among the 14 characters"):
        learnt.write("the ÿ catß")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "length: expected a whole number of at least 1, got 0"),
        ({"temperature": -1}, "temperature: expected a number of at least 0, got -1"),
        ({"top_k": 0}, "top_k: expected a whole number of at least 1 or None, got 0"),
        ({"top_p": 2}, "top_p: expected a probability above 0 and at most 1, got 2"),
    ],
)
def test_what_cannot_be_written(learnt: LanguageModel, arguments: dict[str, Any], message: str) -> None:
    """Said by the call itself, not by the first piece."""
    with pytest.raises(ArgumentError, match=message):
        learnt.write("the", **arguments)
    with pytest.raises(ArgumentError, match="n: expected a whole number of at least 1, got 0"):
        learnt.next_words("the", 0)


# Bad input --------------------------------------------------------------------------------------------------


def test_texts_that_cannot_be_learnt_from_are_refused(tmp_path: Path) -> None:
    empty, short, latin = (tmp_path / name for name in ("empty.txt", "short.txt", "latin.txt"))
    empty.write_text(" \n\n ")
    short.write_text("too short")
    latin.write_bytes("café\n".encode("latin-1") * 50)
    with pytest.raises(ArgumentError, match=r"expected text to learn from, got an empty file: .*empty\.txt"):
        small().fit(empty)
    with pytest.raises(ArgumentError, match="its 8 characters to learn from are fewer than a window of 16"):
        small().fit(short)
    with pytest.raises(FileFormatError, match=r"latin\.txt, line 1: byte 4 of the text, 0xe9, is not utf-8"):
        small().fit(latin)
    small(epochs=1).fit(latin, encoding="latin-1", verbose=0)
    with pytest.raises(MissingFileError, match="there is no file"):
        small().fit(tmp_path / "none.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ArgumentError, match="path: expected texts in"):
        small().fit(tmp_path / "folder")
    with pytest.raises(ArgumentError, match="source: expected text to learn from, got empty texts"):
        small().fit(["", " "])
    with pytest.raises(ArgumentError, match="source: expected a path or a list of texts, got int"):
        small().fit(3)
    with pytest.raises(ArgumentError, match="leave nothing to learn from"):
        small().fit([TEXT], validation_share=0.5, test_share=0.5)
    with pytest.raises(ArgumentError, match="verbose: expected 0, 1, 2 or 'auto', got 7"):
        small().fit([TEXT], verbose=7)


def test_words_that_are_fewer_than_a_window_are_refused() -> None:
    with pytest.raises(ArgumentError, match="its 4 words to learn from are fewer than a window of 16"):
        small(unit="words").fit(["incomprehensibilities " * 4], validation_share=0, test_share=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cell": "lstn"}, UnknownNameError, "did you mean 'lstm'"),
        ({"unit": "letters"}, UnknownNameError, "unit: 'letters'"),
        ({"schedule": "linear"}, UnknownNameError, "schedule: 'linear'"),
        ({"units": 0}, ArgumentError, "units: expected a whole number of at least 1, got 0"),
        ({"epochs": 0}, ArgumentError, "epochs: expected a whole number of at least 1 or None, got 0"),
        ({"dropout": 1.0}, ArgumentError, r"dropout: expected a rate of at least 0 and below 1, got 1\.0"),
        ({"learning_rate": 0}, ArgumentError, "learning_rate: expected a number above 0, got 0"),
        ({"tied": "yes"}, ArgumentError, "tied: expected True or False, got 'yes'"),
    ],
)
def test_settings_that_cannot_be_used(
    options: dict[str, Any], error: type[ArgumentError], message: str
) -> None:
    with pytest.raises(error, match=message):
        LanguageModel(**options)


def test_nothing_can_be_asked_before_it_has_learnt() -> None:
    for ask in (lambda m: m.evaluate(["a"]), lambda m: m.next_words("a"), lambda m: m.unknown("")):
        with pytest.raises(ArgumentError, match="not fitted"):
            ask(small())


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    with pytest.raises(NotFiniteError, match="loss: it became nan in epoch"):
        small(cell=cells.SimpleRNN(12, activation="relu"), learning_rate=1e30, warmup=0).fit(
            [TEXT], verbose=0
        )
