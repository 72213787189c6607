"""Draws random cells: steps over the whole table of operations, with what they are run on.

A drawn program is a list of lines, each of which makes one value from earlier ones. It can be printed as the
source of a cell, and made smaller line by line.
"""

import linecache
import random
from dataclasses import dataclass, field, replace
from typing import Any

from nabi.cells import Cell

from ..targets.llvm.sweep import Setting

# What a line reads: the name of a value, or a number.
Argument = str | float

UNARY = (
    "sigmoid({0})", "tanh({0})", "relu({0})", "sin({0})", "cos({0})", "softplus({0})", "softsign({0})",
    "elu({0})", "selu({0})", "gelu({0})", "silu({0})", "leaky_relu({0})", "hard_sigmoid({0})",
    "hard_tanh({0})",
    "hard_sigmoid({0})", "absolute({0})", "abs({0})", "-{0}", "{0} ** 2", "{0} ** 3", "apply('erf', {0})",
    "exp(minimum({0}, 1.0))", "log(abs({0}) + 0.5)", "sqrt({0} * {0} + 0.2)", "~({0} > 0.1)",
    "floor({0})", "frac({0})", "rounded({0}, 'straight_through')", "sign({0}, 'triangle')",
    "step({0}, 'atan', 2.0)", "stop_gradient({0})", "(abs({0}) + 0.3) ** 1.3",
)  # fmt: skip
OVER_UNITS = (
    "norm({0})", "softmax({0})", "cumulative_sum({0})", "cumulative_sum({0}, reverse=True)",
    "fold(shift(repeat({0}, 3), -1), 3)",
)  # fmt: skip
REDUCTIONS = ("mean({0})", "total({0})", "apply('max', {0})", "largest({0})")
BINARY = (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / (1.5 + abs({1}))", "maximum({0}, {1})",
    "minimum({0}, {1})", "({0} > {1})", "({0} >= {1})", "({0} < {1})", "({0} <= {1})", "({0} == {1})",
    "({0} != {1})", "({0} > 0) & ({1} < 0.3)", "({0} > 0) | ({1} > 0.3)",
    "apply('sigmoid_gradient', {0}, {1})", "apply('tanh_gradient', {0}, {1})",
)  # fmt: skip
NUMBERS = (0.0, 1.0, -1.0, 0.5, 2.0, -0.3, 0.1)
# What makes no derivative jump, for a comparison with numeric differentiation.
SMOOTH = frozenset({
    "sigmoid({0})", "tanh({0})", "sin({0})", "cos({0})", "softplus({0})", "gelu({0})", "silu({0})", "-{0}",
    "{0} ** 2", "{0} ** 3", "apply('erf', {0})", "sqrt({0} * {0} + 0.2)", "norm({0})", "softmax({0})",
    "mean({0})", "total({0})", "{0} + {1}", "{0} - {1}", "{0} * {1}",
})  # fmt: skip


@dataclass(frozen=True)
class Line:
    """`name = template` with its arguments filled in; `width` None for a scalar."""

    name: str
    template: str
    arguments: tuple[Argument, ...]
    width: int | None

    def __str__(self) -> str:
        return f"{self.name} = {self.template.format(*map(_written, self.arguments))}"

    def renamed(self, old: str, new: Argument) -> "Line":
        """Return the line reading another value in the place of one."""
        return replace(self, arguments=tuple(new if a == old else a for a in self.arguments))


@dataclass(frozen=True)
class Drawn:
    """A cell and what it is run on.

    Attributes:
        units, features: of the cell and its input.
        states: names and widths.
        lines: the step.
        returns: the new states.
        rates: dropout and recurrent dropout.
        setting: batch, time, lengths and the like.
        seed: of the numbers.
    """

    units: int
    features: int
    states: tuple[tuple[str, int], ...]
    lines: tuple[Line, ...]
    returns: tuple[str, ...]
    rates: tuple[float, float]
    setting: Setting
    seed: int

    @property
    def source(self) -> str:
        """The cell as a user would write it."""
        names = [name for name, _ in self.states]
        lines = [
            "class Drawn(Cell):",
            f"    states = ({', '.join(map(repr, names))},)",
            "",
            "    def state_width(self, name):",
            f"        return {dict(self.states)!r}[name]",
            "",
            f"    def step(self, x, {', '.join(names)}):",
            *[f"        {line}" for line in self.lines],
            f"        return {', '.join(self.returns)}",
        ]
        return "\n".join(lines) + "\n"

    def cell(self) -> Cell:
        """Make the cell."""
        source, file = self.source, f"<drawn {self.seed}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        space: dict[str, Any] = {"__name__": "drawn"}
        exec("from nabi.cells import Cell\nfrom nabi.ir import apply\nfrom nabi.ir.functions import *", space)
        exec(compile(source, file, "exec"), space)
        made: Cell = space["Drawn"](self.units, dropout=self.rates[0], recurrent_dropout=self.rates[1])
        return made

    @property
    def is_smooth(self) -> bool:
        """Whether the derivative of the step jumps nowhere."""
        return all(line.template in SMOOTH or "self." in line.template for line in self.lines)

    def __str__(self) -> str:
        rates = "".join(
            f", {name}={rate}"
            for name, rate in zip(("dropout", "recurrent_dropout"), self.rates, strict=True)
            if rate
        )
        made = f"Drawn({self.units}{rates}), {self.features} inputs"
        return f"{self.source}\n{made}, {self.setting}, seed {self.seed}"


def _written(argument: Argument) -> str:
    return argument if isinstance(argument, str) else f"{argument!r}"


@dataclass
class _Drawer:
    """Draws one program."""

    random: random.Random
    units: int
    widths: tuple[int, ...]
    values: dict[str, int | None] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    # Matrices: the letter of each pair of widths, so that some gates share a tensor and a product.
    letters: dict[tuple[int, int], str] = field(default_factory=dict)

    def add(self, template: str, arguments: tuple[Argument, ...], width: int | None) -> str:
        """Append a line and return the name of its value."""
        name = f"v{len(self.lines)}"
        self.lines.append(Line(name, template, arguments, width))
        self.values[name] = width
        return name

    def pick(self, width: int | str | None = "any") -> str | None:
        """Return an earlier value, a late one rather than an early one."""
        names = [n for n, w in self.values.items() if width == "any" or w == width]
        if not names:
            return None
        return names[max(self.random.randrange(len(names)) for _ in range(2))]

    def vector(self) -> str:
        """Return a value that has units."""
        names = [n for n, w in self.values.items() if w is not None]
        return names[max(self.random.randrange(len(names)) for _ in range(2))]

    def partner(self, name: str) -> Argument:
        """Return what may stand beside a value: one of its width, a scalar or a number."""
        width = self.values[name]
        if self.random.random() < 0.15:
            return self.random.choice(NUMBERS)
        fitting = [n for n, w in self.values.items() if width is None or w is None or w == width]
        return self.random.choice(fitting)

    def joint(self, *arguments: Argument) -> int | None:
        """Return the width of an operation of some values."""
        widths = [self.values[a] for a in arguments if isinstance(a, str)]
        return next((w for w in widths if w is not None), None)

    def gate(self) -> str:
        """Return the name of a new gate."""
        return f"g{len(self.lines)}"

    def line(self) -> None:
        """Append one line."""
        draw = self.random
        kind = draw.choices(
            [
                "unary",
                "binary",
                "select",
                "reduction",
                "units",
                "weight",
                "linear",
                "affine",
                "noise",
                "number",
            ],
            [22, 28, 9, 10, 6, 12, 12, 10, 3, 2],
        )[0]
        if kind == "unary":
            name = self.pick() or "x"
            self.add(draw.choice(UNARY), (name,), self.values[name])
        elif kind == "binary":
            name = self.pick() or "x"
            pair = [name, self.partner(name)]
            draw.shuffle(pair)
            numbers = any(isinstance(one, float) for one in pair)
            # The last two are the derivative's own, which knows no numbers there.
            self.add(draw.choice(BINARY[:-2] if numbers else BINARY), tuple(pair), self.joint(*pair))
        elif kind == "select":
            name = self.pick() or "x"
            condition, other = self.partner(name), self.partner(name)
            if self.joint(name, condition, other) in {None, self.values[name]} or self.values[name] is None:
                parts = [condition if isinstance(condition, str) else name, name, other]
                tail = parts[1:]
                draw.shuffle(tail)
                self.select(parts[0], *tail)
        elif kind == "reduction":
            name = self.pick() or "x"
            self.add(draw.choice(REDUCTIONS), (name,), None)
        elif kind == "units":
            name = self.vector()
            self.add(draw.choice(OVER_UNITS), (name,), self.values[name])
        elif kind == "weight":
            self.weight()
        elif kind == "linear":
            self.linear()
        elif kind == "affine":
            self.affine()
        elif kind == "noise":
            width, rate = draw.choice(self.widths), draw.choice((0.3, 0.7))
            self.add(f"self.keep('{self.gate()}', {width}, {rate}) + 0 * self.gain('{self.gate()}', "
                     f"'k{width}', {width})", (), width)  # fmt: skip
        else:
            self.add(
                f"{draw.choice(('tanh', 'softplus', 'elu'))}(0.3) * self.bias('{self.gate()}')",
                (),
                self.units,
            )

    def select(self, condition: str, a: Argument, b: Argument) -> None:
        widths = {self.values[n] for n in (condition, a, b) if isinstance(n, str)} - {None}
        if len(widths) <= 1:
            template = self.random.choice(("select({0} > 0.05, {1}, {2})", "select({0}, {1}, {2})"))
            self.add(template, (condition, a, b), next(iter(widths), None))

    def weight(self) -> None:
        kind = self.random.randrange(4)
        if kind == 3:
            self.add(f"self.parameter('{self.gate()}', (), init=0.5)", (), None)
        elif kind == 0:
            self.add(f"self.bias('{self.gate()}')", (), self.units)
        elif kind == 1:
            width = self.random.choice(self.widths)
            self.add(f"self.gain('{self.gate()}', 'k{width}', {width})", (), width)
        else:
            name = self.vector()
            width = self.values[name]
            self.add(f"self.diagonal('{self.gate()}', 'd{width}', {{0}})", (name,), width)

    def linear(self) -> None:
        name, units = self.vector(), self.random.choice(self.widths)
        width = self.values[name]
        assert width is not None
        chance = self.random.random()
        if chance < 0.1:
            letter = "s_"  # of gates of every shape
        elif chance < 0.6:
            letter = self.letters.setdefault((width, units), f"l{len(self.letters)}_")
        else:
            letter = f"m{len(self.lines)}_"
        self.add(f"self.linear('{self.gate()}', '{letter}', {{0}}, units={units})", (name,), units)

    def affine(self) -> None:
        states = [n for n in self.values if n != "x" and not n.startswith("v")]
        read = self.random.sample(states, self.random.randint(0, len(states)))
        operands = (["x"] if self.random.random() < 0.7 or not read else []) + read
        bias = self.random.choice(("", "", ", bias=False", ", bias='x'"))
        places = ", ".join(f"{{{i}}}" for i in range(len(operands)))
        self.add(f"self.affine('{self.gate()}', {places}{bias})", tuple(operands), self.units)

    def state(self, width: int) -> str:
        """Return the new value of a state."""
        scalar = self.pick(None)
        if width == 1 and scalar is not None and self.random.random() < 0.5:
            return scalar
        found = self.pick(width)
        if found is None or (self.random.random() < 0.5 and width != self.units):
            source = self.vector()
            found = self.add(
                f"self.linear('{self.gate()}', 'n{len(self.lines)}_', {{0}}, units={width})", (source,), width
            )
        draw = self.random.random()
        if draw < 0.45:
            return self.add("tanh({0})", (found,), width)
        if draw < 0.75:
            old = self.random.choice([n for n, w in self.values.items() if w in (width, None)])
            return self.add("0.5 * {0} + 0.3 * {1}", (found, old), width)
        return found


def draw_program(seed: int) -> Drawn:
    """Draw a program from a seed."""
    draw = random.Random(seed)
    units = draw.choice((1, 2, 3, 4, 5, 8, 9, 17))
    features = draw.choice((1, 2, 3, 5, 8, units))
    others = tuple(draw.choice((1, 2, 3, 5, 8, units, units)) for _ in range(2))
    states = [("h", units)]
    for name in ("c", "m")[: draw.choice((0, 0, 1, 1, 2))]:
        states.append((name, draw.choice((units, *others))))
    drawer = _Drawer(draw, units, (units, units, *others))
    drawer.values["x"] = features
    drawer.values.update(states)
    for _ in range(draw.randint(2, 12)):
        drawer.line()
    returns = tuple(drawer.state(width) for _, width in states)
    rates = (draw.choice((0.0, 0.0, 0.0, 0.3)), draw.choice((0.0, 0.0, 0.0, 0.3)))
    steps = draw.choice((1, 2, 3, 5, 9))
    setting = Setting(
        batch=draw.choice((1, 2, 3, 5, units)),
        steps=steps,
        valid=draw.choice(("all", "all", "lengths", "mask")),
        resets=draw.random() < 0.25,
        reverse=draw.random() < 0.25,
        truncate=draw.choice((None, None, None, 2)),
        initial=draw.random() < 0.7,
        all_states=draw.random() < 0.5,
        side_by_side=draw.random() < 0.7,
    )
    return Drawn(units, features, tuple(states), tuple(drawer.lines), returns, rates, setting, seed)
