"""Results as JSON and in files: of every command that gives something."""

import csv
import io
import json
from pathlib import Path

import pytest

from nabi import models
from nabi.cli import _main

WITHOUT = {
    "run": "writes result.json into its folder",
    "explain": "writes a page or a picture",
    "serve": "answers in JSON",
    "export": "writes files",
    "convert": "writes files",
    "show": "shows code and pictures",
}
"""Commands without `--json`, and why."""


def test_every_command_that_gives_something_gives_it_as_json() -> None:
    import typer

    group = typer.main.get_command(_main.app())
    found = {
        name: {option for one in command.params for option in one.opts}
        for name, command in group.commands.items()
    }
    assert {name for name, options in found.items() if "--json" not in options} == set(WITHOUT)
    nowhere = {name for name, options in found.items() if "--out" not in options}
    assert nowhere == {"serve", "list", "cache", "convert"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small language model."""
    place = tmp_path_factory.mktemp("models")
    writer = models.LanguageModel(units=4, window=4, batch_size=2, epochs=1)
    writer.fit(["the clouds are in the sky"] * 20, verbose=0)
    writer.save(place / "text.nabi")
    return place


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_text_in_a_file_and_as_json(nabi, folder):
    words = ("write", folder / "text.nabi", "--start", "the", "--length", 5)
    shown = nabi(*words).out
    done = nabi(*words, "--out", "deep/x.txt")
    assert (done.status, done.out, Path("deep/x.txt").read_text()) == (0, "", shown)
    found = json.loads(nabi(*words, "--json").out)
    assert found["start"] + found["text"] + "\n" == shown


def test_next_words_as_a_table_and_as_json(nabi, folder):
    words = ("next", folder / "text.nabi", "the clo", "-n", 2)
    rows = list(map(json.loads, nabi(*words, "--json").out.splitlines()))
    assert [row["text"] for row in rows] == ["the clo"] * 2
    assert nabi(*words, "--out", "x.csv").out == ""
    table = list(csv.DictReader(io.StringIO(Path("x.csv").read_text())))
    assert [(row["word"], float(row["probability"])) for row in table] == [
        (row["word"], row["probability"]) for row in rows
    ]
    done = nabi("next", folder / "text.nabi", "ζ", "--json")
    assert "Unknown to the model: ζ" in done.err
    assert all(map(json.loads, done.out.splitlines()))


def test_names_of_recipes_and_cells(nabi):
    every = json.loads(nabi("list", "--json").out)
    assert every["recipes"]["song"]
    assert every["cells"]["lstm"]["cells"]["lstm"]
    assert list(json.loads(nabi("list", "lstm", "--json").out)["cells"]) == ["lstm"]
    assert "cells" not in json.loads(nabi("list", "recipes", "--json").out)


def test_what_is_cached_and_how_fast_a_cell_is(nabi, monkeypatch):
    monkeypatch.setenv("NABI_CACHE_DIR", "cache")
    done = nabi("bench", "gru", "--shape", "2,3,2,2", "--rounds", 1, "--json", "--out", "x.json")
    found = json.loads(done.out)
    assert json.loads(Path("x.json").read_text()) == found
    assert found["shape"] == [2, 3, 2, 2]
    for one in found["measured"]:
        assert one["times_faster"] == pytest.approx(one["peer_seconds"] / one["seconds"])
    held = json.loads(nabi("cache", "--json").out)
    assert Path(held["folder"]).name == "cache"
    assert json.loads(nabi("cache", "--clear", "--json").out)["deleted"] == len(held["entries"])
    assert json.loads(nabi("cache", "--json").out)["entries"] == []
