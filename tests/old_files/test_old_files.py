"""Files of earlier versions are read, answer as they did, and trainings go on from them.

What they answered was stored with them; `write.py` says how they were written.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from . import command_line, pickles
from .old_file import differences, plain
from .write import ANSWERS, FILES, archived, stem_of, unpack

EXPECTED: dict[str, Any] = json.loads(ANSWERS.read_text())
PICKLED = list(pickles.FILES)
# Faults of the version that wrote the files. A test of this kind that passes is a failure: take the name out.
FAULTS: dict[str, str] = {}
READ = [
    pytest.param(name, marks=pytest.mark.xfail(strict=True, reason=FAULTS[name]) if name in FAULTS else ())
    for name in FILES
    if name not in PICKLED
]
# Those that are read a second time, for native code.
NATIVE = ["sequential words", "language of gru", "translator"]


@pytest.fixture(autouse=True)
def on_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without native code: nothing is compiled, and masks of dropout are drawn alike everywhere."""
    monkeypatch.setenv("NABI_NATIVE", "0")


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("name", READ)
def test_an_old_file_answers_as_it_did(tmp_path: Path, name: str) -> None:
    answer = plain(FILES[name].read(unpack(name, tmp_path)))
    assert differences(answer, EXPECTED[name]) == []


@pytest.mark.parametrize("name", NATIVE)
def test_an_old_file_answers_as_it_did_in_native_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("NABI_NATIVE")
    answer = plain(FILES[name].read(unpack(name, tmp_path)))
    assert differences(answer, EXPECTED[name]) == []


@pytest.mark.parametrize("name", PICKLED)
def test_an_old_pickle_answers_as_it_did(tmp_path: Path, name: str) -> None:
    answer = plain(FILES[name].read(unpack(name, tmp_path)))
    assert differences(answer, EXPECTED[name]) == []


@pytest.mark.parametrize("name", command_line.ASKED)
def test_the_command_line_says_of_an_old_file_what_it_said(tmp_path: Path, name: str) -> None:
    answer = plain(command_line.ASKED[name](unpack(name, tmp_path)))
    assert differences(answer, EXPECTED[f"command line: {name}"]) == []


def test_no_file_is_left_out() -> None:
    """Every file of the archive is read by a test, and every answer is asked for."""
    asked = {f"command line: {name}" for name in command_line.ASKED}
    assert set(EXPECTED) == {*FILES, *asked}
    assert {file.partition(".")[0] for file in archived()} == {stem_of(name) for name in FILES}


@pytest.mark.parametrize(
    ("got", "expected", "count"),
    [
        ([1.0, "a 0.5"], [1.00001, "a 0.5"], 0),
        ([1.0], [1.01], 1),
        ({"a": 1, "b": 2}, {"a": 1}, 0),
        ({"a": 1}, {"a": 1, "b": 2}, 1),
        (["a b"], ["a c"], 1),
        ("p 0.50", "p 0.57", 1),
        ([1, 2], [1], 1),
        (None, 0.0, 1),
    ],
)
def test_answers_that_differ_are_told(got: Any, expected: Any, count: int) -> None:
    assert len(differences(got, expected)) == count
