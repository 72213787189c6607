"""ConvLSTM1D, ConvLSTM2D and ConvLSTM3D beside Keras' own, and what Keras' tests leave out."""

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers
from nabi.errors import ArgumentError, NotReadyError, ShapeError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

B, T = 2, 4
SIZES = {1: (7,), 2: (6, 5), 3: (5, 4, 4)}
MASK = torch.tensor([[True, True, False, False], [False, True, False, True]])


@functools.cache
def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def inputs(rank: int, channels_first: bool = False, channels: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rank)
    sizes = (channels, *SIZES[rank]) if channels_first else (*SIZES[rank], channels)
    return torch.randn(B, T, *sizes, generator=generator)


def pair(rank: int, x: torch.Tensor, **options: Any) -> tuple[Any, Any]:
    """nabi's layer and Keras' with the same random weights."""
    name = f"ConvLSTM{rank}D"
    own, theirs = (getattr(one, name)(3, **options) for one in (layers, keras().layers))
    own.build(tuple(x.shape))
    theirs.build(tuple(x.shape))
    generator = np.random.default_rng(0)
    weights = [generator.normal(0, 0.4, one.shape).astype("float32") for one in own.get_weights()]
    own.set_weights(weights)
    theirs.set_weights(weights)
    return own, theirs


def check(own: Any, theirs: Any, x: torch.Tensor, **call: Any) -> None:
    """Outputs, states, and gradients of inputs and weights."""
    found = own(one := x.clone().requires_grad_(), **call)
    expected = theirs(two := x.clone().requires_grad_(), **call)
    found, expected = (list(out) if isinstance(out, list | tuple) else [out] for out in (found, expected))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    sum((a * torch.arange(a.numel()).reshape(a.shape).cos()).sum() for a in found).backward()
    sum((b * torch.arange(b.numel()).reshape(b.shape).cos()).sum() for b in expected).backward()
    torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-5)
    for a, b in zip(own.weights, theirs.weights, strict=True):
        torch.testing.assert_close(a.grad, b.value.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": 2, "padding": "same", "return_sequences": True},
        {"kernel_size": 3, "strides": 2, "padding": "same", "return_state": True},
        {"kernel_size": 2, "strides": 2, "return_sequences": True, "go_backwards": True},
        {"kernel_size": 2, "dilation_rate": 2, "use_bias": False},
        {"kernel_size": 2, "activation": "relu", "recurrent_activation": "hard_sigmoid", "padding": "SAME"},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
@pytest.mark.parametrize("rank", SIZES)
def test_the_same_as_keras(rank: int, options: dict[str, Any]) -> None:
    x = inputs(rank)
    check(*pair(rank, x, **options), x)


@pytest.mark.parametrize("rank", SIZES)
def test_channels_first(rank: int) -> None:
    """The same layer with the channels elsewhere; Keras on the CPU has both too."""
    x = inputs(rank, channels_first=True)
    options = {"kernel_size": 2, "data_format": "channels_first", "return_sequences": True}
    own, theirs = pair(rank, x, **options)
    check(own, theirs, x)
    last, _ = pair(rank, x.movedim(2, -1), kernel_size=2, return_sequences=True)
    torch.testing.assert_close(last(x.movedim(2, -1)).movedim(-1, 2), own(x))


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_masks(sequences: bool, backwards: bool, zero: bool) -> None:
    x = inputs(2)
    options: dict[str, Any] = {"return_sequences": sequences, "go_backwards": backwards}
    own, theirs = pair(2, x, kernel_size=3, zero_output_for_mask=zero, **options)
    if zero:  # Keras' backend on torch ignores it, so the meaning is checked itself
        found, plain = own(x, mask=MASK), pair(2, x, kernel_size=3, **options)[0](x, mask=MASK)
        order = MASK.flip(1) if backwards else MASK
        keeps = (order if sequences else order[:, -1]).reshape(*found.shape[: 1 + sequences], 1, 1, 1)
        torch.testing.assert_close(found, torch.where(keeps, plain, 0.0))
        return
    check(own, theirs, x, mask=MASK)


def test_what_is_masked_is_not_read() -> None:
    x = inputs(2)
    own, _ = pair(2, x, kernel_size=3)
    spoiled = torch.where(MASK.reshape(B, T, 1, 1, 1), x, torch.nan).requires_grad_()
    torch.testing.assert_close(own(spoiled, mask=MASK), own(x, mask=MASK))
    own(spoiled, mask=MASK).sum().backward()
    assert spoiled.grad is not None
    assert bool(torch.isfinite(spoiled.grad).all())


def test_a_row_without_steps_is_zero() -> None:
    own, _ = pair(1, inputs(1), kernel_size=3)
    assert not own(inputs(1), mask=torch.zeros(B, T, dtype=torch.bool)).any()
    empty = own(inputs(1)[:, :0])
    assert empty.shape == (B, 5, 3)
    assert not empty.any()


def test_initial_states() -> None:
    x = inputs(2)
    own, theirs = pair(2, x, kernel_size=3, return_state=True)
    start = [torch.randn(B, 4, 3, 3, generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    check(own, theirs, x, initial_state=start)
    with pytest.raises(ShapeError, match=r"initial_state: .* expected shape \(2, 4, 3, 3\) for state 0"):
        own(x, initial_state=[start[0][:, :2]] * 2)


def test_states_are_kept_between_batches() -> None:
    x = inputs(2)
    own, _ = pair(2, x, kernel_size=3, stateful=True)
    whole, _ = pair(2, x, kernel_size=3)
    own(x[:, :1])
    torch.testing.assert_close(own(x[:, 1:]), whole(x))
    assert [tuple(one.shape) for one in own.states] == [(B, 4, 3, 3)] * 2
    assert sorted(own.get_extra()) == ["state_0", "state_1"]
    own.reset_state()
    torch.testing.assert_close(own(x), whole(x))
    with pytest.raises(ShapeError, match="expected a batch size of 2, got a batch size of 1"):
        own(x[:1])
    with pytest.raises(ShapeError, match="stateful and expected a fixed batch size"):
        layers.ConvLSTM2D(2, 3, stateful=True).build((None, 3, 6, 6, 1))


@pytest.mark.parametrize("rank", SIZES)
def test_dropout_has_a_mask_for_each_gate_that_stays_over_time(rank: int) -> None:
    x = torch.ones_like(inputs(rank))
    layer = getattr(layers, f"ConvLSTM{rank}D")(
        3, 2, dropout=0.5, recurrent_dropout=0.5, seed=3, return_sequences=True
    )
    layer.build(tuple(x.shape))
    cell = layer.cell
    terms = cell.input_terms(cell.channels_first(x, 2), True)
    torch.testing.assert_close(terms, terms[:, :1].expand_as(terms))  # one mask for all steps
    gates = terms[:, 0].unflatten(1, (4, 3))
    weights = cell.kernel.unflatten(-1, (4, 3)).movedim(-2, 0)
    mask = cell._dropout_mask.unflatten(1, (4, 2))
    assert not torch.equal(mask[:, 0], mask[:, 1])
    for gate in range(4):  # each gate by itself, through a layer without dropout
        plain = layers.ConvLSTMCell(rank, 3, 2, use_bias=False)
        dropped = x[:, 0] * mask[:, gate].movedim(1, -1)
        plain.build(tuple(dropped.shape))
        with torch.no_grad():
            plain.kernel.copy_(torch.cat([weights[gate]] * 4, -1))
        alone = plain.input_terms(plain.channels_first(dropped).unsqueeze(1), False)[:, 0, :3]
        bias = 1.0 if gate == 1 else 0.0  # of the forget gate
        torch.testing.assert_close(gates[:, gate], alone + bias, rtol=1e-4, atol=1e-5)
    cell.reset_dropout_mask()
    first = layer(x, training=True)
    assert cell._dropout_mask is None
    assert not torch.equal(first, layer(x, training=True))
    torch.testing.assert_close(layer(x), layer(x))
    again = type(layer).from_config(layer.get_config())
    again.build(tuple(x.shape))
    again.set_weights(layer.get_weights())
    again.cell.input_terms(again.cell.channels_first(x, 2), True)
    again.cell.reset_dropout_mask()
    torch.testing.assert_close(again(x, training=True), first)  # the seed draws the same numbers


def test_a_cell_in_rnn_is_the_layer() -> None:
    x = inputs(2)
    own, _ = pair(2, x, kernel_size=3, return_sequences=True, return_state=True)
    slow = layers.RNN(layers.ConvLSTMCell(2, 3, 3), return_sequences=True, return_state=True)
    slow.build(tuple(x.shape))
    slow.set_weights(own.get_weights())
    for a, b in zip(own(x), slow(x), strict=True):
        torch.testing.assert_close(a, b)
    assert slow.compute_output_shape((None, 9, 6, 5, 2))[0] == (None, 9, 4, 3, 3)
    with pytest.raises(NotReadyError, match="is not built yet"):
        layers.ConvLSTMCell(2, 3, 3).get_initial_state(batch_size=1)


def test_both_directions() -> None:
    x = inputs(2)
    options = {"kernel_size": 3, "padding": "same", "return_sequences": True}
    own = layers.Bidirectional(layers.ConvLSTM2D(3, **options))
    theirs = keras().layers.Bidirectional(keras().layers.ConvLSTM2D(3, **options))
    own(x), theirs(x)
    theirs.set_weights(own.get_weights())
    torch.testing.assert_close(own(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_weights_have_keras_names_shapes_and_starting_values() -> None:
    layer = layers.ConvLSTM2D(8, (3, 2))
    layer.build((None, 5, 9, 9, 4))
    theirs = keras().layers.ConvLSTM2D(8, (3, 2))
    theirs.build((None, 5, 9, 9, 4))
    names = [name for name, _ in layer.cell.named_parameters()]
    assert names == [one.name for one in theirs.weights] == ["kernel", "recurrent_kernel", "bias"]
    assert [one.shape for one in layer.get_weights()] == [one.shape for one in theirs.get_weights()]
    assert layer.parameter_sum() == f"(3 × 2 × (4 + 8) + 1) × 32 = {theirs.count_params():,}"
    np.testing.assert_array_equal(layer.get_weights()[2], theirs.get_weights()[2])  # forget gate: 1
    kernel, expected = layer.get_weights()[0], theirs.get_weights()[0]
    assert abs(kernel).max() == pytest.approx(abs(expected).max(), rel=0.1)
    recurrent = layer.get_weights()[1].reshape(-1, 32)
    np.testing.assert_allclose(recurrent.T @ recurrent, np.eye(32), atol=1e-5)


def test_keras_config_makes_the_layer() -> None:
    options = {"strides": (2, 1), "padding": "same", "return_sequences": True, "dropout": 0.25, "seed": 4}
    theirs = keras().layers.ConvLSTM2D(3, 2, kernel_regularizer="l2", **options).get_config()
    own = layers.ConvLSTM2D(3, 2, kernel_regularizer="l2", **options).get_config()
    assert {name for name in theirs if name not in own} == {
        "kernel_constraint", "recurrent_constraint", "bias_constraint", "activity_regularizer",
    }  # fmt: skip
    for name in ("filters", "padding", "data_format", "use_bias", "unit_forget_bias", "dropout", "seed"):
        assert own[name] == theirs[name]
    assert layers.ConvLSTM2D.from_config(own).get_config() == own


def test_a_model_is_trained_saved_and_loaded(tmp_path: Path) -> None:
    nabi.layers.reset_names()
    entry = layers.Input((T, 6, 5, 2))
    hidden = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, recurrent_dropout=0.1, seed=1)(
        entry
    )
    assert hidden.shape == (None, T, 6, 5, 3)
    output = layers.Dense(2, activation="softmax")(
        layers.GlobalAveragePooling2D()(layers.ConvLSTM2D(4, 3)(hidden))
    )
    model = nabi.Model(entry, output)
    model.compile("adam", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(16, T, 6, 5, 2)).astype("float32")
    y = (x[:, -1].mean((1, 2, 3)) > x[:, 0].mean((1, 2, 3))).astype("int64")
    history = model.fit(x, y, epochs=15, batch_size=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model.nabi")
    again = nabi.models.load_model(tmp_path / "model.nabi")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_penalties_and_double_precision() -> None:
    x = inputs(2).double()
    layer = layers.ConvLSTM2D(3, 3, dtype="float64", kernel_regularizer="l2", activity_regularizer="l2")
    assert layer(x).dtype is torch.float64
    assert len(layer.losses) == 2
    assert torch.autograd.gradcheck(lambda one: layer(one), x.clone().requires_grad_())


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: layers.ConvLSTM2D(2, 3, strides=2, dilation_rate=2), ArgumentError, "not compatible with"),
        (lambda: layers.ConvLSTM2D(2, (3, 3, 3)), ArgumentError, "kernel_size: expected"),
        (lambda: layers.ConvLSTM2D(0, 3), ArgumentError, "filters: expected"),
        (lambda: layers.ConvLSTM2D(2, 3, padding="causal"), ArgumentError, "padding: "),
        (lambda: layers.ConvLSTM2D(2, 3, data_format="last"), ArgumentError, "data_format: "),
        (lambda: layers.ConvLSTM2D(2, 3, kernel_constraint="max_norm"), ArgumentError, "not supported"),
        (lambda: layers.ConvLSTMCell(4, 2, 3), ArgumentError, "rank: expected"),
        (lambda: layers.ConvLSTM2D(2, 3)(torch.zeros(2, 5, 8, 1)), ShapeError, r"5 axes \(batch, time, rows"),
        (lambda: layers.ConvLSTM2D(2, 3)(torch.zeros(2, 5, 2, 8, 1)), ShapeError, "at least 3 × 3 positions"),
        (lambda: layers.ConvLSTM2D(2, 3).build((None, 5, None, 8, 1)), ShapeError, "needs the sizes of"),
        (lambda: layers.ConvLSTM2D(2, 3).build((None, 5, 8, 8, None)), ShapeError, "needs the sizes of"),
        (lambda: layers.ConvLSTM2D(2, 3, sizes=4), ArgumentError, "sizes"),
    ],
)  # fmt: skip
def test_errors(make: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_errors_of_calls() -> None:
    layer = layers.ConvLSTM2D(2, 3)
    layer(torch.zeros(2, 5, 8, 8, 1))
    with pytest.raises(ShapeError, match="was built for 1 channels, got 3"):
        layer(torch.zeros(2, 5, 8, 8, 3))
    with pytest.raises(ShapeError, match=r"mask: .* expected the shape \(2, 5\)"):
        layer(torch.zeros(2, 5, 8, 8, 1), mask=torch.ones(2, 4))
    with pytest.raises(ShapeError, match=r"states: .* expected two of shape"):
        layer.cell(torch.zeros(2, 8, 8, 1), [torch.zeros(2, 6, 6, 2)])
    assert layer(torch.zeros(2, 5, 9, 7, 1)).shape == (2, 7, 5, 2)  # another size of picture, same weights
    kept = layers.ConvLSTM2D(2, 3, stateful=True)
    kept(torch.zeros(2, 5, 8, 8, 1))
    with pytest.raises(ShapeError, match=r"has states of shape \(2, 6, 6, 2\), but inputs of shape"):
        kept(torch.zeros(2, 5, 9, 7, 1))
