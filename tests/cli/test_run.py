import json
import os
import re

import pytest

import nabi as package
from nabi import cells


def test_version(nabi):
    assert nabi("--version").out == f"nabi {package.__version__}\n"


def test_help_names_the_commands(nabi):
    for arguments in (["--help"], ["-h"]):
        out = nabi(*arguments).out
        assert all(command in out for command in ("run", "list", "show"))
    assert "--epochs" in nabi("run", "--help").out
    assert "FILE.py:Class" in nabi("show", "--help").out


def test_list_names_recipes_and_cells(nabi):
    out = nabi("list").out
    recipes = ("numbers", "hello", "song", "reuters", "imdb", "fake-news")
    for name in recipes:
        assert f" {name} " in out
    for name in (*cells.names(), *cells.families()):
        assert re.search(rf" {name}[ ,\n]", out)


def test_list_describes_what_is_asked_for(nabi):
    out = nabi("list", "deep").out
    assert out.split()[:1] == ["deep"]
    assert "Recurrent highway network" in out
    assert "peephole" not in out
    assert "hello" in nabi("list", "recipes").out
    assert all(name in nabi("list", "cells").out for name in ("simple-rnn", "aaren"))
    assert "did you mean 'deep'" in nabi("list", "deeep").err


def test_a_run(nabi, tmp_path):
    outcome = nabi("run", "hello", "--out", tmp_path, "--seed", 3, "--epochs", 2)
    assert (outcome.status, outcome.err) == (0, "")
    assert str(tmp_path) in outcome.out
    written = json.loads((tmp_path / "result.json").read_text())
    assert (written["recipe"], written["seed"]) == ("hello", 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "sonng"], "did you mean 'song'?"),
        (["run", "hello", "--out", "{folder}/file/run"], "out: cannot write into the folder"),
        (["run", "hello", "--data", "{folder}"], "data: expected none for the recipe hello"),
        (["run", "imdb", "--data", "{folder}/none"], "--data: there is no file"),
    ],
)
def test_errors_are_one_line(nabi, tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    outcome = nabi(*(argument.format(folder=tmp_path) for argument in arguments))
    assert outcome.status == 2
    assert outcome.err.startswith("nabi: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


@pytest.mark.parametrize("arguments", [["run", "hello", "--epochs", "0"], ["run"], ["sing"]])
def test_wrong_usage(nabi, arguments):
    outcome = nabi(*arguments)
    assert outcome.status == 2
    assert "Traceback" not in outcome.err


STOPS_ITSELF = """
import os, signal, sys
from nabi.cli import main
from nabi.recipes import song

class Stopping(song.BestWeights):
    def on_train_batch_end(self, batch, logs=None):
        if self.epochs == 2 and batch == 3 and type(self).network == {network}:
            os.kill(os.getpid(), signal.SIGINT)

    network = 0

    def __init__(self):
        super().__init__()
        type(self).network += 1

song.BestWeights = Stopping
main(sys.argv[1:])
"""


@pytest.mark.rotates(days=2)
@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
@pytest.mark.parametrize("network", [1, 2])
def test_ctrl_c_writes_what_there_is_and_ends_with_130(fresh, tmp_path, network):
    program = STOPS_ITSELF.replace("{network}", str(network))
    process = fresh(program, "run", "song", "--out", tmp_path, "--epochs", 5)
    assert process.returncode == 130, process.stderr
    assert "Traceback" not in process.stderr
    assert "Stopped" in process.stdout
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["interrupted"] is True
    assert written["figures"]["lstm.best_epoch"] >= 1
    assert ("mlp.one_step" in written["figures"]) is (network == 2)
    package.models.load_model(tmp_path / "model.nabi")
    assert (tmp_path / "song.png").is_file()
