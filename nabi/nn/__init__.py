"""PyTorch modules: `RNN` for any cell, and drop-ins for torch's recurrent modules."""

# `name as name`: for the rooms above. Users have what `__all__` lists.
from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.nn import (
        initializers,
    )
    from nabi.nn._as_torch import (
        DropIn as DropIn,
        as_torch,
    )
    from nabi.nn._drawing import (
        as_initial_values as as_initial_values,
        set_declared_values as set_declared_values,
    )
    from nabi.nn._exchange import (
        become_drop_in as become_drop_in,
        become_torch as become_torch,
        drop_in_of as drop_in_of,
        namesake_of as namesake_of,
        why_left as why_left,
    )
    from nabi.nn._graph_leaf import (
        is_proxy as is_proxy,
        leaf as leaf,
        refuse_script as refuse_script,
    )
    from nabi.nn._matrices import (
        matrices_of as matrices_of,
    )
    from nabi.nn._rnn import (
        RNN,
    )
    from nabi.nn._runs import (
        runs_of as runs_of,
    )
    from nabi.nn._small_linear import (
        small_linear as small_linear,
    )
    from nabi.nn._torch_cells import (
        GRUCell,
        LSTMCell,
        RNNCell,
    )
    from nabi.nn._torch_layers import (
        GRU,
        LSTM,
        ElmanRNN,
    )
    from nabi.nn._values import (
        StackValues as StackValues,
        asked_values as asked_values,
        check_names as check_names,
    )
else:
    # A program loads the modules that it has.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.nn._as_torch": [
                "DropIn",
                "as_torch",
            ],
            "nabi.nn._drawing": [
                "as_initial_values",
                "set_declared_values",
            ],
            "nabi.nn._exchange": [
                "become_drop_in",
                "become_torch",
                "drop_in_of",
                "namesake_of",
                "why_left",
            ],
            "nabi.nn._graph_leaf": [
                "is_proxy",
                "leaf",
                "refuse_script",
            ],
            "nabi.nn._matrices": [
                "matrices_of",
            ],
            "nabi.nn._rnn": [
                "RNN",
            ],
            "nabi.nn._runs": [
                "runs_of",
            ],
            "nabi.nn._small_linear": [
                "small_linear",
            ],
            "nabi.nn._torch_cells": [
                "GRUCell",
                "LSTMCell",
                "RNNCell",
            ],
            "nabi.nn._torch_layers": [
                "GRU",
                "LSTM",
                "ElmanRNN",
            ],
            "nabi.nn._values": [
                "StackValues",
                "asked_values",
                "check_names",
            ],
        },
    )

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "ElmanRNN",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "as_torch",
    "initializers",
]
