"""A model that reads one step after the other, in native code."""

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.native import compiled, host
from nabi.shipping._code._step_function import layout_for, stream_module
from nabi.shipping._memory import ALIGNMENT
from nabi.shipping._program import Numbers, StepProgram, step_program
from nabi.shipping._small_weights import quantized

__all__ = ["Stream"]


class Stream:
    """A model that reads one step after the other and keeps its state between them.

    What it gives after a step is what the model gives for the sequence that ends there. It runs the same code
    as an exported model: one row, one thread, weights packed once, when it is made. Later changes of the
    model do not reach it. Python threads need streams of their own.

    Args:
        model: a built model whose layers go step by step, or what `nabi.shipping.step_program` made of it.
        streams: how many independent sequences are read side by side.

    Raises:
        ArgumentError: if a layer cannot go step by step; the message names all such layers.
        NotFiniteError: if a weight is NaN or infinite.
        NativeError: if native code does not run on this machine.

    >>> import numpy as np
    >>> import nabi
    >>> model = nabi.Sequential([nabi.layers.LSTM(4, input_shape=(None, 3)), nabi.layers.Dense(1)])
    >>> stream = nabi.Stream(model)
    >>> x = np.ones((1, 5, 3), "float32")
    >>> for row in x[0]:
    ...     y = stream.push(row)
    >>> np.allclose(y, model.predict(x, verbose=0)[0], atol=2e-6)
    True
    """

    @public
    def __init__(self, model: Any, streams: int = 1) -> None:
        """Compile the step, or take it from the cache, and pack the weights."""
        self._count = _checks.whole("streams", streams)
        self.program = program = model if isinstance(model, StepProgram) else step_program(model)
        machine = host()
        kind = "" if isinstance(model, StepProgram) else quantized(model, None)[1]
        layout = layout_for(program, machine, kind)
        key = ("stream", program.structure, repr(layout.lanes), *layout.stored)
        library = compiled(key, ["nabi_streams"], lambda: stream_module(program, layout, machine), machine)
        self._layout = layout
        self._weights = _aligned(len(layout.weights))
        self._weights[:] = layout.weights
        self._states = _aligned(max(layout.state_size, 1) * self._count).reshape(self._count, -1)
        self._scratch = _aligned(max(layout.scratch_size, 1))
        self._x = _aligned(self._count * program.input.width).reshape(self._count, -1)
        self._y = _aligned(self._count * program.output.width).reshape(self._count, -1)
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("nabi_streams"))
        pointers = [one.ctypes.data for one in (self._weights, self._states, self._scratch, self._x, self._y)]
        self._block = np.array([*pointers, self._count, 1], np.int64)
        self._address = ctypes.c_void_p(self._block.ctypes.data)
        # What a step reads and gives: one row if there is one stream, else one of each.
        self._given = self._x[0] if self._count == 1 else self._x
        self._found: Numbers = self._y[0] if self._count == 1 else self._y
        self._shape = self._given.shape
        self._codes = program.codes
        if self._codes:
            self._shape = self._given.shape[:-1]
            self._given = self._given[..., 0]
        self.reset()

    @property
    def streams(self) -> int:
        """How many sequences are read side by side."""
        return self._count

    def push(self, x: npt.ArrayLike) -> Numbers:
        """Read one step of every stream and return what the model gives then.

        Args:
            x: features `[features]`, or a code; with several streams `[streams, features]`, or codes
                `[streams]`.

        Returns:
            `[outputs]`, or `[streams, outputs]`; a new array.

        Raises:
            ShapeError: if `x` has another shape.
            ArgumentError: if it is not numbers, or a code is no whole number from 0 to below the number of
                codes.
        """
        given = _numbers("x", x)
        if given.shape != self._shape:
            raise ShapeError(f"x: expected the shape {self._shape}, got {given.shape}")
        if self._codes:
            self._check_codes(given)
        self._given[...] = given
        self._call(self._address)
        return self._found.copy()

    def run(self, x: npt.ArrayLike) -> Numbers:
        """Read many steps at once; as `push` step by step.

        Args:
            x: `[steps, features]` or codes `[steps]`; with several streams `[streams, steps, ...]`.

        Returns:
            `[steps, outputs]`, or `[streams, steps, outputs]`.

        Raises:
            ShapeError: if `x` has another shape.
            ArgumentError: if it is not numbers, or a code is no whole number from 0 to below the number of
                codes.
        """
        given = _numbers("x", x)
        lead = 0 if self._count == 1 else 1
        rest = () if self._codes else (self.program.input.width,)
        if given.ndim != lead + 1 + len(rest) or given.shape[lead + 1 :] != rest:
            raise ShapeError(
                f"x: expected the shape {(*self._shape[:lead], 'steps', *rest)}, got {given.shape}"
            )
        if lead and given.shape[0] != self._count:
            raise ShapeError(f"x: expected {self._count} streams, got {given.shape[0]}")
        if self._codes:
            self._check_codes(given)
        given = np.ascontiguousarray(given, np.float32)
        steps = given.shape[lead]
        found = np.empty((*given.shape[: lead + 1], self.program.output.width), np.float32)
        block = np.array(
            [*self._block[:3], given.ctypes.data, found.ctypes.data, self._count, steps], np.int64
        )
        self._call(block.ctypes.data)
        return found

    # Sequences whose states the caller keeps ----------------------------------------------------------------

    def begin(self, count: int = 1) -> Numbers:
        """Return states at the beginning, for `advance`: `[count, numbers]`; a new array.

        Args:
            count: how many sequences.
        """
        found = np.zeros((_checks.whole("count", count), self._states.shape[1]), np.float32)
        self._begin(found)
        return found

    def advance(self, states: Numbers, x: npt.ArrayLike) -> Numbers:
        """Read steps of sequences whose states the caller keeps, by one call of native code.

        Any number of sequences can go on together; the streams of this object stay where they are.

        Args:
            states: `[sequences, numbers]`, as `begin` returns them; changed in place.
            x: `[sequences, steps, features]`, or codes `[sequences, steps]`.

        Returns:
            `[sequences, steps, outputs]`; a new array.

        Raises:
            ShapeError: if `x` or `states` has another shape.
            ArgumentError: if a code is not from 0 to the number of codes, and for states of another type.

        >>> import numpy as np
        >>> import nabi
        >>> model = nabi.Sequential([nabi.layers.GRU(4, input_shape=(None, 3))])
        >>> stream = nabi.Stream(model)
        >>> states = stream.begin(100)
        >>> stream.advance(states[:2], np.ones((2, 5, 3), "float32")).shape
        (2, 5, 4)
        """
        given = np.ascontiguousarray(x, np.float32)
        rest = () if self._codes else (self.program.input.width,)
        if given.ndim != 2 + len(rest) or given.shape[2:] != rest:
            raise ShapeError(f"x: expected the shape {('sequences', 'steps', *rest)}, got {given.shape}")
        if states.shape != (len(given), self._states.shape[1]):
            expected = (len(given), self._states.shape[1])
            raise ShapeError(f"states: expected the shape {expected}, got {states.shape}")
        if states.dtype != np.float32 or not states.flags.c_contiguous or not states.flags.writeable:
            raise ArgumentError("states: expected an array as begin() returns it, or rows of one in a row")
        if self._codes and given.size:
            self._check_codes(given)
        found = np.empty((*given.shape[:2], self.program.output.width), np.float32)
        count, steps = given.shape[:2]
        block = np.array(
            [
                self._block[0],
                states.ctypes.data,
                self._block[2],
                given.ctypes.data,
                found.ctypes.data,
                count,
                steps,
            ],
            np.int64,
        )
        self._call(block.ctypes.data)
        return found

    def named(self, states: Numbers) -> dict[str, Numbers]:
        """Return states by layer and name, as `lstm/h`: views `[..., width]` of `states` `[..., numbers]`.

        Args:
            states: as `begin` returns them, or one row.
        """
        return {name: states[..., place : place + width] for name, place, width in self._parts()}

    def _check_codes(self, given: Any) -> None:
        # Written so that NaN is refused; the message names the first code that is none.
        wrong = ~((given >= 0) & (given < self._codes))
        if given.dtype.kind == "f":
            wrong |= np.floor(given) != given
        if np.any(wrong):
            first = np.atleast_1d(given)[np.atleast_1d(wrong)][0]
            raise ArgumentError(f"x: expected codes from 0 to {self._codes - 1}, got {first}")

    # The state --------------------------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, Numbers]:
        """The states by layer and name, as `lstm/h`: copies, `[width]` or `[streams, width]`.

        Set it to go on from a state that was read before; names that are missing stay as they are.
        """
        return {name: self._part(place, width).copy() for name, place, width in self._parts()}

    @state.setter
    def state(self, values: Mapping[str, npt.ArrayLike]) -> None:
        if not isinstance(values, Mapping):
            raise ArgumentError(f"state: expected states by name, got {short(values)}")
        known = {name: (place, width) for name, place, width in self._parts()}
        taken = []
        for name, given in values.items():
            if name not in known:
                raise ArgumentError(f"state: expected names among {', '.join(known)}, got {name!r}")
            part, numbers = self._part(*known[name]), _numbers(f"state: {name}", given)
            if numbers.shape != part.shape:
                raise ShapeError(f"state: {name}: expected the shape {part.shape}, got {numbers.shape}")
            taken.append((part, numbers))
        for part, numbers in taken:
            part[...] = numbers

    @public
    def reset(self, stream: int | None = None) -> None:
        """Begin anew: all streams, or the one of this number."""
        if stream is not None and not 0 <= stream < self._count:
            raise ArgumentError(f"stream: expected a number from 0 to {self._count - 1}, got {stream}")
        rows = self._states if stream is None else self._states[stream : stream + 1]
        rows[...] = 0.0
        self._begin(rows)

    def _begin(self, rows: Numbers) -> None:
        for state in self.program.states:
            place = self._layout.place(state.value)
            rows[:, place : place + state.value.width] = state.initial

    def _parts(self) -> list[tuple[str, int, int]]:
        return [
            (f"{layer.name}/{state.name}", self._layout.place(state.value), state.value.width)
            for layer in self.program.layers
            for state in layer.states
        ]

    def _part(self, place: int, width: int) -> Any:
        part = self._states[:, place : place + width]
        return part[0] if self._count == 1 else part

    def __repr__(self) -> str:
        program = self.program
        return (
            f"<Stream of {program.name}: {program.input.width} → {program.output.width}, "
            f"{self._count} stream{'s' if self._count > 1 else ''}>"
        )


def _numbers(name: str, values: npt.ArrayLike) -> Any:
    """Return an array of numbers.

    Raises:
        ShapeError: if rows differ in length.
        ArgumentError: if it is not numbers.
    """
    try:
        found = np.asarray(values)
    except ValueError:
        raise ShapeError(f"{name}: expected rows of one length, got {short(values)}") from None
    if found.dtype.kind not in "fiub":
        raise ArgumentError(f"{name}: expected numbers, got {short(values)}")
    return found


def _aligned(count: int) -> Any:
    """Return zeros that begin at a cache line."""
    line = ALIGNMENT // 4
    memory = np.zeros(count + line, np.float32)
    start = (-memory.ctypes.data // 4) % line
    return memory[start : start + count]
