import numpy as np
import pytest

from nabi.data import NABIYA, NOTES, decode_notes, encode_notes, note_beats, note_pitch, windows
from nabi.errors import ArgumentError, UnknownNameError


def test_the_codes_are_those_of_the_lecture():
    assert " ".join(NOTES) == "c4 d4 e4 f4 g4 a4 b4 c8 d8 e8 f8 g8 a8 b8"
    assert encode_notes(NOTES).tolist() == list(range(14))


def test_the_song_has_54_notes_and_its_50_targets_twelve_labels():
    codes = encode_notes(NABIYA)
    inputs, following = windows(codes, 4)
    assert len(NABIYA) == 54
    assert inputs.shape == (50, 4)
    assert codes[:8].tolist() == [11, 9, 2, 10, 8, 1, 7, 8]
    assert following.max() == 11  # to_categorical gives twelve columns


def test_four_windows_of_the_song_have_two_continuations_so_46_is_the_ceiling_of_a_model_without_memory():
    inputs, following = windows(encode_notes(NABIYA), 4)
    continuations: dict[tuple[int, ...], list[int]] = {}
    for window, code in zip(inputs.tolist(), following.tolist(), strict=True):
        continuations.setdefault(tuple(window), []).append(code)
    best_possible = sum(max(codes.count(code) for code in set(codes)) for codes in continuations.values())
    assert best_possible == 46
    assert sum(len(set(codes)) > 1 for codes in continuations.values()) == 4


def test_codes_and_names_are_each_others_inverse():
    assert tuple(decode_notes(encode_notes(NABIYA))) == NABIYA
    assert decode_notes([]) == []
    assert encode_notes([]).shape == (0,)


@pytest.mark.parametrize("note", ["h4", "c2", "C4", "c", ""])
def test_an_unknown_note_is_named_with_its_place(note):
    with pytest.raises(UnknownNameError, match=r"notes\[1\]"):
        encode_notes(["c4", note])
    with pytest.raises(UnknownNameError, match="note"):
        note_pitch(note)
    with pytest.raises(UnknownNameError, match="note"):
        note_beats(note)


@pytest.mark.parametrize("code", [-1, 14])
def test_a_code_outside_0_to_13_is_refused(code):
    with pytest.raises(ArgumentError, match=rf"codes\[1\]: expected a whole number from 0 to 13, got {code}"):
        decode_notes([0, code])


def test_numpy_codes_are_taken():
    assert decode_notes(np.array([0, 13])) == ["c4", "b8"]
