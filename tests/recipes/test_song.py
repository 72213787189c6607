import json

import numpy as np
import pytest
from rich.console import Console

from nabi import recipes
from nabi.data import NABIYA, encode_notes, read_midi, windows
from nabi.models import load_model
from nabi.recipes._results._pictures import piano_rolls
from nabi.recipes._results._song import Sung
from nabi.recipes.song import SCALE, sing

HEARD, FOLLOWING = windows(encode_notes(NABIYA), 4)


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115
    result = recipes.get("song").run(tmp_path_factory.mktemp("song"), epochs=3, console=console)
    console.file.close()
    return result, console.export_text()


def test_the_folder(short_run):
    names = sorted(path.name for path in short_run[0].folder.iterdir())
    predictions = [
        f"{network}_{kind}.{suffix}"
        for network in ("lstm", "mlp")
        for kind in ("full_song", "one_step")
        for suffix in ("mid", "txt")
    ]
    others = ["original.mid", "original.txt", "song.png", "gates.png", "gradients.png"]
    assert names == sorted([*predictions, *others, "model.nabi", "mlp.nabi", "result.json"])


def test_the_figures(short_run):
    written = json.loads((short_run[0].folder / "result.json").read_text())
    assert {"recipe": written["recipe"], "seed": written["seed"]} == {"recipe": "song", "seed": 0}
    figures = written["figures"]
    assert figures == short_run[0].figures
    for network in ("lstm", "mlp"):
        for epoch in ("", "last_epoch."):
            assert 0 <= figures[f"{network}.{epoch}one_step"] <= 50
            assert 4 <= figures[f"{network}.{epoch}full_song"] <= 54  # four notes are given
        assert 1 <= figures[f"{network}.best_epoch"] <= 3
        assert figures[f"{network}.microseconds_per_step"] > 0


def test_text_and_midi_tell_the_same(short_run):
    folder, figures = short_run[0].folder, short_run[0].figures
    for midi in folder.glob("*.mid"):
        notes = read_midi(midi)
        assert len(notes) == 54
        assert midi.with_suffix(".txt").read_text().split() == notes
        assert notes[:4] == list(NABIYA[:4])
    assert tuple(read_midi(folder / "original.mid")) == NABIYA
    for network in ("lstm", "mlp"):
        right = sum(map(str.__eq__, read_midi(folder / f"{network}_full_song.mid"), NABIYA))
        assert right == figures[f"{network}.full_song"]


def test_the_table(short_run):
    assert "LSTM" in short_run[1]
    assert f"{short_run[0].figures['lstm.one_step']} of 50" in short_run[1]
    assert "µs" in short_run[1]


def test_the_saved_models_sing_what_was_written(short_run):
    folder = short_run[0].folder
    lstm = load_model(folder / "model.nabi")
    assert list(sing(lstm, HEARD[:, :, None]).full_song) == read_midi(folder / "lstm_full_song.mid")
    mlp = load_model(folder / "mlp.nabi")
    assert list(sing(mlp, HEARD).one_step) == read_midi(folder / "mlp_one_step.mid")
    assert (lstm.count_params(), mlp.count_params()) == (66_560 + 1_548, 640 + 16_512 + 1_548)


class Listener:
    """A model that knows the song and counts what it has heard since its states were reset."""

    def __init__(self):
        self.heard = 20  # as if a song had been broken off

    def reset_states(self):
        self.heard = 0

    def predict(self, x, batch_size=1, verbose=1):
        answers = FOLLOWING[self.heard : self.heard + len(x)]
        self.heard += len(x)
        return np.eye(12)[answers]


class Forgetful:
    """A model that knows what most often follows four notes, and nothing else."""

    def reset_states(self):
        pass

    def predict(self, x, batch_size=1, verbose=1):
        answers = []
        for window in np.rint(np.asarray(x) * SCALE).astype(int):
            matches = FOLLOWING[(window == HEARD).all(-1)]
            answers.append(np.bincount(matches, minlength=12).argmax() if len(matches) else 0)
        return np.eye(12)[answers]


def test_singing_with_memory():
    sung = sing(Listener(), HEARD[:, :, None])
    assert (sung.one_step_right, sung.full_song_right) == (50, 54)


def test_singing_without_memory_reaches_the_ceiling_and_no_whole_song():
    sung = sing(Forgetful(), HEARD)
    assert sung.one_step_right == 46
    assert sung.full_song_right < 54


def test_counting_leaves_out_the_given_notes():
    sung = Sung(["x"] * 4 + list(NABIYA[4:]), ["c4"] * 54)
    assert sung.one_step_right == 50
    assert sung.full_song_right == 0


def test_the_picture_marks_each_wrong_note():
    wrong = list(NABIYA)
    wrong[7], wrong[30] = "b4", "a8"
    figure = piano_rolls(NABIYA, {"right": NABIYA, "wrong": wrong}, given=4)
    original, right, marked = figure.axes
    assert len(original.patches) == len(right.patches) == 54
    assert len(marked.patches) == 54 + 2  # and the outlines of what would be right
    assert [text.get_text() for text in marked.texts] == ["b4", "a8"]
    assert len(original.texts) == len(right.texts) == 0
