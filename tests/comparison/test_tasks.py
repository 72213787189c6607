"""The tasks of a comparison: their sequences, their answers, their baselines."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from nabi.comparison import TASKS, Task, find_task
from nabi.errors import ArgumentError, MissingFileError, NabiError, UnknownNameError

SEEDS = strategies.integers(0, 2**32 - 1)


def one_hot(answers: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[answers]


@given(strategies.integers(2, 30), SEEDS)
@settings(max_examples=15)
def test_adding_marks_one_number_in_each_half(length: int, seed: int) -> None:
    x, y = find_task("adding", length=length).batches("training", 7, seed)
    assert x.shape == (7, length, 2)
    assert y.shape == (7, 1)
    halves = x[:, : length // 2, 1], x[:, length // 2 :, 1]
    assert all((half.sum(1) == 1).all() and set(np.unique(half)) <= {0, 1} for half in halves)
    for sequence, answer in zip(x, y, strict=True):
        assert answer == pytest.approx(sequence[sequence[:, 1] == 1, 0].sum())


@given(strategies.integers(1, 30), SEEDS)
@settings(max_examples=15)
def test_copy_asks_for_what_was_stored(length: int, seed: int) -> None:
    task = find_task("copy", length=length)
    x, y = task.batches("training", 7, seed)
    assert x.shape == y.shape == (7, length + 10)
    assert (y[:, -5:] == x[:, :5]).all()
    assert (y[:, :-5] == 0).all()
    assert (x[:, :5] > 0).all()
    assert (x[:, -6] == 9).all()
    assert (x[:, 5:-6] == 0).all()
    assert task.measure.of(one_hot(y, task.outputs), y) == 1


@given(strategies.integers(2, 30), SEEDS)
@settings(max_examples=15)
def test_parity_turns_over_at_every_one(length: int, seed: int) -> None:
    x, y = find_task("parity", length=length).batches("training", 7, seed)
    before = np.concatenate([np.zeros((7, 1)), y[:, :-1]], 1)
    assert ((y != before) == (x[..., 0] == 1)).all()


@given(strategies.integers(2, 12), SEEDS)
@settings(max_examples=15)
def test_recall_asks_for_the_value_of_a_key(length: int, seed: int) -> None:
    task = find_task("recall", length=length)
    x, y = task.batches("training", 7, seed)
    keys, values = np.split(x, 2, axis=2)
    assert (keys.sum(2) == 1).all()
    assert (values[:, :-1].sum(2) == 1).all()
    assert (values[:, -1] == 0).all()
    assert (keys[:, :-1].sum(1) <= 1).all()
    assert (values.sum(1) <= 1).all()
    matching = (keys[:, :-1] * keys[:, -1:]).sum(2)
    assert ((matching[..., None] * values[:, :-1]).sum(1).argmax(1) == y).all()


def test_pixels_are_pictures_of_the_digit_that_is_the_answer() -> None:
    task = find_task("pixels", length=64)
    x, y = task.batches("training", 1000, 0)
    assert x.shape == (1000, 64, 1)
    assert x.min() >= 0
    assert x.max() <= 1
    # The nearest mean of other pictures names more than half of them, so they are of their digits.
    other, known = task.batches("training", 1000, 1)
    means = np.stack([other[known == digit].mean(0) for digit in range(10)])
    nearest = ((x[:, None] - means) ** 2).sum((2, 3)).argmin(1)
    assert (nearest == y).mean() > 0.5


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_same_seed_and_part_draw_the_same_sequences(name: str) -> None:
    task = find_task(name)
    first = task.batches("training", 5, 3, 2)
    assert all(
        (one == other).all() for one, other in zip(first, task.batches("training", 5, 3, 2), strict=True)
    )
    for others in (("training", 5, 3, 3), ("training", 5, 4, 2), ("test", 5, 3, 2)):
        assert (task.batches(*others)[0] != first[0]).any()


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("adding", np.ones((4000, 1))),
        ("copy", one_hot(np.ones((4000, 20), int), 9)),
        ("parity", one_hot(np.ones((4000, 40), int), 2)),
        ("pixels", one_hot(np.ones(4000, int), 10)),
    ],
)
def test_a_baseline_is_the_figure_of_an_answer_that_needs_no_memory(name: str, outputs: np.ndarray) -> None:
    task = find_task(name)
    answers = task.batches("test", 4000, 0)[1]
    assert task.measure.of(outputs, answers) == pytest.approx(task.baseline, abs=0.02)


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_characters_of_a_file_are_followed_by_their_next(tmp_path: Path) -> None:
    file = text(tmp_path / "song.txt", "나비야 나비야 이리 날아오너라. " * 80)
    task = find_task(file, length=20)
    x, y = task.batches("training", 50, 0)
    assert (x[:, 1:] == y[:, :-1]).all()
    assert x.max() < task.features
    assert task.name == "characters"
    assert task.data == "song.txt"
    certain = one_hot(y, task.outputs)
    assert task.measure.of(certain, y) == pytest.approx(0)
    assert task.measure.of(np.full_like(certain, 1 / task.outputs), y) == pytest.approx(np.log2(task.outputs))
    assert 0 < task.baseline < np.log2(task.outputs)


def test_rare_characters_share_a_symbol(tmp_path: Path) -> None:
    common = "".join(chr(number) for number in range(0x4E00, 0x4E00 + 300))
    task = find_task(text(tmp_path / "many.txt", common * 20), length=50)
    assert task.features == 256
    assert task.batches("test", 20, 0)[0].max() == 255


def test_texts_of_a_table_have_their_labels(tmp_path: Path) -> None:
    rows = "".join(f"a {word} film {number},{label}\n" for number in range(20) for word, label in
                   (("good", "yes"), ("bad", "no"), ("bad", "no")))  # fmt: skip
    task = find_task(text(tmp_path / "films.csv", "t,l\n" + rows), text="t", label="l", length=5)
    x, y = task.batches("test", 100, 0)
    assert len(x) == task.held_out[1] == 9
    assert task.baseline == pytest.approx(6 / 9)
    words = {label: set(x[y == label, 1]) for label in (0, 1)}
    assert words[0].isdisjoint(words[1])
    assert task.baseline_of == "always answering no"
    assert task.masked
    assert task.symbols
    assert x.max() < task.features


def test_series_of_a_file_have_their_labels(tmp_path: Path) -> None:
    lines = [f"{number},{number},?:?,?,?:{label}" for number in range(10) for label in ("up", "down")]
    lines.append("1,2:?,?:up")
    content = "@classLabel true up down\n@data\n" + "\n".join(lines) + "\n"
    task = find_task(text(tmp_path / "s.ts", content))
    x, y = task.batches("training", 200, 0)
    assert x.shape == (200, 3, 2)
    assert np.isfinite(x).all()
    assert task.masked
    assert set(y) == {0, 1}
    assert find_task(tmp_path / "s.ts", length=2).steps == 2


WRONG = [
    ("adding", {"length": 1}, "length: expected a whole number of at least 2"),
    ("pixels", {"length": 150}, "length: expected a square, the pixels of a picture, such as 144, got 150"),
    ("recall", {"length": 1}, "length: expected"),
    ("addition", {}, "task: "),
    ("adding", {"text": "t"}, "text: expected no column for the task adding"),
    ("table.csv", {"text": "t"}, "label: expected the name of a column of table.csv, got none"),
    ("table.csv", {"text": "t", "label": "x"}, "column"),
    ("table.csv", {"text": "t", "label": "l"}, "task: expected at least two labels with three rows each"),
    ("short.txt", {}, "length: expected a text of at least 4,040 characters for pieces of 100, got 5"),
    ("short.txt", {"text": "t"}, "text: expected no column for short.txt, which is no table"),
    ("file.docx", {}, "task: expected a text (.txt, .md or source text)"),
    ("plain.ts", {}, "task: expected a file with class labels"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG, ids=lambda value: str(value))
def test_what_makes_no_task_is_refused(
    name: str, options: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text(Path("table.csv"), "t,l\na,1\nb,2\n")
    text(Path("short.txt"), "short")
    text(Path("file.docx"), "other")
    text(Path("plain.ts"), "@data\n1,2\n")
    with pytest.raises(NabiError) as problem:
        find_task(name, **options)
    assert message in str(problem.value)


def test_a_file_that_is_not_there_and_a_misspelt_name_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        find_task(tmp_path / "none.txt")
    with pytest.raises(UnknownNameError, match="parity"):
        find_task("paritiy")


def test_characters_without_data_are_those_of_the_help_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NABI_DATA", raising=False)
    task = find_task("characters")
    assert task.data == "the help texts of Python"
    assert isinstance(task, Task)
    with pytest.raises(ArgumentError, match="length"):
        find_task("characters", length=10**6)
