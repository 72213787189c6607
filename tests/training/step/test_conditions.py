"""Which models are trained without autograd, and that everything else is trained with it."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nabi import layers
from nabi.errors import ShapeError
from nabi.layers import LSTM, Dense, Flatten
from nabi.models import Sequential
from nabi.training import Step

TIME, WIDTH = 4, 2


def ready(*stack: layers.Layer, loss: Any = "mse", **options: Any) -> Sequential:
    model = Sequential([layers.Input((TIME, WIDTH)), *(stack or (LSTM(3), Dense(2)))])
    model.compile("adam", loss, **options)
    model.compiled.bind(model.trainable_weights)
    return model


def is_direct(model: Sequential) -> bool:
    return Step(model, model.compiled).without_autograd


def test_a_plain_model_is_trained_directly() -> None:
    assert is_direct(ready())
    assert is_direct(ready(metrics=["accuracy"]))


@pytest.mark.parametrize(
    "stack",
    [
        [LSTM(3, kernel_regularizer="l2")],
        [Dense(3, activity_regularizer="l1")],
        [layers.Masking(), LSTM(3)],
        [LSTM(3, dropout=0.1)],
        [LSTM(3, recurrent_dropout=0.1)],
        [LSTM(3, unroll=True)],
        [layers.Bidirectional(LSTM(3, dropout=0.1))],
        [layers.TimeDistributed(Dense(3))],
        [Dense(3, activation=lambda x: x * 2)],
        [Dense(3, activation="gelu")],
        [layers.Conv1D(3, 2, activation="gelu")],
        [Dense(3), layers.Embedding(3, 2)],
        [LSTM(3, return_sequences=True, go_backwards=True)],
    ],
    ids=lambda stack: " ".join(type(layer).__name__ for layer in stack),
)
def test_what_only_autograd_knows(stack: list[layers.Layer]) -> None:
    assert not is_direct(ready(*copy.deepcopy(stack)))


def test_subclasses_hooks_and_replaced_methods_are_heard() -> None:
    class Doubled(Dense):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return 2 * super().call(inputs)

    class Own(Sequential):
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            return 2 * super().call(inputs)

    class Named(Sequential):
        """Changes nothing."""

    assert not is_direct(ready(Doubled(2)))
    for kind, direct in ((Own, False), (Named, True)):
        model = kind([Dense(2, input_dim=2)])
        model.compile("adam", "mse")
        assert is_direct(model) is direct
    for listen in (
        lambda model: model.layers[0].register_forward_hook(lambda *_: None),
        lambda model: model.layers[0].register_full_backward_hook(lambda *_: None),
        lambda model: model.layers[1].kernel.register_hook(lambda gradient: None),
        lambda model: model.layers[1].kernel.register_post_accumulate_grad_hook(lambda weight: None),
        lambda model: model.register_forward_pre_hook(lambda *_: None),
        lambda model: torch.nn.utils.parametrizations.weight_norm(model.layers[1], "kernel"),
        lambda model: setattr(model.layers[1], "call", model.layers[1].call),
    ):
        model = ready()
        listen(model)
        assert not is_direct(model)


@pytest.mark.parametrize(
    ("stack", "direct"),
    [
        ([LSTM(3)], True),
        ([LSTM(3, return_sequences=True)], False),  # the loss takes the mask
        ([layers.TimeDistributed(Dense(3)), LSTM(3)], False),
        ([layers.Conv1D(3, 2, strides=2, padding="same"), LSTM(3)], False),
        ([LSTM(3, zero_output_for_mask=True)], False),
        ([layers.GlobalMaxPooling1D(), Dense(2), Flatten()], True),
        ([Flatten()], False),  # it drops the mask, and says so
        ([layers.Bidirectional(LSTM(3), merge_mode="sum")], False),
        ([layers.Bidirectional(LSTM(3, kernel_regularizer="l2"))], False),
        ([layers.Bidirectional(layers.GRU(3, dropout=0.1))], False),
    ],
    ids=str,
)
def test_masks(stack: list[layers.Layer], direct: bool) -> None:
    model = Sequential([layers.Embedding(3, 2, mask_zero=True, input_length=TIME), *copy.deepcopy(stack)])
    model.compile("adam", "mse")
    assert is_direct(model) is direct


def test_modes_of_torch_are_heard() -> None:
    model = ready()
    with torch.autocast("cpu"):
        assert not is_direct(model)
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        assert not is_direct(model)
    with torch.no_grad():
        assert not is_direct(model)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        assert not is_direct(model)
    with torch.device("meta"):
        assert not is_direct(model)
    with torch.autograd.forward_ad.dual_level():
        assert not is_direct(model)
    with FlopCounterMode(display=False):
        assert not is_direct(model)
    with torch.device("cpu"):  # where new tensors are anyway
        assert is_direct(model)
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert not is_direct(model)
    hook.remove()
    assert is_direct(model)


def test_a_loss_of_the_users_own_may_depend_on_weights() -> None:
    model = ready(Flatten(), Dense(2))
    kernel = model.layers[1].kernel

    def with_penalty(y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
        return ((y_true - y_pred) ** 2).mean(-1) + kernel.square().sum()

    model.compile("sgd", with_penalty)
    x, y = np.zeros((2, TIME, WIDTH)), np.zeros((2, 2))
    before = kernel.detach().clone()
    model.fit(x, y, epochs=1, verbose=0)
    torch.testing.assert_close(kernel.detach(), before * (1 - 0.01 * 2))


def test_tied_weights_add_their_gradients() -> None:
    model = Sequential([Dense(2, input_dim=2, use_bias=False), Dense(2, use_bias=False)])
    model.layers[1].kernel = model.layers[0].kernel
    model.compile("sgd", "mse")
    assert not is_direct(model)


def test_a_wrong_shape_is_refused_as_ever() -> None:
    model = Sequential([LSTM(3, batch_input_shape=(2, TIME, WIDTH), stateful=True), Dense(1)])
    model.compile("adam", "mse")
    assert is_direct(model)
    pairs = [(np.zeros((size, TIME, WIDTH)), np.zeros((size, 1))) for size in (2, 3)]
    with pytest.raises(ShapeError, match="stateful and expected a batch size of 2"):
        model.fit(iter(pairs), verbose=0)
