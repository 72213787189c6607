"""Cells beside other people's code: seven packages of cells, torch and Keras.

Each package is compared over a sequence, weights drawn anew, in float64 where it allows that. Where a
package and the paper differ, nabi follows the paper; what the package does otherwise is said at its case.
"""

import warnings
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import nabi.nn
from nabi import cells
from nabi.cells import Cell
from nabi.scan import scan

from .beside import (
    INPUTS,
    UNITS,
    Named,
    Peer,
    blocks,
    one_state,
    stacked,
    two_states,
    with_more,
    zero,
)  # fmt: skip

BATCH, STEPS = 2, 6


def drawn(module: torch.nn.Module) -> Any:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 2)
    return module.double()


def in_families(cell: Cell, inputs: int, named: Named) -> tuple[Any, list[Tensor]]:
    program = cell.program(inputs)
    families = [torch.full(f.shape, torch.nan, dtype=torch.float64) for f in program.families]
    for parameter in program.parameters:
        family, rows = program.family_of(parameter.name)
        value = named.pop(parameter.name).detach().double()
        families[family][rows] = value.reshape(families[family][rows].shape)
    assert not named, f"weights that nabi's cell has not: {sorted(named)}"
    return program, families


def compare(peer: Peer) -> None:
    cell = cells.get(peer.name)(UNITS, **peer.settings)
    module = drawn(peer.module)
    named = peer.weights(module)
    program, families = in_families(cell, peer.inputs, named)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(BATCH, STEPS, peer.inputs, generator=generator, dtype=torch.float64)
    first = [torch.rand(BATCH, w, generator=generator, dtype=torch.float64) for w in program.state_widths]
    output, _, every = scan(program, x, first, families, return_all_states=True)
    assert every is not None
    names = (*[cell.output] * program.readouts, *program.state_names)
    states, found = tuple(first), (*[output] * program.readouts, *every)
    with torch.no_grad():
        for t in range(STEPS):
            new = tuple(peer.step(module, x[:, t], states))
            states = new[program.readouts :]
            for name, own, other in zip(names, found, new, strict=True):
                torch.testing.assert_close(own[:, t], other, rtol=1e-9, atol=1e-9, msg=f"{name} of step {t}")


# torchrecurrent: 39 of its cells.


def _antisymmetric(m: Any) -> Named:
    return {"W_xh": m.weight_ih, "V_hh": m.weight_hh, "b_h": m.bias_ih + m.bias_hh}


def _gated(m: Any) -> Named:
    zero(m.bias_hh)  # the package adds it in the candidate alone
    found = blocks(m.weight_ih, "zh", "W_x") | blocks(m.bias_ih, "zh", "b_")
    return found | {"V_hh": m.weight_hh}


def _atr(m: Any) -> Named:
    return {"W_xp": m.weight_ih, "W_hp": m.weight_hh, "b_xp": m.bias_ih, "b_hp": m.bias_hh}


def _cfn(m: Any) -> Named:
    zero(m.bias_ih[2 * UNITS :])  # the paper's candidate has no bias
    found = stacked(["theta", "eta", "h"], ["theta", "eta"])(m)
    found.pop("b_h")
    return found


def _co_rnn(m: Any) -> Named:
    bias = m.bias_ih + m.bias_hh + m.bias_ch
    return {"W_xz": m.weight_ih, "W_hz": m.weight_hh, "W_zz": m.weight_ch, "b_z": bias}


def _fast_rnn(m: Any) -> Named:
    return stacked(["h"], ["h"])(m) | {"alpha": m.alpha, "beta": m.beta}


def _fast_grnn(m: Any) -> Named:
    biases = blocks(m.bias_ih + m.bias_hh, ["z", "h"], "b_")
    return {"W_xh": m.weight_ih, "W_hh": m.weight_hh, "zeta": m.zeta, "nu": m.nu} | biases


def _ind_rnn(m: Any) -> Named:
    return {"W_xh": m.weight_ih, "w_hh": m.vector_u, "b_h": m.bias_ih + m.bias_hh}


def _lem(m: Any) -> Named:
    found = stacked(["b", "a", "z", "h"], ["b", "a", "z"])(m)
    return found | {"W_zh": m.weight_ch, "b_h": found["b_h"] + m.bias_ch}


def _lem_step(m: Any, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    # The package lets h read the old z; in the paper, and in its authors' code, h reads the new one.
    _, z = m(x, states)
    return m(x, (states[0], z))[0], z


def _multiplicative(m: Any) -> Named:
    zero(m.bias_ih[:UNITS])  # the paper's factors have no biases
    zero(m.bias_hh)
    found = blocks(m.weight_ih, list("mifco"), "W_x") | {"W_hm": m.weight_hh}
    found |= blocks(m.weight_mh, list("ifco"), "W_m")
    return found | blocks(m.bias_ih[UNITS:] + m.bias_mh, list("ifco"), "b_")


def _mut1(m: Any) -> Named:
    zero(
        m.bias_ih[2 * UNITS :]
    )  # the package adds a matrix and a bias to x; nabi a matrix, where x is narrower
    return stacked(["z", "r", "h"], ["r", "h"])(m)


def _minimal(m: Any) -> Named:
    return {"W_xz": m.weight_ih, "b_z": m.bias_ih, "W_hu": m.weight_hh, "W_zu": m.weight_mm, "b_u": m.bias_hh}


def _nas(m: Any) -> Named:
    # The package adds the fourth pair; the paper multiplies it. They agree where the state's share is one.
    rows = slice(3 * UNITS, 4 * UNITS)
    for part in (m.weight_hh, m.bias_ih, m.bias_hh):
        zero(part[rows])
    names = [str(number) for number in range(1, 9)]
    return stacked(names, names)(m) | {"b_4": torch.ones(UNITS)}


def _ran(m: Any) -> Named:
    found = blocks(m.weight_ih, ["c", "i", "f"], "W_x") | blocks(m.weight_hh, ["i", "f"], "W_h")
    return found | blocks(m.bias_ih + m.bias_hh, ["i", "f"], "b_")


def _peepholes(m: Any) -> Named:
    return blocks(m.weight_ph, ["i", "f", "o"], "w_c")


def _residual(m: Any) -> Named:
    return _peepholes(m) | {"W_mp": m.weight_proj, "W_xs": m.weight_res}


def _sgrn(m: Any) -> Named:
    return {"W_xp": m.weight_ih, "W_hp": m.weight_hh, "b_xp": m.bias_ih, "b_hp": m.bias_hh}


def _sgu(m: Any) -> Named:
    zero(m.bias_hh[:UNITS])  # the paper has one bias in the gated product, that of the input
    return stacked(["g", "z"], ["g", "z"])(m)


def _t_rnn(m: Any) -> Named:
    return blocks(m.weight_ih, ["z", "f"], "W_x") | blocks(m.bias_ih, ["z", "f"], "b_")


def _t_gates(m: Any) -> Named:
    found = blocks(m.weight_ih, "zfo", "W_x") | blocks(m.weight_hh, "zfo", "W_u")
    return found | blocks(m.bias_ih + m.bias_hh, "zfo", "b_")


def _t_gru_step(m: Any, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return m(x, states)[0], x


def _t_lstm_step(m: Any, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    h, (c, _) = m(x, states)
    return h, c, x


def _unicornn(m: Any) -> Named:
    return {"W_xz": m.weight_ih, "w_hz": m.weight_hh, "c": m.weight_ch, "b_z": m.bias_ih + m.bias_hh}


def _wmc(m: Any) -> Named:
    return blocks(m.weight_mh, ["i", "f", "o"], "W_c") | blocks(m.bias_mh, ["i", "f", "o"], "b_c")


def _controller_step(m: Any, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    h, (v, c) = m(x, states)
    return h, v, c


def _intersection_step(m: Any, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    y, h = m(x, states[0])
    return y, h


def _janet(m: Any) -> Named:
    with torch.no_grad():
        m.beta.fill_(1)  # the package learns what is a constant in the paper
    return stacked("fh", "fh")(m)


def _janet_step(m: Any, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (m(x, (states[0], states[0]))[0],)  # the package has the state twice


# nabi's name, the class, its weights, its step, its arguments, nabi's settings
RECURRENT: list[tuple[str, str, Callable[[Any], Named], Any, dict[str, Any], dict[str, Any]]] = [
    ("antisymmetric-rnn", "AntisymmetricRNNCell", _antisymmetric, one_state, {"epsilon": 0.3, "gamma": 0.2},
     {"step_size": 0.3, "damping": 0.2}),
    ("gated-antisymmetric-rnn", "GatedAntisymmetricRNNCell", _gated, one_state,
     {"epsilon": 0.3, "gamma": 0.2}, {"step_size": 0.3, "damping": 0.2}),
    ("atr", "ATRCell", _atr, one_state, {}, {"use_bias": True}),
    ("brc", "BRCell", stacked("ach", "ac"), one_state, {}, {}),
    ("nbrc", "NBRCell", stacked("ach", "ac"), one_state, {}, {}),
    ("cfn", "CFNCell", _cfn, one_state, {}, {}),
    ("co-rnn", "coRNNCell", _co_rnn, two_states, {"dt": 0.3, "gamma": 1.2, "epsilon": 0.7},
     {"step_size": 0.3, "gamma": 1.2, "epsilon": 0.7}),
    ("fast-rnn", "FastRNNCell", _fast_rnn, one_state, {}, {}),
    ("fast-grnn", "FastGRNNCell", _fast_grnn, one_state, {"nonlinearity": "sigmoid"}, {}),
    ("ind-rnn", "IndRNNCell", _ind_rnn,
     one_state, {"nonlinearity": "relu"}, {}),
    ("intersection-rnn", "IntersectionRNNCell", stacked("yhug", "yhug"), _intersection_step, {}, {}),
    ("janet", "JANETCell", _janet, _janet_step, {}, {}),
    ("lem", "LEMCell", _lem, _lem_step, {"dt": 0.6}, {"step_size": 0.6}),
    ("light-ru", "LightRUCell", stacked("hf", "f"), one_state, {}, {}),
    ("li-gru", "LiGRUCell", stacked("zh", "zh"), one_state, {}, {}),
    ("memory-controller-lstm", "MCLSTMCell", stacked("fiomc", "fiomc", "v"), _controller_step, {}, {}),
    ("mgu", "MGUCell", stacked("fh", "fh"), one_state, {}, {}),
    ("minimal-rnn", "MinimalRNNCell", _minimal, one_state, {}, {}),
    ("miru1", "MiRU1Cell", stacked("rh", "rh"), one_state, {"update_coefficient": 0.3}, {"keep_rate": 0.3}),
    ("miru2", "MiRU2Cell", stacked("h", "h"), one_state, {"reset_coefficient": 0.3}, {"reset_rate": 0.3}),
    ("multiplicative-lstm", "MultiplicativeLSTMCell", _multiplicative, two_states, {}, {}),
    ("mut1", "MUT1Cell", _mut1, one_state, {}, {}),
    ("mut2", "MUT2Cell", stacked("zrh", "zrh"), one_state, {}, {}),
    ("mut3", "MUT3Cell", stacked("zrh", "zrh"), one_state, {}, {}),
    ("nas", "NASCell", _nas, two_states, {}, {}),
    ("original-lstm", "OriginalLSTMCell", stacked("ico", "ico"), two_states, {}, {}),
    ("peephole-lstm", "PeepholeLSTMCell", with_more(stacked("ifco", "ifco"), _peepholes), two_states, {}, {}),
    ("ran", "RANCell", _ran, two_states, {}, {}),
    ("residual-lstm", "ResLSTMCell", with_more(stacked("ifco", "ifco"), _residual), two_states, {}, {}),
    ("sgrn", "SGRNCell", _sgrn, one_state, {}, {}),
    ("sgu", "SGUCell", _sgu, one_state, {}, {}),
    ("dsgu", "DSGUCell", with_more(_sgu, lambda m: {"W_hn": m.weight_ho}), one_state, {}, {}),
    ("star", "STARCell", stacked("zk", "k"), one_state, {}, {}),
    ("typed-rnn", "TRNNCell", _t_rnn, one_state, {}, {}),
    ("typed-gru", "TGRUCell", _t_gates, _t_gru_step, {}, {}),
    ("typed-lstm", "TLSTMCell", _t_gates, _t_lstm_step, {}, {}),
    ("ugrnn", "UGRNNCell", stacked("hg", "hg"), one_state, {}, {}),
    ("unicornn", "UnICORNNCell", _unicornn, two_states, {"dt": 0.2, "alpha": 0.9},
     {"step_size": 0.2, "alpha": 0.9}),
    ("wmc-lstm", "WMCLSTMCell", with_more(stacked("ifco", "ifco"), _wmc), two_states, {}, {}),
]  # fmt: skip


@pytest.mark.parametrize("case", RECURRENT, ids=lambda case: case[0])
def test_cells_of_torchrecurrent(case: tuple[Any, ...]) -> None:
    name, kind, weights, step, arguments, settings = case
    package = pytest.importorskip("torchrecurrent", reason="pip install torchrecurrent==0.2.5")
    inputs = UNITS if name == "intersection-rnn" else INPUTS
    module = getattr(package, kind)(inputs, UNITS, **arguments)
    compare(Peer(name, module, weights, step, settings, inputs))


# Packages of one cell each.


def loaded(name: str, wheel: str) -> Any:
    """A module of a package, whose warnings on import are its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"pip install {wheel}")


def quietly(run: Callable[..., Any], *arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(*arguments)


@pytest.mark.parametrize(("name", "kind"), [("brc", "BRC"), ("nbrc", "NBRC")])
def test_bistable_cells_of_brc(name: str, kind: str) -> None:
    package = loaded("brc_pytorch.modules", "brc==0.1.2")

    def weights(m: Any) -> Named:
        own = m.hw.T if name == "nbrc" else m.hw
        found = blocks(m.iw.T, "ach", "W_x") | blocks(own, "ac", "W_h" if name == "nbrc" else "w_h")
        return found | blocks(m.bias, "ach", "b_")

    module = quietly(getattr(package, kind), INPUTS, UNITS)
    compare(Peer(name, module, weights, lambda m, x, states: quietly(m, x, list(states))[1], {}))


def test_the_cell_of_ur_lstm_torch() -> None:
    """The wheel asks for an old torch, so it is not among the requirements: it needs `--no-deps`."""
    package = loaded("ur_lstm", "--no-deps ur-lstm-torch==0.0.2")

    def weights(m: Any) -> Named:
        found = blocks(m.igates.weight, "frco", "W_x") | blocks(m.hgates.weight, "frco", "W_h")
        return found | blocks(m.igates.bias + m.hgates.bias, "frco", "b_") | {"u": m.forget_bias}

    compare(Peer("ur-lstm", package.URLSTMCell(INPUTS, UNITS), weights, lambda m, x, s: m(x, s)[1], {}))


@pytest.mark.parametrize(("name", "gates"), [("min-gru", "hz"), ("min-lstm", "hfi")])
def test_cells_of_mingru_pytorch(name: str, gates: str) -> None:
    """The package computes the whole sequence at once, in logarithms."""
    kind = "minGRU" if name == "min-gru" else "minLSTM"
    package = loaded(f"minGRU_pytorch.{kind}", "minGRU-pytorch==0.2.1")
    module = drawn(getattr(package, kind)(UNITS))
    (matrix,) = module.parameters()
    program, families = in_families(
        cells.get(name)(UNITS, use_bias=False), UNITS, blocks(matrix, gates, "W_x")
    )
    x = torch.randn(BATCH, 12, UNITS, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    output, _, _ = scan(program, x, None, families)
    torch.testing.assert_close(output, module(x), rtol=1e-9, atol=1e-9)


def test_the_cell_of_lru_pytorch() -> None:
    """In float32, which the package's loop does not leave."""
    package = loaded("LRU_pytorch", "lru-pytorch==0.1.3")
    torch.manual_seed(4)
    module = package.LRU(in_features=INPUTS, out_features=UNITS, state_features=UNITS, rmin=0.3, rmax=0.95)
    named = {
        "nu": module.nu_log, "theta": module.theta_log, "gamma": module.gamma_log,
        "W_xre": module.B.real, "W_xim": module.B.imag, "W_rey": module.C.real, "W_imy": module.C.imag,
        "W_xy": module.D,
    }  # fmt: skip
    program, families = in_families(cells.LRU(UNITS), INPUTS, named)
    x = torch.randn(BATCH, 9, INPUTS)
    with torch.no_grad():
        output, _, _ = scan(program, x.double(), None, families)
        torch.testing.assert_close(output.float(), module(x), rtol=1e-5, atol=1e-5)


def test_the_cell_of_s5_pytorch() -> None:
    """The package's step and its scan; it needs scipy."""
    package = loaded("s5.s5_model", "s5-pytorch==0.2.1")
    torch.manual_seed(5)
    module = quietly(package.S5, UNITS, UNITS).seq
    inputs, out = torch.view_as_complex(module.B.detach()), module.C.detach()
    named = {
        "Lambda_re": module.Lambda.real, "Lambda_im": module.Lambda.imag, "log_step": module.log_step,
        "W_xre": inputs.real, "W_xim": inputs.imag, "W_rey": out.real, "W_imy": out.imag, "w_xy": module.D,
    }  # fmt: skip
    program, families = in_families(cells.S5(UNITS), UNITS, named)
    x = torch.randn(1, 9, UNITS)
    with torch.no_grad():
        output, _, _ = scan(program, x.double(), None, families)
        torch.testing.assert_close(output[0].float(), quietly(module, x[0]), rtol=1e-4, atol=1e-5)
        state = torch.zeros(UNITS, dtype=torch.complex64)
        for t in range(9):
            found, state = module.forward_rnn(x[0, t], state)
            torch.testing.assert_close(output[0, t].float(), found, rtol=1e-4, atol=1e-5)


def test_the_rounds_of_mogrifier_before_torchs_lstm() -> None:
    """The package has one matrix for all odd rounds, one for all even ones, and biases."""
    package = loaded("mogrifier.mogrifier", "mogrifier==0.0.5")
    both = torch.nn.ModuleList(
        [package.Mogrifier(INPUTS, iters=5, dim_hidden=UNITS), torch.nn.LSTMCell(INPUTS, UNITS)]
    )

    def weights(m: Any) -> Named:
        rounds, lstm = m
        zero(rounds.Q[0].bias)
        zero(rounds.R[0].bias)
        found = {f"W_q{number}": rounds.Q[0].weight for number in (1, 3, 5)}
        found |= {f"W_r{number}": rounds.R[0].weight for number in (2, 4)}
        found |= blocks(lstm.weight_ih, "ifco", "W_x") | blocks(lstm.weight_hh, "ifco", "W_h")
        return found | blocks(lstm.bias_ih + lstm.bias_hh, "ifco", "b_")

    def step(m: Any, x: Tensor, states: tuple[Tensor, ...]) -> Any:
        inputs, hidden = m[0](x, states[0])
        return m[1](inputs, (hidden, states[1]))

    compare(Peer("mogrifier-lstm", both, weights, step, {}))


def test_the_step_of_xlstm() -> None:
    """The file of the backend "vanilla" alone: the package itself needs kernels for graphics cards."""
    found = find_spec("xlstm")
    if found is None or not found.submodule_search_locations:
        pytest.skip("pip install --no-deps xlstm==2.0.6")
    file = Path(next(iter(found.submodule_search_locations))) / "blocks/slstm/src/vanilla/slstm.py"
    specification = spec_from_file_location("xlstm_vanilla", file)
    assert specification is not None
    assert specification.loader is not None
    package = module_from_spec(specification)
    specification.loader.exec_module(package)
    lstm = torch.nn.LSTMCell(INPUTS, UNITS)  # holds the weights of four gates

    def weights(m: Any) -> Named:
        found = blocks(m.weight_ih, "ifzo", "W_x") | blocks(m.weight_hh, "ifzo", "W_h")
        return found | blocks(m.bias_ih + m.bias_hh, "ifzo", "b_")

    def step(m: Any, x: Tensor, states: tuple[Tensor, ...]) -> Any:
        sums = x @ m.weight_ih.T, states[0] @ m.weight_hh.T, (m.bias_ih + m.bias_hh)[None]
        return package.slstm_forward_pointwise(*sums, torch.stack(states), {})[0].unbind()

    compare(Peer("slstm", lstm, weights, step, {}))


# torch and Keras.

ABLATIONS = {
    "original-lstm": "f",
    "no-input-gate-lstm": "i",
    "no-forget-gate-lstm": "f",
    "no-output-gate-lstm": "o",
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_a_missing_gate_is_a_gate_of_torchs_lstm_that_is_always_open(name: str) -> None:
    gate = ABLATIONS[name]

    def weights(m: Any) -> Named:
        rows = slice("ifco".index(gate) * UNITS, ("ifco".index(gate) + 1) * UNITS)
        zero(m.weight_ih[rows])
        zero(m.weight_hh[rows])
        with torch.no_grad():
            m.bias_ih[rows] = 100.0
        parts = [("W_x", m.weight_ih), ("W_h", m.weight_hh), ("b_", m.bias_ih + m.bias_hh)]
        found = {k: v for prefix, value in parts for k, v in blocks(value, "ifco", prefix).items()}
        for prefix, _ in parts:
            found.pop(prefix + gate)
        if name != "original-lstm":
            found |= {f"w_c{one}": torch.zeros(UNITS) for one in "ifo" if one != gate}
        return found

    compare(Peer(name, torch.nn.LSTMCell(INPUTS, UNITS), weights, two_states, {}))


KERAS = """
import sys
import keras, numpy as np
x = np.frombuffer(sys.stdin.buffer.read(), dtype="float32").reshape(2, 6, 3)
layer = keras.layers.SimpleRNN(
    5, "relu", kernel_initializer=keras.initializers.Constant(0.25), recurrent_initializer="identity",
    return_sequences=True,
)
sys.stdout.buffer.write(np.asarray(keras.ops.convert_to_numpy(layer(x)), dtype="float32").tobytes())
"""


@pytest.mark.rotates(days=4)
def test_irnn_is_keras_simple_network_with_an_identity(in_keras: Callable[..., bytes]) -> None:
    x = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(6))
    expected = torch.frombuffer(bytearray(in_keras(KERAS, x.numpy().tobytes())), dtype=torch.float32)
    rnn = nabi.nn.RNN(cells.IRNN(5), 3)
    with torch.no_grad():
        rnn.W_x_l0.fill_(0.25)
        torch.testing.assert_close(rnn(x)[0], expected.reshape(2, 6, 5), rtol=1e-6, atol=1e-6)
