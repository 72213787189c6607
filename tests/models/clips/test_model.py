"""Clip classifier: what it learns, what it says, what it refuses; `task_checks` has files and trainings."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nabi.data import read_clips
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, ShapeError, UnknownNameError
from nabi.models import ClipClassifier
from nabi.models._clips._encoder import FrameEncoder

from ..task_checks import *  # noqa: F403
from ..task_checks import Task

SIZE = 12
WAYS = ("left", "right", "up")


def moving(count: int, seed: int = 0, size: int = SIZE):
    """A bright square that goes around to the left, to the right or upwards, from anywhere."""
    random = np.random.default_rng(seed)
    clips, labels = [], []
    for number in range(count):
        length, way = int(random.integers(4, 8)), WAYS[number % 3]
        clip = random.integers(0, 60, (length, size, size, 3)).astype(np.uint8)
        row, column = random.integers(0, size, 2)
        for time in range(length):
            down, across = {"left": (0, -1), "right": (0, 1), "up": (-1, 0)}[way]
            rows = (row + 2 * time * down + np.arange(4)) % size
            columns = (column + 2 * time * across + np.arange(4)) % size
            clip[time, rows[:, None], columns] = 230
        clips.append(clip)
        labels.append(way)
    return clips, labels


def small(**said):
    usual = {"units": 16, "image_size": SIZE, "channels": (8, 12), "features": 8, "batch_size": 8}
    usual |= {"dropout": 0.0, "shift": 0.0, "colour": 0.1}
    return ClipClassifier(said.pop("cell", "gru"), **{**usual, "learning_rate": 0.01, "seed": 1, **said})


TASK = Task(
    make=lambda **said: small(**{"epochs": 3, **said}),
    data=moving(48),
    other_data=(moving(48)[0], moving(48)[1][::-1]),
    ask=lambda model: model.predict(moving(6, seed=5)[0]),
    material="clips or labels",
)


@pytest.fixture(scope="module")
def task():
    return TASK


@pytest.fixture(scope="module")
def trained():
    model = small(epochs=14)
    model.fit(*moving(200), validation=moving(60, seed=1), test=moving(60, seed=2), verbose=0)
    return model


# Learning ---------------------------------------------------------------------------------------------------


def test_it_learns_which_way_something_goes(trained) -> None:
    report = trained.report
    assert (report.train, report.held_out) == (200, 60)
    assert report.accuracy is not None
    assert report.accuracy > 0.9
    assert list(report.baselines) == [
        "majority", "logistic regression on one frame", "logistic regression on the mean of all frames",
    ]  # fmt: skip
    assert report.baselines["majority"] == pytest.approx(1 / 3, abs=0.01)
    # A frame tells nothing, and a linear model of the mean hardly anything.
    assert report.baselines["logistic regression on one frame"] < 0.6
    assert report.baselines["logistic regression on the mean of all frames"] < 0.7
    assert report.verdict.startswith("Better than logistic regression")
    assert "logistic regression on one frame" in str(report)
    clips, labels = moving(60, seed=2)
    told = trained.predict(clips)
    assert np.mean([one.label == label for one, label in zip(told, labels, strict=True)]) == report.accuracy
    assert told[3].name == "clips[3]"
    assert sum(told[3].probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert trained.evaluate(clips, labels).accuracy == report.accuracy


def test_the_order_of_the_frames_is_what_it_reads(trained) -> None:
    clips, labels = moving(60, seed=2)
    opposite = {"left": "right", "right": "left"}
    rows = [row for row, label in enumerate(labels) if label in opposite]
    told = trained.predict([clips[row][::-1] for row in rows])
    assert np.mean([one.label == opposite[labels[row]] for row, one in zip(rows, told, strict=True)]) > 0.85


def test_what_a_clip_says_does_not_depend_on_the_others(trained) -> None:
    clips, _ = moving(9, seed=4)
    together = trained.predict(clips)
    for clip, told in zip(clips, together, strict=True):
        alone = trained.predict([clip])[0]
        for name, value in alone.probabilities.items():
            assert value == pytest.approx(told.probabilities[name], abs=1e-5)


def test_steps_are_what_is_said_if_the_clip_ended_there(trained) -> None:
    clip = moving(1, seed=4)[0][0]
    steps = trained.steps(clip)
    assert steps.shape == (len(clip), 3)
    for end in (1, 3, len(clip)):
        if end > 1:  # a single frame is no clip
            expected = list(trained.predict([clip[:end]])[0].probabilities.values())
            np.testing.assert_allclose(steps[end - 1], expected, atol=1e-5)


def test_a_stream_gives_the_same_wherever_it_is_cut(trained) -> None:
    clip = moving(1, seed=4)[0][0]
    whole = trained.stream().push(clip)
    for sizes in ([1] * len(clip), [2, len(clip) - 2], [0, 3, 0, len(clip) - 3]):
        stream, start = trained.stream(), 0
        for size in sizes:
            told = stream.push(clip[start : start + size])
            start += size
        np.testing.assert_array_equal(told, whole)
    np.testing.assert_allclose(whole, trained.steps(clip)[-1], atol=1e-5)
    one, other = trained.stream(), trained.stream()
    one.push(clip[:2])
    other.set_state(one.state())
    np.testing.assert_array_equal(other.push(clip[2:]), whole)
    with pytest.raises(ShapeError, match="chunk: expected the shape"):
        one.push(clip[:, :5])


def test_other_cells_and_directions() -> None:
    model = small(epochs=2, cell="lstm", bidirectional=True, layers=2, convolutions=(6,), kernel=3, shift=0.2)
    model.fit(*moving(30), validation_share=0, verbose=0)
    assert model.report.scores is None
    assert "nothing was held out" in str(model.report)
    assert len(model.predict(moving(3, seed=4)[0])) == 3
    with pytest.raises(ArgumentError, match="both directions"):
        model.stream()


def test_groups_are_never_divided() -> None:
    clips, labels = moving(30)
    groups = [row // 6 for row in range(30)]
    model = small(epochs=1)
    report = model.fit(clips, labels, groups=groups, validation_share=0.2, verbose=0)
    assert (report.train, report.held_out) == (24, 6)


# The encoder ------------------------------------------------------------------------------------------------


def test_changes_in_training_are_the_same_for_all_frames_of_a_clip() -> None:
    encoder = FrameEncoder(SIZE, (4,), 3, shift=0.3, colour=0.0)
    frame = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, SIZE, SIZE, 3)).astype(np.uint8))
    frames = frame.expand(9, SIZE, SIZE, 3)
    inside = torch.tensor([[True] * 5, [True] * 4 + [False]])
    moved = encoder._changed(frames, inside, torch.Generator().manual_seed(3))
    assert all(torch.equal(one, moved[0]) for one in moved[:5])
    assert all(torch.equal(one, moved[5]) for one in moved[5:])
    assert not torch.equal(moved[0], moved[5])
    assert not torch.equal(moved[0], frame[0])
    encoder.shift, encoder.colour = 0, 0.5
    coloured = encoder._changed(frames, inside, torch.Generator().manual_seed(3))
    assert torch.equal(coloured[0], coloured[4])
    assert not torch.allclose(coloured[0], coloured[5])
    # Straight lines: every number goes through the same contrast and brightness.
    slope = (coloured[0] - coloured[0].mean()) / (frame[0].float() - frame[0].float().mean())
    torch.testing.assert_close(slope, torch.full_like(slope, float(slope[0, 0, 0])), rtol=1e-3, atol=1e-3)


def test_padding_is_not_read_and_long_batches_are_cut(monkeypatch) -> None:
    encoder = FrameEncoder(SIZE, (4, 5), 3, shift=0.0, colour=0.0)
    clips, _ = moving(4)
    lengths = torch.tensor([len(one) for one in clips])
    x = torch.full((4, int(lengths.max()), SIZE, SIZE, 3), 255, dtype=torch.uint8)
    for row, clip in enumerate(clips):
        x[row, : len(clip)] = torch.from_numpy(clip)
    with torch.no_grad():
        told, same = encoder(x, lengths)
        assert torch.equal(same, lengths)
        assert told.shape[2] == encoder.width == 8
        monkeypatch.setattr("nabi.models._clips._encoder._FRAMES_AT_ONCE", 3)
        torch.testing.assert_close(encoder(x, lengths)[0], told)
        for row, clip in enumerate(clips):
            alone, _ = encoder(torch.from_numpy(clip)[None], lengths[row : row + 1])
            torch.testing.assert_close(told[row, : len(clip)], alone[0])
            assert not told[row, len(clip) :].any()


# Files ------------------------------------------------------------------------------------------------------


def write_clips(folder: Path, clips, labels, size: int = 24) -> Path:
    for number, (clip, label) in enumerate(zip(clips, labels, strict=True)):
        place = folder / label / f"clip{number}"
        images = [Image.fromarray(frame).resize((size, size), Image.Resampling.NEAREST) for frame in clip]
        place.parent.mkdir(parents=True, exist_ok=True)
        if number % 2:
            images[0].save(place.with_suffix(".gif"), save_all=True, append_images=images[1:], duration=50)
        else:
            place.mkdir()
            for frame, image in enumerate(images):
                image.save(place / f"{frame}.png")
    return folder


def test_folders_of_clips(tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "clips", *moving(30))
    (folder / "up" / "empty").mkdir()
    model, other = small(epochs=2), small(epochs=2)
    report = model.fit(folder, verbose=0)
    assert report.train + report.held_out == 30
    assert report.skipped == (f"the folder {folder / 'up' / 'empty'} has no images, so it is no clip",)
    other.fit(read_clips(folder, SIZE), verbose=0)
    paths = sorted(folder.glob("*/clip*"))
    told = model.predict(paths)
    assert told == other.predict(paths)
    assert [one.name for one in told] == [str(path) for path in paths]
    assert model.predict(str(paths[0])) == model.predict(paths[:1])
    assert model.evaluate(folder).held_out == 30
    assert model.evaluate(paths, [path.parent.name for path in paths]).accuracy == pytest.approx(
        model.evaluate(folder).accuracy
    )
    with pytest.raises(FileFormatError, match="has no images"):
        model.predict([paths[0], folder / "up" / "empty"])
    with pytest.raises(MissingFileError, match="there is no file none"):
        model.predict("none")
    with pytest.raises(ArgumentError, match="labels: a folder has its own"):
        model.evaluate(folder, ["up"] * 30)


# What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 4}, "image_size: expected"),
        ({"image_size": 8, "channels": (2, 2, 2, 2)}, "image_size: expected at least 16 for 4 convolutions"),
        ({"most_frames": 1}, "most_frames: expected"),
        ({"channels": ()}, "channels: expected"),
        ({"shift": 1.5}, "shift: expected"),
        ({"cell": "nothing"}, "cell: 'nothing' is not known"),
    ],
)
def test_wrong_settings(settings, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ClipClassifier(**settings)


CLIPS, LABELS = moving(6)


@pytest.mark.parametrize(
    ("clips", "labels", "kind", "message"),
    [
        ([], [], ArgumentError, "clips: expected at least one clip, got none"),
        ("none", None, ArgumentError, "folder: expected the folder of the clips, got none"),
        (CLIPS, None, ArgumentError, "labels: expected one for each of 6 clips, got none"),
        (CLIPS, LABELS[:5], ArgumentError, "labels: expected one for each of 6 clips, got 5"),
        (CLIPS, "left", ArgumentError, "labels: expected a list or None, got 'left'"),
        (CLIPS, ["left"] * 6, ArgumentError, "two classes"),
        (CLIPS, [*LABELS[:5], None], ArgumentError, r"clips\[5\]: expected a label"),
        ([*CLIPS[:5], CLIPS[0][:1]], LABELS, ShapeError, r"clips\[5\]: expected a file.*two frames or more"),
        ([*CLIPS[:5], CLIPS[0][..., :2]], LABELS, ShapeError, r"clips\[5\]: expected .*channels"),
        ([*CLIPS[:5], CLIPS[0] / 255], LABELS, ArgumentError, r"clips\[5\]: expected whole numbers"),
        ([*CLIPS[:5], CLIPS[0].astype(int) + 30], LABELS, ArgumentError, r"clips\[5\]: .*from 0 to 255"),
        ([*CLIPS[:5], None], LABELS, ArgumentError, r"clips\[5\]: expected"),
        ([*CLIPS[:5], "none.gif"], LABELS, None, "there is no file none.gif"),
        (["a.gif", "b.gif", *CLIPS[:2]], LABELS[:4], ArgumentError, "clips: 2 of 4 clips cannot be used"),
        (CLIPS[0][..., 0], LABELS, ArgumentError, "clips: expected a list of clips"),
        (7, LABELS, ArgumentError, "clips: expected a list of clips"),
    ],
)  # fmt: skip
def test_wrong_data(clips, labels, kind, message: str) -> None:
    model = small(epochs=1)
    if kind is None:  # one of six files: left out, and said
        report = model.fit(clips, labels, validation_share=0, verbose=0)
        assert report.skipped == (message,)
        assert report.train == 5
        return
    with pytest.raises(kind, match=message):
        model.fit(clips, labels, verbose=0)
    assert not model.trained


def test_wrong_parts() -> None:
    model = small(epochs=1)
    with pytest.raises(ArgumentError, match="groups: expected one for each of 6 clips, got 2"):
        model.fit(CLIPS, LABELS, groups=["a", "b"])
    with pytest.raises(ArgumentError, match=r"validation: expected a folder or \(clips, labels\), got 3"):
        model.fit(CLIPS, LABELS, validation=(CLIPS, LABELS, None))
    with pytest.raises(ArgumentError, match=r"validation\[0\]: expected one of the labels learnt from"):
        model.fit(CLIPS, LABELS, validation=(CLIPS[:1], ["down"]))
    with pytest.raises(ArgumentError, match="not fitted; call"):
        model.steps(CLIPS[0])
    with pytest.raises(UnknownNameError, match="cell: 'gruu' is not known"):
        ClipClassifier("gruu")


def test_sizes_and_channels_of_arrays_may_differ(trained) -> None:
    grey = CLIPS[0][..., 0]
    large = CLIPS[0].repeat(2, 1).repeat(2, 2)
    told = trained.predict([CLIPS[0], grey[..., None], grey, large])
    assert told[1].probabilities == pytest.approx(told[2].probabilities, abs=1e-5)
    assert [one.name for one in told] == ["clips[0]", "clips[1]", "clips[2]", "clips[3]"]
