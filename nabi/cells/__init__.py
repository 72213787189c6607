"""The cells: their equations, each written once."""

from collections.abc import Sequence

from nabi._public import public
from nabi.cells._clockwork import ClockworkRNN
from nabi.cells._delayed import NARX, TauGRU
from nabi.cells._delta import KDA, DeltaNet, GatedDeltaNet
from nabi.cells._gru import GRU, GRU2014, GRULecture, negate_update_gate
from nabi.cells._irregular import CTRNN, EALSTM, GRUD, ODERNN, TLSTM, CfC, PhasedLSTM
from nabi.cells._lstm import LSTM, CoupledLSTM, LayerNormLSTM, PeepholeLSTM, ProjectedLSTM, ZoneoutLSTM
from nabi.cells._matrix import GLA, HGRN2, M2RNN, LinearTransformer, Mamba2, MatrixCell, MatrixLSTM, RetNet
from nabi.cells._nested import FSRNN, HyperLSTM, NestedLSTM
from nabi.cells._onnx import OnnxGRU, OnnxLSTM, OnnxRNN
from nabi.cells._onnx_body import OnnxBody
from nabi.cells._ordered import ONLSTM
from nabi.cells._rwkv import RWKV5, RWKV6, RWKV7
from nabi.cells._simple import IndRNN, SimpleRNN
from nabi.cells._spelling import read as _read
from nabi.cells._spiking import ALIF, LIF
from nabi.cells._wrappers import (
    AttentionWindow,
    Dilated,
    Highway,
    LayerNorm,
    RecurrentDropout,
    Residual,
    SkipRNN,
    WeightNorm,
    Wrapper,
    Zoneout,
)
from nabi.errors import unknown_name
from nabi.ir import Cell

__all__ = [
    "ALIF",
    "CTRNN",
    "EALSTM",
    "FSRNN",
    "GLA",
    "GRU",
    "GRU2014",
    "GRUD",
    "HGRN2",
    "KDA",
    "LIF",
    "LSTM",
    "M2RNN",
    "NARX",
    "ODERNN",
    "ONLSTM",
    "RWKV5",
    "RWKV6",
    "RWKV7",
    "TLSTM",
    "AttentionWindow",
    "Cell",
    "CfC",
    "ClockworkRNN",
    "CoupledLSTM",
    "DeltaNet",
    "Dilated",
    "GRULecture",
    "GatedDeltaNet",
    "Highway",
    "HyperLSTM",
    "IndRNN",
    "LayerNorm",
    "LayerNormLSTM",
    "LinearTransformer",
    "Mamba2",
    "MatrixCell",
    "MatrixLSTM",
    "NestedLSTM",
    "OnnxBody",
    "OnnxGRU",
    "OnnxLSTM",
    "OnnxRNN",
    "PeepholeLSTM",
    "PhasedLSTM",
    "ProjectedLSTM",
    "RecurrentDropout",
    "Residual",
    "RetNet",
    "SimpleRNN",
    "SkipRNN",
    "TauGRU",
    "WeightNorm",
    "Wrapper",
    "Zoneout",
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
    "cfc": CfC,
    "ct-rnn": CTRNN,
    "ode-rnn": ODERNN,
    "t-lstm": TLSTM,
    "phased-lstm": PhasedLSTM,
    "gru-d": GRUD,
    "ea-lstm": EALSTM,
    "on-lstm": ONLSTM,
    "nested-lstm": NestedLSTM,
    "fs-rnn": FSRNN,
    "hyper-lstm": HyperLSTM,
    "tau-gru": TauGRU,
    "narx": NARX,
    "clockwork-rnn": ClockworkRNN,
    "lif": LIF,
    "alif": ALIF,
}
_WRAPPERS: dict[str, type[Wrapper]] = {
    "attention-window": AttentionWindow,
    "dilated": Dilated,
    "highway": Highway,
    "layer-norm": LayerNorm,
    "recurrent-dropout": RecurrentDropout,
    "residual": Residual,
    "skip": SkipRNN,
    "weight-norm": WeightNorm,
    "zoneout": Zoneout,
}


@public
def get(name: str) -> type[Cell]:
    """Return a cell by its command-line name.

    A name in brackets after that of a wrapper is a wrapped cell: `get("zoneout(gru)")(64, rate=0.2)` is
    `Zoneout(GRU(64), rate=0.2)`. The wrappers are attention-window, dilated, highway, layer-norm,
    recurrent-dropout, residual, skip, weight-norm and zoneout.

    Raises:
        UnknownNameError: the name is unknown; the message suggests the closest one.
        ArgumentError: the brackets do not fit.

    Example:
        >>> get("peephole-lstm")(units=8, full=True).program(input_size=3).equations[1]
        'f_t = σ(W_xf x_t + W_hf h_{t-1} + W_cf c_{t-1} + b_f)'
    """
    if isinstance(name, str) and "(" in name:
        return _read(name, _WRAPPERS, get)
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
