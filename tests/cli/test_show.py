import pytest
import torch

from nabi import Sequential, cells, layers
from tests.cells.sampling import cells_of_today

MINIMAL_GATED_UNIT = '''
from helpers import gate_name
from nabi.cells import Cell
from nabi.ir.functions import sigmoid, tanh

class MinimalGatedUnit(Cell):
    """Minimal gated unit."""

    states = ("h",)

    def step(self, x, h):
        f_t = sigmoid(self.affine(gate_name, x, h))
        n_t = tanh(self.affine("h", x, h=f_t * h))
        return (1 - f_t) * h + f_t * n_t

class Misfit(Cell):
    def step(self, x, h):
        return x

class Misspelt(Cell):
    def step(self, x, h):
        return sigmoyd(self.affine("h", x, h))

number = 3
'''


@pytest.fixture
def user_file(tmp_path):
    (tmp_path / "helpers.py").write_text("gate_name = 'f'\n")
    file = tmp_path / "mine.py"
    file.write_text(MINIMAL_GATED_UNIT)
    return file


def test_equations_are_the_default(nabi):
    outcome = nabi("show", "gru-lecture")
    assert outcome.status == 0
    assert outcome.out.splitlines()[-1] == "h_t = (1 - z_t) ∘ h_{t-1} + z_t ∘ n_t"


@pytest.mark.parametrize("cell", cells_of_today())
@pytest.mark.parametrize("form", ["equations", "latex", "ir", "parameters", "torch"])
def test_every_cell_in_every_form(nabi, cell, form):
    outcome = nabi("show", cell, "--as", form)
    # The states of some cells are as many as they have layers or traces.
    first = {"grid-lstm": "h1", "ct-gru": "m1"}.get(cell, cells.get(cell).states[0])
    shown = first.replace("1", "_{1,t}") if first[-1] == "1" else f"{first}_{{t}}"
    assert outcome.status == 0
    assert outcome.err == ""
    assert {
        "equations": f"{first}_t = ",
        "latex": f"{shown} = ",
        "ir": f"return {first}:",
        "parameters": "together",
        "torch": f"class {cells.get(cell).__name__}(nn.Module):",
    }[form] in outcome.out.replace(f"\\mathrm{{{first}}}", first)


def test_a_twin_in_torch_is_a_file_that_runs(nabi, user_file, tmp_path):
    file = tmp_path / "twin.py"
    outcome = nabi("show", f"{user_file}:MinimalGatedUnit", "--as", "torch", "--units", 4, "--out", file)
    assert outcome.out == f"Written to {file}\n"
    source = file.read_text()
    assert "nabi" not in source.replace("MinimalGatedUnit(", "")
    assert "f = torch.sigmoid(x @ W_xf.T + h @ W_hf.T + b_f)" in source
    space = {}
    exec(compile(source, file, "exec"), space)
    output, (h,) = space["MinimalGatedUnit"]()(torch.zeros(2, 3, 3))
    assert torch.equal(output[:, -1], h)
    assert output.shape == (2, 3, 4)


def test_parameters_count_as_the_lecture_counts(nabi):
    outcome = nabi("show", "simple-rnn", "--as", "parameters", "--units", 10, "--inputs", 1)
    assert outcome.out.splitlines()[-1] == "together  (10 + 1 + 1) × 10 = 120"
    assert "10 × 10" in outcome.out


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_picture_goes_into_a_file(nabi, tmp_path, suffix):
    outcome = nabi("show", "lstm", "--as", "picture", "--steps", 2, "--out", tmp_path / f"lstm.{suffix}")
    assert outcome.status == 0
    content = (tmp_path / f"lstm.{suffix}").read_bytes()
    assert content.startswith(b"\x89PNG") if suffix == "png" else b"<svg" in content


def test_a_picture_without_a_name_is_named_after_the_cell(nabi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert nabi("show", "gru", "--as", "picture").out == "The picture is in gru.svg\n"
    assert (tmp_path / "gru.svg").is_file()


def test_latex_into_a_file_is_a_whole_document(nabi, tmp_path):
    assert nabi("show", "lstm", "--as", "latex", "--out", tmp_path / "lstm.tex").status == 0
    assert r"\documentclass" in (tmp_path / "lstm.tex").read_text()
    assert r"\documentclass" not in nabi("show", "lstm", "--as", "latex").out


def test_settings_reach_the_cell(nabi):
    assert "W_ci c_{t-1}" in nabi("show", "peephole-lstm", "--set", "full=true").out
    assert "relu(" in nabi("show", "simple-rnn", "--set", "activation=relu").out
    assert "b_h" not in nabi("show", "simple-rnn", "--set", "use_bias=False").out


def test_a_cell_of_the_users_own(nabi, user_file):
    outcome = nabi("show", f"{user_file}:MinimalGatedUnit")
    assert outcome.status == 0
    assert outcome.out.splitlines() == [
        "f_t = σ(W_xf x_t + W_hf h_{t-1} + b_f)",
        "n_t = tanh(W_xh x_t + W_hh (f_t ∘ h_{t-1}) + b_h)",
        "h_t = (1 - f_t) ∘ h_{t-1} + f_t ∘ n_t",
    ]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("lstn", "did you mean 'lstm'?"),
        ("{file}", "mine.py:Class"),
        ("{file}:MinimalGateUnit", "did you mean 'MinimalGatedUnit'?"),
        ("{file}:number", "number in"),
        ("{folder}/missing.py:A", "there is no file"),
        ("{file}:Misfit", "the new h has width 3, the state has 5"),
        ("{file}:Misspelt", "mine.py, line 22: return sigmoyd("),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(nabi, user_file, cell, message):
    outcome = nabi("show", cell.format(file=user_file, folder=user_file.parent))
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("nabi: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


@pytest.mark.parametrize(
    ("content", "message"),
    [("class (", "line 1: invalid syntax"), ("import no_such_module", "No module named 'no_such_module'")],
)
def test_a_file_that_cannot_be_loaded(nabi, tmp_path, content, message):
    (tmp_path / "mine.py").write_text(content)
    outcome = nabi("show", f"{tmp_path / 'mine.py'}:A")
    assert outcome.status == 2
    assert message in outcome.err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("fulls=true", "did you mean 'full'?"),
        ("full", "NAME=VALUE"),
        ("activation=tahn", "did you mean 'tanh'?"),
    ],
)
def test_wrong_settings(nabi, settings, message):
    outcome = nabi("show", "peephole-lstm", "--set", settings)
    assert outcome.status == 2
    assert message in outcome.err


def test_a_folder_that_cannot_be_written(nabi, tmp_path):
    (tmp_path / "file").write_text("")
    for form in ("latex", "picture"):
        outcome = nabi("show", "lstm", "--as", form, "--out", tmp_path / "file" / "lstm.svg")
        assert outcome.status == 2
        assert "cannot write" in outcome.err


def test_an_animation_of_a_users_cell_and_of_a_model(user_file, tmp_path, nabi, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = nabi("show", f"{user_file}:MinimalGatedUnit", "--as", "animation", "--data", "hello")
    assert (answer.status, answer.out) == (0, "The animation is in MinimalGatedUnit.html\n")
    page = (tmp_path / "MinimalGatedUnit.html").read_text("utf-8")
    assert "<!-- written by nabi show -->" in page
    assert 'id="value-f"' in page
    # Its own picture is replaced, a file of the user's is not.
    assert nabi("show", f"{user_file}:MinimalGatedUnit", "--as", "animation").status == 0
    (tmp_path / "mine.gif").write_text("mine")
    refused = nabi("show", "gru", "--as", "animation", "--out", "mine.gif")
    assert refused.status == 2
    assert "mine.gif exists and was not written by nabi show" in refused.err
    network = Sequential([layers.Input((None, 1)), layers.GRU(2), layers.Dense(1)])
    network.save("numbers.nabi")
    answer = nabi(
        "show",
        "numbers.nabi",
        "--as",
        "animation",
        "--data",
        "0.1 0.2",
        "--out",
        "a.html",
        "--language",
        "ko",
    )
    assert (answer.status, answer.out) == (0, "The animation is in a.html\n")
    assert '<html lang="ko">' in (tmp_path / "a.html").read_text("utf-8")
    assert "--data: expected it with --as animation" in nabi("show", "gru", "--data", "1").err
