"""The machine code that lays out batches and copies rows: where each kernel lies.

It is run by `nabi.kernels._row_layout`.
"""

from functools import cache

from nabi.kernels._code._row_layout_arguments import COPY, LAYOUT
from nabi.native import compiled, host

__all__ = ["COPY", "LAYOUT", "addresses"]


@cache
def addresses() -> dict[str, int]:
    """Return where each kernel lies, compiled at the first call; raises `NativeError` where it cannot be."""

    def write() -> object:
        from nabi.kernels._code._row_layout_writer import write

        return write(machine)

    machine = host()
    names = ("of_lengths", "of_mask", "gather", "spread")
    library = compiled(("batches",), names, write, machine)
    return {name: library.address(name) for name in names}
