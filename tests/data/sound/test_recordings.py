"""Folders of recordings: where labels and groups come from, what is left out, what is changed."""

import numpy as np
import pytest

from nabi.data import read_recordings, sound_files, write_wav
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

TONE = (0.5 * np.sin(np.arange(400) / 5)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    for name in ("yes_ann_0", "yes_bob_0", "no_ann_0", "no_bob_0"):
        write_wav(tmp_path / f"{name}.wav", TONE, 8000)
    return tmp_path


def test_labels_from_names(folder) -> None:
    found = read_recordings(folder)
    assert [path.name for path in found.files] == [
        "no_ann_0.wav", "no_bob_0.wav", "yes_ann_0.wav", "yes_bob_0.wav",
    ]  # fmt: skip
    assert (found.labels, found.groups, found.rate, len(found)) == (["no", "no", "yes", "yes"], None, 8000, 4)
    assert (found.texts, found.skipped, found.notes) == (False, (), ())
    by_pattern = read_recordings(folder, label_pattern="_(.*)_", group_pattern="^(.*?)_")
    assert by_pattern.labels == ["ann", "bob", "ann", "bob"]
    assert by_pattern.groups == ["no", "no", "yes", "yes"]
    assert by_pattern.take([3, 0]).groups == ["yes", "no"]
    write_wav(folder / "left-1.wav", TONE, 8000)
    assert read_recordings(folder).labels[0] == "left"


def test_labels_from_folders(tmp_path) -> None:
    for name in ("yes/deep/a.wav", "no/b.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        write_wav(tmp_path / name, TONE, 8000)
    assert read_recordings(tmp_path, "folder").labels == ["no", "yes"]
    write_wav(tmp_path / "loose.wav", TONE, 8000)
    with pytest.raises(ArgumentError, match=r"expected recordings in subfolders, got .*loose\.wav"):
        read_recordings(tmp_path, "folder")


def test_labels_from_a_table(folder) -> None:
    table = folder / "labels.csv"
    table.write_text("file,text,speaker\nyes_ann_0.wav,seven three,ann\nno_bob_0.wav,one,bob\n")
    found = read_recordings(folder, table)
    assert (found.labels, found.groups, found.texts) == (["seven three", "one"], ["ann", "bob"], True)
    table.write_text("path,class\nyes_ann_0.wav,a\nno_bob_0.wav,b\nnone.wav,a\nno_ann_0.wav,\n,b\n"
                     "yes_bob_0.wav,b\nyes_bob_0.wav,a\n")  # fmt: skip
    found = read_recordings(folder, table, group_pattern="_(.*)_")
    assert (found.labels, found.groups, found.texts) == (
        ["a", "b", "b", "a"],
        ["ann", "bob", "bob", "bob"],
        False,
    )
    assert len(found.skipped) == 3
    assert "labels.csv, row 3: there is no file" in found.skipped[0]
    assert "labels.csv, row 4 has no label" in found.skipped[1]
    assert "labels.csv, row 5 has no file name" in found.skipped[2]


def test_bad_files_are_named_and_left_out(folder) -> None:
    (folder / "no_0.wav").write_bytes(b"")
    (folder / "no_1.wav").write_bytes(b"words")
    whole = (folder / "yes_ann_0.wav").read_bytes()
    (folder / "yes_1.wav").write_bytes(whole[:-10])
    found = read_recordings(folder)
    assert len(found) == 4
    assert len(found.skipped) == 3
    for name, what in (("no_0", "is empty"), ("no_1", "is not a WAV file"), ("yes_1", "is cut short")):
        assert any(f"{name}.wav" in one and what in one for one in found.skipped)
    write_wav(folder / "yes_2.wav", TONE[:0], 8000)
    with pytest.raises(ArgumentError, match=r"4 of 8 recordings of .* cannot be used: .*no_0\.wav is empty"):
        read_recordings(folder)


def test_rates_and_channels_are_made_equal_and_said(folder) -> None:
    write_wav(folder / "yes_9.wav", np.repeat(TONE, 2), 16_000)
    found = read_recordings(folder)
    assert found.rate == 8000
    assert found.notes == ("1 of 5 recordings are resampled from 16000 Hz to 8000 Hz",)
    assert {len(one) for one in found.samples} == {400}
    assert read_recordings(folder, rate=4000).samples[0].shape == (200,)
    for path in sound_files(folder):
        write_wav(path, np.repeat(TONE, 4), 44_100)
    assert read_recordings(folder).rate == 16_000


def test_what_is_wrong_is_said(folder, tmp_path) -> None:
    with pytest.raises(MissingFileError, match="folder: there is no folder"):
        read_recordings(folder / "none")
    empty = folder / "empty"
    empty.mkdir()
    with pytest.raises(ArgumentError, match="expected sound files"):
        read_recordings(empty)
    for options, message in [
        ({"group_pattern": "("}, "group_pattern: .* is not a regular expression"),
        ({"group_pattern": "_.*_"}, "expected a regular expression with one group in brackets"),
        ({"label_pattern": "([0-9]+)x"}, "label_pattern: .* finds nothing in the name 'no_ann_0'"),
        ({"label_from": "nmae"}, "label_from: expected 'name', 'folder' or a table, got 'nmae'"),
        ({"label_from": "folder", "label_pattern": "(x)"}, "expected None unless label_from is 'name'"),
        ({"rate": 0}, "rate: expected a whole number of at least 1 or None, got 0"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            read_recordings(folder, **options)
    with pytest.raises(MissingFileError, match="there is no file"):
        read_recordings(folder, folder / "none.csv")
    table = folder / "labels.csv"
    for content, kind, message in [
        ("file,sound\na,b\n", ArgumentError, "needs a column 'label', or 'text'"),
        ("name,label\na,b\n", ArgumentError, "needs a column 'file' of file names; it has name, label"),
        ("", FileFormatError, "labels.csv"),
    ]:
        table.write_text(content)
        with pytest.raises(kind, match=message):
            read_recordings(folder, table)
    write_wav(folder / "_x.wav", TONE, 8000)
    with pytest.raises(ArgumentError, match="expected a name that begins with the label"):
        read_recordings(folder)
