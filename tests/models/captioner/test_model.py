"""Captioner: what it learns, what it says, where it looks; `task_checks` has its files and its trainings."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from nabi.data import Vocabulary
from nabi.errors import ArgumentError, MissingFileError, UnknownNameError
from nabi.models import Captioner
from nabi.models._captioner._network import CaptionNetwork, PictureEncoder
from nabi.models._captioner._samples import CaptionSamples

from ..task_checks import *  # noqa: F403
from ..task_checks import Task

SIZE = 16
SIDES = {"a dot on the left": (4, 2), "a dot on the right": (4, 10), "two dots": None}


def pictures(count: int, seed: int = 0):
    """A bright dot on the left or on the right of a dark picture, or both."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, SIZE, SIZE, 3)).astype(np.uint8)
    captions = []
    for number, image in enumerate(images):
        text = list(SIDES)[number % 3]
        for side in (2, 10) if SIDES[text] is None else (SIDES[text][1],):
            row, column = random.integers(1, 11), side + random.integers(-1, 2)
            image[row : row + 4, column : column + 4] = 230
        captions.append(text)
    return images, captions


def small(**said):
    usual = {"units": 24, "image_size": SIZE, "channels": (8, 16), "embedding_size": 12, "batch_size": 16}
    usual |= {"dropout": 0.0, "word_dropout": 0.0}
    return Captioner(said.pop("cell", "gru"), **{**usual, "learning_rate": 0.01, "seed": 1, **said})


TASK = Task(
    make=lambda **said: small(**{"epochs": 3, **said}),
    data=pictures(40),
    other_data=(pictures(40)[0], pictures(40)[1][::-1]),
    ask=lambda model: model.caption(pictures(6, seed=5)[0]),
    material="pictures or captions",
)


@pytest.fixture(scope="module")
def task():
    return TASK


@pytest.fixture(scope="module")
def trained():
    model = small(epochs=24)
    model.fit(*pictures(150), validation=pictures(30, seed=1), verbose=0)
    return model


def test_it_learns_what_is_where(trained) -> None:
    images, captions = pictures(60, seed=2)
    assert trained.evaluate(images, captions) == 1.0
    assert [one.text for one in trained.caption(images)] == captions
    report = trained.report
    assert (report.train, report.held_out, report.exact) == (150, 30, 1.0)
    assert report.validation is not None
    assert report.validation < 0.1
    assert "30 captions held out" in str(report)
    # Wrong captions and unknown words are not right.
    wrong = ["two dots", *captions[1:]]
    assert trained.evaluate(images, wrong) == pytest.approx(59 / 60)
    assert trained.evaluate(images, ["a spot on the left"] * 60) == 0


def test_other_attention_and_cells_learn_it_too() -> None:
    model = small(epochs=24, cell="lstm", attention="luong", layers=2)
    model.fit(*pictures(150), validation_share=0, verbose=0)
    assert (model.report.exact, model.report.validation) == (None, None)
    assert str(model.report) == "nothing was held out"
    assert model.evaluate(*pictures(60, seed=2)) > 0.9


def test_without_attention_the_summary_says_what_there_is() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 40, (60, SIZE, SIZE, 3)).astype(np.uint8)
    images[::2, 4:12, 4:12, 0] = 220
    images[1::2, 4:12, 4:12, 2] = 220
    model = small(epochs=12, attention=None)
    model.fit(images, ["something red", "something blue"] * 30, verbose=0)
    assert model.report.exact == 1.0


def test_beams_and_batches_agree(trained) -> None:
    images, _ = pictures(9, seed=3)
    together = trained.caption(images, beam=4)
    for image, one in zip(images, together, strict=True):
        alone = trained.caption([image], beam=4)[0]
        assert alone.text == one.text
        assert alone.log_probability == pytest.approx(one.log_probability, abs=1e-5)
    several = trained.caption(images[:2], beam=4, best=3)
    assert [one.text for one in several] == [one.text for one in together[:2]]
    for one in several:
        assert len(one.others) == 2
        assert one.score >= one.others[0].score >= one.others[1].score
        assert len({one.text, *(other.text for other in one.others)}) == 3
    # The log probability is what the network says of the text, its end included.
    codes = torch.from_numpy(np.append(trained.vocabulary.encode([together[0].text])[0], 1).astype(np.int64))
    with torch.no_grad():
        logits = trained.network(torch.from_numpy(images[:1]), codes[None, :-1])
    # Padding, unknown words and separators are never written.
    logits[..., [0, 2, 3]] = -math.inf
    total = logits.log_softmax(2)[0, torch.arange(len(codes) - 1), codes[1:]].sum()
    assert together[0].log_probability == pytest.approx(float(total), abs=1e-4)
    assert len(trained.caption(images[:1], maxlen=2)[0].text.split()) <= 2


def test_attention_finds_the_dot(trained) -> None:
    images, captions = pictures(30, seed=4)
    found = 0
    for image, caption in zip(images, captions, strict=True):
        looked = trained.attention(image, caption)
        assert looked.words == tuple(caption.split())
        assert looked.weights.shape == (len(looked.words), 8, 8)
        np.testing.assert_allclose(looked.weights.sum((1, 2)), 1, rtol=1e-5)
        found += looked.words[0] == "a"
    assert found == 20
    assert trained.attention(images[0]).words == tuple(captions[0].split())


def test_the_encoder_knows_places_and_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = PictureEncoder((4, 6))
    memory = encoder(torch.zeros(2, 8, 12, 3, dtype=torch.uint8))
    assert memory.values.shape == (2, 24, encoder.width)
    assert memory.mask is None
    torch.testing.assert_close(memory.summary, memory.values.amax(1))
    # The same everywhere, and yet each region knows where it is.
    inner = memory.values[0].reshape(4, 6, -1)[1:-1, 1:-1].flatten(0, 1)
    assert len(inner.unique(dim=0)) == len(inner)
    # Padded captions: a row's logits are those that it has alone.
    model = small()
    network = CaptionNetwork(9, model.settings, model.cell)
    images = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    codes = torch.tensor([[1, 5, 6, 1, 0], [1, 4, 7, 8, 5]])
    torch.testing.assert_close(network(images, codes)[:1, :4], network(images[:1], codes[:1, :4]))


def test_the_same_seed_gives_the_same_weights_and_files_count_as_arrays(tmp_path) -> None:
    images, captions = pictures(24)
    paths = []
    for number, image in enumerate(images):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    models = [small(epochs=2) for _ in range(2)]
    models[0].fit(images, captions, verbose=0)
    paths[3].write_bytes(b"")
    report = models[1].fit(paths, captions, verbose=0)
    assert len(report.skipped) == 1
    assert "3.png is not an image" in report.skipped[0]
    assert report.train + report.held_out == 23
    Image.fromarray(images[3]).save(paths[3])
    models[1].fit([str(path) for path in paths], captions, verbose=0)
    for one, other in zip(*(model.network.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)
    assert models[0].history == models[1].history


def test_all_captions_of_a_picture_are_held_out_together() -> None:
    images = np.repeat(np.arange(20, dtype=np.uint8), 3)[:, None, None, None] * np.ones(
        (1, 2, 2, 3), np.uint8
    )
    samples = CaptionSamples(images, [f"text {number}" for number in range(60)])
    train, held_out = samples.divided(0.25, seed=0)
    assert (len(train), len(held_out)) == (45, 15)
    assert not {int(one.max()) for one in train.images} & {int(one.max()) for one in held_out.images}
    assert all(int(text.split()[1]) // 3 == image.max() for text, image in zip(
        held_out.captions, held_out.images, strict=True))  # fmt: skip


def test_what_is_wrong_is_said_before_training() -> None:
    images, captions = pictures(6)
    for arguments, message in [
        ((images, captions[:5]), "images: 6 pictures and 5 captions were given"),
        ((images, [*captions[:5], " "]), r"captions\[5\]: expected text, got an empty string"),
        ((images, [*captions[:5], 3]), r"captions\[5\]: expected a text, got 3"),
        ((images, "dots"), "captions: expected a list of texts, got 'dots'"),
        ((images[:0], []), "expected at least one image"),
        (("x.png", captions), "images: expected a list of files or an array, got 'x.png'"),
        ((["x.png"] * 5 + [images[0]], captions), "expected file names only or arrays only"),
        (([*images[:5], images[5, :8]], captions), "expected images of one shape, or files, got 2 shapes"),
        ((images / 255, captions), "images: expected whole numbers from 0 to 255, as uint8, got float64"),
        ((["none.png"] * 6, captions), "6 of 6 rows of images cannot be used: there is no file none.png"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            small().fit(*arguments, verbose=0)
    with pytest.raises(ArgumentError, match=r"validation_share: 0\.01 of 6 pictures cannot be held out"):
        small().fit(images, captions, validation_share=0.01, verbose=0)
    with pytest.raises(ArgumentError, match=r"validation: expected a list or None, got 3"):
        small().fit(images, captions, validation=3, verbose=0)
    for said, kind, message in [
        (
            {"channels": ()},
            ArgumentError,
            r"channels: expected a list of whole numbers of at least 1, got \(\)",
        ),
        ({"channels": (4, 0)}, ArgumentError, r"channels\[1\]: expected a whole number of at least 1, got 0"),
        ({"channels": (4,) * 6}, ArgumentError, "image_size: 16 is too small for 6 convolutions"),
        ({"attention": "lung"}, UnknownNameError, "did you mean 'luong'"),
        ({"unit": "word"}, UnknownNameError, "did you mean 'words'"),
        ({"dropout": 1.0}, ArgumentError, "dropout: expected a rate of at least 0 and below 1, got 1.0"),
        ({"learning_rate": math.nan}, ArgumentError, "learning_rate: expected a number above 0, got nan"),
    ]:
        with pytest.raises(kind, match=message):
            small(**said)


def test_wrong_questions_are_refused(trained) -> None:
    images, _ = pictures(1)
    with pytest.raises(ArgumentError, match="beam: expected a whole number of at least 1, got 0"):
        trained.caption(images, beam=0)
    with pytest.raises(ArgumentError, match=r"best: expected at most the beam of .*, got 4"):
        trained.caption(images, best=4)
    with pytest.raises(ArgumentError, match="maxlen: expected a whole number of at least 1, got 0"):
        trained.caption(images, maxlen=0)
    with pytest.raises(MissingFileError):
        trained.caption(["none.png"])
    with pytest.raises(ArgumentError, match="caption: ' ' has no words"):
        trained.attention(images[0], " ")
    assert trained.caption(images[:0]) == []
    model = small(attention=None, epochs=1)
    model.fit(*pictures(6), validation_share=0, verbose=0)
    with pytest.raises(ArgumentError, match="this model has none"):
        model.attention(images[0])
    assert Vocabulary.START == 1
