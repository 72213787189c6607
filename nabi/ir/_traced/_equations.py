"""Printing a program as equations, the way its step was written, in plain text or LaTeX.

Values that the step assigned to a name become separate lines; everything else is printed inline.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from nabi.ir._graph._axis_operations import axis_words
from nabi.ir._graph._nodes import Node, Parameter
from nabi.ir._graph._operations import operation
from nabi.ir._traced._traced import Traced

__all__ = ["LATEX", "TEXT", "Style", "equations", "named_nodes", "parameter_symbol", "sum_terms", "symbol"]

# Operator precedence; an operation with lower precedence than its context gets brackets.
_SUM, _PRODUCT, _NEGATION, _ATOM = 1, 2, 3, 4
_BINDING = {"add": _SUM, "sub": _SUM, "mul": _PRODUCT, "div": _PRODUCT, "neg": _NEGATION}
# Only these are written with infix or prefix signs; the others have their own brackets.
_OPEN = frozenset(_BINDING)


@dataclass(frozen=True)
class Style:
    """How to write names in one output format.

    `symbol` takes a full name, its time (`t`, `t-1` or empty) and the parts of the name: the base, then the
    subscripts.
    """

    symbol: Callable[[str, str, tuple[str, ...]], str]
    template: Callable[[str], str]
    times: str
    outer: str
    read: str
    dot: str
    number: Callable[[float], str]


# Names with a LaTeX letter.
_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Pi",
        "Sigma",
        "Upsilon",
        "Phi",
        "Psi",
        "Omega",
    ]
)


def _text_symbol(name: str, when: str, parts: tuple[str, ...]) -> str:
    return f"{name}_{when}" if when in ("", "t") and when else f"{name}_{{{when}}}" if when else name


def _latex_word(word: str) -> str:
    """Return a letter unchanged (italic), a Greek letter by its name, a word or abbreviation upright."""
    if word in _GREEK:
        return rf"\{word}"
    return word if len(word) == 1 or word.isdigit() else rf"\mathrm{{{word}}}"


def _latex_symbol(name: str, when: str, parts: tuple[str, ...]) -> str:
    base, *subscripts = parts
    words = [_latex_word(part) for part in subscripts]
    # Letters and numbers are adjacent (`W_{xf}`), words separated (`W_{x,\mathrm{forget}}`).
    joined = ("" if all(len(part) == 1 for part in subscripts) else ",").join(words)
    subscript = ",".join(part for part in (joined, when) if part)
    return f"{_latex_word(base)}_{{{subscript}}}" if subscript else _latex_word(base)


def _parts(name: str) -> tuple[str, ...]:
    """Return the base and the subscripts of a name in a step, such as `c_new` or `h1`."""
    found = [part for part in re.split(r"_+|(?<=[^\W\d_])(?=\d)", name) if part]
    return tuple(found) or (name,)


def symbol(node: Node, style: Style, name: str | None = None) -> str:
    """Return the notation of a leaf (`W_xf`, `x_t`, `h_{t-1}`), or of any value with a name."""
    if name is not None:
        # What is made from weights alone is the same at every step.
        return style.symbol(name, "t" if node.has_rows else "", _parts(name))
    older = node.trace.older.get(node.name) if node.operation == "state" else None
    if older is not None:
        return style.symbol(older[0], f"t-{older[1]}", _parts(older[0]))
    when = {"input": "t", "state": "t-1", "noise": "t"}.get(node.operation, "")
    if node.operation == "input" and node.trace.inputs[node.name].per_sequence:
        when = ""
    steps = 0
    while node.operation == "state" and node.name in node.trace.delays:
        node, steps = node.trace.delays[node.name], steps + 1
    when = f"t-{steps}" if steps else when
    return style.symbol(node.name, when, _leaf_parts(node))


def _leaf_parts(node: Node) -> tuple[str, ...]:
    parameter = node.trace.parameters.get(node.name)
    if parameter is not None:
        return _parameter_parts(parameter)
    base, _, rest = node.name.partition("_")
    if node.operation == "noise" and len(rest) == 2:
        return (base, *rest)  # the letter of its operand, and the gate
    return _parts(node.name)


def parameter_symbol(parameter: Parameter, style: Style) -> str:
    """Return the notation of a weight, `W_xf`."""
    return style.symbol(parameter.name, "", _parameter_parts(parameter))


def _parameter_parts(parameter: Parameter) -> tuple[str, ...]:
    letter = _parts(parameter.letter or parameter.family)
    return (*letter, *_parts(parameter.gate)) if parameter.gate else letter


TEXT = Style(
    symbol=_text_symbol,
    template=lambda name: operation(name).text,
    times=" ",
    outer=" ⊗ ",
    read="ᵀ ",
    dot=" · ",
    number=lambda value: f"{value:.6g}",
)
LATEX = Style(
    symbol=_latex_symbol,
    template=lambda name: operation(name).latex,
    times=r" \, ",
    outer=r" \otimes ",
    read=r"^\top \, ",
    dot=r" \cdot ",
    number=lambda value: re.sub(r"e([-+])0*(\d+)", r" \\cdot 10^{\1\2}", f"{value:.6g}").replace("^{+", "^{"),
)


def equations(program: Traced, style: Style = TEXT) -> tuple[str, ...]:
    """Return the equations of a program, one per line, in order of computation.

    Example:
        >>> from nabi.cells import SimpleRNN
        >>> SimpleRNN(units=2).program(input_size=3).equations
        ('h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h)',)
    """
    names = _line_names(program)
    lines = _derived_lines(program, style)
    for node in program.nodes:
        if node.index in names:
            left = symbol(node, style, names[node.index])
            lines.append(f"{left} = {_render(node, names, style, top=True)[0]}")
    # A state passed on unchanged would have no line otherwise.
    for name, output in program.results.items():
        is_kept = name in program.trace.delays or name in program.trace.older
        if names.get(output.index) != name and not is_kept:
            right = _render(output, names, style, top=False)[0]
            lines.append(f"{symbol(output, style, name)} = {right}")
    return tuple(lines)


def _derived_lines(program: Traced, style: Style) -> list[str]:
    """Return the equations of what is computed before the steps, and of states that do not start at zero."""
    is_latex, lines = style is LATEX, []
    for one in program.derived:
        assert one.derived is not None
        known = program.trace.parameters
        left, *sources = (parameter_symbol(known[name], style) for name in (one.name, *one.sources))
        lines.append(f"{left} = {one.derived.formula(sources, is_latex=is_latex)}")
    for name, value in zip(program.state_names, program.initial, strict=True):
        if isinstance(value, float) and value:
            left = style.symbol(name, "0", _parts(name)) if is_latex else f"{name}_0"
            lines.append(f"{left} = {style.number(value)}")
    return lines


def named_nodes(program: Traced) -> dict[str, Node]:
    """Return the values with a separate line in the equations, by name, in the order of the lines.

    Example:
        >>> from nabi.cells import GRU
        >>> list(named_nodes(GRU(units=2).program(input_size=3)))
        ['z', 'r', 'n', 'h']
    """
    names = _line_names(program)
    named = {names[node.index]: node for node in program.nodes if node.index in names}
    handed_on = program.results.items()
    delays = program.trace.delays
    return named | {name: output for name, output in handed_on if name not in named and name not in delays}


def _line_names(program: Traced) -> dict[int, str]:
    names: dict[int, str] = {}
    taken = set()
    for name, output in program.results.items():
        if output.arguments and output.index not in names:
            names[output.index] = name
            taken.add(name)
    in_use = {node.index for node in program.nodes}
    for index, name in program.names.items():
        short = name.removesuffix("_t")
        is_value = program.trace.nodes[index].arguments and index in in_use
        if is_value and index not in names and short not in taken | set(program.results) | {"x"}:
            names[index] = short
            taken.add(short)
    return names


def _render(node: Node, names: dict[int, str], style: Style, top: bool) -> tuple[str, int]:
    """Return the text of a node and its precedence."""
    if not top and node.index in names:
        return symbol(node, style, names[node.index]), _ATOM
    if node.operation == "constant":
        return style.number(node.value), _ATOM if node.value >= 0 else _NEGATION
    if not node.arguments:
        return symbol(node, style), _ATOM
    if node.operation == "with_derivative":
        return _render(node.arguments[0], names, style, top)
    if node.operation in ("linear", "linear_transposed"):
        transposed = {"linear": "", "linear_transposed": "ᵀ" if style is TEXT else r"^\top"}[node.operation]
        products = []
        for matrix, operand in zip(node.arguments[::2], node.arguments[1::2], strict=True):
            factor = _bracketed(operand, names, style, _ATOM)
            products.append(f"{symbol(matrix, style)}{transposed}{style.times}{factor}")
        return " + ".join(products), _PRODUCT if len(products) == 1 else _SUM
    if node.operation in ("view", "expand"):
        # Axes are not written; a broadcast shows in what it is multiplied with.
        return _render(node.arguments[0], names, style, top=False)
    found = _product_of_axes(node, names)
    if found is not None:
        sign, left, right = found
        both = [_bracketed(factor, names, style, _ATOM) for factor in (left, right)]
        return {"outer": style.outer, "read": style.read, "dot": style.dot}[sign].join(both), (
            _SUM if sign == "dot" else _PRODUCT
        )
    joined = _joined(node, names)
    if joined:
        return f"[{', '.join(_render(value, names, style, top=False)[0] for value in joined)}]", _ATOM
    if node.operation == "add":
        return " + ".join(_bracketed(term, names, style, _SUM) for term in _terms(node, names)), _SUM
    binding = _BINDING.get(node.operation, _ATOM)
    if node.operation == "mul" and "constant" in (a.operation for a in node.arguments):
        parts = [_bracketed(argument, names, style, _PRODUCT) for argument in node.arguments]
        return style.times.join(parts), _PRODUCT
    parts = []
    for position, argument in enumerate(node.arguments):
        # The right operand of - and / needs brackets even at the same precedence.
        tight = binding + (position > 0 and node.operation in ("sub", "div"))
        loose = _ATOM if node.operation == "part" else 0
        parts.append(_bracketed(argument, names, style, tight if node.operation in _OPEN else loose))
    return style.template(node.operation).format(*parts, **axis_words(node)), binding


def _product_of_axes(node: Node, names: dict[int, str]) -> tuple[str, Node, Node] | None:
    """Return the two values of an outer product, of a matrix that is read, or of an inner product."""
    if node.operation == "mul" and all(argument.operation == "expand" for argument in node.arguments):
        one, two = node.arguments
        apart = not _repeated(one) & _repeated(two)
        return ("outer", one, two) if _repeated(one) and _repeated(two) and apart else None
    product = node.arguments[0] if node.operation == "axis_sum" else node
    if product is node or product.operation != "mul" or product.index in names:
        return None
    axis, last = node.details[0], len(product.axes) - 1
    left, right = product.arguments
    if _repeated(left):
        left, right = right, left
    over = _repeated(right)
    if axis == last - 1 and last in over and axis not in over and not _repeated(left):
        return "read", left, right
    return ("dot", left, right) if axis == last and not _repeated(left) and not _repeated(right) else None


def _joined(node: Node, names: dict[int, str]) -> list[Node]:
    """Return the values that a sum of padded values puts side by side; none if it is something else."""
    terms = _terms(node, names) if node.operation == "add" else []
    before = 0
    for term in terms:
        if term.operation != "pad" or term.index in names or term.details[0] != before:
            return []
        before += term.arguments[0].axes[-1]
    return [term.arguments[0] for term in terms]


def _repeated(node: Node) -> set[int]:
    """Return the axes along which a value is broadcast."""
    if node.operation != "expand":
        return set()
    given = node.arguments[0].axes
    return {axis for axis, size in enumerate(node.axes) if size != given[axis]}


def _bracketed(node: Node, names: dict[int, str], style: Style, least: int) -> str:
    text, binding = _render(node, names, style, top=False)
    return f"({text})" if binding < least else text


def sum_terms(node: Node, names: dict[int, str]) -> list[Node]:
    """Return the terms of a sum, in their order; sums without a name within it are a part of it."""
    terms: list[Node] = []
    waiting = [node]
    while waiting:
        term = waiting.pop()
        if term.operation == "add" and (term is node or term.index not in names):
            waiting.extend(reversed(term.arguments))
        else:
            terms.append(term)
    return terms


def _terms(node: Node, names: dict[int, str]) -> list[Node]:
    """Return the terms of a sum, products first and biases last, as in papers."""
    return sorted(sum_terms(node, names), key=lambda term: term.operation == "parameter")
