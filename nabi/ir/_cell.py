"""The base class of all cells, with the methods for writing equations."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from keyword import iskeyword
from math import prod
from typing import Any, ClassVar, dataclass_transform

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, CellError
from nabi.ir._composing import Composing, delayed, of_delayed_too, run_step, undelayed
from nabi.ir._further_inputs import further_inputs, named_by_step
from nabi.ir._graph._nodes import Node, Noise, Parameter, Trace, current_trace
from nabi.ir._graph._numbers import is_number
from nabi.ir._local_names import local_names
from nabi.ir._program import PROGRAMS, Program
from nabi.ir._recipe import make_again
from nabi.ir._shown_values import add_shown_values
from nabi.ir._states import check_width, state_widths
from nabi.ir.derived import Derived
from nabi.ir.functions import activation
from nabi.ir.initial import Constant, InitialValue, Learned, as_initial

__all__ = ["Cell", "find_program"]


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
@dataclasses.dataclass(frozen=True)
class Cell(Composing):
    """A recurrent cell: its equations, written once, for one row and one time step.

    A subclass names its `states` and writes `step(self, x, *states)`, which returns the new states in the
    same order. The output of a cell is its first state, unless the cell names its `output`: then the step
    returns that value first, and the new states after it. Annotated attributes become constructor
    arguments, as in a dataclass; a cell is immutable, compares by value and can be a dictionary key.

    Keyword arguments of `step` are further inputs: `delta`, the time since the last step; `observed`, which
    features were observed; `static`, features of the whole sequence; `position`, the number of the step;
    and any others. `input_width` says how wide they are.

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
        for name in {"state_width", "state_shape"}.intersection(cls.__dict__):
            setattr(cls, name, of_delayed_too(getattr(cls, name)))
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
        delays = {name: _checks.whole(f"delays: {name}", steps) for name, steps in self.delays().items()}
        if delays:
            self._keep("states", delayed(self.states, delays))

    def _keep(self, name: str, value: Any) -> None:
        """Store a checked setting as a plain Python value, so that cells compare and hash."""
        object.__setattr__(self, name, value)

    # Defined by subclasses.

    def step(self, x: Node, *states: Any, **inputs: Any) -> Any:
        """Compute the new states from the input and the states; defined by each cell."""
        raise CellError(f"{type(self).__name__} has no equations: write step(self, x, *states)")

    def state_width(self, name: str) -> int:
        """Return the width of a state, or the `output`: that of its axes, or `units`, unless overridden."""
        shape = self.state_shape(name)
        return prod(shape) if shape else self.units

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return the axes of a state, such as `(heads, keys, values)`; none, for one axis, unless overridden.

        A state lies in memory as one row of numbers, the last axis side by side.
        """
        return ()

    def initial_state(self, name: str) -> Any:
        """Return what a state starts with where no states are given, and after a reset; 0 unless overridden.

        A number, also an infinite one; a value of `nabi.ir.initial`, which is a fixed vector; or
        `initial.Learned(...)`, a vector that is learned. Vectors become parameters called `h_0` for a state
        `h`.
        """
        return 0.0

    @property
    def output_width(self) -> int:
        """Width of the output, which is the first state unless the cell names another one."""
        return self.state_width(self.output or self.states[0])

    # Used in a step.

    def affine(
        self,
        gate: str,
        *operands: Node,
        bias: bool | str = True,
        units: int | None = None,
        init: Mapping[str, Any] | None = None,
        trained: bool | Mapping[str, bool] = True,
        derived: Mapping[str, Derived] | None = None,
        **named: Node,
    ) -> Node:
        """Return `W_xgate x + W_hgate h + ... + b_gate`: one gate before its activation.

        Args:
            gate: the gate's name; parameters are named after it.
            *operands: the input or states, whose weights are named after them.
            bias: False for none; a letter such as "h" for a separate bias `b_hgate`.
            units: width of the result; the cell's `units` by default.
            init: initial values by letter, `{"h": "identity", "b": 1.0}`, `"b"` being the bias; see
                `nabi.ir.initial`. What is not named starts as the layer that runs the cell says.
            trained: whether the weights are learned; by letter where they differ.
            derived: how matrices are computed from what is learned, by letter; see `nabi.ir.derived`.
            **named: any other value, with the letter that names its weights: `h=r * h`.

        Raises:
            CellError: an unnamed operand is not the input or a state, a name has a dot, one name is used for
                different shapes or initial values, or `init`, `trained` or `derived` names no weight.
        """
        trace = self._trace()
        letters: dict[str, Node] = {}
        for operand in operands:
            if not isinstance(operand, Node):
                raise CellError(f"{trace.where()}: affine takes values of the step, not {operand!r}")
            if operand.operation not in ("input", "state") and not operand.letter:
                raise CellError(f"{trace.where()}: affine needs a name for {operand!r}, for instance h=r * h")
            letters[operand.letter or operand.name] = operand
        letters.update(named)
        if not letters:
            raise CellError(f"{trace.where()}: affine({gate!r}) reads nothing")
        for letter, value in letters.items():
            if not isinstance(value, Node):
                raise CellError(f"{trace.where()}: affine takes values of the step, not {letter}={value!r}")
        said, learned = self._by_letter(letters, "init", init), self._by_letter(letters, "trained", trained)
        computed = self._by_letter(letters, "derived", derived)

        def product(letter: str, value: Node) -> Node:
            return self.linear(
                gate, letter, value, units, init=said.get(letter), trained=learned.get(letter, True),
                derived=computed.get(letter),
            )  # fmt: skip

        # Operands without state come first, so that they can be computed before the loop over time.
        ordered = sorted(letters.items(), key=lambda item: item[1].reads_state)
        constant_part = [product(*item) for item in ordered if not item[1].reads_state]
        moving_part = [product(*item) for item in ordered if item[1].reads_state]
        if bias and self.use_bias:
            family = f"b_{bias}" if isinstance(bias, str) else "b"
            vector = self._parameter(
                gate, family, (units or self.units,), "bias",
                init=said.get("b"), trained=learned.get("b", True),
            )  # fmt: skip
            (constant_part if constant_part or not moving_part else moving_part).append(vector)
        terms = constant_part + moving_part
        result = terms[0]
        for term in terms[1:]:
            result = result + term
        return result

    def linear(
        self,
        gate: str,
        letter: str,
        operand: Node,
        units: int | None = None,
        *,
        init: Any = None,
        trained: bool = True,
        derived: Derived | None = None,
    ) -> Node:
        """Return the product `W_lettergate operand` without a bias; dropout applies as in `affine`.

        Args:
            gate, letter: name the matrix.
            operand: what is multiplied.
            units: width of the result; the cell's `units` by default.
            init: the initial value of the matrix, see `nabi.ir.initial`; None leaves it to the layer.
            trained: whether the matrix is learned; if not, it keeps its initial value, which `init` must say.
            derived: how the matrix is computed from others, which are then kept, learned and initialised in
                its place; see `nabi.ir.derived`.
        """
        trace = self._trace()
        is_number = isinstance(operand, Node) and operand.width is None
        operand = trace.as_operand(operand) if is_number else operand
        width = self._width_of(operand, "linear")
        is_recurrent = operand.reads_state and operand.name not in trace.delays
        role, rate = ("recurrent", self.recurrent_dropout) if is_recurrent else ("input", self.dropout)
        if rate and trace.training and not is_number:
            noise = Noise(f"d_{letter}{gate}", width, rate, "dropout", per_step=False)
            operand = operand * self._noise(noise)
        for change in trace.changes:
            operand = operand if change.operand is None else change.operand(gate, letter, operand)
            if derived is None and (is_recurrent or not change.only_states):
                derived = change.weight
        shape = (units or self.units, width)
        if derived is None:
            matrix = self._parameter(gate, f"W_{letter}", shape, role, init=init, trained=trained)
        else:
            matrix = self._derived(gate, f"W_{letter}", shape, role, derived, init, trained)
        product = trace.linear(matrix, operand)
        for change in trace.changes:
            product = product if change.product is None else change.product(gate, letter, product)
        return product

    def blocks(self, gate: str, letter: str, operand: Node, units: int | None = None) -> Node:
        """Return the product of every head with a matrix of its own, along the last axis.

        The operand is heads × width or heads × rows × width, else a `CellError` is raised; the weights
        `R_lettergate` are heads × width × units numbers, units being the width by default.
        """
        trace = self._trace()
        self._width_of(operand, "blocks")
        if len(operand.axes) not in (2, 3):
            raise CellError(
                f"{trace.where()}: blocks takes a value of heads × width or heads × rows × width, not "
                f"{operand!r}; split(a, heads, width) divides a value into axes"
            )
        heads, width, size = operand.axes[0], operand.axes[-1], units or operand.axes[-1]
        role = "recurrent" if operand.reads_state else "input"
        weights = self._parameter(gate, f"R_{letter}", (heads * width * size,), role)
        rows = len(operand.axes) == 3
        matrix = trace.view(weights, (heads, 1, width, size) if rows else (heads, width, size))
        whole = trace.view(operand, (*operand.axes, 1))
        return trace.reduce_axis("axis_sum", trace.apply("mul", whole, matrix), len(operand.axes) - 1)

    def diagonal(
        self, gate: str, letter: str, operand: Node, *, init: Any = None, trained: bool = True
    ) -> Node:
        """Return `w_lettergate ∘ operand`: a diagonal weight, one number per unit."""
        width = self._width_of(operand, "diagonal")
        weight = self._parameter(gate, f"w_{letter}", (width,), "peephole", init=init, trained=trained)
        return weight * operand

    def bias(self, gate: str, letter: str = "", *, init: Any = None, trained: bool = True) -> Node | float:
        """Return a learned vector that starts at zero, `b_gate` or `b_lettergate`; 0 without biases."""
        if not self.use_bias:
            return 0.0
        family = f"b_{letter}" if letter else "b"
        return self._parameter(gate, family, (self.units,), "bias", init=init, trained=trained)

    def gain(
        self, gate: str, letter: str, width: int | None = None, *, init: Any = None, trained: bool = True
    ) -> Node:
        """Return a learned vector that starts at one, `g_lettergate`."""
        shape = (width or self.units,)
        return self._parameter(gate, f"g_{letter}", shape, "gain", init=init, trained=trained)

    def parameter(
        self, name: str, width: int | tuple[()] | None = None, *, init: Any, trained: bool = True
    ) -> Node:
        """Return a vector or a number of its own name that starts with a value of its own.

        Args:
            name: its name, a letter or a word with subscripts such as `alpha` or `tau_f`.
            width: how many units; the cell's `units` by default, `()` for one number for all units.
            init: what it starts with: a number, a tuple, a name, a function of a shape and a generator, or an
                object of `nabi.ir.initial`.
            trained: whether it is learned; if not, it keeps its initial value.

        Raises:
            CellError: the name is no name or is that of another weight, or it was used with another width or
                initial value.

        Example:
            >>> from nabi.ir import Cell, initial
            >>> from nabi.ir.functions import sigmoid, tanh
            >>> class FastRNN(Cell):
            ...     def step(self, x, h):
            ...         alpha = self.parameter("alpha", (), init=-3.0)
            ...         beta = self.parameter("beta", (), init=3.0)
            ...         return sigmoid(alpha) * tanh(self.affine("h", x, h)) + sigmoid(beta) * h
            >>> print(*FastRNN(2).program(3).equations)
            h_t = σ(alpha) ∘ tanh(W_xh x_t + W_hh h_{t-1} + b_h) + σ(beta) ∘ h_{t-1}
        """
        where = self._trace().where()
        if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or "__" in name:
            raise CellError(f"{where}: name: expected a word such as alpha or tau_f, got {name!r}")
        if init is None:
            raise CellError(f"{where}: init: expected the initial value of {name}, got None")
        scalar = isinstance(width, tuple)
        if scalar and width:
            raise CellError(
                f"{where}: width: expected a number of units or () for one number, got {width}; a matrix is "
                "the weight of a product, self.linear"
            )
        shape = (1,) if scalar else (self.units if width is None else width,)
        return self._parameter("", name, shape, "parameter", init=init, trained=trained, scalar=scalar)  # type: ignore[arg-type]

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

    def program(self, input_size: int, training: bool = False, values: Sequence[str] = ()) -> Program:
        """Trace the step for an input width and return the program, which is cached.

        Args:
            input_size: width of the input, positive.
            training: whether random inputs (dropout, zoneout) are drawn or replaced by their mean.
            values: names of quantities of the equations, such as a gate `f`, to be returned at every step.
                To what runs the program they are further states, after the cell's, which nothing reads; a
                number per row has a width of 1. States and the output are no such values.

        Raises:
            ArgumentError: `input_size` is not a positive integer.
            CellError: the equations are inconsistent.
            UnknownNameError: one of `values` is not the name of a quantity.

        Example:
            >>> from nabi.cells import LSTM
            >>> LSTM(units=5).program(input_size=3, values=["f"]).state_names
            ('h', 'c', 'f')
        """
        width, dropping = _checks.whole("input_size", input_size), _checks.flag("training", training)
        try:
            return _program(self, width, dropping, tuple(values))
        except TypeError:
            for field in dataclasses.fields(self):
                value = getattr(self, field.name)
                if not _is_hashable(value):
                    raise ArgumentError(
                        f"{field.name}: expected a value that can be a dictionary key, got {value!r}; give a "
                        "tuple in the place of a list"
                    ) from None
            raise

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
        noise = dataclasses.replace(noise, name=trace.part.named(noise.name))
        if trace.noises.setdefault(noise.name, noise) != noise:
            raise CellError(
                f"{trace.where()}: the random input {noise.name} is used with two widths or rates"
            )
        return trace.leaf("noise", noise.name, noise.width)

    def _by_letter(self, letters: Mapping[str, Node], argument: str, given: Any) -> dict[str, Any]:
        """Return what an argument of `affine` says of each letter, `b` being the bias."""
        if given is None or isinstance(given, bool):
            return {} if given is None else dict.fromkeys((*letters, "b"), given)
        where = self._trace().where
        if not isinstance(given, Mapping):
            raise CellError(
                f"{where()}: {argument}: expected a dictionary by letter such as {{'h': ..., 'b': ...}}, got "
                f"{_checks.short(given)}"
            )
        unknown = [letter for letter in given if letter not in letters and letter != "b"]
        if unknown:
            known = ", ".join([*letters, "b"])
            raise CellError(f"{where()}: {argument}: expected letters of {known}, got {unknown[0]!r}")
        return dict(given)

    def _parameter(
        self,
        gate: str,
        family: str,
        shape: tuple[int, ...],
        role: str,
        *,
        init: Any = None,
        trained: bool = True,
        scalar: bool = False,
    ) -> Node:
        trace = self._trace()
        if not isinstance(gate, str) or not (gate or role == "parameter"):
            raise CellError(f"{trace.where()}: gate: expected a name, got {gate!r}")
        shape = tuple(check_width(f"{trace.where()}: units", size) for size in shape)
        name = (f"{family}{gate}" if "_" in family else f"{family}_{gate}") if gate else family
        name, family = trace.part.named(name), trace.part.named(family)
        if "." in name:
            raise CellError(
                f"{trace.where()}: {name}: expected a name without a dot, since models name their weights by "
                "paths of names with dots between them"
            )
        new = Parameter(name, gate, family, shape, role, self._initial(name, init), trained, scalar)
        known = trace.parameters.setdefault(name, new)
        if known is not new:
            self._check_same(known, new)
        for other in () if known is not new else list(trace.parameters.values())[:-1]:
            if other.family == family and "parameter" in (other.role, role):
                raise CellError(
                    f"{trace.where()}: {name} and {other.name} would share the letter {family}; give one of "
                    "them another name"
                )
        if not trained and known.initial is None:
            raise CellError(
                f"{trace.where()}: {name} is not trained, so it keeps what it starts with; say it: init=..."
            )
        return trace.leaf("matrix" if len(shape) == 2 else "parameter", name, None if scalar else shape[0])

    def _derived(
        self,
        gate: str,
        family: str,
        shape: tuple[int, ...],
        role: str,
        how: Derived,
        init: Any,
        trained: bool,
    ) -> Node:
        """Return a weight that is computed from others, which become parameters in its place."""
        trace = self._trace()
        name = trace.part.named(f"{family}{gate}")
        if not isinstance(how, Derived):
            raise CellError(
                f"{trace.where()}: derived: expected an object of nabi.ir.derived, got {_checks.short(how)}"
            )
        try:
            found = how.sources(tuple(check_width(f"{trace.where()}: units", size) for size in shape))
        except ArgumentError as problem:
            raise CellError(f"{trace.where()}: {name}: {problem}") from None
        names = []
        for place, source in enumerate(found):
            letter = f"{source.letter}{family[1:]}"
            value = init if place == 0 and init is not None else source.initial
            one = self._parameter(
                gate, letter, source.shape, role, init=value, trained=trained and source.trained
            )
            names.append(one.name)
        new = Parameter(
            name, gate, trace.part.named(family), shape, role, None, trained,
            derived=how, sources=tuple(names),
        )  # fmt: skip
        known = trace.parameters.setdefault(name, new)
        if known != new:
            raise CellError(
                f"{trace.where()}: {name} is computed as {how} here and as {known.derived} before; give one "
                "of them another name"
            )
        if how.rate and trace.training:
            noise = Noise(f"D_{name}", shape[-1], how.rate, "weights", per_step=False, shape=shape)
            trace.noises.setdefault(noise.name, noise)
        return trace.leaf("matrix", name, shape[0])

    def _initial_state(self, name: str, width: int) -> float | str:
        """Return the number that a state starts with, or the name of the parameter that holds its vector."""
        name = undelayed(name, self.delays())
        where, given = f"{type(self).__name__}: initial_state({name!r})", self.initial_state(name)
        try:
            value = as_initial(given, where)
        except ArgumentError as problem:
            raise CellError(str(problem)) from None
        if isinstance(value, Constant):
            return value.value
        learned = isinstance(value, Learned)
        start = value.start if isinstance(value, Learned) else value
        return self._parameter("", f"{name}_0", (width,), "parameter", init=start, trained=learned).name

    def _check_same(self, known: Parameter, new: Parameter) -> None:
        """Check a parameter that the step uses again."""
        where, name = self._trace().where(), new.name
        if known.derived is not None:
            raise CellError(f"{where}: {name} is computed as {known.derived} elsewhere in the step")
        if known.family != new.family:
            raise CellError(
                f"{where}: {name} would be a weight of the letter {known.family!r} and the gate "
                f"{known.gate!r}, and one of {new.family!r} and {new.gate!r}; give one of them another name"
            )
        if known.shape != new.shape or known.scalar != new.scalar:
            raise CellError(
                f"{where}: {name} is used with shape {() if new.scalar else new.shape} here and "
                f"{() if known.scalar else known.shape} before; give one of them another name"
            )
        if (new.initial is not None and known.initial != new.initial) or known.trained != new.trained:
            raise CellError(
                f"{where}: {name} is declared with init={new.initial!r}, trained={new.trained} here and "
                f"init={known.initial!r}, trained={known.trained} before"
            )

    def _initial(self, name: str, init: Any) -> InitialValue | None:
        if init is None:
            return None
        try:
            return as_initial(init, "init")
        except ArgumentError as problem:
            raise CellError(f"{self._trace().where()}: {name}: {problem}") from None


@lru_cache(maxsize=512)
def _program(cell: Cell, input_size: int, training: bool, values: tuple[str, ...]) -> Program:
    name = type(cell).__name__
    trace = Trace(name, training)
    widths, shapes = state_widths(cell), [cell.state_shape(state) or None for state in cell.states]
    token = current_trace.set(trace)
    try:
        x = trace.input("x", input_size)
        states = [
            trace.leaf("state", state, width, shape)
            for state, width, shape in zip(cell.states, widths, shapes, strict=True)
        ]
        further = further_inputs(cell, trace, input_size)
        try:
            own = cell.present_states
            inspect.signature(cell.step).bind(x, *own, **named_by_step(cell, further))
        except TypeError as problem:
            raise CellError(
                f"{name}: step is called with the input and the states, step(x, {', '.join(own)}): {problem}"
            ) from None
        outputs = run_step(trace, cell, x, states, further)
        initial = tuple(cell._initial_state(*one) for one in zip(cell.states, widths, strict=True))
    finally:
        current_trace.reset(token)
    states += [trace.leaf("state", delay, value.width) for delay, value in trace.delays.items()]
    names = local_names(cell, trace)
    if values:
        states += add_shown_values(_program(cell, input_size, training, ()), trace, values)
    return Program.make(cell, trace, input_size, states, outputs, names, initial)


def find_program(name: str) -> Program:
    """Return the program with this key or recipe; by its recipe it is made where it is not known yet.

    Raises:
        CellError: no cell with this key has been built in this process, or it cannot be made.
    """
    if name in PROGRAMS:
        return PROGRAMS[name]
    made: Program = make_again(name, Cell)
    return made


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
