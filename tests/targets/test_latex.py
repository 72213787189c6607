"""Equations as text and LaTeX: they stay as they are, parse, and make a document."""

import os
import re
import warnings
from pathlib import Path

import pytest
from matplotlib.mathtext import MathTextParser

from nabi import cells
from nabi.ir import Cell, equations
from nabi.ir.functions import (
    ACTIVATIONS,
    absolute,
    exp,
    greater,
    log,
    maximum,
    mean,
    select,
    sigmoid,
    sqrt,
    tanh,
    total,
)
from nabi.targets import latex
from tests.cells.sampling import CLASSIC

GOLDEN = Path(__file__).parent / "golden"
UPDATE = os.environ.get("NABI_UPDATE_GOLDEN") == "1"


def make(name, **more):
    if name == "projected-lstm":
        more.setdefault("projection", 3)
    return cells.get(name)(units=5, **{**cells.get(name).needed_settings(5, 3), **more})


VARIANTS = {
    **{name: make(name) for name in CLASSIC},
    **{name: make(name) for name in ("matrix-lstm", "gated-deltanet", "retnet")},  # states are matrices
    "peephole-lstm-full": make("peephole-lstm", full=True),
    "projected-lstm-clipped": make("projected-lstm", cell_clip=3.0, projection_clip=0.001),
    "simple-rnn-relu-without-bias": make("simple-rnn", activation="relu", use_bias=False),
}


def parse(line):
    # mathtext knows no cases, the only environment that equations use
    if r"\begin{cases}" not in line:
        MathTextParser("path").parse(f"${line}$")


class Words(Cell):
    """A cell with names of all kinds: words, numbers, Greek & signs_like_these (100 %)."""

    states = ("memory", "h2")

    def step(self, x, memory, h2):
        forget_gate = sigmoid(self.affine("forget", x, memory))
        alpha = total(memory + h2) / (1 + absolute(mean(h2 * h2) - 2 * memory))
        inner1 = select(greater(memory, 0), -memory, h2 * alpha)
        other = exp(-absolute(inner1)) - sqrt(maximum(memory, 0.25)) + log(1 + exp(h2))
        return memory * forget_gate + inner1, tanh(h2 - alpha) - (other - alpha)


@pytest.mark.parametrize("name", VARIANTS)
def test_golden(name):
    """NABI_UPDATE_GOLDEN=1 writes the files anew; look at the difference before committing it."""
    program = VARIANTS[name].program(input_size=3)
    training = VARIANTS[name].program(input_size=3, training=True)
    parts = [*program.equations, "", *latex.equations(program), "", program.parameter_sum]
    if training.noises:
        parts += ["", "in training", *training.equations]
    text = "\n".join(parts) + "\n"
    path = GOLDEN / f"{name}.txt"
    if UPDATE:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_golden_file_is_read():
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("training", [False, True])
def test_every_line_is_valid(name, training):
    for line in latex.equations(VARIANTS[name].program(3, training=training)):
        parse(line)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_valid(activation):
    (line,) = latex.equations(cells.SimpleRNN(2, activation=activation).program(3))
    parse(line)


def test_the_parser_refuses_what_is_not_latex():
    with pytest.raises(ValueError):
        parse(r"\nosuchfunction{h")


def test_words_are_upright_greek_is_greek_and_numbers_are_subscripts():
    lines = latex.equations(Words(4).program(3))
    for line in lines:
        parse(line)
    assert lines[0] == (
        r"\mathrm{forget}_{\mathrm{gate},t} = \sigma(W_{x,\mathrm{forget}} \, x_{t} + "
        r"W_{\mathrm{memory},\mathrm{forget}} \, \mathrm{memory}_{t-1} + b_{\mathrm{forget}})"
    )
    assert lines[1].startswith(
        r"\alpha_{t} = \operatorname{sum}(\mathrm{memory}_{t-1} + h_{2,t-1}) / (1 + \left|"
    )
    assert r"\begin{cases}" in lines[2]
    assert r"\text{if } [\mathrm{memory}_{t-1} > 0]" in lines[2]


def test_what_subtracts_a_sum_has_brackets():
    line = Words(4).program(3).equations[-1]
    assert line == "h2_t = tanh(h2_{t-1} - alpha_t) - (other_t - alpha_t)"


@pytest.mark.parametrize("cell", [*VARIANTS.values(), Words(4)], ids=repr)
def test_document(cell):
    program = cell.program(3)
    text = latex.document(program)
    assert text.startswith("\\documentclass")
    assert text.endswith("\\end{document}\n")
    opened, closed = (re.findall(rf"\\{word}{{(\w+\*?)}}", text) for word in ("begin", "end"))
    assert sorted(opened) == sorted(closed)
    # Braces close, dollars come in pairs, nothing stands there that LaTeX would take for a sign.
    plain = text.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert plain.replace(r"\$", "").count("$") % 2 == 0
    outside = re.sub(r"\$[^$]*\$|\\begin{align\*}.*?\\end{align\*}", "", text, flags=re.S)
    assert not re.search(r"(?<!\\)[_^%#]", outside)
    assert text.isascii()
    for line in latex.equations(program):
        assert line.replace(" = ", " &= ", 1) in text
    for parameter in program.parameters:
        assert rf"& {parameter.role} &" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for formula in re.findall(r"\$([^$]+)\$", text):
            parse(formula.replace("{,}", ","))


def test_document_says_what_the_cell_is():
    text = latex.document(Words(4).program(3))
    assert r"words, numbers, Greek \& signs\_like\_these (100 \%)." in text
    assert r"\section*{Words}" in text


def test_document_of_a_cell_that_says_nothing():
    class Silent(Cell):
        def step(self, x, h):
            return h + self.linear("h", "x", x)

    text = latex.document(Silent(4).program(3))
    assert "Silent(" not in text
    assert "Numbers to learn: 3 $\\times$ 4 = 12." in text


def test_equations_are_the_programs():
    program = cells.LSTM(5).program(3)
    assert equations(program) == program.equations
