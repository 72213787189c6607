import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

from nabi.data import frames_of, read_frames, roll_of
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

PIECES = st.lists(st.frozensets(st.integers(21, 108), max_size=6).map(sorted), max_size=12)


@given(PIECES)
def test_frames_become_a_roll_and_frames_again(piece):
    roll = roll_of(piece)
    assert roll.shape == (len(piece), 88)
    assert roll.sum() == sum(map(len, piece))
    assert frames_of(roll) == tuple(map(tuple, piece))


def test_the_first_and_the_last_key():
    roll = roll_of([[21, 108]])
    assert np.flatnonzero(roll[0]).tolist() == [0, 87]


@pytest.mark.parametrize("pitch", [20, 109, -1, 60.0, "60", True, None])
def test_what_is_no_key_is_refused(pitch):
    with pytest.raises(
        ArgumentError, match=r"primer\[1\]: expected a whole number from 21 to 108, the keys of a piano"
    ):
        roll_of([[60], [pitch]], "primer")


@pytest.mark.parametrize("frames", [[60, 62], 5, None])
def test_what_are_no_frames_is_refused(frames):
    with pytest.raises(ArgumentError, match="frames: expected a list"):
        roll_of(frames)


def test_parts_are_read(tmp_path):
    content = {"train": [[[64, 60], []], [[60]]], "test": []}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_frames(tmp_path / "a.json") == {"train": [((60, 64), ()), ((60,),)], "test": []}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[1, 2]", "expected parts"),
        ('{"train": 3}', "expected parts"),
        ('{"train": [[[60], [200]]]}', r"train\[0\]\[1\]: expected a whole number from 21 to 108.*got 200"),
        ('{"train": [[60]]}', r"train\[0\]: expected a list of frames"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_a_damaged_file_is_said(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FileFormatError, match=message):
        read_frames(tmp_path / "a.json")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(MissingFileError, match="there is no file"):
        read_frames(tmp_path / "a.json")
