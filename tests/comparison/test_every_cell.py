"""benchmarks/compare_cells.py: what it keeps, what it trains again, and the page that follows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nabi
from benchmarks import compare_cells
from benchmarks.compare_cells import MARKS, TASKS, Record, keep, load, train, write
from nabi.comparison import find_task


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Trainings take two steps of short sequences; return those that there were."""
    runs = []

    def short(names: list[str], task: str, **settings: Any) -> nabi.comparison.Comparison:
        runs.append((names[0], task))
        small = replace(find_task(task, length=6), held_out=(8, 8))
        return nabi.compare(names, small, **(settings | {"memory": False, "steps": 2, "batch_size": 8}))

    monkeypatch.setattr(compare_cells, "compare", short)
    monkeypatch.setattr(compare_cells, "TASKS", ("adding", "parity"))
    monkeypatch.setattr(compare_cells, "UNITS", 6)
    return runs


def test_what_is_trained_is_kept_and_not_trained_again(
    trained: list[tuple[str, str]], tmp_path: Path
) -> None:
    path = tmp_path / "cells.jsonl"
    train(["gru-d", "gru"], path)
    assert len(trained) == 4
    found = load(path)
    assert list(found) == ["gru", "gru-d"]  # as in the catalogue
    gru = found["gru"]
    assert set(gru.figures) == {"adding", "parity"}
    assert (gru.milliseconds or 0) > 0
    assert (gru.parameters or 0) > 3 * 6 * 6
    assert gru.machine
    assert found["gru-d"].figures == {}
    assert set(found["gru-d"].problems.values()) == {"it needs observed beside its input"}

    del gru.figures["parity"]
    trained.clear()
    keep(path, found)
    train(["gru", "gru-d"], path)
    assert trained == [("gru", "parity")]
    assert list(load(path)) == list(found)

    keep(path, found | {"gru": replace(gru, equations="of earlier")})
    train(["gru"], path)
    assert trained[1:] == [("gru", "adding"), ("gru", "parity")]
    assert load(path)["gru"].equations == gru.equations
    train(["gru"], path, again=True)
    assert len(trained) == 5


def record(name: str, error: float, machine: str = "A processor", **more: Any) -> Record:
    figures = dict.fromkeys(TASKS, 0.5) | {"adding": error}
    known = Record(name, compare_cells.equations(name), figures, {}, 1234, 0.567, 8.91, machine, "2.0")
    return replace(known, **more)


def test_the_page_follows_from_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compare_cells, "PAGE", tmp_path / "page.md")
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{compare_cells.BEGIN}\nan old table\n{compare_cells.END}\n\nAfter.\n")
    records = [
        record("gru", 0.00214),
        record("lstm", 0.0000059, "Another"),
        record("mgu", 0.163, figures={"adding": 0.163}, problems={"copy": "its loss was not finite"}),
        Record("gru-d", "", problems=dict.fromkeys(TASKS, "it needs observed")),
        record("rum", 0.1, equations="of earlier"),
    ]
    known = {one.cell_name: one for one in records}
    write(known)
    text = page.read_text()
    assert text.startswith("Before.\n\n<!--")
    assert text.endswith("-->\n\nAfter.\n")
    assert "an old table" not in text
    assert f"of A processor, torch 2.0; with {MARKS[0]}, of Another, torch 2.0." in text
    half = " | **0.500**" * 4
    assert f"| [`gru`](cells/gru.md#gru) | 0.0021{half} | 1,234 | 0.57 | 8.9 |" in text
    assert f"(cells/lstm.md#lstm) | **0.000006**{half} | 1,234 | 0.57 {MARKS[0]} | 8.9 |" in text
    assert f"(cells/irregular.md#gru-d){' | –' * 5} |  |  |  |" in text
    assert "- `mgu`, copy: its loss was not finite\n- `mgu`, parity, recall, pixels: not trained yet" in text
    assert "- `gru-d`: it needs observed\n" in text
    assert "#rum" not in text
    assert "- `rum`: its equations have changed since it was trained" in text
    assert "- `simple-rnn`: not trained yet" in text
    picture = tmp_path / "pictures" / "comparing.svg"
    before = picture.read_bytes()
    write(known)
    assert page.read_text() == text
    assert picture.read_bytes() == before


def test_the_page_of_the_project_has_the_figures_of_its_file() -> None:
    found = load(compare_cells.RESULTS)
    marks = compare_cells.marks_of(found)
    text = compare_cells.PAGE.read_text(encoding="utf-8").partition(compare_cells.BEGIN)[2]
    rows = [line for line in text.replace("*", "").splitlines() if line.startswith(("| [`", "| `"))]
    written = {line.replace("*", "") for line in compare_cells.table(found, marks)}
    assert len(rows) > 100
    assert set(rows) <= written
