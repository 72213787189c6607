"""The cells: their equations, each written once."""

from collections.abc import Sequence

from nabi._public import public
from nabi.cells._delta import KDA, DeltaNet, GatedDeltaNet
from nabi.cells._gru import GRU, GRU2014, GRULecture, negate_update_gate
from nabi.cells._lstm import LSTM, CoupledLSTM, LayerNormLSTM, PeepholeLSTM, ProjectedLSTM, ZoneoutLSTM
from nabi.cells._matrix import GLA, HGRN2, M2RNN, LinearTransformer, Mamba2, MatrixCell, MatrixLSTM, RetNet
from nabi.cells._onnx import OnnxGRU, OnnxLSTM, OnnxRNN
from nabi.cells._onnx_body import OnnxBody
from nabi.cells._rwkv import RWKV5, RWKV6, RWKV7
from nabi.cells._simple import IndRNN, SimpleRNN
from nabi.errors import unknown_name
from nabi.ir import Cell

__all__ = [
    "GLA",
    "GRU",
    "GRU2014",
    "HGRN2",
    "KDA",
    "LSTM",
    "M2RNN",
    "RWKV5",
    "RWKV6",
    "RWKV7",
    "Cell",
    "CoupledLSTM",
    "DeltaNet",
    "GRULecture",
    "GatedDeltaNet",
    "IndRNN",
    "LayerNormLSTM",
    "LinearTransformer",
    "Mamba2",
    "MatrixCell",
    "MatrixLSTM",
    "OnnxBody",
    "OnnxGRU",
    "OnnxLSTM",
    "OnnxRNN",
    "PeepholeLSTM",
    "ProjectedLSTM",
    "RetNet",
    "SimpleRNN",
    "ZoneoutLSTM",
    "get",
    "names",
    "negate_update_gate",
]

_CELLS: dict[str, type[Cell]] = {
    "simple-rnn": SimpleRNN,
    "lstm": LSTM,
    "peephole-lstm": PeepholeLSTM,
    "coupled-lstm": CoupledLSTM,
    "gru-lecture": GRULecture,
    "gru-2014": GRU2014,
    "gru": GRU,
    "layer-norm-lstm": LayerNormLSTM,
    "projected-lstm": ProjectedLSTM,
    "zoneout-lstm": ZoneoutLSTM,
    "ind-rnn": IndRNN,
    "linear-transformer": LinearTransformer,
    "retnet": RetNet,
    "gla": GLA,
    "hgrn2": HGRN2,
    "mamba-2": Mamba2,
    "matrix-lstm": MatrixLSTM,
    "m2rnn": M2RNN,
    "deltanet": DeltaNet,
    "gated-deltanet": GatedDeltaNet,
    "kda": KDA,
    "rwkv-5": RWKV5,
    "rwkv-6": RWKV6,
    "rwkv-7": RWKV7,
}


@public
def get(name: str) -> type[Cell]:
    """Return a cell by its command-line name.

    Raises:
        UnknownNameError: the name is unknown; the message suggests the closest one.

    Example:
        >>> get("peephole-lstm")(units=8, full=True).program(input_size=3).equations[1]
        'f_t = σ(W_xf x_t + W_hf h_{t-1} + W_cf c_{t-1} + b_f)'
    """
    if not isinstance(name, str) or name not in _CELLS:
        raise unknown_name("cell", name, _CELLS)
    return _CELLS[name]


def names() -> Sequence[str]:
    """Return the names of all cells.

    Example:
        >>> names()[:3]
        ['simple-rnn', 'lstm', 'peephole-lstm']
    """
    return list(_CELLS)
