"""Translators and captioners: an encoder and one step of a decoder, which a short loop decodes with."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from nabi import cells, models
from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import describe, read_onnx, write_onnx
from nabi.models._networks._decoder_steps import NEVER_WRITTEN, DecoderSteps

from .running import Written, close

RANDOM = np.random.default_rng(0)
WORDS = ("one", "two", "three", "four", "five", "six")
SOURCES = [" ".join(RANDOM.choice(WORDS, RANDOM.integers(1, 5))) for _ in range(60)]
TARGETS = [" ".join(str(WORDS.index(word) + 1) for word in text.split()) for text in SOURCES]


def translator(cell: str = "lstm", **options: Any) -> models.Translator:
    settings: dict[str, Any] = {
        "units": 12,
        "embedding_size": 8,
        "epochs": 30,
        "learning_rate": 0.02,
        "dropout": 0.0,
    }
    settings["unit"] = "words"
    model = models.Translator(cell, **{**settings, **options})
    model.fit(SOURCES, TARGETS, validation_share=0, verbose=0)
    return model


class Pair:
    """Both files of a system, checked and opened."""

    def __init__(self, model: Any, path: Path, **options: Any) -> None:
        self.encoder = Written(model, path, **options)
        self.beside = json.loads(path.with_suffix(".json").read_text())
        place = path.with_name(self.beside["step"])
        self.message = onnx.load(place)
        onnx.checker.check_model(self.message, full_check=True)
        self.step = onnxruntime.InferenceSession(place)

    def next(self, feeds: dict[str, Any]) -> dict[str, Any]:
        given = {one.name: feeds[one.name] for one in self.step.get_inputs()}
        names = [one.name for one in self.step.get_outputs()]
        return dict(zip(names, self.step.run(None, given), strict=True))

    def check_steps(self, network: Any, memory: Any, feeds: dict[str, Any], codes: Any) -> None:
        """Log probabilities of given codes, step by step, are those of nabi's decoder."""
        steps = DecoderSteps(network.decoder, NEVER_WRITTEN)
        state, values = steps.start(memory), dict(feeds)
        for previous in codes.T:
            wanted, state = steps.step(torch.from_numpy(previous), state)
            found = self.next({**values, "previous": previous})
            close(found["log_probabilities"], wanted)
            values |= {name.removesuffix("_next"): one for name, one in found.items()}
        if network.decoder.attention is not None:
            close(found["attention"], network.decoder.attend(memory, torch.from_numpy(codes))[:, -1])

    def words(self, name: str) -> list[str]:
        return [*self.beside["reserved"], *self.beside[name]["words"]]

    def greedy(self, feeds: dict[str, Any], limit: int) -> list[int]:
        """The loop of the docs: the codes that are written for one source."""
        written = [self.beside["start"]]
        while len(written) <= limit:
            found = self.next({**feeds, "previous": np.array([written[-1]])})
            best = int(found["log_probabilities"].argmax())
            if best == self.beside["end"]:
                break
            written.append(best)
            feeds = feeds | {name.removesuffix("_next"): one for name, one in found.items()}
        return written[1:]


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {}),
        ("gru", {"attention": "bahdanau", "layers": 2, "bidirectional": False}),
        ("layer-norm-lstm", {"attention": None, "tied": False}),
        ("peephole-lstm", {"attention": "luong", "input_feeding": True, "layers": 2}),
    ],
    ids=str,
)
def test_a_translator(tmp_path: Path, cell: str, options: dict[str, Any]) -> None:
    model = translator(cell, **options)
    pair = Pair(model, tmp_path / "model.onnx", lengths=True)
    assert pair.beside["source"] == model.source_vocabulary.to_dict()
    assert pair.beside["target"] == model.target_vocabulary.to_dict()
    codes = RANDOM.integers(4, len(model.source_vocabulary), (3, 5))
    lengths = torch.tensor([5, 2, 1])
    feeds = pair.encoder.run(codes=codes, lengths=lengths.int().numpy())
    with torch.no_grad():
        memory = model.network.encoder(torch.from_numpy(codes), lengths)
        if model.network.decoder.attention is not None:
            close(feeds["memory"], memory.values)
        previous = RANDOM.integers(1, len(model.target_vocabulary), (3, 4))
        pair.check_steps(model.network, memory, feeds, previous)
    alone = Pair(model, tmp_path / "alone.onnx")
    for source, found in zip(SOURCES[:8], model.translate(SOURCES[:8], beam=1), strict=True):
        codes = np.array([[alone.words("source").index(word) for word in source.split()]])
        limit = 2 * -(-codes.shape[1] // 8) * 8 + alone.beside["room"]
        written = alone.greedy(alone.encoder.run(codes=codes), limit)
        assert " ".join(alone.words("target")[code] for code in written) == found.text
    # It has learnt something: what it writes depends on what it reads.
    assert len({one.text for one in model.translate(SOURCES[:8], beam=1)}) > 3


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("seed", range(int(os.environ.get("NABI_RANDOM_ONNX", "6"))))
def test_random_translators(tmp_path: Path, seed: int) -> None:
    """Any cell, attention and number of layers, with weights that no training would give."""
    draw = np.random.default_rng(seed)
    attention = (None, "luong", "bahdanau")[draw.integers(3)]
    model = models.Translator(
        str(draw.choice([name for name in cells.names() if not cells.get(name).needed_inputs()])),
        units=int(draw.integers(2, 7)),
        embedding_size=int(draw.integers(2, 7)),
        layers=int(draw.integers(1, 4)),
        attention=attention,
        input_feeding=attention == "luong" and bool(draw.integers(2)),
        bidirectional=bool(draw.integers(2)),
        tied=bool(draw.integers(2)),
        epochs=1,
        seed=seed,
    )
    model.fit(SOURCES[:4], TARGETS[:4], validation_share=0, verbose=0)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.copy_(torch.from_numpy(draw.normal(size=weight.shape) * 0.5))
    whole = bool(draw.integers(2))
    opset = int(draw.integers(17, 23))
    pair = Pair(model, tmp_path / "model.onnx", lengths=not whole, opset=opset)
    codes = draw.integers(0, len(model.source_vocabulary), (4, 6))
    lengths = torch.full((4,), 6) if whole else torch.tensor([6, 1, 3, 6])
    feeds = pair.encoder.run(codes=codes, **({} if whole else {"lengths": lengths.int().numpy()}))
    with torch.no_grad():
        memory = model.network.encoder(torch.from_numpy(codes), lengths)
        previous = draw.integers(0, len(model.target_vocabulary), (4, 5))
        pair.check_steps(model.network, memory, feeds, previous)
    again = read_onnx(tmp_path / "model.onnx").network.state_dict()
    assert all(torch.equal(again[name], one) for name, one in model.network.state_dict().items())


def pictures(count: int, size: int) -> Any:
    images = RANDOM.integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    images[::2] //= 4
    return images


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (12, {"channels": (4, 6, 5)}),
        (9, {"channels": (4, 6), "attention": "bahdanau"}),
        (8, {"channels": (5,), "attention": None, "layers": 2}),
        (8, {"channels": (4, 4, 4, 4)}),
    ],
    ids=str,
)
def test_a_captioner(tmp_path: Path, size: int, options: dict[str, Any]) -> None:
    model = models.Captioner("gru", units=8, embedding_size=6, epochs=4, image_size=size, **options)
    images = pictures(32, size)
    model.fit(list(images), ["it is so dark", "it is light"] * 16, validation_share=0, verbose=0)
    pair = Pair(model, tmp_path / "model.onnx", opset=22 if size == 9 else 17)
    feeds = pair.encoder.run(pictures=images[:3])
    with torch.no_grad():
        memory = model.network.encoder(torch.from_numpy(images[:3]))
        previous = RANDOM.integers(1, len(model.vocabulary), (3, 4))
        pair.check_steps(model.network, memory, feeds, previous)
    for image, found in zip(images[:4], model.caption(list(images[:4]), beam=1), strict=True):
        written = pair.greedy(pair.encoder.run(pictures=image[None]), pair.beside["longest"])
        assert " ".join(pair.words("vocabulary")[code] for code in written) == found.text


def test_nabi_reads_both_files_back(tmp_path: Path) -> None:
    model = translator(layers=2)
    path = tmp_path / "model.onnx"
    written = write_onnx(model, path)
    step = tmp_path / "model.step.onnx"
    assert written == (path, step, tmp_path / "model.json")
    facts = dict(describe(path).facts)
    assert facts["system"] == "Translator"
    with pytest.raises(FileFormatError, match="the step of a Translator and no model by itself"):
        describe(step)
    again = read_onnx(path)
    assert again.translate(SOURCES[:5]) == model.translate(SOURCES[:5])
    own, read = model.network.state_dict(), again.network.state_dict()
    assert all(torch.equal(own[name], read[name]) for name in own)
    # The weights are once in each file.
    size = sum(tensor.numel() * 4 for tensor in own.values())
    assert path.stat().st_size + step.stat().st_size < 1.6 * size + 60_000
    with pytest.raises(FileFormatError, match=r"the step of a Translator .* read model.onnx"):
        read_onnx(step)
    # Another step than that of the file is not taken for it.
    write_onnx(translator(units=8), tmp_path / "other.onnx")
    step.write_bytes((tmp_path / "other.step.onnx").read_bytes())
    notes = read_onnx(path).imported.notes
    assert any("model.step.onnx is of another model" in note for note in notes)
    step.unlink()
    step.symlink_to(tmp_path / "other.step.onnx")
    assert any("model.step.onnx is a link" in note for note in read_onnx(path).imported.notes)
    step.unlink()
    assert any("expected model.step.onnx beside it" in note for note in read_onnx(path).imported.notes)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="Translator has no network yet"):
        write_onnx(models.Translator(), tmp_path / "model.onnx")
    with pytest.raises(ArgumentError, match="stateful: the step of a Translator has its states"):
        write_onnx(translator(), tmp_path / "model.onnx", stateful=True)
    captioner = models.Captioner(units=4, epochs=1, image_size=8, channels=(4,))
    captioner.fit(list(pictures(8, 8)), ["a b"] * 8, validation_share=0, verbose=0)
    with pytest.raises(ArgumentError, match="lengths: a captioner reads pictures"):
        write_onnx(captioner, tmp_path / "model.onnx", lengths=True)
    assert not list(tmp_path.iterdir())
