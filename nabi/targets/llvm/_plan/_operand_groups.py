"""The operands of products and the layout of their packed weights, without any code generation.

A kernel loaded from disk needs the sizes of its memory, but none of the code that writes LLVM.
"""

from collections.abc import Mapping, Sequence

from nabi._record import record
from nabi.ir import Node, Program
from nabi.targets.llvm._plan._schedule import Pass, Reductions, Schedule
from nabi.targets.llvm._plan._tiles import Columns, Places, Tile

__all__ = [
    "DIGITS", "FOUR", "Segment", "Weights", "exchange_sizes", "joined_segments", "most_given",
    "packed_inputs", "places_of", "scale_name", "segments_of", "start_name",
]  # fmt: skip

DIGITS, FOUR = 3, 4
"""Bytes that a number of a row becomes, and weights that are multiplied at once, in dot products of bytes."""


@record
class Segment:
    """Products that read the same operand: one loop over its units.

    Cotangents that are adjacent in panels and go into the same accumulators are stacked: one loop over all of
    them.

    Attributes:
        operands: the operands; more than one only for a stack.
        targets: the accumulators involved.
        matrices: for each operand the matrix of each accumulator.
        transposed: whether matrices are transposed.
        early: whether it can be computed before the steps, for many rows at once.
    """

    operands: tuple[Node, ...]
    targets: tuple[int, ...]
    matrices: tuple[tuple[Node, ...], ...]
    transposed: bool
    early: bool

    @property
    def operand(self) -> Node:
        """The operand; the first one of a stack."""
        return self.operands[0]

    @property
    def width(self) -> int:
        """Width of an operand."""
        return self.operand.width or 1

    @property
    def length(self) -> int:
        """Units of all operands."""
        return self.width * len(self.operands)

    def elements(self, tiles: int, vectors: int, lanes: int) -> int:
        """Return the number of elements of its packed weights."""
        return tiles * self.length * len(self.targets) * vectors * lanes


def segments_of(found: Pass, hoist: bool, slots: Mapping[int, int] | None = None) -> list[Segment]:
    """Group the products of a pass by their operands.

    Args:
        found: the pass.
        hoist: whether products that read the input are computed early.
        slots: for each cotangent its slot among the panels of its width, if operands are cotangents.
    """
    groups: list[tuple[Node, dict[int, Node], bool]] = []
    for place, total in enumerate(found.sums):
        for matrix, operand in total.terms:
            for node, targets, transposed in groups:
                if node is operand and transposed == total.transposed and place not in targets:
                    targets[place] = matrix
                    break
            else:
                groups.append((operand, {place: matrix}, total.transposed))
    if slots is not None:
        groups.sort(key=lambda group: (group[0].width or 1, tuple(group[1]), slots[group[0].index]))
    segments: list[Segment] = []
    for node, targets, transposed in groups:
        places, matrices = tuple(targets), tuple(targets.values())
        if segments and slots is not None:
            last = segments[-1]
            adjacent = slots[node.index] == slots[last.operands[-1].index] + 1
            if adjacent and last.targets == places and last.width == node.width:
                stack = (*last.operands, node), places, (*last.matrices, matrices)
                segments[-1] = Segment(*stack, transposed, False)
                continue
        early = hoist and node.operation == "input"
        segments.append(Segment((node,), places, (matrices,), transposed, early))
    return segments


def most_given(found: Pass, slots: Mapping[int, int] | None = None) -> int:
    """Return the most sums that an operand of a pass gives; arguments as those of `segments_of`."""
    return max((len(segment.targets) for segment in segments_of(found, False, slots)), default=0)


def exchange_sizes(schedule: Schedule, kept: Sequence[Node] = ()) -> dict[str, int]:
    """Return the values that passes exchange within a step: names, and elements per row of the batch.

    Args:
        schedule: the schedule.
        kept: reductions that are kept for every row instead.
    """
    elsewhere = {node.index for node in kept}
    sizes = {f"stored_{node.index}": 2 * (node.width or 1) for node in schedule.stored}
    for total in schedule.sums.values():
        for _, operand in total.terms:
            if operand.index in schedule.levels and not operand.reads_cotangent:
                sizes[f"stored_{operand.index}"] = 2 * (operand.width or 1)
    for item in schedule.order:
        if isinstance(item, Reductions):
            sizes.update({f"number_{node.index}": 2 for node in item.nodes if node.index not in elsewhere})
    return sizes


def scale_name(name: str) -> str:
    """Return the name of the factors of sums of products with packed weights."""
    return f"scale_{name}"


def packed_inputs(length: int, by_dots: bool) -> int:
    """Return for how many inputs there are packed weights: in dot products of bytes, whole groups of them."""
    return -(-length // FOUR) * FOUR if by_dots else length


def start_name(name: str) -> str:
    """Return the name of what sums of the highest digits start from."""
    return f"start_{name}"


def joined_segments(segments: Sequence[Segment], places: Places) -> list[Segment]:
    """Return products that give all sums of an operand side by side, as one accumulator.

    Args:
        segments: the products of the pass.
        places: where the sums lie; see `places_of`.
    """
    found = []
    for segment in segments:
        first = [places.starts[target] for target in segment.targets].index(0)
        matrices = tuple((of_operand[first],) for of_operand in segment.matrices)
        found.append(Segment(segment.operands, (0,), matrices, segment.transposed, segment.early))
    return found


def places_of(found: Pass, program: Program) -> Places | None:
    """Return where the sums of a pass lie among the outputs of the matrices that they come from.

    That is so if each operand is multiplied with one matrix whose outputs are sums, equally many and in the
    same order for every operand: the gates of an LSTM. The last ones may be others for the first operands
    than for the rest: the candidate of a GRU has one part from `x` and one from `h`. None if it is not so.
    """
    starts: dict[int, int] = {}
    orders: list[tuple[int, ...]] = []
    for segment in segments_of(found, False):
        (matrices,) = segment.matrices
        where = [program.family_of(matrix.name) for matrix in matrices]
        begin = min(rows.start for _, rows in where)
        if segment.transposed or len({family for family, _ in where}) > 1:
            return None
        for target, (_, rows) in zip(segment.targets, where, strict=True):
            if starts.setdefault(target, rows.start - begin) != rows.start - begin:
                return None
        order = tuple(sorted(segment.targets, key=starts.__getitem__))
        if [starts[target] for target in order] != list(range(0, len(order) * found.width, found.width)):
            return None
        orders.append(order)
    turns = [i for i in range(1, len(orders)) if orders[i] != orders[i - 1]]
    if not orders or len({len(order) for order in orders}) > 1 or len(turns) > 1:
        return None
    line = tuple(starts[j] for j in range(len(found.sums)))
    if not turns:
        return Places(line)
    (turn,) = turns
    pairs = list(zip(orders[turn - 1], orders[turn], strict=True))
    kept = next(i for i, (one, other) in enumerate(pairs) if one != other)
    if any(one == other for one, other in pairs[kept:]):
        return None
    return Places(line, orders[turn - 1][kept:], turn)


class Weights:
    """The packed weights of a schedule's passes, and the sums of its early products.

    Args:
        name: prefix of their names.
        schedule: the schedule.
        tiles: the tile of each pass.
        lanes: elements of a vector.
        hoist: whether products that read the input are computed early.
        slots: for each cotangent its slot among the panels of its width.
        in_place: whether products read the unpacked weights.
    """

    def __init__(
        self,
        name: str,
        schedule: Schedule,
        tiles: dict[Pass, Tile],
        lanes: int,
        hoist: bool = False,
        slots: Mapping[int, int] | None = None,
        in_place: bool = False,
    ) -> None:
        self.lanes, self.in_place = lanes, in_place
        self.entries: dict[str, tuple[Pass, Segment, Columns]] = {}
        self.early_lines: dict[str, int] = {}
        self.names: dict[tuple[Pass, int], str] = {}
        self.early: dict[Pass, tuple[str, Columns]] = {}
        for number, found in enumerate(schedule.passes):
            columns = tiles[found].product(found.width, lanes)
            segments = segments_of(found, hoist, slots)
            if (places := tiles[found].places) is not None:
                segments = joined_segments(segments, places)
            for place, segment in enumerate(segments):
                if not in_place:
                    full = f"{name}_{number}_{place}"
                    self.entries[full] = (found, segment, columns)
                    self.names[found, place] = full
                if segment.early:
                    early = f"{name}_early_{number}"
                    self.early[found] = (early, columns)
                    size = columns.vectors * lanes * len(found.sums)
                    self.early_lines[early] = columns.tiles * size

    @property
    def sizes(self) -> dict[str, int]:
        """The number of elements of each packed weight."""
        return {
            name: segment.elements(columns.tiles, columns.vectors, self.lanes)
            for name, (_, segment, columns) in self.entries.items()
        }

    @property
    def factor_sizes(self) -> dict[str, int]:
        """The number of factors of the sums of each segment, if weights are int8: one for every output."""
        return {
            name: columns.tiles * len(segment.targets) * columns.vectors * self.lanes
            for name, (_, segment, columns) in self.entries.items()
        }
