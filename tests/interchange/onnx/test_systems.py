"""The networks of ready systems: what ONNX Runtime says is what nabi says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from nabi import models
from nabi.errors import ArgumentError
from nabi.files import read_model_file
from nabi.interchange import describe
from nabi.models import TextClassifier
from nabi.models._notes._sampling import FrameSampling

from .running import Written, close

SMALL: dict[str, Any] = {"units": 4, "epochs": 1, "batch_size": 8}
RANDOM = np.random.default_rng(0)


def check_own(model: Any, written: Written) -> None:
    """The file describes the whole system as its own file does."""
    place = written.path.with_suffix(".nabi")
    model.save(place)
    file, own = read_model_file(place), written.own()
    assert (own.kind, set(own.tensors)) == (file.kind, set(file.tensors))
    assert own.header == {k: v for k, v in file.header.items() if k not in ("format", "layout", "kind")}
    assert all(torch.equal(own.tensors[name], one) for name, one in file.tensors.items())


def beside(written: Written) -> dict[str, Any]:
    found = json.loads(written.path.with_suffix(".json").read_text())
    assert found == json.loads(written.metadata["nabi.preprocessing"])
    return found


@pytest.mark.parametrize("pooling", ["max", "last"])
def test_a_text_classifier(tmp_path: Path, pooling: str) -> None:
    texts = ["a good film", "good and warm", "so good", "bad", "a bad film", "bad and cold"] * 3
    labels = ["good"] * 3 + ["bad"] * 3
    model = TextClassifier("peephole-lstm", **SMALL, pooling=pooling, word_features=False)
    model.fit(texts, labels * 3, verbose=0)
    written = Written(model, tmp_path / "texts.onnx")
    codes = np.array([[1, 4, 5, 6], [1, 7, 0, 0]])
    close(written.run(input=codes)["output"], model.model(torch.tensor(codes)))
    assert dict(describe(written.path).facts)["system"] == "TextClassifier"
    assert beside(written)["labels"] == list(model.labels.names)
    assert beside(written)["vocabulary"] == model.vocabulary.to_dict()
    check_own(model, written)


def test_a_text_regressor(tmp_path: Path) -> None:
    model = models.TextRegressor(**SMALL)
    model.fit(["good film", "bad film", "good day", "bad day"] * 4, [500.0, 100, 450, 150] * 4, verbose=0)
    written = Written(model, tmp_path / "stars.onnx")
    codes = np.array([[1, 4, 5, 6], [1, 7, 0, 0]])
    close(written.run(input=codes)["output"], model.model(torch.tensor(codes)))
    assert dict(describe(written.path).facts)["system"] == "TextRegressor"
    assert repr(model.scale.deviation) in beside(written)["outputs"]
    assert "ridge regression on words counts" in beside(written)["decision"]


def test_texts_with_other_columns_have_a_second_input(tmp_path: Path) -> None:
    model = TextClassifier(**SMALL)
    columns = {"price": [1.0, 9.0, None, 3.0] * 4, "kind": ["toy", "book"] * 8}
    model.fit(
        ["good film", "bad film", "good day", "bad day"] * 4, ["+", "-"] * 8, columns=columns, verbose=0
    )
    written = Written(model, tmp_path / "columns.onnx")
    assert model.other_columns is not None
    codes = np.array([[1, 4, 5, 6], [1, 7, 0, 0]])
    others = model.other_columns.features({"price": [2, None], "kind": ["book", "new"]}, 2)
    (found,) = written.run(codes=codes, columns=others).values()
    close(found, model.model([torch.tensor(codes), torch.tensor(others)]))
    assert [one["name"] for one in beside(written)["columns"]] == ["price", "kind"]
    check_own(model, written)


def test_a_series_regressor(tmp_path: Path) -> None:
    model = models.SeriesRegressor(**SMALL, networks=2, convolutions=(3,))
    lines = [RANDOM.normal(size=(7, 2)).astype(np.float32) for _ in range(20)]
    model.fit(lines, [500 + 100 * float(one.mean()) for one in lines], verbose=0)
    x, lengths = np.stack(lines[:3]), np.array([7, 3, 1], np.int32)
    wanted = model.network.numbers(torch.from_numpy(x), torch.from_numpy(lengths).long())
    written = Written(model, tmp_path / "lines.onnx", lengths=True)
    close(written.run(input=x, lengths=lengths)["estimate"][:, 0], wanted)
    assert repr(model.scale.deviation) in beside(written)["outputs"]
    check_own(model, written)


@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model(tmp_path: Path, tied: bool) -> None:
    model = models.LanguageModel(**SMALL, embedding_size=3, window=8, tied=tied, layers=2)
    model.fit(["the cat sat on the mat. " * 20], verbose=0)
    codes = RANDOM.integers(4, len(model.vocabulary), (2, 6))
    wanted, last = model.network(torch.tensor(codes), model.network.start(2))
    whole = Written(model, tmp_path / "whole.onnx")
    close(whole.run(codes=codes)["logits"], wanted)
    written = Written(model, tmp_path / "steps.onnx", stateful=True)
    states = {one["input"]: np.zeros((2, one["width"]), np.float32) for one in written.states}
    for time in range(6):
        found = written.run(codes=codes[:, time : time + 1], **states)
        close(found["logits"][:, 0], wanted[:, time])
        states = {one["input"]: found[one["output"]] for one in written.states}
    for one, other in zip(states.values(), [state for layer in last for state in layer], strict=True):
        close(one, other)
    assert beside(written)["reserved"]["start"] == 1
    check_own(model, written)


def test_a_language_model_of_several_texts_begins_with_zeros(tmp_path: Path) -> None:
    model = models.LanguageModel(**SMALL, embedding_size=3, window=8)
    model.fit(["the cat sat on the mat. " * 5] * 8, verbose=0)
    with pytest.raises(ArgumentError, match="write it with stateful=True"):
        Written(model, tmp_path / "texts.onnx")
    assert len(Written(model, tmp_path / "texts.onnx", stateful=True).states) == len(
        model.network.recurrent
    ) * len(model.cell.states)


def test_a_model_of_notes(tmp_path: Path) -> None:
    pieces = [[(60,), (62,), (64, 67)] * 4] * 4
    model = models.NoteModel(**SMALL, embedding_size=3, output="keys")
    model.fit(pieces, ["a", "b"] * 2, validation_share=0, test_share=0, verbose=0)
    frames = RANDOM.integers(0, 2, (2, 5, 88)).astype(np.float32)
    labels = np.array([0, 1])
    wanted, _ = model.network(torch.tensor(frames), model.network.start(2), torch.tensor(labels))
    written = Written(model, tmp_path / "notes.onnx")
    close(written.run(frames=frames, labels=labels)["logits"], wanted)
    check_own(model, written)


def test_a_model_of_chords(tmp_path: Path) -> None:
    model = models.NoteModel(**SMALL, embedding_size=3, output="chords")
    model.fit([[(60,), (62,), (64, 67)] * 4] * 4, validation_share=0, test_share=0, verbose=0)
    with torch.no_grad():
        model.network.together.copy_(torch.from_numpy(RANDOM.normal(size=(88, 88))).triu(1))
        model.network.readout.bias.copy_(torch.from_numpy(RANDOM.normal(size=89)) - 2)
    written = Written(model, tmp_path / "chords.onnx")
    frames = RANDOM.integers(0, 2, (3, 5, 88)).astype(np.float32)
    with torch.no_grad():
        wanted, _ = model.network(torch.tensor(frames), model.network.start(3))
    logits = written.run(frames=frames)["logits"]
    close(logits, wanted)
    place = tmp_path / beside(written)["chord"]
    onnx.checker.check_model(onnx.load(place), full_check=True)
    chord = onnxruntime.InferenceSession(place)
    coupling = model.network.coupling().double().detach().numpy()
    sounding = 0
    for temperature in (1.0, 0.5, 3.0):
        seeds = range(10)
        draws = np.stack([np.random.default_rng(seed).random(88) for seed in seeds])
        rows = np.stack([logits[seed % 3, -1] for seed in seeds])
        feeds = {
            "logits": rows,
            "draws": draws.astype(np.float32),
            "temperature": np.array(temperature, np.float32),
        }
        keys, known = chord.run(["keys", "known"], feeds)
        for seed in seeds:
            drawer = FrameSampling(temperature, voices=88, seed=seed).drawer(coupling)
            found = drawer.keys(rows[seed, :88].astype(float))
            assert np.flatnonzero(keys[seed]).tolist() == found
            sounding += len(found)
        frame = torch.from_numpy(keys)
        close(known, model.network.knowing(torch.from_numpy(rows), frame).detach())
    assert sounding > 100
    feeds |= {"draws": np.full((10, 88), 0.5, np.float32)}
    best = FrameSampling(0, voices=88).drawer(coupling).keys(rows[0, :88].astype(float))
    assert np.flatnonzero(chord.run(["keys"], feeds)[0][0]).tolist() == best
    check_own(model, written)


def check_sequences(path: Path, model: Any, x: Any, fed: Any = None) -> None:
    """Whole rows without lengths, and rows of other lengths with them."""
    lengths = torch.tensor([x.shape[1], x.shape[1] - 2] + [1] * (len(x) - 2))
    given = x if fed is None else fed
    for count, options in ((torch.full((len(x),), x.shape[1]), {}), (lengths, {"lengths": True})):
        wanted, left = model.network.probabilities(torch.as_tensor(x), count)
        written = Written(model, path / "sequences.onnx", **options)
        feeds = {"input": given, **({"lengths": count.int().numpy()} if options else {})}
        found = written.run(**feeds)
        close(found["probabilities"], wanted)
        if model.network.answer != "class":
            assert found["steps_of_rows"].tolist() == left.tolist()
    assert beside(written)["labels"] == list(model.labels.names)
    check_own(model, written)


def series(count: int, per_step: bool) -> Any:
    inputs = [RANDOM.normal(size=(int(RANDOM.integers(6, 9)), 2)).astype(np.float32) for _ in range(count)]
    inputs[0][2, 1] = np.nan
    names = ("up", "down")
    if per_step:
        return inputs, [[names[int(step[0] > 0)] for step in one] for one in inputs]
    return inputs, [names[number % 2] for number in range(count)]


@pytest.mark.parametrize(
    ("per_step", "options"),
    [
        (False, {"convolutions": (3,), "networks": 2, "normalization": "batch"}),
        (True, {"bidirectional": True, "layers": 2, "label_per_step": True}),
    ],
    ids=["class", "step"],
)
def test_a_series_classifier(tmp_path: Path, per_step: bool, options: dict[str, Any]) -> None:
    model = models.SeriesClassifier("gru", **SMALL, **options)
    model.fit(*series(24, per_step), verbose=0)
    x = RANDOM.normal(size=(3, 8, 2)).astype(np.float32)
    x[0, 3, 1] = np.nan
    check_sequences(tmp_path, model, x)


def test_a_regressor_of_dna(tmp_path: Path) -> None:
    sequences = ["".join(RANDOM.choice(list("ACGT"), 14)) for _ in range(24)]
    model = models.DNARegressor(**SMALL)
    model.fit(sequences, [one.count("G") for one in sequences], verbose=0)
    codes = RANDOM.integers(0, 4, (3, 14))
    with torch.no_grad():
        wanted = model.network.numbers(torch.from_numpy(codes), torch.full((3,), 14))
    written = Written(model, tmp_path / "dna.onnx")
    close(written.run(input=codes)["estimate"][:, 0], wanted)
    assert "ridge regression on frequencies" in beside(written)["decision"]


@pytest.mark.parametrize("options", [{"words": "bases"}, {"words": "triplets", "units": 5}], ids=str)
def test_a_classifier_of_dna(tmp_path: Path, options: dict[str, Any]) -> None:
    sequences = ["".join(RANDOM.choice(list("ACGT"), 14)) for _ in range(24)]
    model = models.DNAClassifier("lstm", **{**SMALL, "convolutions": (4,), **options})
    model.fit(sequences, ["a", "b"] * 12, verbose=0)
    check_sequences(tmp_path, model, RANDOM.integers(0, 4, (3, 14)))


@pytest.mark.parametrize("options", [{"layers": 2}, {"characters": 0, "bidirectional": False}], ids=str)
def test_a_tagger(tmp_path: Path, options: dict[str, Any]) -> None:
    tokens = [["Ann", "sat", "down"], ["it", "rained"]] * 8
    model = models.Tagger("gru", **{**SMALL, "embedding_size": 3, **options})
    model.fit(tokens, [["B-PER", "O", "O"], ["O", "O"]] * 8, verbose=0)
    codes = np.stack([model.encode(["Ann", "sat", "quietly"]), model.encode(["it", "rained", "."])])
    for lengths, more in ((torch.tensor([3, 3]), {}), (torch.tensor([3, 2]), {"lengths": True})):
        with torch.no_grad():
            wanted = model.network(torch.from_numpy(codes), lengths)
        written = Written(model, tmp_path / "tags.onnx", **more)
        feeds = {"codes": codes.astype(np.int64)} | ({"lengths": lengths.int().numpy()} if more else {})
        found = written.run(**feeds)["logits"]
        for row, size in enumerate(lengths.tolist()):
            close(found[row, :size], wanted[row, :size])
    said = beside(written)
    assert (said["labels"], said["scheme"]) == (["B-PER", "O"], "BIO")
    assert said["codes"]["words"] == list(model.codes["words"])
    check_own(model, written)


def test_a_classifier_of_clips(tmp_path: Path) -> None:
    clips = [RANDOM.integers(0, 256, (5, 12, 12, 3)).astype(np.uint8) for _ in range(12)]
    model = models.ClipClassifier("gru", **SMALL, image_size=12, channels=(4, 6), features=3)
    model.fit(clips, ["a", "b", "c"] * 4, verbose=0)
    check_sequences(tmp_path, model, RANDOM.integers(0, 256, (3, 5, 12, 12, 3)).astype(np.uint8))


def tones(count: int) -> Any:
    return [np.sin(np.arange(2400) * (0.1 + number % 2)).astype(np.float32) for number in range(count)]


@pytest.mark.parametrize("kind", [models.SoundClassifier, models.SpeechRecognizer])
def test_models_that_listen_begin_after_their_front(tmp_path: Path, kind: Any) -> None:
    model = kind("gru", **SMALL, convolutions=(4,), mels=8)
    said = ["low" if kind is models.SoundClassifier else "low high", "high"] * 8
    model.fit(tones(16), said, rate=8000, verbose=0)
    (network,) = model.network.networks
    samples = torch.from_numpy(np.stack(tones(3)))
    with torch.no_grad():
        features, frames = network.front(samples, torch.full((3,), samples.shape[1]))
        wanted, left = model.network.probabilities(samples, torch.full((3,), samples.shape[1]))
    written = Written(model, tmp_path / "sound.onnx", lengths=True)
    found = written.run(input=features.numpy(), lengths=frames.int().numpy())
    close(found["probabilities"], wanted)
    if kind is models.SpeechRecognizer:
        assert found["steps_of_rows"].tolist() == left.tolist()
    assert "features" in beside(written)["input"]
    check_own(model, written)


@pytest.mark.parametrize("table", [False, True])
def test_a_forecaster(tmp_path: Path, table: bool) -> None:
    steps = np.arange(60)
    target = np.sin(steps / 3) + RANDOM.normal(size=60) * 0.1
    settings = {"units": 5, "networks": 2, "epochs": 2, "fallback": False}
    if table:
        model = models.Forecaster("lstm", **settings, layers=2)
        rows = [
            {"time": f"2024-03-{1 + n % 28:02}", "value": float(one)} for n, one in enumerate(target[:28])
        ]
        for number, row in enumerate(rows):
            row["wind"] = float(np.cos(number))
        data = {name: [row[name] for row in rows] for name in rows[0]}
        model.fit(data, horizon=3, time="time", target="value", past=["wind"], verbose=0)
    else:
        model = models.Forecaster("gru", **settings, season=7)
        model.fit(target, horizon=4, verbose=0)
    (read,) = model._engine.inputs.read(model.series.series)
    x, methods = torch.from_numpy(read.x)[None], torch.from_numpy(read.methods)[None]
    members = list(model.network.forecasting)
    with torch.no_grad():
        wanted = model.network.average([member(x, methods) for member in members])
    written = Written(model, tmp_path / "forecasts.onnx")
    found = written.run(features=x.numpy(), methods=methods.numpy())
    close(found["quantiles"], wanted.quantiles)
    close(found["mean"], wanted.mean)
    said = beside(written)
    median = read.centre[-1] + read.scale[-1] * found["quantiles"][0, -1, :, 3]
    assert said["share"] == model.calibration.share
    if said["share"] == 1:  # nothing of a baseline in it
        np.testing.assert_allclose(median, model.state().forecast().median, rtol=1e-4, atol=1e-5)
    assert (said["horizon"], said["quantiles"][3]) == (model.plan.horizon, 0.5)
    assert said["columns"]["past"] == (["wind"] if table else [])
    assert sum(one["count"] for one in said["features"]) == x.shape[2]
    flags = next(one for one in said["features"] if one["what"].startswith("whether each of the last"))
    assert flags["count"] == min(model.plan.window, 8)
    check_own(model, written)
    # Step by step, as observations come.
    written = Written(model, tmp_path / "steps.onnx", stateful=True)
    states = {one["input"]: np.zeros((1, one["width"]), np.float32) for one in written.states}
    for time in range(6):
        part = slice(time, time + 1)
        found = written.run(features=x[:, part].numpy(), methods=methods[:, part].numpy(), **states)
        close(found["quantiles"], wanted.quantiles[:, part])
        states = {one["input"]: found[one["output"]] for one in written.states}


def test_a_system_that_learnt_nothing_is_refused(tmp_path: Path) -> None:
    for kind in (models.Forecaster, models.Translator, models.LanguageModel, models.TextClassifier):
        with pytest.raises(ArgumentError, match=f"{kind.__name__} has no network yet; fit it first"):
            Written(kind(), tmp_path / "model.onnx")
