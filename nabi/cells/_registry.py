"""The cells by their names on the command line, in families.

A new cell is a class in the file of its family, a line here and in the lists of this package, and its
equations typed a second time in `tests/cells/twins`, which tests ask for. `python docs/generate.py` writes
its page.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from nabi._public import public
from nabi.cells._spelling import read
from nabi.errors import unknown_name
from nabi.ir import Cell

__all__ = ["Family", "families", "get", "names"]


class Family(NamedTuple):
    """Cells that belong together.

    Attributes:
        title: what they have in common, in a few words.
        cells: the class of each by its name on the command line.
    """

    title: str
    cells: dict[str, str]


_FAMILIES: dict[str, Family] = {
    "simple": Family(
        "Simple networks: no gates",
        {
            "simple-rnn": "SimpleRNN",
            "jordan-rnn": "JordanRNN",
            "irnn": "IRNN",
            "ind-rnn": "IndRNN",
            "mi-rnn": "MIRNN",
            "scrn": "SCRN",
            "statistical-ru": "StatisticalRU",
            "fast-rnn": "FastRNN",
        },
    ),
    "lstm": Family(
        "Long short-term memory and its variants",
        {
            "lstm": "LSTM",
            "peephole-lstm": "PeepholeLSTM",
            "coupled-lstm": "CoupledLSTM",
            "layer-norm-lstm": "LayerNormLSTM",
            "projected-lstm": "ProjectedLSTM",
            "zoneout-lstm": "ZoneoutLSTM",
            "ur-lstm": "URLSTM",
            "multiplicative-lstm": "MultiplicativeLSTM",
            "mi-lstm": "MILSTM",
            "wmc-lstm": "WMCLSTM",
            "memory-controller-lstm": "MemoryControllerLSTM",
            "mc-lstm": "MCLSTM",
            "residual-lstm": "ResidualLSTM",
            "highway-lstm": "HighwayLSTM",
            "on-lstm": "ONLSTM",
            "quaternion-lstm": "QuaternionLSTM",
            "indy-lstm": "IndyLSTM",
            "para-lstm": "ParaLSTM",
            "slstm": "SLSTM",
        },
    ),
    "ablation": Family(
        "LSTMs with a part taken away",
        {
            "original-lstm": "OriginalLSTM",
            "no-input-gate-lstm": "NoInputGateLSTM",
            "no-forget-gate-lstm": "NoForgetGateLSTM",
            "no-output-gate-lstm": "NoOutputGateLSTM",
            "no-input-activation-lstm": "NoInputActivationLSTM",
            "no-output-activation-lstm": "NoOutputActivationLSTM",
            "full-gate-recurrence-lstm": "FullGateRecurrenceLSTM",
        },
    ),
    "gru": Family(
        "Gated recurrent units and their variants",
        {
            "gru-lecture": "GRULecture",
            "gru-2014": "GRU2014",
            "gru": "GRU",
            "gru1": "GRU1",
            "gru2": "GRU2",
            "gru3": "GRU3",
            "mi-gru": "MIGRU",
            "mut1": "MUT1",
            "mut2": "MUT2",
            "mut3": "MUT3",
            "li-gru": "LiGRU",
            "indy-gru": "IndyGRU",
            "para-gru": "ParaGRU",
        },
    ),
    "few-gates": Family(
        "One gate or two",
        {
            "mgu": "MGU",
            "mgu1": "MGU1",
            "mgu2": "MGU2",
            "mgu3": "MGU3",
            "janet": "JANET",
            "ugrnn": "UGRNN",
            "intersection-rnn": "IntersectionRNN",
            "ran": "RAN",
            "cfn": "CFN",
            "atr": "ATR",
            "minimal-rnn": "MinimalRNN",
            "sgrn": "SGRN",
            "sgu": "SGU",
            "dsgu": "DSGU",
            "light-ru": "LightRU",
            "star": "STAR",
            "delta-rnn": "DeltaRNN",
            "fast-grnn": "FastGRNN",
            "miru1": "MiRU1",
            "miru2": "MiRU2",
            "brc": "BRC",
            "nbrc": "NBRC",
        },
    ),
    "deep": Family(
        "Several layers or modules within a step",
        {
            "rhn": "RHN",
            "mogrifier-lstm": "MogrifierLSTM",
            "nas": "NASCell",
            "grid-lstm": "GridLSTM",
            "nested-lstm": "NestedLSTM",
            "fs-rnn": "FSRNN",
            "hyper-lstm": "HyperLSTM",
            "rim": "RIM",
        },
    ),
    "matrix": Family(
        "Matrix states: linear attention and its kin",
        {
            "linear-transformer": "LinearTransformer",
            "retnet": "RetNet",
            "gla": "GLA",
            "hgrn2": "HGRN2",
            "mamba-2": "Mamba2",
            "matrix-lstm": "MatrixLSTM",
            "m2rnn": "M2RNN",
            "deltanet": "DeltaNet",
            "gated-deltanet": "GatedDeltaNet",
            "kda": "KDA",
            "gated-deltanet-2": "GatedDeltaNet2",
            "comba": "Comba",
            "momentum-deltanet": "MomentumDeltaNet",
            "recurrent-deltanet": "RecurrentDeltaNet",
            "rwkv-5": "RWKV5",
            "rwkv-6": "RWKV6",
            "rwkv-7": "RWKV7",
            "delta-product": "DeltaProduct",
            "gsa": "GSA",
            "abc": "ABC",
            "titans": "Titans",
            "ttt": "TTT",
            "mesa-net": "MesaNet",
            "gate-loop": "GateLoop",
            "shm": "SHM",
            "fast-weights": "FastWeights",
        },
    ),
    "state-space": Family(
        "State space models, and other traces that decay and turn",
        {
            "s4d": "S4D",
            "dss": "DSS",
            "mamba": "Mamba",
            "mamba-3": "Mamba3",
            "longhorn": "Longhorn",
            "ffm": "FFM",
        },
    ),
    "irregular": Family(
        "Gaps in time, missing values and fixed attributes",
        {
            "cfc": "CfC",
            "ltc": "LTC",
            "ct-rnn": "CTRNN",
            "ct-gru": "CTGRU",
            "ode-rnn": "ODERNN",
            "gru-ode": "GRUODE",
            "t-lstm": "TLSTM",
            "phased-lstm": "PhasedLSTM",
            "gru-d": "GRUD",
            "ea-lstm": "EALSTM",
        },
    ),
    "delays": Family(
        "Delays and clocks",
        {
            "tau-gru": "TauGRU",
            "narx": "NARX",
            "mist": "MIST",
            "clockwork-rnn": "ClockworkRNN",
        },
    ),
    "spiking": Family(
        "Spiking neurons",
        {
            "lif": "LIF",
            "alif": "ALIF",
            "synaptic-lif": "SynapticLIF",
        },
    ),
    "differential": Family(
        "Differential equations and oscillators",
        {
            "leaky-rnn": "LeakyRNN",
            "co-rnn": "CoRNN",
            "unicornn": "UnICORNN",
            "lem": "LEM",
        },
    ),
    "structured": Family(
        "A structured matrix on the state: antisymmetric, orthogonal, bounded, fixed",
        {
            "antisymmetric-rnn": "AntisymmetricRNN",
            "gated-antisymmetric-rnn": "GatedAntisymmetricRNN",
            "lipschitz-rnn": "LipschitzRNN",
            "exp-rnn": "ExpRNN",
            "sco-rnn": "ScoRNN",
            "goru": "GORU",
            "rum": "RUM",
            "householder-rnn": "HouseholderRNN",
            "svd-rnn": "SVDRNN",
            "nn-rnn": "NNRNN",
            "eunn": "EUNN",
            "u-rnn": "URNN",
            "rot-rnn": "RotRNN",
            "echo-state": "EchoState",
        },
    ),
    "maps": Family(
        "Maps and stacks: convolutions in place of products, a memory beside the state",
        {
            "conv-lstm": "ConvLSTM",
            "conv-gru": "ConvGRU",
            "pred-rnn": "PredRNN",
            "stack-rnn": "StackRNN",
            "ntm": "NTM",
            "dnc": "DNC",
            "nru": "NRU",
        },
    ),
    "linear": Family(
        "Linear in the state, or reading it unit by unit",
        {
            "typed-rnn": "TypedRNN",
            "typed-gru": "TypedGRU",
            "typed-lstm": "TypedLSTM",
            "qrnn": "QRNN",
            "sru": "SRU",
            "gilr": "GILR",
            "gilr-lstm": "GILRLSTM",
            "min-gru": "MinGRU",
            "min-lstm": "MinLSTM",
            "rg-lru": "RGLRU",
            "lru": "LRU",
            "s5": "S5",
            "hgrn": "HGRN",
            "rwkv-4": "RWKV4",
            "linoss": "LinOSS",
            "lmu": "LMU",
            "hippo": "HiPPO",
            "aaren": "Aaren",
        },
    ),
}
_WRAPPERS = {
    "attention-window": "AttentionWindow",
    "dilated": "Dilated",
    "highway": "Highway",
    "layer-norm": "LayerNorm",
    "recurrent-dropout": "RecurrentDropout",
    "residual": "Residual",
    "skip": "SkipRNN",
    "weight-drop": "WeightDrop",
    "weight-norm": "WeightNorm",
    "zoneout": "Zoneout",
}
_CELLS = {name: kind for family in _FAMILIES.values() for name, kind in family.cells.items()}


@public
def get(name: str) -> type[Cell]:
    """Return a cell by its command-line name.

    A name in brackets after that of a wrapper is a wrapped cell: `get("zoneout(gru)")(64, rate=0.2)` is
    `Zoneout(GRU(64), rate=0.2)`. The wrappers are attention-window, dilated, highway, layer-norm,
    recurrent-dropout, residual, skip, weight-drop, weight-norm and zoneout.

    Raises:
        UnknownNameError: the name is unknown; the message suggests the closest one.
        ArgumentError: the brackets do not fit.

    Example:
        >>> get("peephole-lstm")(units=8, full=True).program(input_size=3).equations[1]
        'f_t = σ(W_xf x_t + W_hf h_{t-1} + W_cf c_{t-1} + b_f)'
    """
    package = import_module(__package__)
    if isinstance(name, str) and "(" in name:
        return read(name, {one: getattr(package, kind) for one, kind in _WRAPPERS.items()}, get)
    if not isinstance(name, str) or name not in _CELLS:
        raise unknown_name("cell", name, _CELLS)
    found: type[Cell] = getattr(package, _CELLS[name])
    return found


@public
def names(family: str | None = None) -> Sequence[str]:
    """Return the names of all cells, or of those of one family.

    Raises:
        UnknownNameError: the family is unknown; the message suggests the closest one.

    Example:
        >>> names("deep")
        ['rhn', 'mogrifier-lstm', 'nas', 'grid-lstm', 'nested-lstm', 'fs-rnn', 'hyper-lstm', 'rim']
    """
    if family is None:
        return list(_CELLS)
    if family not in _FAMILIES:
        raise unknown_name("family", family, _FAMILIES)
    return list(_FAMILIES[family].cells)


def families() -> dict[str, str]:
    """Return the titles of the families of cells by their names, in the order of the documentation.

    Example:
        >>> families()["deep"]
        'Several layers or modules within a step'
    """
    return {name: family.title for name, family in _FAMILIES.items()}
