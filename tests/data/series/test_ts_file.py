"""`.ts` files: what is read, and what is wrong with a file and in which line."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from nabi.data import is_ts_file, read_ts, read_ts_header
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

HEAD = """# A file of two channels
@problemName Some Waves
@timeStamps false
@univariate false
@dimensions 2
@classLabel true up down
@data
"""


@pytest.fixture
def write(tmp_path):
    def written(text, name="waves.ts"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_series_have_channels_lengths_gaps_and_labels(write) -> None:
    file = read_ts(write(HEAD + "1,2.5,-3e2:0,?,NaN:up\n\n 4 , 5 : 6 , 7 : down \n% a comment\n8:9:?\n"))
    assert [one.shape for one in file.series] == [(3, 2), (2, 2), (1, 2)]
    np.testing.assert_array_equal(file.series[0], [[1, 0], [2.5, np.nan], [-300, np.nan]])
    np.testing.assert_array_equal(file.series[1], [[4, 6], [5, 7]])
    assert file.labels == ["up", "down", None]
    assert (file.lines, file.names[1]) == ([8, 10, 12], "waves.ts:10")
    assert (file.header.name, file.header.classes, file.header.channels) == ("Some Waves", ("up", "down"), 2)


def test_files_without_labels_and_with_numbers_to_predict(write) -> None:
    plain = read_ts(write("@univariate true\n@classLabel false\n@data\n1,2\n3\n"))
    assert (plain.labels, [one.shape for one in plain.series]) == (None, [(2, 1), (1, 1)])
    targets = read_ts(write("@targetlabel true\n@data\n1,2:0.5\n3,4:-1\n"))
    assert (targets.labels, targets.header.has_targets) == (["0.5", "-1"], True)


def test_a_file_may_be_compressed_and_its_header_is_read_alone(write, tmp_path) -> None:
    path = tmp_path / "waves.TS.gz"
    path.write_bytes(gzip.compress((HEAD + "1:2:up\n").encode()))
    assert read_ts(path).labels == ["up"]
    assert read_ts_header(path) == read_ts(path).header
    assert is_ts_file(path)
    assert is_ts_file("a.ts")
    assert not is_ts_file("a.csv")
    assert not is_ts_file(["a.ts"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected a line @data, got the end of the file"),
        ("@problemName a\n1,2:up\n", "line 2: expected a line with @ or @data, got '1,2:up'"),
        (HEAD.replace("@data\n", ""), "line 6: expected a line @data, got the end of the file"),
        (HEAD, "line 7: expected series after @data, got none"),
        (HEAD + "1:2:up\n1:2:3:down\n", "line 9: expected 2 channels, got 3"),
        (HEAD + "1:up\n", "line 8: expected 2 channels, got 1"),
        ("@data\n1:2\n1\n", "line 3: expected 2 channels, got 1"),
        (HEAD + "1,2:3:up\n", "line 8: channel 2: expected 2 values, as channel 1 has, got 1"),
        (HEAD + "1,x:3,4:up\n", r"line 8: channel 1: expected a number or \?, got 'x'"),
        (HEAD + "1,:3,4:up\n", r"line 8: channel 1: expected a number or \?, got an empty one"),
        (HEAD + ":3:up\n", r"line 8: channel 1: expected a number or \?, got an empty one"),
        (HEAD + "1,inf:3,4:up\n", "line 8: channel 1: expected finite numbers, got an infinite one"),
        (HEAD + "1:2:left\n", r"line 8: expected one of the labels of @classLabel \(up, down\), got 'left'"),
        ("@classLabel true\n@data\n1:a\n", "line 1: @classLabel: expected true and the labels, got no label"),
        ("@classLabel yes\n@data\n1:a\n", "line 1: @classLabel: expected true or false, got 'yes'"),
        ("@dimensions two\n@data\n1\n", "line 1: @dimensions: expected a number of channels, got 'two'"),
        ("@targetlabel true\n@data\n1,2:\n", "line 3: expected a label at the end, got none"),
        ("@timeStamps true\n@data\n(0,1)\n", "line 1: @timeStamps: series with time stamps are not read"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(write, text, message) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_ts(write(text))


def test_what_is_no_file_is_refused(tmp_path) -> None:
    with pytest.raises(MissingFileError):
        read_ts(tmp_path / "none.ts")
    with pytest.raises(ArgumentError, match="got the folder"):
        read_ts(tmp_path)


def test_the_japanese_vowels() -> None:
    if not os.environ.get("NABI_DATA"):
        pytest.skip("NABI_DATA is not set, the folder with the real data")
    train = read_ts(Path(os.environ["NABI_DATA"]) / "series" / "JapaneseVowels_TRAIN.ts")
    assert len(train.series) == 270
    assert {one.shape[1] for one in train.series} == {12}
    lengths = [len(one) for one in train.series]
    assert (min(lengths), max(lengths)) == (7, 26)
    assert train.labels == [str(number) for number in range(1, 10) for _ in range(30)]
    # The first values as they stand in the file.
    np.testing.assert_array_equal(train.series[0][0, :2], [1.860936, -0.207383])
