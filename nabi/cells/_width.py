"""An input that a step adds to its units, or multiplies by them."""

from nabi.ir import Cell, Node

__all__ = ["as_wide"]


def as_wide(cell: Cell, gate: str, x: Node) -> Node:
    """Return the input itself if it is as wide as the units, else a product `W_xgate x` that makes it so.

    The equations of some cells pass the input on unit by unit, and so expect that both widths are equal. The
    product makes them usable as a first layer.
    """
    return x if x.width == cell.units else cell.linear(gate, "x", x)
