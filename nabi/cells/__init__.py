"""The cells: their equations, each written once."""

from collections.abc import Sequence

from nabi._public import public
from nabi.cells._gru import GRU, GRU2014, GRULecture, negate_update_gate
from nabi.cells._irregular import CTRNN, EALSTM, GRUD, ODERNN, TLSTM, CfC
from nabi.cells._lstm import LSTM, CoupledLSTM, LayerNormLSTM, PeepholeLSTM, ProjectedLSTM, ZoneoutLSTM
from nabi.cells._onnx import OnnxGRU, OnnxLSTM, OnnxRNN
from nabi.cells._onnx_body import OnnxBody
from nabi.cells._simple import IndRNN, SimpleRNN
from nabi.errors import unknown_name
from nabi.ir import Cell

__all__ = [
    "CTRNN",
    "EALSTM",
    "GRU",
    "GRU2014",
    "GRUD",
    "LSTM",
    "ODERNN",
    "TLSTM",
    "Cell",
    "CfC",
    "CoupledLSTM",
    "GRULecture",
    "IndRNN",
    "LayerNormLSTM",
    "OnnxBody",
    "OnnxGRU",
    "OnnxLSTM",
    "OnnxRNN",
    "PeepholeLSTM",
    "ProjectedLSTM",
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
    "cfc": CfC,
    "ct-rnn": CTRNN,
    "ode-rnn": ODERNN,
    "t-lstm": TLSTM,
    "gru-d": GRUD,
    "ea-lstm": EALSTM,
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
