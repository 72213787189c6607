"""benchmarks/seeds.py: what it writes and what it repeats; the runs themselves are the recipes' tests."""

import importlib.util
import json
from pathlib import Path

import pytest


@pytest.fixture
def seeds(tmp_path, monkeypatch):
    file = Path(__file__).parents[2] / "benchmarks" / "seeds.py"
    specification = importlib.util.spec_from_file_location("seeds", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results.md")
    return module


def write_result(folder, recipe, seed, **content):
    path = folder / recipe / str(seed) / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"recipe": recipe, "seed": seed, "seconds": 1.0, **content}))


def test_the_table_goes_between_its_markers_and_nowhere_else(seeds, tmp_path):
    page = tmp_path / "results.md"
    page.write_text(f"# Results\n\nBefore.\n\n{seeds.BEGIN}\nold\n{seeds.END}\n\nAfter.\n")
    write_result(tmp_path, "hello", 0, figures={"spelled": "hello", "letters_right": 4})
    write_result(tmp_path, "hello", 1, figures={"spelled": "helll", "letters_right": 3})
    seeds.write_table(tmp_path)
    text = page.read_text()
    assert text.startswith("# Results\n\nBefore.")
    assert text.endswith("After.\n")
    assert "old" not in text
    assert "1 of 2 seeds spell the word correctly" in text
    assert "| 1 | helll | 3 |" in text
    seeds.write_table(tmp_path)
    assert page.read_text() == text


def test_a_page_without_markers_is_left_alone(seeds, tmp_path):
    (tmp_path / "results.md").write_text("# Results\n")
    write_result(tmp_path, "hello", 0, figures={"spelled": "hello", "letters_right": 4})
    with pytest.raises(SystemExit, match="lacks the markers"):
        seeds.write_table(tmp_path)
    assert (tmp_path / "results.md").read_text() == "# Results\n"


def test_perfect_songs_are_counted(seeds, tmp_path):
    figures = {
        f"lstm.{epoch}{kind}": right
        for epoch in ("", "last_epoch.")
        for kind, right in (("one_step", 50), ("full_song", 54))
    }
    figures |= {"lstm.best_epoch": 9, "mlp.one_step": 46, "mlp.full_song": 12}
    figures |= {"lstm.microseconds_per_step": 300.0, "mlp.microseconds_per_step": 200.0}
    write_result(tmp_path, "song", 0, figures=figures)
    write_result(tmp_path, "song", 1, figures={**figures, "lstm.last_epoch.full_song": 53})
    seeds.write_table(tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "perfect for 2 of 2 seeds; with those of its last epoch, for 1." in text
    assert "| 1 | 9 | 50 | 54 | 50 | 53 | 46 | 12 | 300.0 | 200.0 |" in text


def test_finished_runs_are_not_repeated_and_stopped_ones_are(seeds, tmp_path, monkeypatch):
    write_result(tmp_path, "hello", 0, figures={})
    write_result(tmp_path, "hello", 1, figures={}, interrupted=True)
    repeated = []

    def run_one(folder, name, seed):
        repeated.append((name, seed))
        return {"seconds": 1.0}

    monkeypatch.setattr(seeds, "run_one", run_one)
    seeds.run_all(["hello"], seeds=3, jobs=1, folder=tmp_path)
    assert repeated == [("hello", 1), ("hello", 2)]


def test_a_run_is_the_command_itself(seeds, tmp_path):
    with pytest.raises(SystemExit, match=r"(?s)sonng, seed 0 failed \(status 2\).*did you mean 'song'"):
        seeds.run_one(tmp_path / "runs", "sonng", 0)
