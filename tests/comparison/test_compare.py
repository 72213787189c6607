"""Cells that are trained alike, and what is kept of it."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nabi
from nabi.cells import GRU, LSTM, Cell
from nabi.comparison import Comparison, Task, _training, compare, find_task
from nabi.comparison._contender import as_contenders
from nabi.comparison._network import make_network
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, UnknownNameError
from nabi.ir.functions import exp, tanh, total
from nabi.native._code import _cache

SMALL: dict[str, Any] = {"units": 6, "steps": 20, "batch_size": 8, "memory": False}


class Exploding(Cell):
    """Grows beyond all bounds."""

    def step(self, x, h):
        return exp(exp(self.affine("h", x, h) + 5 + h))


class Breaking(Cell):
    """Has equations that do not work."""

    def step(self, x, h):
        return tanh(self.affine("h", x)) + undefined  # noqa: F821


def task(length: int = 6) -> Task:
    return replace(find_task("parity", length=length), held_out=(40, 80))


def figures(found: Comparison) -> dict[tuple[str, int], float | None]:
    return {(run.cell, run.seed): run.figure for run in found.runs}


def test_the_same_cell_has_the_same_figures_whatever_stands_before_it() -> None:
    first = compare([GRU, "lstm", "gru"], task(), **SMALL)
    assert [run.problem for run in first.runs] == ["", "", ""]
    runs = {run.cell: run for run in first.runs}
    assert runs["GRU"].looks
    assert runs["GRU"].figure == runs["gru"].figure
    assert [look.figure for look in runs["GRU"].looks] == [look.figure for look in runs["gru"].looks]
    assert runs["lstm"].figure == figures(compare("lstm", task(), **SMALL))["lstm", 0]
    assert runs["gru"].parameters == make_network(as_contenders("gru")[0], task(), 6).count_params()


def test_the_figure_is_that_of_the_best_look_on_test_sequences() -> None:
    [run] = compare("gru", task(), **(SMALL | {"steps": 45})).runs
    assert [look.steps for look in run.looks] == [*range(3, 46, 3)]
    assert run.validation == max(look.figure for look in run.looks)
    assert run.steps == 45
    assert run.seconds == run.looks[-1].seconds
    assert run.milliseconds is not None


def test_what_a_training_learns() -> None:
    found = nabi.compare("gru", "parity", length=3, units=16, steps=300, learning_rate=0.02, memory=False)
    assert found.rows[0].figure == 1.0
    assert found.task["baseline"] == 0.5


def test_a_cell_that_fails_is_a_row_with_its_reason_after_the_others() -> None:
    found = compare(["gru-d", Exploding, Breaking, "gru+chrono", "highway(gru)", "gru"], task(), **SMALL)
    rows = {row.cell: row for row in found.rows}
    assert found.rows[0].cell == "gru"
    assert not rows["gru"].problem
    assert rows["gru-d"].problem == "it needs observed beside its input"
    assert "its loss was not finite" in rows["Exploding"].problem
    assert "NameError: name 'undefined' is not defined" in rows["Breaking"].problem
    assert "+chrono expects a forget gate with the bias b_f" in rows["gru+chrono"].problem
    assert "widths" in rows["highway(gru)"].problem
    assert all(row.figure is None and row.failed == 1 for row in found.rows[1:])


def test_compiling_is_no_part_of_the_time_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    class Once(Cell):
        """No other test compiles this one."""

        def step(self, x, h):
            return tanh(self.affine("h", x, h) + 0.0625 * total(x))

    made: list[object] = []
    compiled = _cache._from_disk_or_new
    monkeypatch.setattr(_cache, "_from_disk_or_new", lambda *a, **k: made.append(a) or compiled(*a, **k))
    monkeypatch.setattr(_training.time, "process_time", lambda: float(len(made)))
    [run] = compare(Once, task(), **(SMALL | {"steps": 40})).runs
    assert made, "the kernels of the cell"
    assert run.looks[-1].seconds == 0


def test_seeds_have_a_median_and_a_range() -> None:
    found = compare("gru", task(), seeds=3, **SMALL)
    [row] = found.rows
    ordered = sorted(figure for figure in figures(found).values() if figure is not None)
    assert (row.lowest, row.figure, row.highest) == tuple(ordered)
    assert row.runs == 3


def test_symbols_labels_and_numbers_are_tasks_too(tmp_path: Path) -> None:
    rows = "".join(f"{word} film,{label}\n" for label, word in enumerate(["good", "bad"]) for _ in range(20))
    (tmp_path / "t.csv").write_text("t,l\n" + rows)
    found = compare("gru", tmp_path / "t.csv", text="t", label="l", length=4, **SMALL)
    assert found.rows[0].figure is not None
    assert found.task["name"] == "t.csv"
    for name in ("copy", "adding"):
        made = replace(find_task(name, length=4), held_out=(20, 20))
        assert compare("lstm", made, **SMALL).rows[0].figure is not None


def test_time_ends_a_training() -> None:
    [run] = compare("gru", task(), minutes=1e-6, **(SMALL | {"steps": None})).runs
    assert run.steps == 50
    assert len(run.looks) == 1
    [run] = compare("gru", task(), minutes=10.0, **SMALL).runs
    assert run.steps == 20


def test_each_cell_can_have_its_own_learning_rate() -> None:
    found = compare("gru,lstm", task(), tune=True, seeds=2, **SMALL)
    rates = {(run.cell, run.learning_rate) for run in found.runs}
    assert len(rates) == 2
    assert {rate for _, rate in rates} <= {1e-3, 3e-3, 1e-2, 3e-2}


def test_chrono_values_are_for_as_long_as_the_sequences() -> None:
    network = make_network(as_contenders("lstm+chrono")[0], find_task("adding", length=50), 200)
    layer = network.layers[-2]
    biases = next(one for one in layer.program().families if one.name == "b")
    values = layer.family_weight(biases).detach().numpy()
    forget, let_in = values[biases.rows("f")], values[biases.rows("i")]
    assert forget.min() >= 0
    assert forget.max() <= math.log(49)
    assert forget.max() > 3
    assert (forget == -let_in).all()
    assert np.unique(forget).size > 100


def test_files_are_read_again(tmp_path: Path) -> None:
    found = compare("gru,gru-d", task(), out=tmp_path, seeds=2, **SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["learning.png", "result.json", "table.csv"]
    assert Comparison.read(tmp_path) == found
    rows = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert [row["cell"] for row in rows] == ["gru", "gru-d"]
    assert float(rows[0]["figure"]) == found.rows[0].figure
    assert (tmp_path / "learning.png").read_bytes().startswith(b"\x89PNG")


def test_a_comparison_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    compare(["gru", Breaking], task(), out=tmp_path, **SMALL)
    content = json.loads((tmp_path / "result.json").read_text())
    content["runs"][0]["figure"] = 0.123  # so that what was kept can be told from what was trained
    (tmp_path / "result.json").write_text(json.dumps(content))
    found = compare(["gru", "lstm", Breaking], task(), out=tmp_path, resume=True, seeds=2, **SMALL)
    assert [(run.cell, run.seed) for run in found.runs] == [
        ("gru", 0), ("gru", 1), ("lstm", 0), ("lstm", 1), ("Breaking", 0),
    ]  # fmt: skip
    assert found.runs[0].figure == 0.123
    whole = figures(compare(["gru", "lstm"], task(), seeds=2, **SMALL))
    assert all(
        whole[key] == value for key, value in figures(found).items() if key in whole and key != ("gru", 0)
    )


def test_a_cell_with_new_equations_is_trained_again(tmp_path: Path) -> None:
    class Mine(LSTM):
        pass

    compare(Mine, task(), out=tmp_path, **SMALL)
    before = figures(Comparison.read(tmp_path))

    class Mine(GRU):  # type: ignore[no-redef]
        pass

    found = compare(Mine, task(), out=tmp_path, resume=True, **SMALL)
    assert len(found.runs) == 1
    assert figures(found) != before


def test_other_settings_and_other_files_are_not_gone_on_from(tmp_path: Path) -> None:
    compare("gru", task(), out=tmp_path, **SMALL)
    with pytest.raises(
        ArgumentError, match=r"resume: expected the settings of .* which has units = 6, got 7"
    ):
        compare("gru", task(), out=tmp_path, resume=True, **(SMALL | {"units": 7}))
    with pytest.raises(ArgumentError, match=r"which has length = 6, got 7"):
        compare("gru", task(7), out=tmp_path, resume=True, **SMALL)
    for content in ("{", "[]", "{}", '{"written_by": "nabi train"}', '{"written_by": "nabi compare"}'):
        (tmp_path / "result.json").write_text(content)
        with pytest.raises(FileFormatError, match=r"result\.json"):
            compare("gru", task(), out=tmp_path, resume=True, **SMALL)
    with pytest.raises(MissingFileError):
        Comparison.read(tmp_path / "nowhere")


def test_ctrl_c_keeps_what_was_complete(tmp_path: Path) -> None:
    usual = task()
    drawn = 24

    def draw(part: str, count: int, generator: np.random.Generator) -> Any:
        nonlocal drawn
        drawn += part == "training"
        if drawn == 25:  # in the second training
            raise KeyboardInterrupt
        return usual.draw(part, count, generator)

    found = compare("gru,lstm,mgu", replace(usual, draw=draw), out=tmp_path, **SMALL)
    assert found.interrupted
    assert found.rows == []
    assert found.table().row_count == 0
    drawn = 0
    found = compare("gru,lstm,mgu", replace(usual, draw=draw), out=tmp_path, **SMALL)
    assert found.interrupted
    assert [run.cell for run in found.runs] == ["gru"]
    assert Comparison.read(tmp_path) == found
    drawn = 100
    found = compare("gru,lstm,mgu", replace(usual, draw=draw), out=tmp_path, resume=True, **SMALL)
    assert not found.interrupted
    assert [run.cell for run in found.runs] == ["gru", "lstm", "mgu"]


@pytest.mark.parametrize(
    ("cells", "options", "error", "message"),
    [
        ("lstn", {}, UnknownNameError, "lstm"),
        ("", {}, ArgumentError, "cells: expected at least one cell, got none"),
        ([], {}, ArgumentError, "cells: expected at least one cell, got none"),
        ("gru,gru", {}, ArgumentError, "cells: expected each cell once, got gru more than once"),
        (3, {}, ArgumentError, "cells: expected names such as 'lstm'"),
        ("gru", {"units": 0}, ArgumentError, "units"),
        ("gru", {"minutes": 0}, ArgumentError, "minutes"),
        ("gru", {"learning_rate": -1}, ArgumentError, "learning_rate"),
        ("gru", {"seeds": 0}, ArgumentError, "seeds"),
    ],
)
def test_bad_arguments_are_refused_before_any_training(
    cells: Any, options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        compare(cells, task(), out=tmp_path / "new", **(SMALL | options))
    assert not (tmp_path / "new").exists()


def test_names_are_separated_by_commas_and_all_is_the_catalogue() -> None:
    assert [one.name for one in as_contenders(["gru, lstm+chrono", GRU])] == ["gru", "lstm+chrono", "GRU"]
    assert [one.name for one in as_contenders("all")] == list(nabi.cells.names())
    [own] = as_contenders(LSTM(3))
    assert own.cell(99, 2).units == 3
