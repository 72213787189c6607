"""A cell run over time: one torch operator, its derivative, lengths, masks, resets, states."""

# `name as name`: for the rooms above. Users have what `__all__` lists.
from nabi._operator import register
from nabi.scan._arguments import (
    autocast_dtype as autocast_dtype,
    check_dense,
    check_input as check_input,
    check_layout as check_layout,
    check_packed as check_packed,
    check_states as check_states,
    check_types as check_types,
)
from nabi.scan._fast_path import (
    FullBatches as FullBatches,
    PreparedBatch,
    scan_full_batch,
)
from nabi.scan._inputs import (
    check_extra as check_extra,
    join_inputs as join_inputs,
    prepare_inputs as prepare_inputs,
    whole_rows as whole_rows,
)
from nabi.scan._layout import Layout, Options
from nabi.scan._lowering import (
    initial_states,
    is_lowered as is_lowered,
    lowered,
    prepare_lowering as prepare_lowering,
)
from nabi.scan._noise import sample_noise
from nabi.scan._operator import backward_pass, forward_pass
from nabi.scan._prepared_step import PreparedStep
from nabi.scan._scan import run_direction as run_direction, scan, scan_packed
from nabi.scan._training_pass import TrainingPass
from nabi.scan._unroll import loop, new_states, static_scan, step

__all__ = [
    "Layout",
    "Options",
    "PreparedBatch",
    "PreparedStep",
    "TrainingPass",
    "backward_pass",
    "check_dense",
    "forward_pass",
    "initial_states",
    "loop",
    "lowered",
    "new_states",
    "sample_noise",
    "scan",
    "scan_full_batch",
    "scan_packed",
    "static_scan",
    "step",
]

register()
