"""Models of notes: what they learn, measure and compose."""

import itertools
import math
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import torch

import nabi
from nabi.callbacks import LambdaCallback
from nabi.cells import Cell
from nabi.data import Piece, write_midi_frames
from nabi.errors import ArgumentError, MissingFileError, UnknownNameError
from nabi.models import NoteModel
from nabi.models._notes._pieces import Rolls, batch_of, excerpts
from nabi.models._notes._sampling import FrameSampling
from nabi.models._notes._training import nats_per_frame

SMALL: dict[str, Any] = {"units": 16, "embedding_size": 8, "dropout": 0.0, "batch_size": 4}
QUICK: dict[str, Any] = {**SMALL, "epochs": 2}
SCALE = [(60,), (62,), (64,), (65,), (60, 67)]
CADENCE = [(53, 57, 60), (55, 59, 62), (48, 55, 60, 64)]


def learn(pieces: Any, labels: Any = None, **settings: Any) -> NoteModel:
    model = NoteModel(**{**SMALL, "epochs": 60, "learning_rate": 0.05, **settings})
    model.fit(pieces, labels, validation_share=0, test_share=0, verbose=0)
    return model


@pytest.mark.parametrize("output", ["keys", "chords"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "simple-rnn"])
def test_it_learns_a_piece_and_where_it_ends(cell: str, output: str) -> None:
    model = learn([CADENCE + SCALE] * 4, cell=cell, output=output)
    assert list(model.write(temperature=0)) == CADENCE + SCALE
    assert list(model.write(CADENCE[:2], temperature=0)) == CADENCE[2:] + SCALE
    assert list(model.write(temperature=0, frames=3)) == CADENCE
    assert len(list(model.write(temperature=0, frames=30, ends=False))) == 30


def test_the_measure_is_that_of_independent_keys_from_an_empty_frame_on() -> None:
    model = learn([SCALE, CADENCE], epochs=3)
    total = 0.0
    for piece in (SCALE, CADENCE):
        before = torch.zeros(1, len(piece), 88)
        target = torch.zeros(len(piece), 88, dtype=torch.float64)
        for step, frame in enumerate(piece):
            for pitch in frame:
                target[step, pitch - 21] = 1
                if step + 1 < len(piece):
                    before[0, step + 1, pitch - 21] = 1
        with torch.no_grad():
            logits, _ = model.network(before, model.network.start(1))
        said = torch.sigmoid(logits[0, :, :88].double())
        total -= float((target * said.log() + (1 - target) * (1 - said).log()).sum())
    assert model.evaluate([SCALE, CADENCE]) == pytest.approx(total / 8, rel=1e-5)


def test_chords_are_a_probability_of_whole_frames() -> None:
    """Over all frames of a few keys the probabilities add up to one, whatever the coupling."""
    model = learn([CADENCE] * 2, epochs=3, output="chords")
    network = model.network
    assert network.together is not None
    with torch.no_grad():
        network.together.normal_()
        network.readout.bias[:] = -60.0  # type: ignore[index]
        network.readout.kernel.zero_()
        network.readout.bias[[10, 40, 41, 87]] = torch.tensor([0.3, -0.2, 0.5, 0.1])  # type: ignore[index]
        network.together[:, [key for key in range(88) if key not in (10, 40, 41, 87)]] = 0
    keys = (10, 40, 41, 87)
    total = 0.0
    for count in range(5):
        for frame in itertools.combinations(keys, count):
            total += math.exp(-model.evaluate([[[key + 21 for key in frame]]]))
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("window", [3, 8])
def test_long_pieces_are_measured_whole_and_padding_counts_nothing(window: int, monkeypatch: Any) -> None:
    pieces = [SCALE * 5, CADENCE, SCALE, [()]]
    model = learn(pieces, epochs=2, window=window)
    alone = [model.evaluate([piece]) * len(piece) for piece in pieces]
    whole = model.evaluate(pieces)
    assert whole == pytest.approx(sum(alone) / sum(map(len, pieces)), rel=1e-5)
    monkeypatch.setattr("nabi.models._notes._training._PLACES_AT_ONCE", 4)
    assert model.evaluate(pieces) == pytest.approx(whole, rel=1e-5)


def test_transposition_does_not_touch_what_is_measured() -> None:
    pieces = [[(60, 64)], [(62, 65)]] * 10
    models = [NoteModel(**QUICK, transpose=transpose) for transpose in (0, 5)]
    reports = [model.fit(pieces, validation=pieces[:2], test=pieces[:1], verbose=0) for model in models]
    for model, report in zip(models, reports, strict=True):
        assert report.validation == pytest.approx(model.evaluate(pieces[:2]))
        assert report.test == pytest.approx(model.evaluate(pieces[:1]))
    assert models[0].history["loss"] != models[1].history["loss"]


def test_excerpts_cover_every_place_once() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = [1, 5, 6, 7, 40]
    for _ in range(20):
        found = excerpts(lengths, 6, generator)
        for piece, length in enumerate(lengths):
            places = [p for e in found if e.piece == piece for p in range(e.begin, e.end)]
            assert places == list(range(length + 1))
        assert all(e.end - e.begin <= 6 for e in found)
        assert len(found) == sum(math.ceil((length + 1) / 6) for length in lengths)


def test_a_batch_is_what_came_before_what_comes_and_where_it_ends() -> None:
    roll = torch.zeros(3, 88, dtype=torch.uint8)
    roll[[0, 1, 2], [10, 20, 30]] = 1
    batch = batch_of(Rolls((roll,), None), [*excerpts([3], 9, torch.Generator())], [2])
    assert batch.lengths.tolist() == [4]
    assert batch.frames[0].nonzero().tolist() == [[1, 12], [2, 22], [3, 32]]
    assert batch.targets[0].nonzero().tolist() == [[0, 12], [1, 22], [2, 32]]
    assert (batch.sounding.tolist(), batch.ends.tolist()) == ([[1, 1, 1, 0]], [[0, 0, 0, 1]])


# Labels -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [("high", "low"), (7, 3)])
def test_labels_decide_what_is_composed(labels: tuple[Any, Any]) -> None:
    high, low = [(90,), (91,), (92,)], [(30,), (29,), (28,)]
    model = learn([high, low] * 4, list(labels) * 4)
    assert model.labels == tuple(sorted(labels))
    assert list(model.write(label=labels[0], temperature=0)) == high
    assert list(model.write(label=labels[1], temperature=0)) == low
    assert model.evaluate([high], [labels[0]]) < model.evaluate([high], [labels[1]]) - 1
    with pytest.raises(UnknownNameError, match=r"label: expected one of .*, got 'middle'"):
        model.write(label="middle")
    with pytest.raises(ArgumentError, match=r"label: expected one of .*, got None"):
        model.write()
    with pytest.raises(UnknownNameError, match=r"label: expected one of .*, got True"):
        model.write(label=True)


def test_labels_of_held_out_pieces() -> None:
    pieces = [Piece(tuple(SCALE), "a"), Piece(tuple(CADENCE), "b")] * 3
    model = NoteModel(**QUICK)
    report = model.fit(pieces, validation=pieces[:2], test=[], verbose=0)
    assert report.validation == pytest.approx(model.evaluate(pieces[:2]))
    assert report.test is None
    with pytest.raises(UnknownNameError, match=r"label: expected one of .*, got 'c'"):
        model.fit(pieces, validation=[Piece(tuple(SCALE), "c")], verbose=0)


# Sampling ---------------------------------------------------------------------------------------------------


def test_frames_are_drawn_as_if_those_with_too_many_keys_were_thrown_away() -> None:
    logits = np.full(88, -50.0)
    keys = (0, 30, 50, 51, 87)
    logits[list(keys)] = (0.3, -0.5, 1.2, 0.0, -1.0)
    drawer = FrameSampling(0.8, voices=2, fewest=1, seed=3).drawer(None)
    counts = Counter(tuple(drawer.keys(logits)) for _ in range(3000))
    odds = {key: math.exp(logits[key] / 0.8) for key in keys}
    expected = {
        frame: math.prod(odds[key] for key in frame)
        for count in (1, 2)
        for frame in itertools.combinations(keys, count)
    }
    assert set(counts) <= set(expected)
    for frame, weight in expected.items():
        share = weight / sum(expected.values())
        assert counts[frame] / 3000 == pytest.approx(share, abs=4 * math.sqrt(share / 3000) + 1e-3)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 0.01, 1.0, 50.0])
def test_a_frame_has_as_many_keys_as_are_asked_for(temperature: float, coupled: bool) -> None:
    random = np.random.default_rng(1)
    coupling = np.triu(random.normal(size=(88, 88)) / 20, 1) if coupled else None
    drawer = FrameSampling(temperature, voices=4, fewest=0).drawer(coupling)
    for _ in range(10):
        frame = drawer.keys(random.normal(size=88) * 5)
        assert len(frame) <= 4
        assert frame == sorted(set(frame))


def test_keys_of_a_chord_know_those_below_them() -> None:
    logits, coupling = np.full(88, -30.0), np.zeros((88, 88))
    logits[10], coupling[10, 50] = 0.0, 60.0
    drawer = FrameSampling(seed=1).drawer(coupling)
    assert {tuple(drawer.keys(logits)) for _ in range(50)} == {(), (10, 50)}
    logits[10] = 1.0
    assert FrameSampling(temperature=0).drawer(coupling).keys(logits) == [10, 50]


def test_the_same_seed_composes_the_same() -> None:
    model = learn([SCALE, CADENCE], epochs=5)
    written = [list(model.write(seed=seed, ends=False, frames=20)) for seed in (1, 1, 2)]
    assert written[0] == written[1] != written[2]


def test_a_stream_of_frames_is_what_reading_all_at_once_says() -> None:
    model = learn([SCALE * 3, CADENCE], epochs=8, layers=2, output="chords")
    frames = list(model.write(temperature=0, frames=12, ends=False))
    assert frames[5:] == list(model.write(frames[:5], temperature=0, frames=7, ends=False))


@pytest.mark.parametrize("output", ["keys", "chords"])
def test_any_number_of_frames_takes_the_same_memory(output: str) -> None:
    frames = learn([SCALE], epochs=1, output=output).write(frames=10**9, ends=False)
    for _ in itertools.islice(frames, 100):
        pass
    tracemalloc.start()
    try:
        for _ in itertools.islice(frames, 50):
            pass
        before = tracemalloc.get_traced_memory()[0]
        for _ in itertools.islice(frames, 300):
            pass
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([SCALE], (1, 2)),
        ([[[60], [64], [67]]], (1, 1)),
        ([[[60], [], [67]]], (0, 1)),
        ([[[60, 64, 67, 72, 76, 79]] * 5, [[60]]], (1, 6)),
        ([[[]]], (0, 1)),
    ],
)
def test_as_many_keys_sound_as_in_the_pieces(
    pieces: list[Any], expected: tuple[int, int], tmp_path: Path
) -> None:
    model = learn(pieces, epochs=1, output="keys")
    assert (model.fewest, model.voices) == expected
    model.save(tmp_path / "notes.nabi")
    read = nabi.NoteModel.load(tmp_path / "notes.nabi")
    for composed in (model.write(ends=False, frames=80), read.write(ends=False, frames=80)):
        counts = {len(frame) for frame in composed}
        assert expected[0] <= min(counts) <= max(counts) <= expected[1]
    # What is asked for counts more.
    assert {len(frame) for frame in model.write(fewest=8, voices=8, ends=False)} == {8}
    assert min(len(frame) for frame in model.write(fewest=7, ends=False)) >= 7
    assert max(len(frame) for frame in model.write(voices=1, ends=False)) <= 1


# What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0}, "frames: expected a whole number of at least 1, got 0"),
        ({"temperature": -1}, "temperature: expected a number of at least 0, got -1"),
        ({"temperature": math.nan}, "temperature: expected a number of at least 0, got nan"),
        ({"voices": 0}, "voices: expected a whole number from 1 to 88, got 0"),
        ({"fewest": 5, "voices": 4}, "fewest: expected a whole number from 0 to 4, got 5"),
        ({"seed": -1}, r"seed: expected a whole number from 0 to 2\*\*63 - 1, got -1"),
        ({"primer": [[10]]}, r"primer\[0\]: expected a whole number from 21 to 108, the keys of a piano"),
        ({"label": "bach"}, "label: expected None, got 'bach'; the model has learnt no labels"),
    ],
)
def test_what_cannot_be_composed(arguments: dict[str, Any], message: str) -> None:
    model = learn([SCALE], epochs=1)
    with pytest.raises(ArgumentError, match=message):
        model.write(**arguments)


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        ([], {}, "source: expected the path of a folder .*, got nothing"),
        (5, {}, "source: expected the path of a folder .*, got int"),
        ([SCALE, 5], {}, r"source\[1\]: expected a list of frames, got 5"),
        ([[60, 62]], {}, r"source\[0\]: expected a list of frames"),
        ([SCALE, []], {}, r"source\[1\]: the piece has no frames"),
        ([[[60, 300]]], {}, r"source\[0\]\[0\]: expected a whole number from 21 to 108, the keys of a pi"),
        ([SCALE] * 3, {"labels": ["a"]}, "labels: 1 were given for 3 pieces"),
        ([Piece(tuple(SCALE), "a"), SCALE], {}, "1 of 2 pieces have a label"),
        ([SCALE] * 2, {"labels": ["a", 1.5]}, r"labels\[1\]: expected a whole number or a name, got 1\.5"),
        ([SCALE] * 2, {"validation_share": 0.9}, "its 2 pieces leave none to learn from"),
        ([SCALE] * 2, {"test_share": 1.0}, r"test_share: expected a rate of at least 0 and below 1, got"),
        ([SCALE] * 2, {"validation": [[[5]]]}, r"validation\[0\]\[0\]: expected a whole number from 21 to"),
        ([SCALE] * 2, {"verbose": 7}, "verbose: expected 0, 1, 2 or 'auto', got 7"),
    ],
)
def test_bad_input_is_refused_before_training(source: Any, arguments: dict[str, Any], message: str) -> None:
    model = NoteModel(**QUICK)
    begun = LambdaCallback(on_train_begin=lambda logs: pytest.fail("trained all the same"))
    with pytest.raises(ArgumentError, match=message):
        model.fit(source, callbacks=[begun], **{"verbose": 0, **arguments})
    assert not model.trained


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": 0}, "units: expected a whole number of at least 1, got 0"),
        ({"transpose": 12}, "transpose: expected a whole number from 0 to 11, got 12"),
        ({"steps_per_beat": 0}, "steps_per_beat: expected a whole number from 1 to 96, got 0"),
        ({"dropout": 1.0}, r"dropout: expected a rate of at least 0 and below 1, got 1\.0"),
        ({"learning_rate": 0}, "learning_rate: expected a number above 0, got 0"),
        ({"weight_decay": -1}, "weight_decay: expected a number of at least 0, got -1"),
        ({"output": "chord"}, "did you mean 'chords'"),
        ({"cell": "lsmt"}, "did you mean 'lstm'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        NoteModel(**settings)


# Folders ----------------------------------------------------------------------------------------------------


def test_a_folder_of_midi_files(tmp_path: Any) -> None:
    for kind, pitch in (("low", 40), ("high", 80)):
        for number in range(3):
            frames = [(pitch + number,), (pitch,)] * 4
            (tmp_path / kind).mkdir(exist_ok=True)
            write_midi_frames(tmp_path / kind / f"{number}.mid", frames, steps_per_beat=2)
    (tmp_path / "low" / "broken.mid").write_bytes(b"MThd")
    model = NoteModel(**QUICK)
    report = model.fit(tmp_path, validation_share=0.2, test_share=0.2, verbose=0)
    assert model.labels == ("high", "low")
    assert model.settings.steps_per_beat == 2
    assert [path.name for path, _ in model.skipped] == ["broken.mid"]
    assert (report.train_pieces, report.train_frames, report.validation_pieces) == (4, 32, 1)
    with pytest.raises(MissingFileError):
        model.fit(tmp_path / "none")
    mido.MidiFile().save(tmp_path / "silent.mid")
    assert len(list(model.write(label="low", frames=4, ends=False))) == 4


def test_a_cell_of_ones_own_and_one_with_noise() -> None:
    from nabi.ir.functions import tanh

    class Mine(Cell):
        states = ("h",)

        def step(self, x: Any, h: Any) -> Any:
            return tanh(self.affine("h", x, h))

    assert nabi.NoteModel is NoteModel
    for cell in (Mine, nabi.cells.ZoneoutLSTM(12) if hasattr(nabi.cells, "ZoneoutLSTM") else Mine):
        model = learn([SCALE], epochs=2, cell=cell)
        assert len(list(model.write(frames=3, ends=False))) == 3


def test_the_measure_of_no_label_is_a_plain_mean() -> None:
    model = learn([SCALE], epochs=1)
    rolls = Rolls((torch.zeros(4, 88, dtype=torch.uint8),), None)
    assert nats_per_frame(model.network, rolls) == pytest.approx(model.evaluate([[(), (), (), ()]]))
