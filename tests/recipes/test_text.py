"""The recipes that read text, on a few made-up texts; once each on a part of the real ones."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from benchmarks.text.quick import make_small
from nabi import recipes
from nabi.datasets import fake_news, imdb, reuters
from nabi.errors import ArgumentError, MissingFileError
from nabi.explain import read_text
from nabi.layers import Dense
from nabi.models import Sequential, TextClassifier
from nabi.recipes._results._learning_curves import learning_curves
from nabi.recipes._results._text import _shortened, mistakes
from nabi.recipes._run import _run

FILES = [
    "confusion.png",
    "learning_curves.png",
    "model.nabi",
    "report.txt",
    "result.json",
    "surely_wrong.txt",
]
NAMES = ["fake-news", "imdb", "reuters"]


def run(name, folder, data, epochs=1, **options):
    """Run a recipe; its result and what it showed."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=100, file=nowhere)
        result = recipes.get(name).run(folder, data=data, epochs=epochs, console=console, **options)
    return result, console.export_text()


@pytest.fixture(scope="module")
def short_runs(tmp_path_factory, texts):
    """Each recipe for two epochs, as it is."""
    return {name: run(name, tmp_path_factory.mktemp(name), texts, epochs=2) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_folder(short_runs, name):
    result, _ = short_runs[name]
    assert sorted(path.name for path in result.folder.iterdir()) == FILES
    written = json.loads((result.folder / "result.json").read_text())
    assert written["figures"] == result.figures
    assert written["seconds"] == result.seconds


@pytest.mark.parametrize("name", NAMES)
def test_the_figures(short_runs, name):
    figures = short_runs[name][0].figures
    for figure in ("test.accuracy", "test.macro_f1", "test.weighted_f1", "validation_accuracy"):
        assert 0 <= figures[figure] <= 1
    assert figures["epochs"] == 2
    assert figures["best_epoch"] in (1, 2)
    history = figures["history"]
    assert {len(values) for values in history.values()} == {2}
    assert figures["validation_accuracy"] == history["val_accuracy"][figures["best_epoch"] - 1]
    assert 0 < figures["valid_steps"] <= figures["padded_steps"]
    assert 0 < figures["seconds_per_epoch"] <= figures["seconds_of_training"] < short_runs[name][0].seconds


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown(short_runs, name):
    result, shown = short_runs[name]
    assert re.search(r"epoch 2: loss [\d.]+, accuracy [\d.]+; validation [\d.]+, [\d.]+; [\d.]+ s", shown)
    assert f"{result.figures['test.texts']} test texts: accuracy" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("name", NAMES)
def test_figures_report_and_mistakes_agree(short_runs, name):
    result, _ = short_runs[name]
    wrong = round(result.figures["test.texts"] * (1 - result.figures["test.accuracy"]))
    text = (result.folder / "surely_wrong.txt").read_text()
    assert text.startswith(f"{wrong} test texts are misclassified")
    probabilities = [float(found) for found in re.findall(r"with probability ([\d.]+)", text)]
    assert len(probabilities) == min(wrong, 50)
    assert probabilities == sorted(probabilities, reverse=True)
    assert f"accuracy {result.figures['test.accuracy']:.4f}" in (result.folder / "report.txt").read_text()


@pytest.mark.parametrize(
    ("name", "data_set"), [("imdb", imdb), ("reuters", reuters), ("fake-news", fake_news)]
)
def test_the_files_give_the_figures_again(short_runs, texts, name, data_set):
    result, _ = short_runs[name]
    classifier = TextClassifier.load(result.folder / "model.nabi")
    assert result.figures["parameters"] == classifier.model.count_params()
    test_texts, test_labels = data_set.load_texts(texts)[-1]
    assert list(classifier.labels.names) == list(data_set.get_label_names())
    assert classifier.report.accuracy == pytest.approx(result.figures["test.accuracy"], abs=1e-4)
    found = [prediction.label for prediction in classifier.predict(test_texts)]
    right = np.mean([label == said for label, said in zip(test_labels, found, strict=True)])
    assert right == pytest.approx(result.figures["test.accuracy"], abs=1e-4)


def test_a_classifier_of_a_recipe_can_be_read(short_runs):
    """One output with sigmoid: what words add is about the label that is followed, and adds up."""
    classifier = TextClassifier.load(short_runs["imdb"][0].folder / "model.nabi")
    readings = [read_text(classifier, "superb and moving", label=label) for label in classifier.labels.names]
    for reading in readings:
        added = float(reading.attributions.sum())
        assert added == pytest.approx(reading.log_odds - reading.baseline, abs=0.01)
        assert reading.probabilities[-1].sum() == pytest.approx(1)
    assert readings[0].attributions == pytest.approx(-readings[1].attributions, abs=1e-6)


def test_words_that_only_the_test_part_has_are_not_learned(short_runs):
    words = TextClassifier.load(short_runs["imdb"][0].folder / "model.nabi").vocabulary.words
    assert "superb" in words
    assert "testonly" not in words


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("name", NAMES)
def test_it_learns(tmp_path, texts, easily, name):
    easily(name)
    figures = run(name, tmp_path, texts, epochs=40)[0].figures
    assert figures["test.accuracy"] >= 0.9
    assert figures["test.macro_f1"] >= 0.9


def test_the_same_seed_gives_the_same_figures(tmp_path, texts):
    runs = [
        run("fake-news", tmp_path / str(number), texts, seed=seed) for number, seed in enumerate((1, 1, 2))
    ]
    first, again, other = (result.figures["history"] for result, _ in runs)
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", NAMES)
def test_missing_data_are_said_at_once_and_nothing_is_left(tmp_path, name):
    with pytest.raises(MissingFileError, match="none"):
        recipes.get(name).run(tmp_path / "run", data=tmp_path / "none")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_was_there_is_left(tmp_path):
    with pytest.raises(MissingFileError):
        recipes.get("imdb").run(tmp_path, data=tmp_path / "none")
    assert tmp_path.exists()


def test_a_recipe_without_data_refuses_some(tmp_path):
    with pytest.raises(ArgumentError, match="data: expected none for the recipe song, got here"):
        recipes.get("song").run(tmp_path / "run", data="here")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", NAMES)
def test_they_use_all_threads(name):
    assert recipes.get(name).threads is None


STOPS_ITSELF = """
import os, signal, sys
from nabi.cli import main
from nabi.recipes._run import _run

class Stopping(_run.BatchBar):
    def {method}(self, batch, logs=None):
        super().{method}(batch, logs)
        if len(self.seconds) == {epochs} and batch == 0:
            os.kill(os.getpid(), signal.SIGINT)

_run.BatchBar = Stopping
main(sys.argv[1:])
"""


@pytest.mark.rotates(days=2)
@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
@pytest.mark.parametrize(
    ("method", "epochs", "missing"),
    [
        ("on_train_batch_end", 0, {"learning_curves.png"}),
        ("on_train_batch_end", 1, set()),
        ("on_test_batch_end", 0, set()),
        # The second bar is that of the test part, which has no epochs behind it.
        ("on_predict_batch_end", 0, {"confusion.png", "report.txt", "surely_wrong.txt"}),
    ],
)
def test_ctrl_c_loses_nothing(fresh, tmp_path, texts, method, epochs, missing):
    program = STOPS_ITSELF.format(method=method, epochs=epochs)
    process = fresh(program, "run", "fake-news", "--data", texts, "--out", tmp_path, "--epochs", 2)
    assert process.returncode == 130, process.stderr
    assert "Traceback" not in process.stderr
    assert "Stopped" in process.stdout
    assert {path.name for path in tmp_path.iterdir()} == set(FILES) - missing
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["interrupted"] is True
    assert written["figures"]["epochs"] == (
        2 if method == "on_predict_batch_end" else epochs or int("test" in method)
    )
    assert ("test.accuracy" in written["figures"]) is ("confusion.png" not in missing)
    TextClassifier.load(tmp_path / "model.nabi")


def test_mistakes_are_those_that_are_wrong_with_the_surest_first():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1, 1, 1], size=50)
    targets = random.integers(0, 3, size=50)
    found = mistakes([str(row) for row in range(50)], targets, probabilities, ["a", "b", "c"])
    assert {int(mistake.text) for mistake in found} == set(np.flatnonzero(probabilities.argmax(1) != targets))
    assert [mistake.probability for mistake in found] == sorted(
        (mistake.probability for mistake in found), reverse=True
    )
    for mistake in found:
        row = int(mistake.text)
        assert mistake.label == "abc"[targets[row]]
        assert mistake.probability == probabilities[row]["abc".index(mistake.read_as)]


@pytest.fixture(scope="module")
def real_part(tmp_path_factory):
    """Some rows of the real data, for which all of them are read."""
    real = os.environ.get("NABI_DATA")
    if not real:
        pytest.skip("NABI_DATA is not set, the folder with the real data")
    folder = tmp_path_factory.mktemp("real")
    make_small(Path(real), folder, rows=60, stories=300)
    return folder


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("name", NAMES)
def test_on_a_part_of_the_real_data(tmp_path, real_part, name):
    figures = run(name, tmp_path, real_part)[0].figures
    assert figures["test.texts"] >= 40
    assert np.isfinite(figures["history"]["loss"]).all()


def test_the_bar_moves_with_every_batch_and_lines_stay():
    seen = []

    class Watching(_run.BatchBar):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            task = self._progress.tasks[0]
            seen.append((task.description, task.completed, task.total))

    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=100, file=nowhere)
        with Progress(console=console) as progress:
            model = Sequential([Dense(1, input_shape=(1,))])
            model.compile("sgd", "mse")
            bar = Watching(progress, "training", 2)
            model.fit(np.zeros((6, 1)), np.zeros(6), batch_size=2, epochs=2, verbose=0, callbacks=[bar])
    assert seen == [(f"epoch {epoch} of 2", batch, 3) for epoch in (1, 2) for batch in (1, 2, 3)]
    lines = console.export_text().splitlines()
    assert sum(bool(re.match(r"epoch \d: loss [\d.]+; [\d.]+ s$", line.rstrip())) for line in lines) == 2
    assert bar.total >= sum(bar.seconds) > 0


def test_learning_curves_have_both_parts_and_mark_the_weights_used():
    history = {"loss": [3.0, 2.0, 1.0], "accuracy": [0.1, 0.2, 0.3], "val_loss": [3.0, 2.0, 2.5]}
    figure = learning_curves({**history, "val_accuracy": [0.1, 0.3, 0.2]}, 1, "Curves")
    for panel, name in zip(figure.axes, ("loss", "accuracy"), strict=True):
        training, validation, used = panel.lines
        assert list(training.get_xdata()) == [1, 2, 3]
        assert list(training.get_ydata()) == history[name]
        assert validation.get_ydata()[1] == (2.0 if name == "loss" else 0.3)
        assert set(used.get_xdata()) == {2}
        assert panel.get_ylabel() == name


def test_a_text_is_shown_on_one_line_without_what_a_terminal_obeys():
    assert _shortened("good\x1b[31m\n  film\x00!", 40) == "good [31m film !"
    assert _shortened("나비야 나비야", 40) == "나비야 나비야"
    assert _shortened("a long text", 6) == "a lon…"
