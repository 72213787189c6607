"""Writes docs/cells.md from the cells themselves: run `python docs/generate.py` after changing one.

A test compares the page with what this would write, so that it cannot fall behind.
"""

import inspect
from pathlib import Path

from nabi import cells
from nabi.cells import Cell
from nabi.targets import latex

PAGE = Path(__file__).with_name("cells.md")
INTRODUCTION = """# The cells and their equations

This page is generated from the cells by `python docs/generate.py`, so it always matches the code that runs.
`x` is the input, `h` the hidden state (the output) and `c` the cell state; ∘ is the element-wise product. The
weight counts are for 10 units and an input of width 3. `nabi show NAME --as picture` draws a cell, and
`nabi.cells` contains all of them.

Some names have several definitions:

- **Peephole weights** are diagonal in Gers' paper, in TensorFlow 1 and in ONNX, but full matrices in many
  lectures. `PeepholeLSTM(units)` is diagonal; `PeepholeLSTM(units, full=True)` is full.
- **GRU**: in `gru-lecture`, `z` is the share of the new candidate, and there is no bias. In `gru-2014`
  (Keras' `reset_after=False`) and `gru` (Keras' default, torch and cuDNN), `z` is the share of the old state.
  Negating all weights and biases of `z` converts between the two conventions;
  `nabi.cells.negate_update_gate` does this. In `gru`, the reset gate is applied after the product with the
  old state; in the other two, before it.
"""
SETTINGS = {"projected-lstm": {"projection": 4}}


def sample(name: str) -> Cell:
    """Return a cell of 10 units."""
    kind = cells.get(name)
    return kind(10, **{**kind.needed_settings(10, 3), **SETTINGS.get(name, {})})


def section(title: str, cell: Cell) -> str:
    """Return the part of the page about one cell."""
    program = cell.program(3)
    text = inspect.getdoc(type(cell)) or ""
    first = " ".join(text.split("\n\n")[0].split())
    lines = " \\\\\n".join(latex.equations(program))
    families = ", ".join(f"`{f.name}` {' × '.join(map(str, f.shape))}" for f in program.families)
    return (
        f"## {title}\n\n{first}\n\n```math\n\\begin{{gather*}}\n{lines}\n\\end{{gather*}}\n```\n\n"
        f"States: {', '.join(f'`{name}`' for name in program.state_names)}. "
        f"Weights: {families}; {program.parameter_sum}.\n"
    )


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for name in cells.names():
        parts.append(section(f"`{name}`", sample(name)))
        if name == "peephole-lstm":
            parts.append(section("`peephole-lstm`, full", cells.PeepholeLSTM(10, full=True)))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
