"""Every argument of what reads and prepares data, given junk, is answered with one of nabi's errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nabi import data, datasets

from .junk import answers, junk

Valid = Callable[[Path], dict[str, Any]]

VOCABULARY = data.Vocabulary.learn(["a b", "b c"], "words")
LABELS = data.Labels(["a", "b"])


def table(folder: Path) -> Path:
    path = folder / "films.csv"
    path.write_text("text,label\n" + "".join(f"film {row},{'ab'[row % 2]}\n" for row in range(8)))
    return path


def pairs(folder: Path) -> Path:
    path = folder / "pairs.tsv"
    path.write_text("a\tb\n" + "".join(f"one {row}\teins {row}\n" for row in range(8)))
    return path


def picture(folder: Path) -> Path:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "picture.png")
    return folder / "picture.png"


def captions(folder: Path) -> Path:
    picture(folder)
    path = folder / "captions.csv"
    path.write_text("image,caption\npicture.png,a thing\n")
    return path


def music(folder: Path) -> Path:
    data.write_midi_frames(folder / "music.mid", [[60]] * 8)
    return folder / "music.mid"


def melody(folder: Path) -> Path:
    data.write_midi(folder / "melody.mid", ["g8", "e4"])
    return folder / "melody.mid"


def pieces(folder: Path) -> Path:
    path = folder / "pieces.json"
    path.write_text('{"train": [[[60, 64], [62]]]}')
    return path


CASES: dict[str, tuple[Callable[..., Any], Valid]] = {
    "read_table": (
        data.read_table,
        lambda folder: {"path": table(folder), "columns": ["text"], "encoding": "utf-8", "separator": ","},
    ),
    "stream_table": (
        data.stream_table,
        lambda folder: {"path": table(folder), "columns": ["text"], "rows": 2},
    ),
    "table_columns": (
        data.table_columns,
        lambda folder: {"path": table(folder), "header": True, "quoted": True},
    ),
    "read_pairs": (data.read_pairs, lambda folder: {"path": pairs(folder), "source": "a", "target": "b"}),
    "read_image": (data.read_image, lambda folder: {"path": picture(folder), "size": 8}),
    "fit_images": (data.fit_images, lambda _: {"images": np.zeros((2, 8, 8, 3), np.uint8), "size": 8}),
    "read_captioned_images": (
        data.read_captioned_images,
        lambda folder: {
            "table": captions(folder),
            "folder": folder,
            "size": 8,
            "image": "image",
            "caption": "caption",
        },
    ),
    "read_midi": (data.read_midi, lambda folder: {"path": melody(folder)}),
    "write_midi": (data.write_midi, lambda folder: {"path": folder / "a.mid", "notes": ["g8"], "tempo": 100}),
    "midi_files": (data.midi_files, lambda folder: {"folder": folder}),
    "read_midi_folder": (
        data.read_midi_folder,
        lambda folder: {"folder": music(folder).parent, "steps_per_beat": 2, "labels": False},
    ),
    "read_midi_frames": (data.read_midi_frames, lambda folder: {"path": music(folder), "steps_per_beat": 2}),
    "write_midi_frames": (
        data.write_midi_frames,
        lambda folder: {
            "path": folder / "b.mid",
            "frames": [[60], [62]],
            "steps_per_beat": 2,
            "beats_per_bar": 4,
            "tempo": 100,
        },
    ),
    "read_frames": (data.read_frames, lambda folder: {"path": pieces(folder)}),
    "encode_notes": (data.encode_notes, lambda _: {"notes": ["g8"]}),
    "decode_notes": (data.decode_notes, lambda _: {"codes": [0, 1]}),
    "note_pitch": (data.note_pitch, lambda _: {"note": "g8"}),
    "note_beats": (data.note_beats, lambda _: {"note": "g8"}),
    "roll_of": (data.roll_of, lambda _: {"frames": [[60]]}),
    "frames_of": (data.frames_of, lambda _: {"roll": np.zeros((2, 88), np.uint8)}),
    "one_hot": (data.one_hot, lambda _: {"codes": [0, 1], "width": 3}),
    "pad_sequences": (
        data.pad_sequences,
        lambda _: {
            "sequences": [[1], [2, 3]],
            "maxlen": 3,
            "dtype": "int32",
            "padding": "pre",
            "truncating": "pre",
            "value": 0,
        },
    ),
    "stratified_split": (
        data.stratified_split,
        lambda _: {"labels": ["a", "b"] * 4, "share": 0.5, "seed": 0},
    ),
    "windows": (data.windows, lambda _: {"sequence": [1, 2, 3, 4], "length": 2}),
    "TimeseriesGenerator": (
        data.TimeseriesGenerator,
        lambda _: {
            "data": np.arange(20),
            "targets": np.arange(20),
            "length": 2,
            "sampling_rate": 1,
            "stride": 1,
            "start_index": 0,
            "end_index": 10,
            "shuffle": False,
            "reverse": False,
            "batch_size": 4,
        },
    ),
    "LengthGroups": (
        data.LengthGroups,
        lambda _: {
            "sequences": [[1], [2, 3]],
            "targets": [0, 1],
            "weights": [1.0, 1.0],
            "batch_size": 2,
            "shuffle": True,
            "seed": 0,
            "padding": "post",
            "grouped": True,
        },
    ),
    "Vocabulary.learn": (
        data.Vocabulary.learn,
        lambda _: {
            "texts": ["a b", "b c"],
            "unit": "words",
            "size": 10,
            "lowercase": False,
            "minimum_count": 1,
        },
    ),
    "Vocabulary.encode": (
        VOCABULARY.encode,
        lambda _: {"texts": ["a"], "maxlen": 5, "truncating": "post", "first": None},
    ),
    "Vocabulary.decode": (VOCABULARY.decode, lambda _: {"codes": [1, 4]}),
    "Labels": (data.Labels, lambda _: {"names": ["a", "b"], "several": True, "separator": ";"}),
    "Labels.learn": (
        data.Labels.learn,
        lambda _: {"values": ["a", "b"], "several": False, "separator": None},
    ),
    "Labels.encode": (LABELS.encode, lambda _: {"values": ["a"]}),
    "Labels.decode": (LABELS.decode, lambda _: {"probabilities": [[0.2, 0.8]], "threshold": 0.5}),
    "shapes.load_data": (
        datasets.shapes.load_data,
        lambda _: {"training": 1, "validation": 1, "test": 1, "image_size": 24, "seed": 0},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_junk_is_answered_with_an_error_of_nabis(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, valid = CASES[name]
    monkeypatch.chdir(tmp_path)  # a text may be a name to save under
    place = tmp_path / "right"
    place.mkdir()
    assert list(answers(function, lambda: valid(place), junk(tmp_path))) == []
