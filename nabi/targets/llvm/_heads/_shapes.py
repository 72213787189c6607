"""What a value is for one head: its axes without that of the heads and without axes of 1."""

from nabi.ir import Node
from nabi.native.operations import renders

__all__ = ["PRODUCTS", "REDUCTIONS", "SUMS", "Heads", "UnsupportedError"]

PRODUCTS = frozenset({"linear", "linear_transposed"})
"""Products of weights and a whole row."""
SUMS = frozenset({"axis_sum", "sum", "mean"})
_WHOLE = frozenset({"sum", "mean", "max"})
"""Reductions of a whole row to a number."""
REDUCTIONS = frozenset({"axis_max", "axis_shift"}) | SUMS | _WHOLE
_ON_LAST = frozenset({"part", "pad"})


class UnsupportedError(Exception):
    """A program whose steps are not independent for every head, or need what the loop nest cannot do."""


class Heads:
    """How values are divided among heads; with `count` 1 a whole row is one head."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._lead = 0 if count == 1 else 1

    def axes(self, node: Node) -> tuple[int, ...]:
        """Return the axes of one head's share of a value, those of 1 included.

        Raises:
            UnsupportedError: the value is not divided among heads.
        """
        axes = node.axes
        if self.count == 1 or axes[:1] == (self.count,) or self.is_shared(node):
            return axes[self._lead :]
        if len(axes) == 1 and axes[0] % self.count == 0:
            return (axes[0] // self.count,)
        raise UnsupportedError(f"{node!r} is not divided among {self.count} heads")

    def shape(self, node: Node) -> tuple[int, ...]:
        """Return the axes of one head's share without those of 1."""
        return tuple(size for size in self.axes(node) if size != 1)

    def size(self, node: Node) -> int:
        """Return how many numbers a head's share has."""
        size = 1
        for axis in self.axes(node):
            size *= axis
        return size

    def is_number(self, node: Node) -> bool:
        """Return whether a value is one number of a row, which stands beside vectors as it is."""
        return node.width is None and node.operation != "constant"

    def is_shared(self, node: Node) -> bool:
        """Return whether all heads read the same numbers: an axis of 1 in the place of the heads."""
        return self.count > 1 and len(node.axes) > 1 and node.axes[0] == 1

    def axis(self, node: Node) -> int:
        """Return the axis that a reduction reduces, among the axes of its argument that are not 1."""
        if node.operation in _WHOLE:
            return 0
        axes = self.axes(node.arguments[0])
        return sum(size != 1 for size in axes[: node.details[0] - self._lead])

    def kept(self, node: Node) -> tuple[bool, ...]:
        """Return for each axis of a broadcast's shape whether its argument has it."""
        given = node.arguments[0].axes
        pairs = list(zip(node.axes, given, strict=True))[self._lead :]
        return tuple(size == old for size, old in pairs if size != 1)

    def is_possible(self, node: Node) -> bool:
        """Return whether the loop nest can compute a node, given its arguments."""
        try:
            return self._is_possible(node)
        except UnsupportedError:
            return False

    def _is_possible(self, node: Node) -> bool:
        arguments = [argument for argument in node.arguments if argument.operation != "constant"]
        if any(one.width is None for one in (node, *arguments)) and (self.count > 1 or not node.has_rows):
            return False
        if node.operation in _WHOLE:
            return self.count == 1 and len(self.shape(node.arguments[0])) <= 1
        self.axes(node)
        if self.is_shared(node):
            return False
        if node.operation == "expand":
            lead = node.arguments[0].axes[0]
            divided = self.count == 1 or (node.axes[0] == self.count and lead in (1, self.count))
            return divided and len(node.axes) > self._lead
        if any(self.is_shared(argument) for argument in arguments):
            return False
        for argument in arguments:
            self.axes(argument)
        if node.operation in REDUCTIONS or node.operation in _ON_LAST:
            given = node.arguments[0].axes
            if self.count > 1 and (len(given) < 2 or given[0] != self.count):
                return False
            return node.operation in _ON_LAST or node.details[0] >= self._lead
        if node.operation == "view":
            return self.size(node) == self.size(node.arguments[0])
        if node.operation == "spread":
            return self.count == 1 and node.has_rows
        return renders(node.operation)
