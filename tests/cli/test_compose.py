"""`nabi train FOLDER_OF_MIDI` and `nabi compose`, as a user types them."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import mido
import pytest

from nabi.data import read_midi_frames, write_midi_frames
from nabi.models import NoteModel

from ..forked import NABI
from .logged import check_logged

SMALL = ("--units", "12", "--embedding-size", "8", "--batch-size", "4")
SCALE = [(60,), (62,), (64,), (65,), (60, 67)]


def fill(folder: Path, count: int = 10) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        write_midi_frames(folder / f"{number}.mid", SCALE * 2)


def learn(path: Path, *labels: str) -> Path:
    model = NoteModel(units=12, embedding_size=8, dropout=0.0, epochs=40, learning_rate=0.05)
    model.fit([SCALE * 2] * 4, list(labels) or None, validation_share=0, test_share=0, verbose=0)
    model.save(path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learn(tmp_path_factory.mktemp("model") / "scale.nabi")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_train_and_compose(nabi: Any, tmp_path: Path) -> None:
    fill(tmp_path / "music" / "slow")
    fill(tmp_path / "music" / "fast")
    (tmp_path / "music" / "fast" / "broken.mid").write_bytes(b"MThd")
    mido.MidiFile().save(tmp_path / "music" / "slow" / "silent.midi")
    logs = ("--log-dir", "logs")
    done = nabi("train", "music", *SMALL, "--epochs", 30, "--learning-rate", 0.05, "--transpose", 1, *logs)
    assert done.status == 0, done.err
    assert "20 pieces, 200 frames; frames of a beat: 1" in done.out
    assert "labels, the names of the folders: fast (10), slow (10)" in done.out
    assert "broken.mid is not a readable MIDI file" in done.out
    assert "silent.midi has no notes" in done.out
    assert "nats per frame" in done.out
    assert "nabi compose music.nabi --label fast -n 16" in done.out
    check_logged("logs", "music.json")
    figures = json.loads((tmp_path / "music.json").read_text(encoding="utf-8"))
    assert figures["report"]["validation"] < figures["history"]["val_loss"][0]
    assert figures["settings"]["output"] == "chords"
    assert len(figures["skipped"]) == 2
    assert not (tmp_path / "music.training").exists()
    done = nabi("compose", "music.nabi", "--label", "slow", "-n", 3, "--full-length", "--fewest", 1)
    assert done.status == 0, done.err
    assert "3 bars are in music.mid, a picture in music.png" in done.out
    assert len(read_midi_frames(tmp_path / "music.mid").frames) == 12
    assert (tmp_path / "music.png").read_bytes().startswith(b"\x89PNG")
    done = nabi("compose", "music.nabi")
    assert (done.status, done.out) == (2, "")
    assert "label: expected one of 'fast', 'slow', got None" in done.err


def test_a_primer_is_gone_on_from_and_begins_the_file(nabi: Any, model: Path, tmp_path: Path) -> None:
    write_midi_frames(tmp_path / "primer.mid", SCALE[:3], tempo=50)
    done = nabi("compose", model, "--primer", "primer.mid", "-n", 1, "--temperature", 0, "--out", "new.mid")
    assert done.status == 0, done.err
    music = read_midi_frames(tmp_path / "new.mid")
    assert music.frames == tuple(SCALE[:3] + (SCALE * 2)[3:7])
    assert music.tempo == pytest.approx(50)
    for chord in ("60", "60,", " 60 "):
        done = nabi("compose", model, "--chord", chord, "--temperature", 0, "--beats-per-bar", 3)
        assert done.status == 0
        assert read_midi_frames(tmp_path / "scale.mid").frames[:10] == tuple(SCALE * 2)


def test_it_is_measured_on_a_folder_and_on_a_file(nabi: Any, model: Path, tmp_path: Path) -> None:
    fill(tmp_path / "music", 2)
    (tmp_path / "music/bad.mid").write_text("no music")
    done = nabi("evaluate", model, "music", "--json", "--out", "x.json")
    assert done.status == 0
    assert "bad.mid" in done.err
    assert "1 of 3 rows could not be read" in done.err
    figures = json.loads(done.out)
    assert figures == json.loads((tmp_path / "x.json").read_text())
    assert (figures["pieces"], figures["frames"]) == (2, 4 * len(SCALE))
    assert figures["nats"] == pytest.approx(NoteModel.load(model).evaluate([SCALE * 2]), rel=1e-4)
    assert figures["bits"] == pytest.approx(figures["nats"] / math.log(2))
    assert f"{figures['nats']:.4f} nats per frame" in nabi("evaluate", model, "music/0.mid").out


def test_the_same_seed_composes_the_same(nabi: Any, model: Path, tmp_path: Path) -> None:
    files = []
    for seed in (1, 1, 2):
        nabi("compose", model, "--full-length", "-n", 8, "--temperature", 1.5, "--seed", seed)
        files.append((tmp_path / "scale.mid").read_bytes())
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temperature", "-1"], "temperature: expected a number of at least 0, got -1.0"),
        (["--fewest", "5", "--voices", "4"], "fewest: expected a whole number from 0 to"),
        (["--seed", "-1"], "seed: expected a whole number"),
        (["--label", "bach"], "label: expected None, got 'bach'; the model has learnt no labels"),
        (["--chord", "60,x"], "--chord: expected MIDI pitches such as 60,64,67, got '60,x'"),
        (["--chord", "10"], "--chord: expected pitches from 21 to 108, got '10'"),
        (["--chord", ""], "--chord: expected pitches from 21 to 108, got ''"),
        (["--primer", "none.mid"], "there is no file none.mid"),
        (["--primer", "broken.mid"], "broken.mid is not a readable MIDI file"),
        (
            ["--primer", "wide.mid"],
            "--primer: expected the pitches 21 to 108 that the model knows, got 1 others in wide.mid",
        ),
        (["--primer", "wide.mid", "--chord", "60"], "expected at most one of them, got both"),
        (["--primer", "wide.mid", "--out", "./wide.mid"], "would overwrite the primer"),
        (["--out", "new.wav"], "expected a name that ends in .mid"),
    ],
)
def test_what_cannot_be_composed(
    nabi: Any, model: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    wide = mido.MidiTrack()
    for pitch in (60, 120):
        wide.append(mido.Message("note_on", note=pitch))
        wide.append(mido.Message("note_off", note=pitch, time=480))
    mido.MidiFile(tracks=[wide]).save(tmp_path / "wide.mid")
    done = nabi("compose", model, *arguments)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mid", "wide.mid"]


def test_a_label_that_is_a_number(nabi: Any, tmp_path: Path) -> None:
    model = NoteModel(units=8, embedding_size=8, epochs=1)
    model.fit([SCALE] * 4, [1, 2, 1, 2], verbose=0)
    model.save(tmp_path / "model.nabi")
    assert nabi("compose", "model.nabi", "--label", "2", "-n", 1).status == 0


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({"a.mid": b"hello"}, [], "none of the 1 MIDI files of music can be used; the first: music/a.mid"),
        ({}, [], "nabi train learns from:"),
        ({"a.mid": None}, ["--text", "x", "--label", "y"], "music"),
        ({"a.mid": None}, ["--pooling", "max"], "--pooling: it means nothing for music to compose from"),
        ({"a.mid": None}, ["--cell", "lstm", "--cell", "gru"], "--cell: 2 were given"),
        ({"a.mid": None}, ["--cell", "lsmt"], "did you mean 'lstm'"),
        ({"a.mid": None}, ["--label-folders"], "a.mid"),
        ({"a.mid": None}, ["--out", "music"], "expected a file name, got a folder"),
    ],
)
def test_bad_input_is_refused_before_training(
    nabi: Any, tmp_path: Path, files: dict[str, bytes | None], arguments: list[str], message: str
) -> None:
    (tmp_path / "music").mkdir()
    for name, content in files.items():
        if content is None:
            write_midi_frames(tmp_path / "music" / name, SCALE)
        else:
            (tmp_path / "music" / name).write_bytes(content)
    done = nabi("train", "music", *arguments)
    assert done.status == 2
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["music"]


STOPS_ITSELF = """
import os, signal, sys
from nabi.cli import main
from nabi.models._notes._training import NoteTraining

loss, count = NoteTraining.loss, 0

def stopping(self, batch):
    global count
    count += 1
    if count == 12:
        os.kill(os.getpid(), signal.SIGINT)
    return loss(self, batch)

NoteTraining.loss = stopping
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")
def test_ctrl_c_keeps_what_is_learnt_and_the_same_command_goes_on(
    fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "music")
    command = ["train", "music", *SMALL, "--epochs"]
    ended = fresh(STOPS_ITSELF, *command, 100000)
    assert ended.returncode == 130, ended.stderr
    assert "the same command goes on from music.training" in ended.stdout
    assert NoteModel.load(tmp_path / "music.nabi").report.interrupted
    again = fresh(NABI, *command, 2)
    assert again.returncode == 2
    assert "checkpoint: music.training is of a training with other settings" in again.stderr


def test_silence_is_said(nabi, tmp_path, monkeypatch):
    from nabi.models import NoteModel

    monkeypatch.chdir(tmp_path)
    model = NoteModel(units=4, epochs=1)
    model.fit([[(60,), ()] * 4] * 12, verbose=0)
    model.save("m.nabi")
    for composed, said in (([(), ()], "only silence"), ([], "nothing: the piece ends at once")):
        monkeypatch.setattr(NoteModel, "write", lambda *_, composed=composed, **__: iter(composed))
        done = nabi("compose", "m.nabi")
        assert (done.status, done.out) == (2, "")
        assert f"the model composes {said}" in done.err
        assert not (tmp_path / "m.mid").exists()
    for composed, said in (([(60,), ()], True), ([(60,)] * 4, False)):
        monkeypatch.setattr(NoteModel, "write", lambda *_, composed=composed, **__: iter(composed))
        done = nabi("compose", "m.nabi", "--overwrite")
        assert done.status == 0
        assert ("50% of what was composed is silence; --fewest 1 leaves none" in done.out) == said
