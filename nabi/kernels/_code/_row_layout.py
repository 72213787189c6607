"""The machine code that lays out batches and copies rows: its arguments, and where it lies.

It is run by `nabi.kernels._row_layout`.
"""

from functools import cache

from nabi.native import compiled, host

__all__ = ["COPY", "LAYOUT", "addresses"]

LAYOUT = (
    "lengths", "mask", "active", "starts", "order", "back", "offset", "place", "table", "found",
    "batch", "time", "reverse", "mask_batch", "mask_time",
)  # fmt: skip
"""Arguments of the kernels `of_lengths` and `of_mask`."""

COPY = (
    "rows", "values", "table", "zeros",
    "outer", "inner", "values_outer", "values_inner", "table_outer", "table_inner", "words",
)  # fmt: skip
"""Arguments of the kernels `gather` and `spread`."""


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
