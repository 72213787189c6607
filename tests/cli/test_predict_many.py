"""`nabi predict` on many files: a result for each, once, whatever ends in between."""

import csv
import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nabi.cli._many_files._processes import TRIES, on_processes
from nabi.cli._many_files._ray import on_ray
from nabi.errors import ArgumentError, WorkerError
from nabi.models import TextClassifier

TEXTS = ["a good film", "good and warm", "so good", "bad", "a bad film", "bad and cold"]
FILES = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.nabi"
    classifier = TextClassifier(units=4, embedding_size=4, epochs=1)
    classifier.fit(TEXTS * 2, (["+"] * 3 + ["-"] * 3) * 2, verbose=0)
    classifier.save(path)
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(FILES):
        rows = [f"{text} {number} {row}" for row, text in enumerate(TEXTS * 20)]
        Path(f"in/part{number}.csv").write_text("\n".join(["text", *rows]) + "\n")
    return tmp_path


def complete() -> None:
    """Each row has one result, in its file and in its place."""
    for number in range(FILES):
        with open(f"in/part{number}.csv") as asked, open(f"out/part{number}.csv") as said:
            texts = [row["text"] for row in csv.DictReader(asked)]
            assert [row["text"] for row in csv.DictReader(said)] == texts
    assert len(list(Path("out").iterdir())) == FILES + 1


def line(model: Path, *more: str) -> list[str]:
    return ["predict", str(model), "--file", "in/*.csv", "--out", "out", "--text", "text", *more]


# Processes that import torch: seconds.
@pytest.mark.rotates(days=3)
def test_results_are_those_of_single_files_and_are_kept(nabi: Any, model: Path, place: Path) -> None:
    done = nabi(*line(model, "--workers", "1"))
    assert (done.status, done.out) == (0, "")
    complete()
    alone = nabi("predict", str(model), "--file", "in/part2.csv", "--text", "text")
    assert alone.out == Path("out/part2.csv").read_text()

    # Again: what is missing, and what was asked anew.
    before = {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    Path("out/part1.csv").unlink()
    later = before["part3.csv"] + 10**9
    os.utime("in/part3.csv", ns=(later, later))
    done = nabi(*line(model, "--workers", "1"))
    assert done.status == 0
    assert f"2 of {FILES} files have a result already" in done.err
    complete()
    now = {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    changed = {name for name in now if now[name] != before[name]}
    assert changed == {"part1.csv", "part3.csv", "predict.json"}

    # Of other options: never mixed with these.
    done = nabi(*line(model, "--top", "2"))
    assert done.status == 2
    assert "out has results of another model or of other options" in done.err


def test_nothing_of_the_user_is_replaced(nabi: Any, model: Path, place: Path) -> None:
    Path("out").mkdir()
    Path("out/part1.csv").write_text("mine")
    done = nabi(*line(model))
    assert done.status == 2
    assert "out/part1.csv exists and was not written by nabi predict" in done.err
    assert Path("out/part1.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--file", "in/*.csv"], "--out: expected a folder"),
        (["--file", "in/*.csv", "--out", "in/part1.csv"], "--out: expected a folder"),
        (["--file", "in/*.nothing", "--out", "out"], "--file: there is no file"),
        (["a text", "--engine", "processes", "--out", "out"], "--file: expected a file"),
        (["a text", "--workers", "2"], "--workers: expected many files"),
        (["--file", "**/part1.csv", "--out", "out"], "--out: out/part1.csv would be written twice"),
    ],
)
def test_what_is_wrong_is_said(nabi: Any, model: Path, place: Path, given: list[str], message: str) -> None:
    Path("other").mkdir()
    Path("other/part1.csv").write_text("text\na")
    done = nabi("predict", str(model), *given)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert not Path("out").exists()


def work(task: dict[str, Any]) -> None:
    """Write the file's name; the first process to see the file `fatal` is killed, or each if it says so."""
    content = task["file"].read_text()
    if content == "always" or (content == "once" and not task["file"].with_suffix(".seen").exists()):
        task["file"].with_suffix(".seen").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if content == "wrong":
        raise ArgumentError("text: there is none")
    with task["out"].open("a") as file:
        file.write(content)


def tasks(folder: Path, *contents: str) -> list[dict[str, Any]]:
    found = []
    for number, content in enumerate(contents):
        (folder / f"{number}.txt").write_text(content)
        found.append({"file": folder / f"{number}.txt", "out": folder / f"{number}.out"})
    return found


ENGINES = [
    on_processes,
    pytest.param(
        on_ray,
        marks=pytest.mark.skipif(find_spec("ray") is None, reason="needs ray, from the extra `ray`"),
    ),
]


@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_process_that_is_killed_is_replaced(engine: Any, tmp_path: Path) -> None:
    given = tasks(tmp_path, "a", "once", "b", "c", "d")
    done = list(engine(work, given, 2))
    assert sorted(task["file"].name for task in done) == [f"{number}.txt" for number in range(5)]
    assert [task["out"].read_text() for task in given] == ["a", "once", "b", "c", "d"]


@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_that_ends_every_process_is_given_up(engine: Any, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=rf"{TRIES} \w+ have ended over .*0.txt"):
        list(engine(work, tasks(tmp_path, "always"), 1))
    with pytest.raises(ArgumentError, match=r"0.txt: text: there is none"):
        list(engine(work, tasks(tmp_path, "wrong"), 1))
