"""Native kernels other than cells: rows, optimizers, dense layers, losses, dropout, pooled convolution.

Each falls back to torch if native code does not run.
"""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.kernels._dense import SmallDense, small_dense
    from nabi.kernels._dropout import Kept, SmallDropout, draw_kept, draw_keys, small_dropout
    from nabi.kernels._embedding import SmallEmbedding, small_embedding
    from nabi.kernels._losses import SmallLoss, small_loss
    from nabi.kernels._pooled_convolution import PooledConvolution, pooled_convolution
    from nabi.kernels._remembered import remembered
    from nabi.kernels._row_layout import (
        MaskRows,
        from_rows,
        gather,
        hand_out,
        in_batch_order,
        in_row_order,
        rows_of_lengths,
        rows_of_mask,
        spread,
        to_rows,
    )
    from nabi.kernels._rows import Rows
    from nabi.kernels._updates import (
        AdamOptions,
        Options,
        RMSpropOptions,
        SGDOptions,
        Update,
        UpdateSteps,
        adam_steps,
        rmsprop_steps,
        sgd_steps,
    )
else:
    # A program loads only the kernels it uses.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.kernels._dense": ["SmallDense", "small_dense"],
            "nabi.kernels._dropout": ["Kept", "SmallDropout", "draw_keys", "draw_kept", "small_dropout"],
            "nabi.kernels._embedding": ["SmallEmbedding", "small_embedding"],
            "nabi.kernels._losses": ["SmallLoss", "small_loss"],
            "nabi.kernels._pooled_convolution": ["PooledConvolution", "pooled_convolution"],
            "nabi.kernels._row_layout": [
                "MaskRows",
                "from_rows",
                "gather",
                "hand_out",
                "in_batch_order",
                "in_row_order",
                "rows_of_lengths",
                "rows_of_mask",
                "spread",
                "to_rows",
            ],
            "nabi.kernels._remembered": ["remembered"],
            "nabi.kernels._rows": ["Rows"],
            "nabi.kernels._updates": [
                "AdamOptions",
                "Options",
                "RMSpropOptions",
                "SGDOptions",
                "Update",
                "UpdateSteps",
                "adam_steps",
                "rmsprop_steps",
                "sgd_steps",
            ],
        },
    )

__all__ = [
    "AdamOptions",
    "Kept",
    "MaskRows",
    "Options",
    "PooledConvolution",
    "RMSpropOptions",
    "Rows",
    "SGDOptions",
    "SmallDense",
    "SmallDropout",
    "SmallEmbedding",
    "SmallLoss",
    "Update",
    "UpdateSteps",
    "adam_steps",
    "draw_kept",
    "draw_keys",
    "from_rows",
    "gather",
    "hand_out",
    "in_batch_order",
    "in_row_order",
    "pooled_convolution",
    "remembered",
    "rmsprop_steps",
    "rows_of_lengths",
    "rows_of_mask",
    "sgd_steps",
    "small_dense",
    "small_dropout",
    "small_embedding",
    "small_loss",
    "spread",
    "to_rows",
]
