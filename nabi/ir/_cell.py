"""The base class of all cells, with the methods for writing equations."""

import dataclasses
import inspect
from functools import lru_cache
from keyword import iskeyword
from typing import Any, ClassVar, dataclass_transform

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, CellError
from nabi.ir._graph._nodes import Node, Noise, Parameter, Trace, current_trace
from nabi.ir._graph._numbers import is_number
from nabi.ir._program import PROGRAMS, Program
from nabi.ir._recipe import make_again
from nabi.ir.functions import activation

__all__ = ["Cell", "find_program"]


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
@dataclasses.dataclass(frozen=True)
class Cell:
    """A recurrent cell: its equations, written once, for one row and one time step.

    A subclass names its `states` and writes `step(self, x, *states)`, which returns the new states in the
    same order. The output of a cell is its first state, unless the cell names its `output`: then the step
    returns that value first, and the new states after it. Annotated attributes become constructor
    arguments, as in a dataclass; a cell is immutable, compares by value and can be a dictionary key.

    Args:
        units: width of every state (override `state_width` for other widths).
        use_bias: whether `affine` adds a bias.
        dropout: dropout rate of the input connections; one mask for each gate and sequence.
        recurrent_dropout: dropout rate of the state connections; one mask for each gate and sequence (Gal and
            Ghahramani 2016).

    Raises:
        ArgumentError: `units` is not a positive integer, or a rate is not in [0, 1).
        UnknownNameError: an attribute whose name ends in `activation` is not the name of one.
        CellError: the equations are inconsistent (raised by `program`).

    Example:
        >>> from nabi.ir import Cell
        >>> from nabi.ir.functions import sigmoid, tanh
        >>> class MinimalGatedUnit(Cell):
        ...     states = ("h",)
        ...
        ...     def step(self, x, h):
        ...         f = sigmoid(self.affine("f", x, h))
        ...         candidate = tanh(self.affine("h", x, h=f * h))
        ...         return (1 - f) * h + f * candidate
        >>> MinimalGatedUnit(units=2).program(input_size=3).parameter_sum
        '2 × (2 + 3 + 1) × 2 = 24'
    """

    units: int
    _: dataclasses.KW_ONLY
    use_bias: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    states: ClassVar[tuple[str, ...]] = ("h",)
    output: ClassVar[str] = ""
    """The name of an output that is no state, such as `y = C h + D x`; empty if it is the first state.

    Nothing is carried from step to step for it, and products that only the output reads are computed after
    the loop, for many steps at once.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        dataclasses.dataclass(frozen=True)(cls)
        if cls.__module__.startswith("nabi."):
            cls.__init__ = public(cls.__init__)  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "units":
                self._keep(field.name, _checks.whole(field.name, value))
            elif field.name.endswith("dropout"):
                self._keep(field.name, _checks.rate(field.name, value))
            elif isinstance(field.default, bool):
                self._keep(field.name, _checks.flag(field.name, value))
            elif field.name.endswith("activation"):
                activation(value, field.name)

    def _keep(self, name: str, value: Any) -> None:
        """Store a checked setting as a plain Python value, so that cells compare and hash."""
        object.__setattr__(self, name, value)

    # Defined by subclasses.

    def step(self, x: Node, *states: Any) -> Any:
        """Compute the new states from the input and the states; defined by each cell."""
        raise CellError(f"{type(self).__name__} has no equations: write step(self, x, *states)")

    def state_width(self, name: str) -> int:
        """Return the width of a state, or of the `output` of the cell; `units` unless overridden."""
        return self.units

    @property
    def output_width(self) -> int:
        """Width of the output, which is the first state unless the cell names another one."""
        return self.state_width(self.output or self.states[0])

    # Used in a step.

    def affine(
        self, gate: str, *operands: Node, bias: bool | str = True, units: int | None = None, **named: Node
    ) -> Node:
        """Return `W_xgate x + W_hgate h + ... + b_gate`: one gate before its activation.

        Args:
            gate: the gate's name; parameters are named after it.
            *operands: the input or states, whose weights are named after them.
            bias: False for none; a letter such as "h" for a separate bias `b_hgate`.
            units: width of the result; the cell's `units` by default.
            **named: any other value, with the letter that names its weights: `h=r * h`.

        A letter has one shape: all values that a cell names `h` have the same width, and so do their gates. A
        value of another width needs a letter of its own.

        Raises:
            CellError: an unnamed operand is not the input or a state, or a letter is used for different
                shapes.
        """
        trace = self._trace()
        letters: dict[str, Node] = {}
        for operand in operands:
            if not isinstance(operand, Node):
                raise CellError(f"{trace.where()}: affine takes values of the step, not {operand!r}")
            if operand.operation not in ("input", "state"):
                raise CellError(f"{trace.where()}: affine needs a name for {operand!r}, for instance h=r * h")
            letters[operand.name] = operand
        letters.update(named)
        if not letters:
            raise CellError(f"{trace.where()}: affine({gate!r}) reads nothing")
        for letter, value in letters.items():
            if not isinstance(value, Node):
                raise CellError(f"{trace.where()}: affine takes values of the step, not {letter}={value!r}")
        # Operands without state come first, so that they can be computed before the loop over time.
        ordered = sorted(letters.items(), key=lambda item: item[1].reads_state)
        constant_part = [self.linear(gate, *item, units) for item in ordered if not item[1].reads_state]
        moving_part = [self.linear(gate, *item, units) for item in ordered if item[1].reads_state]
        if bias and self.use_bias:
            family = f"b_{bias}" if isinstance(bias, str) else "b"
            vector = self._parameter(gate, family, (units or self.units,), "bias")
            (constant_part if constant_part or not moving_part else moving_part).append(vector)
        terms = constant_part + moving_part
        result = terms[0]
        for term in terms[1:]:
            result = result + term
        return result

    def linear(self, gate: str, letter: str, operand: Node, units: int | None = None) -> Node:
        """Return the product `W_lettergate operand` without a bias; dropout applies as in `affine`."""
        trace = self._trace()
        width = self._width_of(operand, "linear")
        is_recurrent = operand.reads_state and operand.name not in trace.delays
        role, rate = ("recurrent", self.recurrent_dropout) if is_recurrent else ("input", self.dropout)
        if rate and trace.training:
            noise = Noise(f"d_{letter}{gate}", width, rate, "dropout", per_step=False)
            operand = operand * self._noise(noise)
        matrix = self._parameter(gate, f"W_{letter}", (units or self.units, width), role)
        return trace.linear(matrix, operand)

    def diagonal(self, gate: str, letter: str, operand: Node) -> Node:
        """Return `w_lettergate ∘ operand`: a diagonal weight, one number per unit."""
        width = self._width_of(operand, "diagonal")
        return self._parameter(gate, f"w_{letter}", (width,), "peephole") * operand

    def bias(self, gate: str, letter: str = "") -> Node | float:
        """Return a learned vector that starts at zero, `b_gate` or `b_lettergate`; 0 without biases."""
        if not self.use_bias:
            return 0.0
        return self._parameter(gate, f"b_{letter}" if letter else "b", (self.units,), "bias")

    def gain(self, gate: str, letter: str, width: int | None = None) -> Node:
        """Return a learned vector that starts at one, `g_lettergate`."""
        return self._parameter(gate, f"g_{letter}", (width or self.units,), "gain")

    def previous(self, value: Node) -> Node:
        """Return the input of the step before: `x_{t-1}`, zero at the first step.

        The cell gets one more state for it, `x1`, so a sequence that is cut in two gives the same numbers as
        the whole: the second part goes on from the states of the first. `previous(previous(x))` is the input
        two steps before, with the state `x2`. Products with it do not wait for the other states: they are
        computed before the loop.

        Args:
            value: the input of the step, or what `previous` returned.

        Raises:
            CellError: it is another value, or the cell has a state of that name.

        Example:
            >>> from nabi.ir import Cell
            >>> from nabi.ir.functions import tanh
            >>> class Difference(Cell):
            ...     def step(self, x, h):
            ...         return 0.9 * h + tanh(self.affine("h", x, self.previous(x)))
            >>> program = Difference(units=2).program(input_size=3)
            >>> program.state_names, program.equations
            (('h', 'x1'), ('h_t = 0.9 h_{t-1} + tanh(W_xh x_t + W_x1h x_{t-1} + b_h)',))
        """
        trace = self._trace()
        is_input = isinstance(value, Node) and (value.operation == "input" or value.name in trace.delays)
        if not is_input or value.width is None:
            raise CellError(
                f"{trace.where()}: previous: expected the input of the step, or an earlier one, got {value!r}"
            )
        found = trace.delayed(value)
        if found.name in (*self.states, self.output):
            raise CellError(
                f"{trace.where()}: previous: expected no state named {found.name}, which would hold "
                f"{value!r} of the step before; give yours another name"
            )
        return found

    def keep(self, name: str, width: int, rate: float) -> Node | float:
        """Return a mask drawn at every step, 1 with probability `rate`; at inference its mean."""
        if not (is_number(rate) and 0 <= rate <= 1):
            raise CellError(
                f"{self._trace().where()}: rate: expected a probability from 0 to 1, got {rate!r}"
            )
        if not self._trace().training or rate == 0:
            return rate
        return self._noise(Noise(f"m_{name}", width, rate, "keep", per_step=True))

    # Tracing.

    def program(self, input_size: int, training: bool = False) -> Program:
        """Trace the step for an input width and return the program, which is cached.

        Args:
            input_size: width of the input, positive.
            training: whether random inputs (dropout, zoneout) are drawn or replaced by their mean.

        Raises:
            ArgumentError: `input_size` is not a positive integer.
            CellError: the equations are inconsistent.
        """
        width, dropping = _checks.whole("input_size", input_size), _checks.flag("training", training)
        try:
            return _program(self, width, dropping)
        except TypeError:
            for field in dataclasses.fields(self):
                value = getattr(self, field.name)
                if not _is_hashable(value):
                    raise ArgumentError(
                        f"{field.name}: expected a value that can be a dictionary key, got {value!r}; give a "
                        "tuple in the place of a list"
                    ) from None
            raise

    def _trace(self) -> Trace:
        trace = current_trace.get()
        if trace is None:
            raise CellError(f"{type(self).__name__}: equations can only be used inside step()")
        return trace

    def _width_of(self, operand: Node, method: str) -> int:
        """Return the width of the operand of a weight."""
        where = self._trace().where
        if not isinstance(operand, Node):
            raise CellError(f"{where()}: {method} takes a value of the step, not {operand!r}")
        if operand.width is None:
            raise CellError(
                f"{where()}: {operand!r} is a scalar, one number for all units; a weight needs units"
            )
        return operand.width

    def _noise(self, noise: Noise) -> Node:
        trace = self._trace()
        if trace.noises.setdefault(noise.name, noise) != noise:
            raise CellError(
                f"{trace.where()}: the random input {noise.name} is used with two widths or rates"
            )
        return trace.leaf("noise", noise.name, noise.width)

    def _parameter(self, gate: str, family: str, shape: tuple[int, ...], role: str) -> Node:
        trace = self._trace()
        if not isinstance(gate, str) or not gate:
            raise CellError(f"{trace.where()}: gate: expected a name, got {gate!r}")
        shape = tuple(_width(f"{trace.where()}: units", size) for size in shape)
        name = f"{family}{gate}" if "_" in family else f"{family}_{gate}"
        # The weights of all gates share one tensor per letter, so they have one shape.
        for known in trace.parameters.values():
            if known.family == family and known.shape != shape:
                raise CellError(
                    f"{trace.where()}: {name} is used with shape {shape} here and {known.name} with shape "
                    f"{known.shape} before. One letter has one shape, for all gates; give what has another "
                    "width a letter of its own, as m in self.affine('h', x, m=value)"
                )
        parameter = trace.parameters.setdefault(name, Parameter(name, gate, family, shape, role))
        if parameter.family != family:
            raise CellError(
                f"{trace.where()}: {name} would be a weight of the letter {parameter.family!r} and the gate "
                f"{parameter.gate!r}, and one of {family!r} and {gate!r}; give one of them another name"
            )
        return trace.leaf("matrix" if len(shape) == 2 else "parameter", name, shape[0])


@lru_cache(maxsize=512)
def _program(cell: Cell, input_size: int, training: bool) -> Program:
    name = type(cell).__name__
    trace = Trace(name, training)
    widths = _state_widths(cell)
    token = current_trace.set(trace)
    try:
        x = trace.leaf("input", "x", input_size)
        states = [trace.leaf("state", state, width) for state, width in zip(cell.states, widths, strict=True)]
        try:
            inspect.signature(cell.step).bind(x, *states)
        except TypeError as problem:
            raise CellError(
                f"{name}: step is called with the input and the states, step(x, {', '.join(cell.states)}): "
                f"{problem}"
            ) from None
        result = cell.step(x, *states)
    finally:
        current_trace.reset(token)
    outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    states += [trace.leaf("state", delay, value.width) for delay, value in trace.delays.items()]
    return Program.make(cell, trace, input_size, states, outputs, _local_names(cell, trace))


def find_program(name: str) -> Program:
    """Return the program with this key or recipe; by its recipe it is made where it is not known yet.

    Raises:
        CellError: no cell with this key has been built in this process, or it cannot be made.
    """
    if name in PROGRAMS:
        return PROGRAMS[name]
    made: Program = make_again(name, Cell)
    return made


def _state_widths(cell: Cell) -> list[int]:
    """Return the widths of the states, checked with their names."""
    name, states = type(cell).__name__, cell.states
    if not isinstance(states, tuple) or not states or not all(isinstance(state, str) for state in states):
        raise CellError(f'{name}: states: expected a tuple of names such as ("h",), got {states!r}')
    words = all(_is_word(state) for state in states)
    if not isinstance(cell.output, str) or (cell.output and not _is_word(cell.output)):
        raise CellError(f"{name}: output: expected a word that names it, got {cell.output!r}")
    if cell.output in (*states, "x"):
        raise CellError(
            f"{name}: output: expected another name than x and those of states, got {cell.output!r}"
        )
    if len(set(states)) < len(states) or "x" in states or not words:
        raise CellError(
            f"{name}: states: expected different names, each a word without leading or double underscores "
            f"and none of them x, got {states!r}"
        )
    return [_width(f"{name}: state_width({state!r})", cell.state_width(state)) for state in states]


def _is_word(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name) and name[0] != "_" and "__" not in name


def _width(where: str, value: Any) -> int:
    try:
        return _checks.whole(where, value)
    except ArgumentError as problem:
        raise CellError(str(problem)) from None


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _local_names(cell: Cell, trace: Trace) -> dict[int, str]:
    """Collect the variable names of the step, to print the equations as written."""
    names: dict[int, str] = {}
    for frame in trace.frames.values():
        if frame.f_locals.get("self") is not cell:
            continue
        for name, value in frame.f_locals.items():
            # If a step calls another one, its own name for a value is better than `h_t`, the final state.
            if isinstance(value, Node) and names.get(value.index, "").removesuffix("_t") in (
                "",
                *cell.states,
                cell.output,
            ):
                names[value.index] = name
    trace.frames.clear()
    return names
