"""The boxes in the picture of a step: the nodes of a program, grouped the way people draw them.

A gate is one box: its activation with the products, biases and diagonal weights that it reads. Learned
weights are written inside the boxes; arrows are the values that flow (input, states, values of the step).
"""

from dataclasses import dataclass, field
from typing import Literal

from nabi.ir import LATEX, OPERATIONS, Node, Program, axis_words, named_nodes, symbol

__all__ = ["Box", "Graph", "Kind", "make_graph"]

Kind = Literal["source", "gate", "candidate", "product", "reduction", "map", "sink"]

# Activations with results between 0 and 1, as gates have.
_SHARES = frozenset({"sigmoid", "hard_sigmoid", "softmax"})
_SIGNS = {"add": "+", "mul": r"\times", "sub": "-", "div": "/", "maximum": r"\max", "minimum": r"\min"}
# Labels of operations whose inputs are not interchangeable.
_FORMULAS = {
    "sub": "a - b",
    "div": "a / b",
    "greater": "a > b",
    "greater_equal": r"a \geq b",
    "less": "a < b",
    "less_equal": r"a \leq b",
    "equal": "a = b",
    "not_equal": r"a \neq b",
    "power": "a^b",
    "select": r"b \;\mathrm{if}\; a \;\mathrm{else}\; c",
}
_PATTERNS = {
    "neg": r"-\,\cdot",
    "sqrt": r"\sqrt{\;\cdot\;}",
    "abs": r"|\cdot|",
    "floor": r"\lfloor\,\cdot\,\rfloor",
}
_ON_AXES = {
    "axis_sum": r"\mathrm{{sum}}_{{{name}}}",
    "axis_max": r"\max_{{{name}}}",
    "axis_softmax": r"\mathrm{{softmax}}_{{{name}}}",
    "axis_norm": r"\mathrm{{norm}}_{{{name}}}",
    "part": "{first}:{second}",
    "pad": r"\mathrm{{join}}",
}


@dataclass(eq=False)
class Box:
    """One shape of the picture.

    Attributes:
        kind: determines shape and colour.
        label: its operation, in LaTeX.
        weights: its learned (or random) weights, in LaTeX.
        name: of its value, in LaTeX, or empty.
        value: the same name as `named_nodes` has it, or empty.
        reads: the boxes whose values it reads, in the order of the equation.
        ordered: whether the order of the inputs matters; they are then labelled with letters.
        round: whether it is drawn as a circle.
    """

    kind: Kind
    label: str
    weights: list[str] = field(default_factory=list)
    name: str = ""
    reads: list["Box"] = field(default_factory=list)
    value: str = ""
    ordered: bool = False
    round: bool = False

    def __repr__(self) -> str:
        return f"{self.kind} {self.label} {self.name}".strip()


@dataclass(frozen=True)
class Graph:
    """The boxes of one step, in order of computation.

    Attributes:
        boxes: all except sources and sinks.
        inputs: the step's input, and random inputs and weights with arrows of their own.
        before: the states from the previous step, in the order of the cell's states.
        after: the new states.
    """

    boxes: list[Box]
    inputs: list[Box]
    before: list[Box]
    after: list[Box]


def make_graph(program: Program) -> Graph:
    """Return the boxes of one step of a program."""
    return _Maker(program).make()


class _Maker:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.made: dict[int, Box] = {}
        self.boxes: dict[int, Box] = {}
        named = named_nodes(program)
        self.names = {
            node.index: symbol(node, LATEX, name) for name, node in reversed(named.items()) if node.arguments
        }
        self.values = {node.index: name for name, node in reversed(named.items()) if node.arguments}
        self.readers: dict[int, int] = {}
        for node in program.nodes:
            for argument in node.arguments:
                self.readers[argument.index] = self.readers.get(argument.index, 0) + 1
        for output in program.outputs:
            self.readers[output.index] = self.readers.get(output.index, 0) + 1

    def make(self) -> Graph:
        program = self.program
        boxes_of_inputs = {"x": Box("source", "", name="x_{t}")}
        for node in program.nodes:
            if node.operation == "input" and node.name != "x":
                boxes_of_inputs.setdefault(node.name, Box("source", "", name=symbol(node, LATEX)))
        inputs = list(boxes_of_inputs.values())
        states = {name: node for node in program.nodes if node.operation == "state" for name in (node.name,)}
        before = []
        for name in program.state_names:
            # A state that the step never reads still enters from the previous step.
            box = Box(
                "source",
                "",
                name=symbol(states[name], LATEX) if name in states else rf"\mathrm{{{name}}}_{{t-1}}",
            )
            before.append(box)
            if name in states:
                self.made[states[name].index] = box
        for node in program.nodes:
            if node.operation == "input":
                self.made[node.index] = boxes_of_inputs[node.name]
        after = []
        for name, output in zip(program.state_names, program.outputs, strict=True):
            read = self.box(output)
            older, back = program.trace.older.get(name, (name, 0))
            own = None if name in program.trace.delays else name
            new = LATEX.symbol(older, f"t-{back - 1}", (older,)) if back else symbol(output, LATEX, own)
            after.append(Box("sink", "", name=new, reads=[read]))
        # Weights of an equation's own, which are no part of a sum, have arrows like random inputs.
        kinds = ("noise", "parameter")
        inputs += [box for index, box in self.made.items() if program.trace.nodes[index].operation in kinds]
        boxes = [self.boxes[index] for index in sorted(self.boxes)]
        return Graph(boxes, inputs, before, after)

    def box(self, node: Node) -> Box:
        """Return the box that computes the value of a node."""
        if node.index not in self.made:
            if node.operation in ("view", "expand"):
                # Axes are not drawn; the value keeps the name that it has with them.
                box = self.made[node.index] = self.box(node.arguments[0])
                box.name = box.name or self.names.get(node.index, "")
                box.value = box.value or self.values.get(node.index, "")
            elif _is_fixed(node):
                # Fixed numbers are a box that reads nothing.
                self.made[node.index] = self.boxes[node.index] = Box("map", r"\mathrm{const}")
                self.made[node.index].name = self.names.get(node.index, "")
                self.made[node.index].value = self.values.get(node.index, "")
            elif not node.arguments:
                self.made[node.index] = Box("source", "", name=symbol(node, LATEX))
            else:
                box = self.compute(node)
                box.name = self.names.get(node.index, "")
                box.value = self.values.get(node.index, "")
                self.made[node.index] = box
                self.boxes[node.index] = box
        return self.made[node.index]

    def compute(self, node: Node) -> Box:
        if node.operation in ("with_derivative", "spread"):
            # The derivative that it declares is no value that flows; a number for all units is one for one.
            value = node.arguments[0]
            return self.compute(value) if value.arguments else Box("map", "=", reads=[self.box(value)])
        row = OPERATIONS.get(node.operation)
        if node.operation == "linear" or self.is_sum(node) or self.is_scaling(node):
            weights, reads = self.affine(node)
            kind: Kind = "product" if weights else "map"
            label = r"\mathrm{linear}" if weights else _SIGNS[node.operation]
            return Box(kind, label, weights, reads=reads, round=not weights)
        if node.operation in _ON_AXES:
            label = _ON_AXES[node.operation].format(**axis_words(node))
            kind = "map" if node.details and node.operation in ("part", "pad") else "reduction"
            return Box(kind, label, reads=[self.box(node.arguments[0])])
        if row is not None and row.arity == 1:
            weights, reads = self.affine(node.arguments[0], inside=True)
            kind = "reduction" if row.reduction or node.operation in ("norm", "softmax") else "map"
            if weights and kind == "map":
                kind = "gate" if node.operation in _SHARES else "candidate"
            return Box(kind, _function(node.operation), weights, reads=reads)
        if node.operation == "mul" and node.arguments[0] is node.arguments[1]:
            return Box("map", r"(\,\cdot\,)^2", reads=[self.box(node.arguments[0])])
        if row is not None and row.across is not None:
            label = rf"{_function(node.operation)}\;{LATEX.number(node.arguments[1].value)}"
            return Box("reduction", label, reads=[self.box(node.arguments[0])])
        numbers = [argument for argument in node.arguments if argument.operation == "constant"]
        reads = [self.box(argument) for argument in node.arguments if argument.operation != "constant"]
        if numbers:
            return Box("map", _with_numbers(node), reads=reads)
        formula = _FORMULAS.get(node.operation)
        if formula is None and node.operation not in _SIGNS:
            formula = OPERATIONS[node.operation].latex.format(*"abcd")
        if formula is not None:
            return Box("map", formula, reads=reads, ordered=True)
        outer = node.operation == "mul" and all(a.operation == "expand" for a in node.arguments)
        return Box("map", r"\otimes" if outer else _SIGNS[node.operation], reads=reads, round=True)

    def affine(self, node: Node, inside: bool = False) -> tuple[list[str], list[Box]]:
        """Return the weights in a sum of products, and the boxes that it reads.

        With `inside` the node is the argument of a function whose box absorbs it, if nothing else reads it.
        """
        if inside and not self.is_absorbed(node):
            return [], [self.box(node)]
        weights: list[str] = []
        reads: list[Box] = []
        waiting = [node]
        while waiting:
            term = waiting.pop(0)
            if term.operation == "add" and (term is node or self.is_part(term)):
                waiting[:0] = term.arguments
            elif term.operation == "linear" and (term is node or self.is_part(term)):
                weights.append(symbol(term.arguments[0], LATEX))
                waiting.insert(0, self.scaled(term.arguments[1], weights))
            elif self.is_learned(term):
                weights.append(symbol(_without_axes(term), LATEX))
            elif self.is_scaling(term) and (term is node or self.is_part(term)):
                waiting.insert(0, self.scaled(term, weights, first=True))
            else:
                box = self.box(term)
                if box not in reads:
                    reads.append(box)
        # Products first and biases last, as in the equations.
        return sorted(weights, key=lambda weight: weight.startswith("b")), reads

    def scaled(self, node: Node, weights: list[str], first: bool = False) -> Node:
        """Move the vectors that scale a value into the weights; return the value itself."""
        while first or (self.is_scaling(node) and self.is_part(node)):
            first = False
            vector, value = node.arguments
            if not self.is_vector(vector):
                vector, value = value, vector
            weights.append(symbol(_without_axes(vector), LATEX))
            node = value
        return node

    def is_absorbed(self, node: Node) -> bool:
        return self.is_part(node) and (
            node.operation == "linear"
            or self.is_learned(node)
            or self.is_scaling(node)
            or (self.is_sum(node) and self.has_weights(node))
        )

    def is_part(self, node: Node) -> bool:
        """Return whether a value is unnamed and has a single reader."""
        return self.readers.get(node.index, 0) == 1 and node.index not in self.names

    def is_sum(self, node: Node) -> bool:
        return node.operation == "add" and not any(a.operation == "constant" for a in node.arguments)

    def has_weights(self, node: Node) -> bool:
        """Return whether a sum contains weights, so that it is more than an addition of values."""
        return any(
            self.is_learned(a)
            or (self.is_part(a) and (a.operation == "linear" or self.is_scaling(a) or self.has_weights(a)))
            for a in node.arguments
            if node.operation == "add"
        )

    def is_learned(self, node: Node) -> bool:
        return _without_axes(node).operation in ("parameter", "matrix")

    def is_vector(self, node: Node) -> bool:
        node = _without_axes(node)
        return node.operation == "parameter" or (node.operation == "noise" and not self.stands_alone(node))

    def stands_alone(self, noise: Node) -> bool:
        """Return whether a random input has its own arrow: it mixes values rather than dropping some."""
        return next(spec.kind for spec in self.program.noises if spec.name == noise.name) == "keep"

    def is_scaling(self, node: Node) -> bool:
        return node.operation == "mul" and sum(self.is_vector(argument) for argument in node.arguments) == 1


def _without_axes(node: Node) -> Node:
    """Return a value as it was before it was divided into axes and repeated."""
    while node.operation in ("view", "expand"):
        node = node.arguments[0]
    return node


def _is_fixed(node: Node) -> bool:
    """Return whether a value is made of numbers only."""
    if node.has_rows or not node.arguments:
        return False
    return all(argument.operation == "constant" or _is_fixed(argument) for argument in node.arguments)


def _function(name: str) -> str:
    if name in _PATTERNS:
        return _PATTERNS[name]
    row = OPERATIONS[name]
    return row.latex.format(*[""] * row.arity).removesuffix("(, )").removesuffix("()")


def _with_numbers(node: Node) -> str:
    """Return an operation with constants as written beside an arrow: `1 -`, `0.5 ×`."""
    parts = [LATEX.number(a.value) if a.operation == "constant" else "" for a in node.arguments]
    sign = _SIGNS.get(node.operation)
    if sign is None or sign.startswith("\\m"):
        return OPERATIONS[node.operation].latex.format(*[part or r"\,\cdot\," for part in parts])
    if node.operation == "mul":
        return f"{parts[0]}{parts[1]} {sign}"
    return f"{parts[0]} {sign} {parts[1]}".strip()
