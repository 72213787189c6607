"""A cell's equations as LaTeX: lines for a text of one's own, or a document that compiles as it is."""

import inspect
import re
from math import prod

from nabi.ir import LATEX, Program, equations as write_equations, symbol

__all__ = ["document", "equations"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}
# Signs of plain text that the fonts of a LaTeX document without further packages do not have.
_MATH = {"×": r"$\times$", "∘": r"$\circ$", "σ": r"$\sigma$", "±": r"$\pm$", "·": r"$\cdot$", "√": r"$\surd$"}


def equations(program: Program) -> list[str]:
    r"""Return the equations of a program in LaTeX, one a line, in the order in which they can be computed.

    Each is the inside of a formula: put it between dollar signs or into an environment of amsmath.

    Example:
        >>> from nabi.cells import SimpleRNN
        >>> equations(SimpleRNN(units=5).program(input_size=3))
        ['h_{t} = \\tanh(W_{xh} \\, x_{t} + W_{hh} \\, h_{t-1} + b_{h})']
    """
    return list(write_equations(program, LATEX))


def document(program: Program) -> str:
    r"""Return a complete LaTeX document: name and meaning of the cell, its equations, its parameters.

    It needs no packages but amsmath and geometry, and no fonts but LaTeX's own.

    Example:
        >>> from nabi.cells import SimpleRNN
        >>> text = document(SimpleRNN(units=5).program(input_size=3))
        >>> print(text.splitlines()[0], text.count(r"\begin{align*}"))
        \documentclass{article} 1
    """
    name = type(program.cell).__name__
    aligned = [line.replace(" = ", " &= ", 1) for line in equations(program)]
    states = [
        f"the state ${symbol(output, LATEX, state)}$ width {output.width}"
        for state, output in zip(program.state_names, program.outputs, strict=True)
    ]
    rows = []
    by_name = {node.name: node for node in program.nodes if node.operation in ("matrix", "parameter")}
    for parameter in program.parameters:
        node = by_name.get(parameter.name)
        if node is not None:
            shape = r" \times ".join(str(size) for size in parameter.shape)
            # Thousands as LaTeX sets them: a comma in a formula would be followed by a space.
            count = f"{prod(parameter.shape):,}".replace(",", "{,}")
            rows.append(rf"${symbol(node, LATEX)}$ & {_text(parameter.role)} & ${shape}$ & ${count}$ \\")
    lines = [
        r"\documentclass{article}",
        r"\usepackage{amsmath}",
        r"\usepackage[margin=2cm]{geometry}",
        r"\begin{document}",
        rf"\section*{{{_text(name)}}}",
        "",
        _text(_summary(type(program.cell))),
        "",
        rf"\noindent The input $x_{{t}}$ has width {program.input_size}, {', '.join(states)}.",
        "",
        r"\begin{align*}",
        *[f"  {line}" + (r" \\" if line is not aligned[-1] else "") for line in aligned],
        r"\end{align*}",
    ]
    if rows:
        lines += [
            "",
            r"\begin{center}",
            r"\begin{tabular}{llrr}",
            r"parameter & kind & shape & numbers \\ \hline",
            *rows,
            r"\end{tabular}",
            r"\end{center}",
            "",
            rf"\noindent Numbers to learn: {_text(program.parameter_sum)}.",
        ]
    return "\n".join([*lines, r"\end{document}", ""])


def _summary(cell_class: type) -> str:
    """Return the first line of what a class says of itself; nothing for the text that dataclasses make up."""
    own = cell_class.__dict__.get("__doc__") or ""
    line = (inspect.cleandoc(own).splitlines() or [""])[0]
    return "" if line.startswith(f"{cell_class.__name__}(") else line


def _text(text: str) -> str:
    """Return plain text as LaTeX; what stands in backquotes is set in the typewriter face."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        rf"\texttt{{{_escape(piece[1:-1])}}}" if piece.startswith("`") and len(piece) > 1 else _escape(piece)
        for piece in pieces
    )


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(sign) or _MATH.get(sign) or sign for sign in text)
