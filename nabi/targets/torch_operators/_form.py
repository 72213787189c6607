"""Which cells torch's LSTM, GRU and RNN compute: found in the equations, whatever names they use.

The equations are those of `torch.nn.LSTM` (with or without projection), `GRU` (reset after the product) and
`RNN` (tanh or relu), https://docs.pytorch.org/docs/stable/nn.html#recurrent-layers. A sum may be written in
any order, and with two biases, one or none; a missing one is zero.
"""

from dataclasses import dataclass
from functools import lru_cache

from nabi.ir import Node, Program
from nabi.targets._matching import commuted, terms

__all__ = ["Part", "TorchForm", "torch_form"]


@dataclass(frozen=True)
class Part:
    """The rows of one gate in a tensor of the program.

    Attributes:
        family: position of the tensor in `program.families`.
        start, stop: the rows.
    """

    family: int
    start: int
    stop: int


@dataclass(frozen=True)
class TorchForm:
    """How torch computes a program.

    Attributes:
        mode: `LSTM`, `GRU`, `RNN_TANH` or `RNN_RELU`, as `torch.nn.RNNBase` calls them.
        units: of the gates.
        projection: width of the output of a projected LSTM, else 0.
        has_biases: whether there are biases at all.
        weights: torch's tensors in torch's order (`weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`,
            `weight_hr`, without those that it does not have): for each gate of torch's the rows, or None for
            zeros.
    """

    mode: str
    units: int
    projection: int
    has_biases: bool
    weights: tuple[tuple[Part | None, ...], ...]


class _OtherEquationsError(Exception):
    """These are not the equations that were looked for."""


@dataclass(frozen=True)
class _Gate:
    """A sum of products with the input and the state, and of biases: names of the weights."""

    from_x: str
    from_h: str
    of_x: str | None = None
    of_h: str | None = None


@lru_cache(maxsize=512)
def torch_form(program: Program) -> TorchForm | None:
    """Return how torch's own operator computes a program; None if no operator of torch's does."""
    if program.noises or not program.is_plain or len(program.inputs) > 1:
        return None
    for read in (_read_lstm, _read_gru, _read_rnn):
        try:
            mode, gates, projection = read(program)
            return _form(program, mode, gates, projection)
        except _OtherEquationsError:
            continue
    return None


def _read_lstm(program: Program) -> tuple[str, tuple[_Gate, ...], str | None]:
    """Read `c' = f c + i g`, `h' = o tanh(c')` or a projection of that; torch's order is i, f, g, o."""
    _expect(len(program.outputs) == 2)
    (h, c), (new_h, new_c) = _states(program), program.outputs
    projection = None
    if new_h.operation == "linear":
        projection, new_h = new_h.arguments[0].name, new_h.arguments[1]
    f, written = _mixture(new_c, c)
    i, g = _by_operation(written, "sigmoid", "tanh")
    o, read = _by_operation(new_h, "sigmoid", "tanh")
    _expect(read.arguments[0] is new_c and f.operation == "sigmoid")
    sums = [gate.arguments[0] for gate in (i, f, g, o)]
    return "LSTM", tuple([_gate(one, program, h) for one in sums]), projection


def _read_gru(program: Program) -> tuple[str, tuple[_Gate, ...], None]:
    """Read `h' = z h + (1 - z) n` with `n = tanh(W x + b + r (U h + b'))`; torch's order is r, z, n."""
    _expect(len(program.outputs) == 1)
    (h,) = _states(program)
    z, new = _mixture(program.outputs[0], h)
    share, n = _by_operation(new, "sub", "tanh")
    one, subtracted = share.arguments
    _expect(z.operation == "sigmoid" and subtracted is z)
    _expect(one.operation == "constant" and one.value == 1.0)
    products = [term for term in terms(n.arguments[0]) if term.operation == "mul"]
    _expect(len(products) == 1)
    r, from_state = products[0].arguments
    if r.operation != "sigmoid":
        r, from_state = from_state, r
    _expect(r.operation == "sigmoid")
    of_input = [term for term in terms(n.arguments[0]) if term is not products[0]]
    from_x, of_x = _one_side(of_input, _input(program))
    from_h, of_h = _one_side(terms(from_state), h)
    gates = [_gate(gate.arguments[0], program, h) for gate in (r, z)]
    return "GRU", (*gates, _Gate(from_x, from_h, of_x, of_h)), None


def _read_rnn(program: Program) -> tuple[str, tuple[_Gate, ...], None]:
    """Read `h' = tanh(W x + U h + b)`, or with relu."""
    _expect(len(program.outputs) == 1)
    (h,), new = _states(program), program.outputs[0]
    _expect(new.operation in ("tanh", "relu"))
    return f"RNN_{new.operation.upper()}", (_gate(new.arguments[0], program, h),), None


def _form(program: Program, mode: str, gates: tuple[_Gate, ...], projection: str | None) -> TorchForm:
    places = _places(program)
    shapes = {parameter.name: parameter.shape for parameter in program.parameters}
    units = shapes[gates[0].from_x][0]
    width = program.state_widths[0]
    for gate in gates:
        _expect(shapes[gate.from_x] == (units, program.input_size) and shapes[gate.from_h] == (units, width))
        for bias in (gate.of_x, gate.of_h):
            _expect(bias is None or shapes[bias] == (units,))
    if projection is None:
        _expect(width == units)
    else:
        _expect(shapes[projection] == (width, units) and width < units)
    _expect(all(state == units for state in program.state_widths[1:]))

    def rows(names: list[str | None]) -> tuple[Part | None, ...]:
        return tuple([None if name is None else places[name] for name in names])

    weights = [rows([gate.from_x for gate in gates]), rows([gate.from_h for gate in gates])]
    biases = [rows([gate.of_x for gate in gates]), rows([gate.of_h for gate in gates])]
    has_biases = any(part is not None for parts in biases for part in parts)
    weights += biases if has_biases else []
    weights += [] if projection is None else [rows([projection])]
    return TorchForm(mode, units, 0 if projection is None else width, has_biases, tuple(weights))


def _places(program: Program) -> dict[str, Part]:
    """Where each weight lies, by its name."""
    found = {}
    numbers = {family.name: number for number, family in enumerate(program.families)}
    for parameter in program.parameters:
        number = numbers[parameter.family]
        rows = program.families[number].rows(parameter.gate)
        found[parameter.name] = Part(number, rows.start, rows.stop)
    return found


def _gate(node: Node, program: Program, h: Node) -> _Gate:
    """Read a sum of `W x`, `U h` and up to two biases."""
    summed = terms(node)
    biases = [term.name for term in summed if term.operation == "parameter"]
    products = [term for term in summed if term.operation == "linear"]
    _expect(len(biases) <= 2 and len(products) == 2 and len(summed) == len(biases) + 2)
    # By number: nodes refuse to be compared.
    names = {product.arguments[1].index: product.arguments[0].name for product in products}
    x = _input(program)
    _expect(names.keys() == {x.index, h.index})
    first, second = (*biases, None, None)[:2]
    return _Gate(names[x.index], names[h.index], first, second)


def _one_side(summed: list[Node], operand: Node) -> tuple[str, str | None]:
    """Read a product with the input or the state, and a bias or none."""
    products = [term for term in summed if term.operation == "linear" and term.arguments[1] is operand]
    biases = [term.name for term in summed if term.operation == "parameter"]
    _expect(len(products) == 1 and len(biases) == len(summed) - 1 <= 1)
    return products[0].arguments[0].name, biases[0] if biases else None


def _mixture(node: Node, old: Node) -> tuple[Node, Node]:
    """Return `f` and `new` of `f old + new`."""
    for kept, new in commuted(node, "add"):
        for factor, other in commuted(kept, "mul"):
            if other is old:
                return factor, new
    raise _OtherEquationsError


def _by_operation(product: Node, one: str, other: str) -> tuple[Node, Node]:
    """Return the factors of a product, of two operations, in this order."""
    for first, second in commuted(product, "mul"):
        if (first.operation, second.operation) == (one, other):
            return first, second
    raise _OtherEquationsError


def _input(program: Program) -> Node:
    """Return the input; equations without one are none of torch's."""
    for node in program.nodes:
        if node.operation == "input":
            return node
    raise _OtherEquationsError


def _states(program: Program) -> list[Node]:
    found = {node.name: node for node in program.nodes if node.operation == "state"}
    _expect(len(found) == len(program.state_names))
    return [found[name] for name in program.state_names]


def _expect(condition: bool) -> None:
    if not condition:
        raise _OtherEquationsError
