"""benchmarks/text: what it repeats, what it writes, and that its runs run."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.text import __main__ as command, page
from benchmarks.text.experiments import EXPERIMENTS, GROUPED
from benchmarks.text.quick import make_small
from nabi.datasets import fake_news, imdb, nsmc, reuters
from nabi.recipes import Run, RunFolder

ROOT = Path(__file__).parents[2]


def figures(accuracy, **changed):
    history = {"loss": [0.5, 0.4], "accuracy": [0.7, 0.8], "val_loss": [0.5, 0.4], "val_accuracy": [0.6, 0.7]}
    found = {"threads": 2, "parameters": 1234, "epochs": 2, "best_epoch": 2, "validation_accuracy": 0.7}
    found |= {"seconds_of_training": 60.0, "seconds_per_epoch": 25.5, "history": history}
    found |= {"padded_steps": 2_000_000, "valid_steps": 1_500_000}
    found |= {"test.accuracy": accuracy, "test.macro_f1": accuracy - 0.1, "test.weighted_f1": accuracy - 0.01}
    return found | changed


def write_result(folder, name, seed, accuracy=0.8, **content):
    path = folder / name / str(seed) / "result.json"
    path.parent.mkdir(parents=True)
    result = {"recipe": name, "seed": seed, "seconds": 90.0, "figures": figures(accuracy), **content}
    path.write_text(json.dumps(result))


def options(folder, **changed):
    return argparse.Namespace(**{"folder": folder, "again": False, "quick": False, "threads": 1, **changed})


def trained(monkeypatch, tmp_path, names, **changed):
    """The runs that the command would train."""
    done = []
    monkeypatch.setattr(command, "run_one", lambda experiment, seed, *_: done.append((experiment.name, seed)))
    chosen = [experiment for experiment in EXPERIMENTS if experiment.name in names]
    console = command.Console(quiet=True)
    command.run_all(chosen, options(tmp_path, **changed), None, console)
    return done


def test_finished_runs_are_not_repeated_and_stopped_ones_are(tmp_path, monkeypatch):
    write_result(tmp_path, "imdb", 0)
    write_result(tmp_path, "imdb", 1, interrupted=True)
    runs = trained(monkeypatch, tmp_path, ["imdb"])
    assert runs == [("imdb", 1), ("imdb", 2)]
    assert trained(monkeypatch, tmp_path, ["imdb"], again=True) == [("imdb", seed) for seed in range(3)]


def test_everything_that_is_asked_for_is_among_the_experiments():
    seeds = {experiment.name: experiment.seeds for experiment in EXPERIMENTS}
    assert len(seeds) == len(EXPERIMENTS)
    assert {name for name, count in seeds.items() if count == 3} >= {
        "fake-news",
        "reuters",
        "reuters-bidirectional",
        "nsmc",
        "imdb",
    }
    for data in ("IMDB", "Reuters, 46 topics"):
        compared = [
            experiment for experiment in EXPERIMENTS if experiment.data == data and experiment.batches
        ]
        assert len({experiment.batches for experiment in compared}) == len(compared) >= 2
        assert len({experiment.network for experiment in compared}) == 1


def results(folder):
    return {experiment.name: command.find_all(folder, experiment.name) for experiment in EXPERIMENTS}


def test_tables_go_between_the_markers_and_the_picture_beside(tmp_path):
    for seed, accuracy in enumerate((0.74, 0.77)):
        write_result(tmp_path, "reuters", seed, accuracy)
    write_result(tmp_path, "imdb", 0, 0.85)
    write_result(tmp_path, "imdb-padded", 0, 0.85, figures=figures(0.85, padded_steps=6_000_000))
    path = tmp_path / "page.md"
    path.write_text(f"# Title\n\nBefore.\n\n{page.BEGIN}\noutdated\n{page.END}\n\nAfter.\n")
    written = page.write(results(tmp_path), path)
    written_page = path.read_text()
    assert written_page.startswith("# Title\n\nBefore.")
    assert written_page.endswith("After.\n")
    assert "outdated" not in written_page
    assert "| 2 | accuracy | 0.75 | 0.71 to 0.72, an LSTM | **0.755 (0.740 to 0.770)** |" in written_page
    assert "| 1 | accuracy | 0.86 | 0.8498, the same network | 0.850 |" in written_page
    row = "| padded to the longest, masked | 1 | 6.00 million | 75% | 25.5 | 2 | 0.700 | 0.850 |"
    assert f"| IMDB | CNN-LSTM {row}" in written_page
    assert "| `reuters` | 1 | 2 of 2 | 0.7000 | 0.7700 | 0.6700 | 0.7600 | 25.5 | 1.0 | 1.5 |" in written_page
    assert "took 6 minutes" in written_page
    assert "fake-news" not in written_page
    assert written[1].read_text().startswith("<?xml")
    assert f"]({written[1].relative_to(tmp_path).as_posix()})" in written_page
    again = page.write(results(tmp_path), path)
    assert (path.read_text(), again) == (written_page, written)


def test_a_page_without_markers_is_left_alone(tmp_path):
    write_result(tmp_path, "imdb", 0)
    path = tmp_path / "page.md"
    path.write_text("# Title\n")
    with pytest.raises(SystemExit, match="lacks the markers"):
        page.write(results(tmp_path), path)
    assert path.read_text() == "# Title\n"


def test_without_results_nothing_is_written(tmp_path):
    with pytest.raises(SystemExit, match="no results"):
        page.write(results(tmp_path), tmp_path / "page.md")
    assert not (tmp_path / "page.md").exists()


def test_the_page_of_the_project_has_the_markers():
    text = page.PAGE.read_text(encoding="utf-8")
    assert text.count(page.BEGIN) == text.count(page.END) == 1


def test_quick_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("NABI_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["text", "--quick", "--folder", str(tmp_path / "runs")])
    with pytest.raises(SystemExit, match="NABI_DATA; there is no imdb"):
        command.main()


def test_a_small_part_has_rows_of_every_part(tmp_path, texts):
    make_small(texts, tmp_path, rows=10, stories=80)
    for data_set in (imdb, nsmc, fake_news):
        assert {len(part[0]) for part in data_set.load_texts(tmp_path)} == {10}
    assert sum(len(part[0]) for part in reuters.load_texts(tmp_path)) == 80


@pytest.mark.rotates(days=6)
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_network_trains(tmp_path, texts, experiment):
    run = Run(experiment.name, RunFolder(tmp_path / experiment.name / "0"), 0, 1, None, texts)
    run.figures["threads"] = 1
    experiment.main(run)
    run.finish()
    found = command.find_all(tmp_path, experiment.name)
    assert len(found) == 1
    assert experiment.name in page.generated({experiment.name: found})
    settings = found[0]["figures"]["settings"]
    assert settings["grouped"] is (experiment.batches in ("", GROUPED))


def test_a_run_is_a_process_that_leaves_its_result(tmp_path, texts, fresh, monkeypatch):
    monkeypatch.chdir(ROOT)
    program = "import runpy\nrunpy.run_module('benchmarks.text.worker', run_name='__main__')"
    options = ("--data", texts, "--out", tmp_path / "nsmc" / "3", "--seed", 3, "--epochs", 1, "--threads", 1)
    ended = fresh(program, "nsmc", *options)
    assert ended.returncode == 0, ended.stderr
    assert "epoch 1:" in ended.stdout
    result = command.find(tmp_path, "nsmc", 3)
    assert (result["recipe"], result["seed"], result["figures"]["threads"]) == ("nsmc", 3, 1)


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
@pytest.mark.rotates(days=4)
def test_ctrl_c_stops_the_command_and_the_run_is_repeated(tmp_path, texts):
    arguments = [
        "--only",
        "fake-news",
        "--folder",
        str(tmp_path / "runs"),
        "--page",
        str(tmp_path / "page.md"),
    ]
    environment = {**os.environ, "NABI_DATA": str(texts)}
    parts = [sys.executable, "-m", "benchmarks.text", *arguments, "--threads", "1"]
    # A session of its own: as from a terminal the signal reaches the command and its run, but no one else.
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            parts, cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    deadline = time.monotonic() + 120
    while "epoch 1:" not in (tmp_path / "out").read_text():
        assert process.poll() is None, (tmp_path / "out").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130, (tmp_path / "out").read_text()
    assert "Traceback" not in (tmp_path / "out").read_text()
    assert not (tmp_path / "page.md").exists()
    written = json.loads((tmp_path / "runs/fake-news/0/result.json").read_text())
    assert written["interrupted"] is True
    assert command.find(tmp_path / "runs", "fake-news", 0) is None
