"""One step as LLVM instructions: each instruction of a step program in turn.

Everything is one row of one thread: no masks, no calls, no memory but what is given. Sizes are constants, so
loops have a fixed number of rounds.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.operations import apply
from nabi.native.vectors import POINTER, Vectors
from nabi.native.weight_vectors import WeightVectors
from nabi.shipping._code._byte_products import Row, dot_products, take_row
from nabi.shipping._code._loops import carried, fixed_rounds
from nabi.shipping._code._reduced import reduced
from nabi.shipping._code._shared import SharedFunctions
from nabi.shipping._memory import DIGITS, FOUR, FOURS, Layout, Tiles
from nabi.shipping._program import (
    Cumulative,
    Elementwise,
    Instruction,
    Lookup,
    Map,
    Move,
    Product,
    Push,
    Reduction,
    Term,
    Value,
)

__all__ = ["StepWriter", "has_vectors", "index_of", "largest_tile", "vectors_of"]


def vectors_of(builder: ir.IRBuilder, machine: Machine, lanes: int) -> Vectors:
    """Return what writes vectors of float32 for a machine, with its own arithmetic."""
    return Vectors(builder, "float32", lanes, machine.arithmetic, inside=True)


def largest_tile(machine: Machine) -> int:
    """Return how many vectors of sums a tile keeps in registers.

    One of weights and one of the operand need registers, too. More than a dozen gain nothing: a processor has
    four to ten multiply-adds under way at once.
    """
    return min(machine.registers - 4, 16) if has_vectors(machine) else 8


def has_vectors(machine: Machine) -> bool:
    """Tell whether a machine computes several numbers at once."""
    return machine.vector_bytes > 4 and "-simd128" not in machine.features


class StepWriter:
    """Writes the instructions of a step into a function.

    Args:
        builder: of the function.
        machine: the target.
        layout: where values lie.
        weights, state, scratch, x: pointers to these memories.
        shared: functions for what is computed in many places; None to write everything where it is needed.
    """

    def __init__(
        self,
        builder: ir.IRBuilder,
        machine: Machine,
        layout: Layout,
        weights: Any,
        state: Any,
        scratch: Any,
        x: Any,
        shared: SharedFunctions | None = None,
    ) -> None:
        self.b, self.machine, self.layout, self.shared = builder, machine, layout, shared
        self.v = vectors_of(builder, machine, layout.lanes)
        self.one = vectors_of(builder, machine, 1)
        # WebAssembly with and without vectors adds up in the same order.
        is_web_assembly = machine.architecture.startswith("wasm")
        self.sums = vectors_of(builder, machine, machine.lanes("float32")) if is_web_assembly else self.v
        self.kind = index_of(machine)
        self._memories = {"weights": weights, "state": state, "scratch": scratch, "input": x}

    # Places -----------------------------------------------------------------------------------------------

    def index(self, number: int) -> Any:
        """Return a constant index."""
        return ir.Constant(self.kind, number)

    def at(self, pointer: Any, place: Any) -> Any:
        """Return the address of a number."""
        place = self.index(place) if isinstance(place, int) else place
        return self.b.gep(pointer, [place], inbounds=True, source_etype=ir.FloatType())

    def address(self, value: Value) -> Any:
        """Return the address of a value."""
        return self.at(self._memories[value.memory], self.layout.place(value))

    def loop(self, count: int) -> Any:
        """Return a context of a loop over 0 ... count - 1, which yields the index; no loop for one round."""
        return fixed_rounds(self.b, self.kind, count)

    # Instructions -----------------------------------------------------------------------------------------

    def write(self, instruction: Instruction) -> None:
        """Write an instruction."""
        match instruction:
            case Product():
                self._product(instruction)
            case Map():
                self._map(instruction)
            case Reduction():
                self._reduction(instruction)
            case Cumulative():
                self._cumulative(instruction)
            case Move():
                self._move(instruction)
            case Lookup():
                self._lookup(instruction)
            case Push():
                self._push(instruction)

    def _product(self, product: Product) -> None:
        placed = self.layout.products[id(product)]
        weights, lanes = self._memories["weights"], self.layout.lanes
        result, bias = self.address(product.result), self.at(weights, placed.bias)
        operands = [self._operand(term) for term in product.terms]
        columns = [term.matrix.shape[1] for term in product.terms]
        rows = self._rows(product, operands) if any(t.kind == FOURS for _, t in placed.tiles) else []
        for (place, tiles), scales in zip(placed.tiles, placed.scales, strict=True):
            first = tiles.first * lanes
            if tiles.kind == FOURS:
                self._tiles_of_fours(
                    tiles,
                    rows,
                    self.at(weights, place),
                    self.at(weights, scales),
                    self.at(bias, first),
                    self.at(result, first),
                )
                continue
            self._tiles(
                tiles,
                columns,
                operands,
                self.at(weights, place),
                None if scales < 0 else self.at(weights, scales),
                self.at(bias, first),
                self.at(result, first),
            )

    def _rows(self, product: Product, operands: Sequence[Any]) -> list[Row]:
        """Write the digits of all operands of a product."""
        assert self.layout.digits is not None
        found, at = [], 0
        for term, operand in zip(product.terms, operands, strict=True):
            digits = self.at(self._memories["scratch"], self.layout.digits)
            digits = self.b.gep(digits, [self.index(at)], source_etype=ir.IntType(8))
            found.append(take_row(self.v, self.kind, operand, digits, term.matrix.shape[1]))
            at += DIGITS * found[-1].stride
        return found

    def _tiles_of_fours(
        self, tiles: Tiles, rows: Sequence[Row], weights: Any, factors: Any, bias: Any, result: Any
    ) -> None:
        """Write tiles of int8 weights by fours."""
        b, v, step = self.b, self.v, tiles.vectors * self.layout.lanes
        sizes = [-(-row.columns // FOUR) * FOUR * step for row in rows]
        with self.loop(tiles.count) as tile:
            start = b.mul(tile, self.index(step))
            own_bias, own_result = self.at(bias, start), self.at(result, start)
            own = b.gep(weights, [b.mul(tile, self.index(sum(sizes)))], source_etype=ir.IntType(8))
            own_factors = self.at(factors, b.mul(tile, self.index(2 * step * len(rows))))
            sums = [v.load(own_bias, self.index(self.layout.lanes * n)) for n in range(tiles.vectors)]
            for row, size in zip(rows, sizes, strict=True):
                sums = dot_products(v, self.kind, row, own, own_factors, sums)
                own = b.gep(own, [self.index(size)], source_etype=ir.IntType(8))
                own_factors = self.at(own_factors, 2 * step)
            for number, value in enumerate(sums):
                v.store(value, own_result, self.index(self.layout.lanes * number))

    def _operand(self, term: Term) -> Any:
        """Return the address of the row that a term reads."""
        ring = self.address(term.operand)
        if term.back is None:
            return ring
        columns = term.matrix.shape[1]
        rows = term.operand.width // columns
        newest = self._newest(ring, rows * columns)
        row = self.b.sub(newest, self.index(term.back))
        below = self.b.icmp_signed("<", row, self.index(0))
        row = self.b.select(below, self.b.add(row, self.index(rows)), row)
        return self.at(ring, self.b.mul(row, self.index(columns)))

    def _newest(self, ring: Any, place: int) -> Any:
        return self.b.fptosi(self.b.load(self.at(ring, place), align=4, typ=ir.FloatType()), self.kind)

    def _tiles(
        self,
        tiles: Tiles,
        columns: Sequence[int],
        operands: Sequence[Any],
        weights: Any,
        scales: Any,
        bias: Any,
        result: Any,
    ) -> None:
        b, v, lanes = self.b, self.v, self.layout.lanes
        step = tiles.vectors * lanes
        read = self._weights(v, tiles.kind)
        with self.loop(tiles.count) as tile:
            start = b.mul(tile, self.index(step))
            own_bias, own_result = self.at(bias, start), self.at(result, start)
            own = read.address(weights, b.mul(tile, self.index(step * sum(columns))))
            if self.shared is not None and not tiles.kind:
                self._called_terms(tiles, columns, operands, own, own_bias, own_result)
                return
            sums = [v.load(own_bias, self.index(lanes * n)) for n in range(tiles.vectors)]
            if scales is not None:
                scales = self.at(scales, b.mul(tile, self.index(step * len(columns))))
            for operand, count in zip(operands, columns, strict=True):
                if scales is None:
                    sums = self._term(operand, own, count, sums, read)
                else:
                    found = self._term(operand, own, count, [v.zero] * len(sums), read)
                    factors = [v.load(scales, self.index(lanes * n)) for n in range(tiles.vectors)]
                    sums = [v.fma(*three) for three in zip(found, factors, sums, strict=True)]
                    scales = self.at(scales, step)
                own = read.address(own, self.index(count * step))
            for number, value in enumerate(sums):
                v.store(value, own_result, self.index(lanes * number))

    def _called_terms(
        self,
        tiles: Tiles,
        columns: Sequence[int],
        operands: Sequence[Any],
        weights: Any,
        bias: Any,
        result: Any,
    ) -> None:
        """Write a tile whose sums lie in memory, by calls for its terms."""
        v, step = self.v, tiles.vectors * self.layout.lanes
        assert self.shared is not None
        sums = bias
        for operand, count in zip(operands, columns, strict=True):
            self.shared.term(v, self.kind, result, sums, weights, operand, self.index(count), tiles.vectors)
            sums = result
            weights = v.address(weights, self.index(count * step))

    def _weights(self, v: Vectors, kind: str) -> Vectors | WeightVectors:
        """Return what loads weights."""
        machine = self.machine
        has_halves = machine.architecture == "aarch64" or "+f16c" in machine.features.split(",")
        return WeightVectors(v, kind, has_halves) if kind else v

    def _term(
        self, operand: Any, weights: Any, count: int, sums: list[Any], read: Vectors | WeightVectors
    ) -> list[Any]:
        """Add the product with an operand to sums in registers."""
        b, v, lanes = self.b, self.v, self.layout.lanes
        step = len(sums) * lanes

        def add(column: Any, weights: Any, sums: list[Any]) -> list[Any]:
            number = v.broadcast(operand, column)
            return [
                v.fma(number, read.load(weights, self.index(lanes * n)), value)
                for n, value in enumerate(sums)
            ]

        if count == 1:
            return add(self.index(0), weights, sums)
        before, body, after = b.block, b.append_basic_block("columns"), b.append_basic_block("sums")
        b.branch(body)
        b.position_at_end(body)
        column, pointer = b.phi(self.kind), b.phi(POINTER)
        phis = [b.phi(value.type) for value in sums]
        found = add(column, pointer, phis)
        following, further = b.add(column, self.index(1)), read.address(pointer, self.index(step))
        for phi, start, new in zip(
            [column, pointer, *phis],
            [self.index(0), weights, *sums],
            [following, further, *found],
            strict=True,
        ):
            phi.add_incoming(start, before)
            phi.add_incoming(new, body)
        b.cbranch(b.icmp_signed("<", following, self.index(count)), body, after)
        b.position_at_end(after)
        return found

    def _map(self, instruction: Map) -> None:
        single = instruction.width == 1
        # Where functions are called, those of vectors serve single numbers, too.
        v = self.one if single and self.shared is None else self.v
        lanes = 1 if single else self.layout.lanes
        wide = [value for value in instruction.reads if value.width > 1 or single]
        numbers = {
            id(value): v.broadcast(self.address(value)) for value in instruction.reads if value.width == 1
        }
        pointers = {id(value): self._aligned(value) for value in wide}
        results = {id(value): self.address(value) for _, value in instruction.results}
        with self.loop(-(-instruction.width // lanes)) as number:
            start = self.b.mul(number, self.index(lanes))
            given = dict(numbers)
            for value in wide:
                if id(value) not in given:
                    given[id(value)] = v.load(pointers[id(value)], start)
            made: dict[int, Any] = {}

            def found(one: Elementwise | Value | float) -> Any:
                if isinstance(one, Elementwise):
                    return made[id(one)]
                return given[id(one)] if isinstance(one, Value) else v.constant(one)

            for one in instruction.operations:
                write = apply if self.shared is None else self.shared.apply
                made[id(one)] = write(v, one.operation, *map(found, one.arguments))
            for one, value in instruction.results:
                if single:
                    first = self.b.extract_element(made[id(one)], ir.Constant(ir.IntType(32), 0))
                    self.b.store(first, results[id(value)], align=4)
                else:
                    v.store(made[id(one)], results[id(value)], start)

    def _aligned(self, value: Value) -> Any:
        """Return where whole vectors of a value can be read: of the input, a copy with room behind it."""
        if value.memory != "input" or self.layout.input_copy is None:
            return self.address(value)
        return self.at(self._memories["scratch"], self.layout.input_copy)

    def copy(self, source: Any, result: Any, count: int) -> None:
        """Write a loop that copies numbers one by one."""
        self._moved((count,), (1,), (1,), source, result)

    def _reduction(self, reduction: Reduction) -> None:
        b, source, result = self.b, self.address(reduction.source), self.address(reduction.result)
        count, inner = reduction.count, reduction.inner
        v = self.sums if inner == 1 and count >= 2 * self.sums.lanes else self.one
        if self.shared is not None:
            self.shared.reduction(v, self.kind, reduction, source, result)
            return
        with self.loop(reduction.outer) as o, self.loop(inner) as i:
            row = self.at(source, b.add(b.mul(o, self.index(count * inner)), i))
            total = reduced(v, self.kind, row, count, inner, reduction.kind == "max")
            place = self.at(result, b.add(b.mul(o, self.index(inner)), i))
            b.store(self._mean(reduction, total), place, align=4)

    def _mean(self, reduction: Reduction, total: Any) -> Any:
        if reduction.kind != "mean":
            return total
        return self.b.fmul(total, ir.Constant(ir.FloatType(), 1.0 / reduction.count))

    def _cumulative(self, cumulative: Cumulative) -> None:
        b, inner = self.b, cumulative.inner
        source, result = self.address(cumulative.source), self.address(cumulative.result)
        rows = cumulative.source.width // inner
        with self.loop(inner) as i:
            zero = ir.Constant(ir.FloatType(), 0.0)
            with carried(b, self.kind, 0, rows, zero) as (at, so_far, carry):
                row = b.sub(self.index(rows - 1), at) if cumulative.backward else at
                place = b.add(b.mul(row, self.index(inner)), i)
                number = b.load(self.at(source, place), align=4, typ=ir.FloatType())
                total = b.fadd(so_far, number)
                b.store(total, self.at(result, place), align=4)
                carry(total)

    def _move(self, move: Move) -> None:
        b, source, result = self.b, self.address(move.source), self.address(move.result)
        if move.clears:
            with self.loop(self.layout.room(move.result.width) // self.layout.lanes) as at:
                self.v.store(self.v.zero, result, b.mul(at, self.index(self.layout.lanes)))
        (of, steps), (to, places) = move.of, move.to
        self._moved(move.shape, steps, places, self.at(source, of), self.at(result, to))

    def _moved(
        self, shape: Sequence[int], steps: Sequence[int], places: Sequence[int], source: Any, result: Any
    ) -> None:
        wide = [axis for axis, size in enumerate(shape) if size > 1]
        if not wide:
            self.b.store(self.b.load(source, align=4, typ=ir.FloatType()), result, align=4)
            return
        shape, steps, places = ([given[axis] for axis in wide] for given in (shape, steps, places))
        if self.shared is not None and len(shape) <= 2:
            self.shared.moved(self.b, self.kind, shape, steps, places, source, result)
            return
        with self.loop(shape[0]) as at:
            own = self.at(source, self.b.mul(at, self.index(steps[0])))
            target = self.at(result, self.b.mul(at, self.index(places[0])))
            self._moved(shape[1:], steps[1:], places[1:], own, target)

    def _lookup(self, lookup: Lookup) -> None:
        b, (rows, width) = self.b, lookup.table.shape
        table = self.at(self._memories["weights"], self.layout.tables[id(lookup)])
        code = b.load(self.address(lookup.index), align=4, typ=ir.FloatType())
        least, most = (ir.Constant(ir.FloatType(), float(bound)) for bound in (0, rows - 1))
        # Written so that NaN becomes 0.
        code = b.select(b.fcmp_ordered(">", code, least), code, least)
        code = b.select(b.fcmp_ordered("<", code, most), code, most)
        row = b.fptosi(code, self.kind)
        scales = self.layout.scales.get(id(lookup))
        if scales is not None:
            self._widened(table, row, scales, width, self.address(lookup.result))
            return
        row = self.at(table, b.mul(row, self.index(width)))
        self._moved((width,), (1,), (1,), row, self.address(lookup.result))

    def _widened(self, table: Any, row: Any, scales: int, width: int, result: Any) -> None:
        """Write a line of a table in fewer bits as float32."""
        b, one = self.b, self.one
        read = self._weights(one, self.layout.kind)
        line = read.address(table, b.mul(row, self.index(width)))
        factor = None if scales < 0 else one.load(self.at(self._memories["weights"], scales), row)
        with self.loop(width) as at:
            number = read.load(line, at)
            one.store(number if factor is None else one.mul(number, factor), result, at)

    def _push(self, push: Push) -> None:
        b, width = self.b, push.source.width
        ring = self.address(push.ring)
        place = push.rows * width
        following = b.add(self._newest(ring, place), self.index(1))
        row = b.select(b.icmp_signed("<", following, self.index(push.rows)), following, self.index(0))
        b.store(b.sitofp(row, ir.FloatType()), self.at(ring, place), align=4)
        target = self.at(ring, b.mul(row, self.index(width)))
        self._moved((width,), (1,), (1,), self.address(push.source), target)


def index_of(machine: Machine) -> Any:
    """Return the integer type that addresses are computed in."""
    return ir.IntType(32 if machine.architecture.startswith(("thumb", "arm", "riscv32", "wasm32")) else 64)
