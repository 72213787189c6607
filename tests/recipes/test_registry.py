import json

import pytest
import torch

from nabi import recipes
from nabi.errors import ArgumentError, OutputError, UnknownNameError


def test_every_recipe_can_be_found_and_read():
    known = (
        "airline captions chorales digit-strings digits fake-news genes hello imdb moving-shapes numbers "
        "pollution promoters reuters shakespeare song splice sunspots temperatures translate vowels"
    )
    assert recipes.names() == known.split()
    for name in recipes.names():
        recipe = recipes.get(name)
        assert recipe.name == name
        assert recipe.summary
        assert "\n" not in recipe.summary


def test_an_unknown_recipe_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'song'"):
        recipes.get("sonng")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, r"seed: expected a whole number from 0 to .*, got -1"),
        ({"epochs": 0}, "epochs: expected a whole number of at least 1 or None, got 0"),
        ({"epochs": -5}, "epochs: expected a whole number of at least 1 or None, got -5"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        recipes.get("numbers").run(tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("out", ["file", "file/run"])
def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path, monkeypatch, out):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("nabi.recipes.numbers.main", lambda run: pytest.fail("trained all the same"))
    with pytest.raises(OutputError, match=r"out: cannot write into the folder .*file"):
        recipes.get("numbers").run(tmp_path / out)


def test_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = recipes.get("hello").run(epochs=1)
    assert result.folder.as_posix() == "runs/hello"
    assert json.loads((tmp_path / "runs/hello/result.json").read_text())["recipe"] == "hello"


def test_a_run_uses_one_thread_and_gives_the_others_back(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("nabi.recipes.hello.main", lambda run: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        recipes.get("hello").run(tmp_path)
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_choices_reach_the_recipe_and_the_name_of_its_folder(tmp_path, monkeypatch):
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nabi.recipes.translate.main", lambda run: seen.append(run.choices))
    translate = recipes.get("translate")
    usual = {choice.name: choice.values[0] for choice in translate.choices}
    assert translate.run().folder.as_posix() == "runs/translate"
    result = translate.run(choices={"pair": "en-ko", "attention": "none"})
    assert result.folder.as_posix() == "runs/translate-en-ko-none"
    assert seen == [usual, {"pair": "en-ko", "attention": "none"}]
    assert json.loads((result.folder / "result.json").read_text())["choices"] == seen[1]


@pytest.mark.parametrize(
    ("recipe", "choices", "error", "message"),
    [
        (
            "hello",
            {"pair": "en-de"},
            ArgumentError,
            "pair: expected a choice of the recipe hello, got 'en-de'",
        ),
        (
            "translate",
            {"pair": "en-dee"},
            UnknownNameError,
            "pair: 'en-dee' is not known; did you mean 'en-de",
        ),
    ],
)
def test_choices_that_are_none(tmp_path, recipe, choices, error, message):
    with pytest.raises(error, match=message):
        recipes.get(recipe).run(tmp_path / "run", choices=choices)
    assert not (tmp_path / "run").exists()
