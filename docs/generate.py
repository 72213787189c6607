"""Writes docs/cells.md and docs/cells/ from the cells: run `python docs/generate.py` after changing one.

A test compares the pages with what this would write, so that they cannot fall behind.
"""

import inspect
import re
from pathlib import Path

from nabi import cells
from nabi.cells import Cell
from nabi.targets import latex

FOLDER = Path(__file__).parent
INTRODUCTION = """# The cells and their equations

nabi has {count} cells, in {families} families. Each family has a page with its equations and weights, where
each comes from, and what it is good for. These pages are generated from the cells by
`python docs/generate.py`, so they always match the code that runs.

In the equations `x` is the input, `h` or `y` the output, which is the first state or none of them, and `c`
the cell state; ∘ is the element-wise product. The weight counts are for 10 units and an input of width 3 (5
for cells of maps). `nabi list FAMILY` describes
a family, `nabi show NAME --as picture` draws a cell, and `nabi.cells` contains all of them. Any name works
wherever a cell is chosen: in `nabi train --cell`, in `nabi bench`, in the ready systems and, as
`layers.RNN(cells.get(NAME)(units))`, in models. Where a description says how weights start, they start so
whatever runs the cell.

Some names have several definitions:

- **Peephole weights** are diagonal in Gers' paper, in TensorFlow 1 and in ONNX, but full matrices in many
  lectures. `PeepholeLSTM(units)` is diagonal; `PeepholeLSTM(units, full=True)` is full.
- **GRU**: in `gru-lecture`, `z` is the share of the new candidate, and there is no bias. In `gru-2014`
  (Keras' `reset_after=False`) and `gru` (Keras' default, torch and cuDNN), `z` is the share of the old state.
  Negating all weights and biases of `z` converts between the two conventions;
  `nabi.cells.negate_update_gate` does this. In `gru`, the reset gate is applied after the product with the
  old state; in the other two, before it.

[How fast they are](speed-of-cells.md) and [what they learn](comparing.md) have pages of their own.
"""
MISSING = """
## What is not among them

Some have another name here. Dilated networks, Skip RNN, the LSTM with attention over its own past (LSTMN)
and LSTMs with dropped weights (AWD) are [wrappers](language.md#wrappers), which take any cell:
`dilated(lstm)`, `skip(gru)`, `attention-window(lstm)`, `weight-drop(lstm)`. Group and factored LSTMs, and
the wiring of neural circuit policies, are [derived weights](language.md#derived-weights), `Masked` and
`LowRank`, in a cell of your own. The full-capacity unitary network is `exp-rnn` with twice the units, which
express as much, and recurrent trace units are `lru` with a nonlinear layer behind it. A **Tree-LSTM**, of
either kind, is `lstm` on a sequence, where every node has one child.

Some cannot be said as the equations of a step:

- **Trees** are no chains: a step of a Tree-LSTM on a tree would read the states of several others. So would
  one of a **Grid LSTM** on a picture; `grid-lstm` is the one of time and depth.
- **LSTM with batch normalisation** needs the mean over the sequences of a batch at a step. Rows of a batch do
  not know each other here, so that one sequence has the same result in any batch. `layer-norm(lstm)` is the
  nearest one.
- **Titans with a deep memory** trains a network inside a step. `titans` and `ttt` have a matrix for it, whose
  gradient is written out.
"""
SETTINGS = {"projected-lstm": {"projection": 4}}
INPUTS = {"conv-lstm": 5, "conv-gru": 5, "pred-rnn": 5}
"""The widths of inputs where they are not 3: five positions of one channel, beside two of each state."""


def sample(name: str) -> Cell:
    """Return a cell of 10 units."""
    kind = cells.get(name)
    return kind(10, **{**kind.needed_settings(10, INPUTS.get(name, 3)), **SETTINGS.get(name, {})})


def described(cell: Cell) -> str:
    """Return the text of a cell's documentation, and the list of its settings."""
    text, _, settings = (inspect.getdoc(type(cell)) or "").partition("\n\nArgs:\n")
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    items = re.split(r"\n(?=    \w)", "\n" + settings.split("\n\n")[0])[1:] if settings else []
    lines = []
    for item in items:
        names, _, meaning = " ".join(item.split()).partition(": ")
        lines.append(f"- {', '.join(f'`{name}`' for name in names.split(', '))}: {meaning}")
    return "\n\n".join([*paragraphs, *(["\n".join(lines)] if lines else [])])


def section(title: str, cell: Cell, inputs: int = 3) -> str:
    """Return the part of a page about one cell."""
    program = cell.program(inputs)
    lines = " \\\\\n".join(latex.equations(program))
    families = ", ".join(f"`{f.name}` {' × '.join(map(str, f.shape))}" for f in program.families)
    return (
        f"## {title}\n\n{described(cell)}\n\n"
        f"```math\n\\begin{{gather*}}\n{lines}\n\\end{{gather*}}\n```\n\n"
        f"States: {', '.join(f'`{name}`' for name in program.state_names)}. "
        f"Weights: {families}; {program.parameter_sum}.\n"
    )


def family_page(family: str) -> str:
    """Return the page of one family."""
    names = cells.names(family)
    links = ", ".join(f"[{name}](#{name})" for name in names)
    parts = [f"# {cells.families()[family]}\n\n[All cells](../cells.md). On this page: {links}.\n"]
    for name in names:
        parts.append(section(f"`{name}`", sample(name), INPUTS.get(name, 3)))
        if name == "peephole-lstm":
            parts.append(section("`peephole-lstm`, full", cells.PeepholeLSTM(10, full=True)))
    return "\n".join(parts)


def contents(family: str, title: str) -> str:
    """Return the table of one family on the first page."""
    lines = [f"## [{title}](cells/{family}.md)\n", "| cell | |", "|---|---|"]
    for name in cells.names(family):
        first = (inspect.getdoc(cells.get(name)) or "").partition("\n")[0].replace("|", "\\|")
        lines.append(f"| [`{name}`](cells/{family}.md#{name}) | {first} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return all pages by their path in this folder."""
    families = cells.families()
    introduction = INTRODUCTION.format(count=len(cells.names()), families=len(families))
    first = "\n".join([introduction, *(contents(family, title) for family, title in families.items())])
    return {"cells.md": first + MISSING} | {f"cells/{family}.md": family_page(family) for family in families}


if __name__ == "__main__":
    for path, text in pages().items():
        FOLDER.joinpath(path).parent.mkdir(exist_ok=True)
        FOLDER.joinpath(path).write_text(text, encoding="utf-8")
    print(f"wrote {len(pages())} pages in {FOLDER}")
