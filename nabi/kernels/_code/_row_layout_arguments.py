"""The arguments of the kernels that lay out batches and copy rows, for those who write and run them."""

__all__ = ["COPY", "LAYOUT"]

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
