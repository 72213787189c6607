"""The number series and the word, trained whole: they take seconds."""

import json

import numpy as np
import pytest
from rich.console import Console

from nabi import recipes
from nabi.data import number_series
from nabi.models import load_model


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    console = Console(record=True, width=100, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    result = recipes.get("numbers").run(tmp_path_factory.mktemp("numbers"), seed=0, console=console)
    console.file.close()
    return result, console.export_text()


def test_numbers_come_as_near_as_the_lecture_and_nearer(numbers):
    figures = numbers[0].figures
    assert figures["parameters"] == 131
    assert figures["epoch_100.largest_error"] <= 0.022  # the lecture's own run
    assert figures["epoch_100.largest_error_unseen"] <= 0.064
    assert figures["epoch_1000.largest_error"] <= 0.05
    assert figures["epoch_1000.largest_error_unseen"] <= 0.1


def test_numbers_figures_belong_to_the_predictions(numbers):
    figures = numbers[0].figures
    errors = np.abs(np.array(figures["epoch_100.predictions"]) - [0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert errors.max() == pytest.approx(figures["epoch_100.largest_error"], abs=1e-4)
    errors = np.abs(np.array(figures["epoch_100.unseen"]) - [1.0, 0.3])
    assert errors.max() == pytest.approx(figures["epoch_100.largest_error_unseen"], abs=1e-4)


def test_numbers_are_shown(numbers):
    assert "0.6 0.7 0.8 0.9" in numbers[1]
    assert "after 100 epochs" in numbers[1]


def test_numbers_folder(numbers):
    result, _ = numbers
    assert sorted(path.name for path in result.folder.iterdir()) == [
        "model.nabi",
        "numbers.png",
        "result.json",
    ]
    written = json.loads((result.folder / "result.json").read_text())
    assert written == {
        "recipe": "numbers",
        "seed": 0,
        "seconds": result.seconds,
        "figures": result.figures,
    }
    assert (result.folder / "numbers.png").read_bytes().startswith(b"\x89PNG")


def test_the_saved_model_predicts_the_same(numbers):
    result, _ = numbers
    model = load_model(result.folder / "model.nabi")
    predicted = model.predict(number_series().inputs, verbose=0)[:, 0]
    np.testing.assert_allclose(predicted, result.figures["epoch_1000.predictions"], atol=1e-4)


def test_fewer_epochs_than_the_lecture(tmp_path):
    figures = recipes.get("numbers").run(tmp_path, epochs=3).figures
    assert len(figures["epoch_3.predictions"]) == 6
    assert "epoch_100.predictions" not in figures


def test_the_same_seed_gives_the_same_figures(tmp_path):
    runs = [
        recipes.get("numbers").run(tmp_path / str(i), seed=seed, epochs=5) for i, seed in enumerate((1, 1, 2))
    ]
    assert runs[0].figures == runs[1].figures
    assert runs[0].figures != runs[2].figures


def test_hello_is_spelled_from_h(tmp_path):
    result = recipes.get("hello").run(tmp_path)
    assert result.figures["spelled"] == "hello"
    assert result.figures["letters_right"] == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hello.png", "model.nabi", "result.json"]


def test_an_untrained_network_does_not_spell(tmp_path):
    assert recipes.get("hello").run(tmp_path, epochs=1).figures["spelled"] != "hello"
