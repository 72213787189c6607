"""Training without autograd: the same numbers as with it, and only where nothing needs autograd."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi import cells, layers
from nabi.errors import ArgumentError
from nabi.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalMaxPooling1D,
    MaxPooling1D,
    SimpleRNN,
    SpatialDropout1D,
)
from nabi.models import Sequential
from nabi.training import Step
from nabi.utils import set_random_seed

from ...examples import examples

BATCH, TIME, WIDTH, CLASSES = 3, 4, 2, 5
LOSSES = {
    "categorical_crossentropy": "softmax",
    "sparse_categorical_crossentropy": "softmax",
    "binary_crossentropy": "sigmoid",
    "mse": None,
    "mae": "tanh",
    "huber": "relu",
}


def targets(loss: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    if loss == "sparse_categorical_crossentropy":
        return random.integers(0, shape[-1], shape[:-1])
    if loss == "categorical_crossentropy":
        return np.eye(shape[-1])[random.integers(0, shape[-1], shape[:-1])]
    return random.random(shape)


def gradients(model: Sequential, batch: tuple[Any, ...], direct: bool) -> tuple[float, list[torch.Tensor]]:
    """The loss of a step and the gradients that it leaves, with weights that stand still."""
    model.compiled.bind(model.trainable_weights)
    model.compiled.reset_figures()
    model.train(True)
    step = Step(model, model.compiled)
    assert step.without_autograd is direct
    step.train(batch)
    model.train(False)
    for weight in model.weights:
        assert (weight.grad is not None) is weight.requires_grad
    found = [weight.grad.clone() for weight in model.weights if weight.grad is not None]
    return model.compiled.mean_loss.last, found


def without(model: Sequential) -> Sequential:
    """A copy that is trained with autograd, because a hook listens."""
    other = copy.deepcopy(model)
    other.register_forward_hook(lambda module, inputs, outputs: None)
    return other


def agree(
    model: Sequential, loss: str, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
) -> None:
    """One step directly and one with autograd give the same loss, gradients and states."""
    model.compile("sgd", loss)
    model.optimizer.learning_rate = 1e-30
    other = without(model)
    dtype = model.dtype
    batch = (
        torch.as_tensor(x) if x.dtype == np.int64 else torch.as_tensor(x).to(dtype),
        torch.as_tensor(y) if y.dtype == np.int64 else torch.as_tensor(y).to(dtype),
        None if weights is None else torch.as_tensor(weights).to(dtype),
    )
    for _ in range(2):  # twice, for states that go on
        set_random_seed(4)
        value, found = gradients(model, batch, direct=True)
        set_random_seed(4)
        expected, wanted = gradients(other, batch, direct=False)
        assert value == pytest.approx(expected, rel=1e-5)
        for one, two in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, two)
        for weight in model.trainable_weights:
            assert weight.grad.is_contiguous()
        for name, state in model.get_extra().items():
            torch.testing.assert_close(state, other.get_extra()[name])


BODIES: dict[str, Callable[[Any], list[layers.Layer]]] = {
    "dense": lambda data: [
        Dense(
            data.draw(st.integers(1, 4)),
            data.draw(st.sampled_from(["relu", "tanh", "sigmoid", "softmax", None])),
        ),
        Activation(data.draw(st.sampled_from(["relu", "linear"]))),
    ],
    "flat": lambda data: [Flatten(), Dense(3, "tanh", use_bias=False)],
    "dropout": lambda data: [Dropout(0.4), Dense(3, "tanh"), Dropout(0.3, noise_shape=(None, 1, 1))],
    "spatial dropout": lambda data: [layers.SpatialDropout1D(0.4), GRU(3)],
    "rnn": lambda data: [SimpleRNN(4, return_sequences=data.draw(st.booleans()))],
    "lstm": lambda data: [
        LSTM(3, return_sequences=True, stateful=data.draw(st.booleans())),
        LSTM(4, stateful=True, go_backwards=data.draw(st.booleans())),
    ],
    "gru": lambda data: [
        GRU(3, return_sequences=True, use_bias=data.draw(st.booleans())),
        GRU(2, reset_after=False),
    ],
    "peephole": lambda data: [RNN(cells.PeepholeLSTM(4), return_sequences=data.draw(st.booleans()))],
}


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("body", BODIES)
@settings(max_examples=examples(8), deadline=None)
@given(data=st.data())
def test_a_direct_step_is_a_step_with_autograd(body: str, data: Any) -> None:
    loss = data.draw(st.sampled_from(sorted(LOSSES)))
    batch = data.draw(st.sampled_from([1, BATCH]))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    width = data.draw(st.sampled_from([1, WIDTH]))
    first = layers.InputLayer(
        batch_shape=(batch, TIME, width), dtype=data.draw(st.sampled_from(["float32", "float64"]))
    )
    middle = BODIES[body](data)
    readout: list[layers.Layer] = [Dense(CLASSES, LOSSES[loss])]
    if data.draw(st.booleans()):
        readout = [Dense(CLASSES), Activation(LOSSES[loss])]
    model = Sequential([first, *middle, *readout])
    if first.dtype is torch.float64:
        model.double()
    frozen = data.draw(st.sampled_from([None, 0, 1]))
    if frozen is not None:
        model.layers[frozen].trainable = False
    x = random.normal(size=(batch, TIME, width))
    y = targets(loss, tuple(size or batch for size in model.output_shape), random)
    weights = data.draw(st.sampled_from([None, random.random(batch)]))
    agree(model, loss, x, y, weights)


TEXTS: dict[str, Callable[[Any], list[layers.Layer]]] = {
    "lecture": lambda data: [
        Dropout(0.25),
        Conv1D(6, data.draw(st.sampled_from([1, 3])), activation="relu", padding=data.draw(PADDING)),
        MaxPooling1D(2, data.draw(st.sampled_from([1, 2, 3])), data.draw(st.sampled_from(["valid", "same"]))),
        LSTM(3),
    ],
    "convolutions": lambda data: [
        Conv1D(4, 2, strides=data.draw(st.integers(1, 2)), groups=2, use_bias=data.draw(st.booleans())),
        Conv1D(3, 2, dilation_rate=2, padding=data.draw(st.sampled_from(["same", "causal"]))),
        GlobalMaxPooling1D(keepdims=data.draw(st.booleans())),
    ],
    "equal steps": lambda data: [  # where nothing is dropped, the same words give the same numbers
        Conv1D(6, 1, activation=data.draw(st.sampled_from(["relu", "linear", "tanh"]))),
        MaxPooling1D(3),
        Flatten(),
    ],
    "recurrent": lambda data: [SpatialDropout1D(0.3), GRU(4, return_sequences=True), GlobalMaxPooling1D()],
    "flat": lambda data: [Flatten(), Dense(4, "tanh")],
}
PADDING = st.sampled_from(["valid", "same", "causal"])


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize("body", TEXTS)
@settings(max_examples=examples(8), deadline=None)
@given(data=st.data())
def test_a_direct_step_over_whole_numbers(body: str, data: Any) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    words, time = 5, data.draw(st.integers(5, 9))
    model = Sequential([Embedding(words, 4, input_length=time), *TEXTS[body](data), Dense(1, "sigmoid")])
    if data.draw(st.booleans()):
        model.double()
    frozen = data.draw(st.sampled_from([None, 0, 2]))
    if frozen is not None:
        model.layers[frozen].trainable = False
    x = random.integers(0, words, (BATCH, time))
    y = random.integers(0, 2, tuple(size or BATCH for size in model.output_shape)).astype(float)
    agree(model, "binary_crossentropy", x, y)


MASKED: dict[str, Callable[[Any], list[layers.Layer]]] = {
    "lecture": lambda data: [
        Dropout(0.25),
        Conv1D(4, 3, activation=data.draw(st.sampled_from(["relu", "tanh"])), padding=data.draw(PADDING)),
        MaxPooling1D(*data.draw(st.sampled_from([(2, 1, "same"), (2, 2), (2, 3), (3, 1)]))),
        LSTM(3),
    ],
    "strides": lambda data: [
        Conv1D(4, 2, strides=2),
        Conv1D(3, 2, padding="causal", dilation_rate=2),
        GlobalMaxPooling1D(),
    ],
    "stack": lambda data: [
        SpatialDropout1D(0.3),
        LSTM(4, return_sequences=True),
        Dense(3, "tanh"),
        GRU(3, go_backwards=data.draw(st.booleans())),
        Dropout(0.2),
    ],
    "both ways": lambda data: [
        Bidirectional(LSTM(3, return_sequences=True)),
        Bidirectional(GRU(2, return_sequences=data.draw(st.booleans()))),
        *data.draw(st.sampled_from([[], [Flatten()]])),
    ],
    "largest": lambda data: [
        Bidirectional(LSTM(3, return_sequences=True)),
        GlobalMaxPooling1D(keepdims=data.draw(st.booleans())),
        Flatten(),
    ],
}
IN_FRONT = ("lecture", "strides")


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("body", MASKED)
@settings(max_examples=examples(10), deadline=None)
@given(data=st.data())
def test_a_direct_step_under_a_mask(body: str, data: Any) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    words, time = 5, 9
    middle = MASKED[body](data)
    if body == "both ways" and not isinstance(middle[-1], Flatten):
        middle = [*middle, GlobalMaxPooling1D()] if middle[1].return_sequences else middle
    elif body == "both ways":
        middle = middle if not middle[1].return_sequences else [*middle[:-1], GlobalMaxPooling1D()]
    model = Sequential([Embedding(words, 4, mask_zero=True, input_length=time), *middle, Dense(1, "sigmoid")])
    if data.draw(st.booleans()):
        model.double()
    if data.draw(st.booleans()):
        model.layers[0].trainable = False
    x = random.integers(1, words, (BATCH, time))
    lengths = np.array(data.draw(st.lists(st.integers(0, time), min_size=BATCH, max_size=BATCH)))
    place = np.arange(time)
    if body in IN_FRONT or data.draw(st.booleans()):
        x[place >= lengths[:, None]] = 0
    else:
        x[place < time - lengths[:, None]] = 0
    model.compile("sgd", "mse")
    chain = Step(model, model.compiled)._chain
    assert chain is not None
    assert chain.takes(torch.as_tensor(x))
    agree(model, "binary_crossentropy", x, random.integers(0, 2, (BATCH, 1)).astype(float))


def test_masks_of_batches_do_not_stay() -> None:
    """A batch with padding, one whose loss is not finite, one without padding, one filled up in front."""
    batches = [[[1, 2, 3, 0, 0, 0]], [[1, 0, 0, 0, 0, 0]], [[1, 2, 3, 4, 3, 2]], [[0, 0, 0, 1, 2, 3]]]
    y = torch.ones(1, 1)
    losses = []
    for listen in (False, True):
        set_random_seed(0)
        stack = [Conv1D(3, 2, activation="relu"), MaxPooling1D(2), LSTM(3), Dense(1)]
        model = Sequential([Embedding(5, 4, mask_zero=True, input_length=6), *stack])
        model.compile("adam", "mse")
        model = without(model) if listen else model
        model.compiled.bind(model.trainable_weights)
        step, found = Step(model, model.compiled), []
        for number, x in enumerate(batches):
            model.compiled.reset_figures()
            target = y * float("inf") if number == 1 else y
            step.train((torch.tensor(x), target, None))
            found.append(model.compiled.mean_loss.last)
        losses.append(found)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_numbers_that_have_no_vector_are_refused() -> None:
    model = Sequential([Embedding(4, 2, input_length=3), Flatten(), Dense(1)])
    model.compile("adam", "mse")
    assert Step(model, model.compiled).without_autograd
    with pytest.raises(ArgumentError, match=r"whole numbers from 0 to 3, got 0 to 4"):
        model.fit(np.array([[0, 1, 4]]), np.ones(1), verbose=0)
    # Numbers with a point are taken as the layer takes them.
    model.fit(np.array([[0.0, 1.0, 3.0]]), np.ones(1), verbose=0)


def test_losses_on_logits() -> None:
    random = np.random.default_rng(0)
    for loss in (
        layers_loss("CategoricalCrossentropy", from_logits=True),
        layers_loss("BinaryCrossentropy", from_logits=True),
        layers_loss("CategoricalCrossentropy", label_smoothing=0.1),
        layers_loss("MeanSquaredError", reduction="sum"),
    ):
        model = Sequential([Dense(CLASSES, input_dim=WIDTH)])
        y = np.eye(CLASSES)[random.integers(0, CLASSES, BATCH)]
        agree(model, loss, random.normal(size=(BATCH, WIDTH)), y)


def layers_loss(name: str, **options: Any) -> Any:
    import nabi.losses

    return getattr(nabi.losses, name)(**options)
