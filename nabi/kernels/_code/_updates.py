"""Steps of optimizers over all weights of a model in one call: what all optimizers share.

A step has two halves: numbers of steps are raised, with what follows from them for each weight, then the
weights are updated, by several threads if that pays. The arguments are the optimizer's numbers in double
precision, then a line for each weight.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from llvmlite import ir
from torch import Tensor

from nabi.native import Machine, compiled, host, threads as _threads
from nabi.native.addresses import arguments, expect, to_read, to_update
from nabi.native.bound import Run
from nabi.native.vectors import INDEX, POINTER, Vectors, index, loop_over

__all__ = ["DOUBLE", "Element", "Given", "NativeSteps", "Rule", "write"]

_COST = 4.0
"""Cost of a weight in multiply-adds, to decide when a second thread pays off."""

_POINTERS = ("weight", "gradient", "counter")
_DTYPES = (("float32", 16), ("float64", 8))
DOUBLE = ir.DoubleType()
_FLOAT = ir.FloatType()

Element = Callable[[dict[str, Any]], dict[str, Any]]
"""From vectors of a weight, its gradient and its states to what they become."""


@dataclass(frozen=True, eq=False)
class Rule:
    """An optimizer.

    Attributes:
        name: its name.
        states: those that it keeps for each weight, like the weight; some kinds of steps have no use for all.
        derived: numbers of each weight that follow from its number of steps.
        numbers: names of the numbers that all weights share.
        kinds: for each kind of step the states that it uses.
        settings: from the options to these numbers and the kind.
        count: writes what a number of steps means for a weight; gives the derived numbers.
        element: writes what happens to a vector of a weight.
    """

    name: str
    states: tuple[str, ...]
    derived: tuple[str, ...]
    numbers: tuple[str, ...]
    kinds: Mapping[str, tuple[str, ...]]
    settings: Callable[[Any], tuple[list[Any], str]]
    count: Callable[["Given", Any], dict[str, Any]]
    element: Callable[["Given", Vectors, str, Any], Element]

    @property
    def head(self) -> int:
        """How many arguments come before the lines."""
        return 1 + len(self.numbers)

    @property
    def line(self) -> tuple[str, ...]:
        """What is in a weight's line."""
        return (*_POINTERS, *self.states, "count", *self.derived)


class NativeSteps:
    """See `nabi.kernels.UpdateSteps`.

    Raises:
        NativeError: if the kernels can't be compiled.
    """

    def __init__(
        self,
        rule: Rule,
        weights: Sequence[Tensor],
        states: Mapping[str, Sequence[Tensor] | None],
        counters: Sequence[Tensor] | None,
    ) -> None:
        dtype = weights[0].dtype
        # The optimizer state from a file may belong to other weights.
        for name, tensors in {"weight": weights, **states}.items():
            for weight, tensor in zip(weights, tensors or weights, strict=True):
                expect(name, tensor, weight.shape, dtype)
        for _, counter in zip(weights, counters or (), strict=counters is not None):
            expect("step", counter, (), torch.float32)
        self._rule, self._has = rule, {name for name, tensors in states.items() if tensors is not None}
        # Held independently of the weights: memory that a weight leaves must not be freed during a kernel
        # run.
        named = {"weight": weights, "counter": counters, **states}
        self._alive = {
            name: [one.detach() for one in tensors] for name, tensors in named.items() if tensors is not None
        }
        self._places = [to_read(weight) for weight in weights]
        self._spare: list[_Block] = []
        self._suffix = "32" if dtype is torch.float32 else "64"
        self._work = sum(weight.numel() for weight in weights) * _COST
        _addresses(rule)  # or fail now

    def step(self, weights: Sequence[Tensor], gradients: Sequence[Tensor], options: Any) -> bool:
        """See `nabi.kernels.UpdateSteps`."""
        block = self._filled(weights, gradients, options)
        if block is None:
            return False
        threads = _threads.threads_for(self._work)
        if threads == 1:
            _threads.run(*block.run, 1)
        else:  # increment the counters once, before any thread reads values derived from them
            _threads.run(block.halves[0], block.block, 1)
            _threads.run(block.halves[1], block.block, threads)
        self._spare.append(block)
        return True

    def prepare(
        self, weights: Sequence[Tensor], gradients: Sequence[Tensor], options: Any
    ) -> "_Block | None":
        """See `nabi.kernels.UpdateSteps`."""
        if _threads.threads_for(self._work) > 1:
            return None
        return self._filled(weights, gradients, options)

    def run(self, update: Any) -> None:
        """See `nabi.kernels.UpdateSteps`."""
        _threads.run(update.run.address, update.run.block, 1)

    def are_in_place(self, weights: Sequence[Tensor]) -> bool:
        """See `nabi.kernels.UpdateSteps`."""
        return list(map(to_read, weights)) == self._places

    def has_run(self, update: Any) -> None:
        """See `nabi.kernels.UpdateSteps`."""
        self._spare.append(update)

    def _filled(
        self, weights: Sequence[Tensor], gradients: Sequence[Tensor], options: Any
    ) -> "_Block | None":
        """Return arguments that no one else uses, filled in; None if a weight has moved."""
        if not self.are_in_place(weights):
            return None
        # Removed while in use: it holds the addresses of gradients that only this call keeps alive.
        try:
            block = self._spare.pop()
        except IndexError:
            block = _Block(self._rule, self._alive)
        if options != block.last:
            numbers, kind = self._rule.settings(options)
            if not self._has.issuperset(self._rule.kinds[kind]):
                self._spare.append(block)
                return None  # a state that is not there is asked for
            block.numbers[:] = numbers
            addresses, name = _addresses(self._rule), kind + self._suffix
            block.halves = [addresses["count"], addresses[name]]
            block.run, block.last = Run(addresses[f"whole_{name}"], block.block), options
        found = list(map(to_read, gradients))
        if found != block.found:
            block.bind(self._alive["weight"], gradients, found)
        return block

    def forget_gradients(self) -> None:
        """See `nabi.kernels.UpdateSteps`."""
        for block in self._spare:
            block.found = []


class _Block:
    """Arguments of the kernels, used by one thread at a time.

    Attributes:
        run: of the whole step.
        halves: addresses of its two halves.
    """

    def __init__(self, rule: Rule, tensors: Mapping[str, Sequence[Tensor]]) -> None:
        weights, line = tensors["weight"], rule.line
        self._rule = rule
        self.block = arguments(rule.head + len(line) * len(weights), [len(weights)])
        self.numbers = (ctypes.c_double * len(rule.numbers)).from_buffer(self.block, 8)
        self.found: list[int] = []
        self.last: Any = None
        self.run = Run(0, self.block)
        self.halves = [0, 0]
        for name, several in tensors.items():
            for at, tensor in zip(self._places(name), several, strict=False):
                self.block[at] = to_update(tensor)
        for at, weight in zip(self._places("count"), weights, strict=False):
            self.block[at] = weight.numel()

    def _places(self, name: str) -> range:
        rule = self._rule
        return range(rule.head + rule.line.index(name), len(self.block), len(rule.line))

    def bind(self, weights: Sequence[Tensor], gradients: Sequence[Tensor], addresses: list[int]) -> None:
        """Store the addresses of gradients that match what the kernel reads."""
        places = self._places("gradient")
        for at, weight, gradient, address in zip(places, weights, gradients, addresses, strict=False):
            expect("gradient", gradient, weight.shape, weight.dtype)
            self.block[at] = address
        self.found = addresses


@cache
def _addresses(rule: Rule) -> dict[str, int]:
    machine = host()
    kinds = [kind + dtype[-2:] for dtype, _ in _DTYPES for kind in rule.kinds]
    names = ("count", *kinds, *(f"whole_{kind}" for kind in kinds))
    library = compiled((rule.name,), names, lambda: write(rule, machine), machine)
    return {name: library.address(name) for name in names}


# The code -------------------------------------------------------------------------------------------------


def write(rule: Rule, machine: Machine) -> ir.Module:
    """Write the kernels; vectors have the same length on every machine, and LLVM splits them."""
    module = ir.Module(rule.name)
    _write_count(module, rule)
    for dtype, lanes in _DTYPES:
        for kind in rule.kinds:
            name = kind + dtype[-2:]
            _write_update(module, rule, name, kind, dtype, lanes)
            _write_whole(module, name)
    return module


class Given:
    """The start of a kernel and its arguments."""

    def __init__(self, module: ir.Module, rule: Rule, name: str) -> None:
        kind = ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX])
        function = ir.Function(module, kind, name)
        function.attributes.add("nounwind")
        self._rule = rule
        self.b = b = ir.IRBuilder(function.append_basic_block("entry"))
        self._block, self.thread, self.threads = function.args
        self.lines = b.load(self._block, align=8, typ=INDEX)
        self.numbers = {
            name: b.load(self._at(1 + place), align=8, typ=DOUBLE) for place, name in enumerate(rule.numbers)
        }

    def _at(self, place: Any) -> Any:
        place = index(place) if isinstance(place, int) else place
        return self.b.gep(self._block, [place], source_etype=INDEX)

    def place(self, line: Any, name: str) -> Any:
        """Return the position of a value in a weight's line."""
        b, rule = self.b, self._rule
        return self._at(b.add(b.mul(line, index(len(rule.line))), index(rule.head + rule.line.index(name))))

    def pointer(self, line: Any, name: str) -> Any:
        """Return an address in a weight's line."""
        return self.b.load(self.place(line, name), align=8, typ=POINTER)

    def derived(self, line: Any, name: str) -> Any:
        """Return a number that follows from the weight's number of steps."""
        return self.b.load(self.place(line, name), align=8, typ=DOUBLE)

    def everywhere(self, v: Vectors, number: Any) -> Any:
        """Return a vector with a number in double precision in every lane."""
        return v.splat(number if v.double else self.b.fptrunc(number, v.element))


def _write_count(module: ir.Module, rule: Rule) -> None:
    """Raise each counter that is there; derive from it what the rule does."""
    given = Given(module, rule, "count")
    b = given.b
    with loop_over(b, 0, given.lines) as line:
        counter = given.pointer(line, "counter")
        with b.if_then(b.icmp_unsigned("!=", counter, ir.Constant(POINTER, None))):
            steps = b.fadd(b.load(counter, align=4, typ=_FLOAT), ir.Constant(_FLOAT, 1.0))
            b.store(steps, counter, align=4)
            for name, value in rule.count(given, steps).items():
                b.store(value, given.place(line, name), align=8)
    b.ret_void()


def _write_update(module: ir.Module, rule: Rule, name: str, kind: str, dtype: str, lanes: int) -> None:
    given = Given(module, rule, name)
    b = given.b
    v = Vectors(b, dtype, lanes)
    used = ("weight", "gradient", *rule.kinds[kind])
    with loop_over(b, 0, given.lines) as line:
        pointers = {each: given.pointer(line, each) for each in used}
        element = rule.element(given, v, kind, line)
        count = b.load(given.place(line, "count"), align=8, typ=INDEX)

        def some(at: Any, mask: Any) -> None:
            values = {each: v.load(pointer, at, mask) for each, pointer in pointers.items()}
            for each, value in element(values).items():
                v.store(value, pointers[each], at, mask)

        whole = b.sdiv(count, index(lanes))
        first = b.sdiv(b.mul(whole, given.thread), given.threads)
        stop = b.sdiv(b.mul(whole, b.add(given.thread, index(1))), given.threads)
        with loop_over(b, first, stop) as number:
            some(b.mul(number, index(lanes)), None)
        rest = b.mul(whole, index(lanes))
        last = b.icmp_signed("==", given.thread, b.sub(given.threads, index(1)))
        with b.if_then(b.and_(b.icmp_signed("<", rest, count), last)):
            some(rest, v.lanes_below(b.sub(count, rest)))
    b.ret_void()


def _write_whole(module: ir.Module, name: str) -> None:
    """Write both halves of a step, for one thread."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX]), f"whole_{name}")
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    for half in ("count", name):
        b.call(module.globals[half], [function.args[0], index(0), index(1)])
    b.ret_void()
