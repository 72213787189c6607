"""Weights of TensorFlow 1 in nabi's cells: what TensorFlow computed comes out again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi.tf1 as tf
from nabi import layers, nn
from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import load_tensorflow_weights, read_tensorflow_checkpoint

from .writing import write_checkpoint

FILES = Path(__file__).parent / "files"
EXPECTED: Any = np.load(FILES / "expected.npz")
cells = tf.nn.rnn_cell


def expected(name: str) -> list[Any]:
    found, number = [], 0
    while f"{name}/{number}" in EXPECTED:
        found.append(EXPECTED[f"{name}/{number}"])
        number += 1
    return found


def flat(structure: Any) -> list[Any]:
    if isinstance(structure, tuple):
        return [leaf for member in structure for leaf in flat(member)]
    return [structure]


def check(name: str, results: Any) -> None:
    wanted, found = expected(name), flat(results)
    assert len(wanted) == len(found) > 0
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(one), other, rtol=0, atol=1e-6)


def run(name: str, cell: Any) -> Any:
    lengths = EXPECTED[f"{name}/lengths"]
    return tf.nn.dynamic_rnn(cell, EXPECTED[f"{name}/x"], dtype=tf.float32, sequence_length=lengths)


def stack() -> Any:
    members = [cells.DropoutWrapper(cells.LSTMCell(3)), cells.GRUCell(2), cells.BasicRNNCell(4)]
    return cells.MultiRNNCell(members)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("basic-rnn", lambda: cells.BasicRNNCell(3)),
        ("basic-lstm", lambda: cells.BasicLSTMCell(3)),
        ("basic-lstm", lambda: cells.LSTMCell(3)),
        ("lstm-bias-zero", lambda: cells.LSTMCell(2, forget_bias=0.0)),
        ("gru", lambda: cells.GRUCell(3)),
        (
            "peepholes",
            lambda: cells.LSTMCell(4, use_peepholes=True, num_proj=3, cell_clip=1.5, proj_clip=0.8),
        ),
        ("stack", stack),
    ],
)
def test_a_cell_computes_what_tensorflow_computed(name: str, make: Any) -> None:
    cell = make()
    report = load_tensorflow_weights(cell, FILES / name)
    names = [own.removesuffix(":0") for own in (variable.name for variable in cell.variables)]
    assert sorted(names) == sorted(report.loaded)
    check(name, run(name, cell))


def test_two_directions() -> None:
    pair = (cells.LSTMCell(3), cells.LSTMCell(2))
    report = load_tensorflow_weights(pair, FILES / "two-directions")
    assert report.loaded == {
        f"{direction}/lstm_cell/{role}": f"bidirectional_rnn/{direction}/lstm_cell/{role}"
        for direction in ("fw", "bw")
        for role in ("kernel", "bias")
    }
    x, lengths = EXPECTED["two-directions/x"], EXPECTED["two-directions/lengths"]
    check(
        "two-directions",
        tf.nn.bidirectional_dynamic_rnn(*pair, x, dtype=tf.float32, sequence_length=lengths),
    )


def test_directions_are_not_mixed_up() -> None:
    with pytest.raises(ArgumentError, match=r"'fw' in its scopes.*expected units 2, got 3"):
        load_tensorflow_weights((cells.LSTMCell(2), cells.LSTMCell(3)), FILES / "two-directions")
    backwards = cells.LSTMCell(2)
    load_tensorflow_weights(backwards, FILES / "two-directions", scope="bidirectional_rnn/bw")


def test_weights_replace_those_of_a_cell_in_use() -> None:
    cell = cells.GRUCell(3)
    before, _ = run("gru", cell)
    load_tensorflow_weights(cell, FILES / "gru")
    assert np.abs(before - run("gru", cell)[0]).max() > 0.1
    check("gru", run("gru", cell))


def test_a_scope_chooses_between_networks() -> None:
    encoder, decoder = cells.GRUCell(3), cells.GRUCell(3)
    with pytest.raises(ArgumentError, match=r"got several in .*decoder/gru_cell, encoder/gru_cell"):
        load_tensorflow_weights(encoder, FILES / "two-networks")
    load_tensorflow_weights(encoder, FILES / "two-networks", scope="encoder")
    report = load_tensorflow_weights(decoder, FILES / "two-networks", scope="decoder/gru_cell")
    assert {name.partition("/")[0] for name in report.loaded.values()} == {"decoder"}
    assert {name.partition("/")[0] for name in report.left_over} == {"encoder"}
    first, _ = tf.nn.dynamic_rnn(encoder, EXPECTED["two-networks/x"], dtype=tf.float32)
    check("two-networks", tf.nn.dynamic_rnn(decoder, first, dtype=tf.float32))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("names-0.12", lambda: cells.MultiRNNCell([cells.BasicLSTMCell(3), cells.GRUCell(2)])),
        ("names-0.12-lstm", lambda: cells.LSTMCell(3, use_peepholes=True)),
        ("names-1.0", lambda: cells.GRUCell(3)),
    ],
)
def test_names_of_older_versions(name: str, make: Any) -> None:
    cell = make()
    load_tensorflow_weights(cell, FILES / name)
    outputs, _ = tf.nn.dynamic_rnn(cell, EXPECTED[f"{name}/x"], dtype=tf.float32)
    check(name, outputs)


def test_the_forget_bias_is_taken_into_the_bias() -> None:
    """The file does not say it; a cell that adds another number gets the difference."""
    cell = cells.LSTMCell(2)  # adds 1 at every step
    load_tensorflow_weights(cell, FILES / "lstm-bias-zero", forget_bias=0.0)
    check("lstm-bias-zero", run("lstm-bias-zero", cell))
    layer = layers.LSTM(2, return_sequences=True)
    load_tensorflow_weights(layer, FILES / "lstm-bias-zero", forget_bias=0)
    outputs = masked(layer, "lstm-bias-zero")
    np.testing.assert_allclose(outputs, expected("lstm-bias-zero")[0], rtol=0, atol=1e-6)


def masked(layer: Any, name: str) -> Any:
    """What a layer gives for sequences of several lengths, with zeros after their ends as in TensorFlow."""
    x, lengths = torch.tensor(EXPECTED[f"{name}/x"]), torch.tensor(EXPECTED[f"{name}/lengths"])
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    return (layer(x, mask=mask) * mask[..., None]).detach().numpy()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("basic-rnn", lambda: layers.SimpleRNN(3, return_sequences=True)),
        ("basic-lstm", lambda: layers.LSTM(3, return_sequences=True)),
        ("gru", lambda: layers.GRU(3, return_sequences=True, reset_after=False)),
    ],
)
@pytest.mark.parametrize("built", [False, True])
def test_a_layer_computes_what_tensorflow_computed(name: str, make: Any, built: bool) -> None:
    layer = make()
    if built:
        layer.build((None, None, 2))
    load_tensorflow_weights(layer, FILES / name)
    np.testing.assert_allclose(masked(layer, name), expected(name)[0], rtol=0, atol=1e-6)


def test_a_list_of_layers_is_a_stack() -> None:
    members = [
        layers.LSTM(3, return_sequences=True),
        layers.GRU(2, return_sequences=True, reset_after=False),
        layers.SimpleRNN(4, return_sequences=True),
    ]
    load_tensorflow_weights(members, FILES / "stack")
    x = torch.tensor(EXPECTED["stack/x"])
    for layer in members:
        x = layer(x)
    whole = EXPECTED["stack/lengths"] == x.shape[1]  # the others have padding
    np.testing.assert_allclose(x[whole].detach(), expected("stack")[0][whole], rtol=0, atol=1e-6)


def test_modules_in_torchs_layout() -> None:
    """torch's LSTM has the same equations, its gates in another order and a second bias."""
    x = torch.tensor(EXPECTED["basic-lstm/x"])
    whole = EXPECTED["basic-lstm/lengths"] == x.shape[1]  # the others have padding
    for name, module in {"basic-lstm": nn.LSTM(2, 3), "basic-rnn": nn.ElmanRNN(2, 3)}.items():
        module.batch_first = True
        load_tensorflow_weights(module, FILES / name)
        outputs, _ = module(torch.tensor(EXPECTED[f"{name}/x"]))
        np.testing.assert_allclose(outputs[whole].detach(), expected(name)[0][whole], rtol=0, atol=1e-6)


def test_stacks_directions_and_projections_in_torchs_layout(tmp_path: Path) -> None:
    """Against cells of `nabi.tf1` with the same weights, which the tests above compare with TensorFlow."""
    chance = np.random.default_rng(0)
    arrays = {}
    for scope, inputs in {
        "stack/multi_rnn_cell/cell_0": 2,
        "stack/multi_rnn_cell/cell_1": 2,
        "both/fw": 4,
        "both/bw": 4,
    }.items():
        cell = f"{scope}/lstm_cell"
        arrays[f"{cell}/kernel"] = chance.normal(size=(inputs + 2, 12)).astype("float32")
        arrays[f"{cell}/bias"] = chance.normal(size=12).astype("float32")
        arrays[f"{cell}/projection/kernel"] = chance.normal(size=(3, 2)).astype("float32")
    write_checkpoint(tmp_path / "model", arrays)
    x = chance.normal(size=(5, 6, 4)).astype("float32")

    def cell() -> Any:
        return cells.LSTMCell(3, num_proj=2)

    pair, both = (cell(), cell()), nn.LSTM(4, 3, proj_size=2, bidirectional=True, batch_first=True)
    for one in (pair, both):
        load_tensorflow_weights(one, tmp_path / "model", scope="both")
    outputs, _ = tf.nn.bidirectional_dynamic_rnn(*pair, x, dtype=tf.float32)
    found, _ = both(torch.tensor(x))
    np.testing.assert_allclose(found.detach(), np.concatenate(outputs, axis=2), rtol=0, atol=1e-6)

    stacked, layered = cells.MultiRNNCell([cell(), cell()]), nn.LSTM(2, 3, 2, proj_size=2, batch_first=True)
    for one in (stacked, layered):
        load_tensorflow_weights(one, tmp_path / "model", scope="stack")
    above, _ = tf.nn.dynamic_rnn(stacked, x[..., :2], dtype=tf.float32)
    found, _ = layered(torch.tensor(x[..., :2]))
    np.testing.assert_allclose(found.detach(), above, rtol=0, atol=1e-6)


def test_the_report_counts_what_is_left_and_what_is_an_optimizers() -> None:
    report = load_tensorflow_weights(cells.BasicLSTMCell(3), FILES / "basic-lstm")
    assert report.loaded == {
        f"basic_lstm_cell/{role}": f"rnn/basic_lstm_cell/{role}" for role in ("kernel", "bias")
    }
    assert report.left_over == ("global_step", "head/bias", "head/kernel")
    assert len(report.optimizer) == 10
    assert {name.rpartition("/")[2] for name in report.optimizer} == {
        "Adam",
        "Adam_1",
        "beta1_power",
        "beta2_power",
    }
    text = str(report)
    assert "basic_lstm_cell/kernel  loaded from rnn/basic_lstm_cell/kernel" in text
    assert "10 of an optimizer ignored" in text
    assert "head/kernel             not in the model" in text
    assert not report.is_complete
    assert load_tensorflow_weights(cells.GRUCell(3), FILES / "gru").is_complete


@pytest.mark.parametrize(
    ("name", "cell", "message"),
    [
        ("gru", cells.GRUCell(4), "expected units 4, got 3"),
        ("gru", cells.BasicLSTMCell(3), "it is a cell of the kind gru, not lstm"),
        ("peepholes", cells.LSTMCell(4, num_proj=3), "expected no peepholes, got some"),
        ("peepholes", cells.LSTMCell(4, use_peepholes=True), "expected outputs 4, got 3"),
        ("basic-lstm", cells.LSTMCell(3, use_peepholes=True), "expected peepholes, got none"),
        ("stack", cells.LSTMCell(3), "rnn/multi_rnn_cell: a stack of 3 cells, not 1"),
        ("basic-rnn", cells.MultiRNNCell([cells.BasicRNNCell(3), cells.GRUCell(1)]), "one cell, not 2"),
        ("sharded", cells.GRUCell(3), "there is no recurrent cell of a known name"),
        ("gru", layers.GRU(3), "expected GRU(reset_after=False)"),
        ("gru", layers.GRU(3, reset_after=False, use_bias=False), "expected a layer with biases"),
        ("gru", layers.Dense(3), "got Dense"),
        ("gru", nn.GRU(2, 3), "got GRU"),
        ("basic-lstm", nn.LSTM(2, 3, bias=False), "expected a module with biases"),
        ("basic-lstm", nn.LSTM(2, 3, 2, bidirectional=True), "expected one layer for two directions, got 2"),
        ("basic-lstm", nn.LSTM(4, 3), "expected inputs 4, got 2"),
        ("gru", (cells.GRUCell(3),), "expected a pair"),
        ("gru", [], "empty list"),
        ("gru", 3, "got int"),
    ],
)
def test_what_does_not_fit_is_said(name: str, cell: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as problem:
        load_tensorflow_weights(cell, FILES / name)
    assert message in str(problem.value)


def test_a_stack_is_loaded_in_whole_or_not_at_all() -> None:
    """One layer that does not fit leaves the others as they were, too."""
    cell = cells.MultiRNNCell([cells.LSTMCell(3), cells.GRUCell(2), cells.BasicRNNCell(5)])
    cell.build((None, 2))
    before = cell.get_weights()
    with pytest.raises(ArgumentError, match="expected units 5, got 4"):
        load_tensorflow_weights(cell, FILES / "stack")
    for one, other in zip(before, cell.get_weights(), strict=True):
        assert (one == other).all()


def test_one_layer_of_a_stack_is_loaded_by_its_scope() -> None:
    cell = cells.LSTMCell(3)
    report = load_tensorflow_weights(cell, FILES / "stack", scope="rnn/multi_rnn_cell/cell_0")
    assert set(report.loaded.values()) == {
        f"rnn/multi_rnn_cell/cell_0/lstm_cell/{role}" for role in ("kernel", "bias")
    }


def test_a_forget_bias_without_a_forget_gate_is_refused() -> None:
    with pytest.raises(ArgumentError, match="forget_bias: expected None"):
        load_tensorflow_weights(cells.GRUCell(3), FILES / "gru", forget_bias=1.0)


def test_weights_are_converted_to_the_type_of_the_cell() -> None:
    cell = cells.GRUCell(3, dtype="float64")
    load_tensorflow_weights(cell, FILES / "gru")
    assert cell.dtype is torch.float64
    x = EXPECTED["gru/x"].astype("float64")
    outputs, _ = tf.nn.dynamic_rnn(
        cell, x, dtype=tf.float64, sequence_length=list(map(int, EXPECTED["gru/lengths"]))
    )
    np.testing.assert_allclose(outputs, expected("gru")[0], rtol=0, atol=1e-6)


def test_a_cell_under_a_name_of_its_own(tmp_path: Path) -> None:
    """A kernel and a bias may be a dense layer's, unless the cell's name or a whole scope says otherwise."""
    saved = read_tensorflow_checkpoint(FILES / "basic-rnn")
    renamed = {name.replace("basic_rnn_cell", "mine"): tensor.numpy() for name, tensor in saved.items()}
    write_checkpoint(tmp_path / "model", renamed)
    with pytest.raises(ArgumentError, match="no recurrent cell of a known name"):
        load_tensorflow_weights(cells.BasicRNNCell(3), tmp_path / "model")
    for cell, scope in ((cells.BasicRNNCell(3, name="mine"), None), (cells.BasicRNNCell(3), "rnn/mine")):
        load_tensorflow_weights(cell, tmp_path / "model", scope=scope)
        check("basic-rnn", run("basic-rnn", cell))


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    saved = read_tensorflow_checkpoint(FILES / "basic-rnn")
    write_checkpoint(
        tmp_path / "model", {name: tensor.numpy().astype("int32") for name, tensor in saved.items()}
    )
    with pytest.raises(FileFormatError, match="expected floating-point numbers, got int32"):
        load_tensorflow_weights(cells.BasicRNNCell(3), tmp_path / "model")
