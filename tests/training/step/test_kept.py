"""What a small model is trained by waits for its next epoch, and whatever changes in between is seen."""

import copy
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nabi import layers
from nabi.callbacks import LambdaCallback
from nabi.layers import GRU, LSTM, Dense
from nabi.models import Model, Sequential
from nabi.utils import set_random_seed

TIME, WIDTH, CLASSES = 4, 2, 3
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(6, TIME, WIDTH)), np.eye(CLASSES)[RANDOM.integers(0, CLASSES, 6)]


def made(**options: Any) -> Sequential:
    set_random_seed(0)
    model = Sequential([GRU(4, input_shape=(TIME, WIDTH)), Dense(5, "tanh"), Dense(CLASSES, "softmax")])
    model.compile("adam", "categorical_crossentropy", **options)
    return model


def fit(model: Any, **options: Any) -> list[float]:
    losses: list[float] = model.fit(X, Y, batch_size=2, shuffle=False, verbose=0, **options).history["loss"]
    return losses


def kept(model: Any) -> Any:
    return model.compiled.spare[0] if model.compiled.spare else None


def forget(model: Any) -> None:
    model.compiled.spare.clear()


def test_an_epoch_a_fit_is_trained_by_the_same() -> None:
    model = made()
    fit(model)
    first = kept(model)
    assert first is not None
    fit(model, epochs=2)
    assert kept(model) is first


def test_many_fits_give_what_one_does() -> None:
    one, several = made(), made()
    losses = fit(one, epochs=4)
    assert [fit(several)[0] for _ in range(4)] == losses


def replace_activation(model: Sequential) -> None:
    model.layers[1].activation = torch.sigmoid


def add_hook(model: Sequential) -> None:
    model.layers[1].register_forward_hook(lambda module, inputs, output: 2 * output)


def replace_method(model: Sequential) -> None:
    layer = model.layers[1]
    own = layer.call
    layer.call = lambda inputs: 3 * own(inputs)


def give_other_memory(model: Sequential) -> None:
    for weight in model.weights:
        weight.data = weight.data * 0.5


def replace_weight(model: Sequential) -> None:
    layer = model.layers[1]
    layer.kernel = torch.nn.Parameter(layer.kernel.detach() * 2)
    compile_again(model)


def compile_again(model: Sequential) -> None:
    model.compile("adam", "categorical_crossentropy")


def freeze(model: Sequential) -> None:
    model.layers[0].trainable = False
    compile_again(model)


def add_layer(model: Sequential) -> None:
    model.pop()
    model.add(Dense(CLASSES, "softmax", kernel_initializer="ones"))
    compile_again(model)


def another_loss(model: Sequential) -> None:
    model.compile("adam", "mse")


CHANGES: list[Callable[[Sequential], None]] = [
    replace_activation, add_hook, replace_method, give_other_memory, replace_weight, freeze, add_layer,
    another_loss,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_between_two_fits_is_seen(change: Callable[[Sequential], None]) -> None:
    changed, anew = made(), made()
    for model in (changed, anew):
        fit(model)
        change(model)
    forget(anew)
    assert fit(changed, epochs=2) == fit(anew, epochs=2)
    for own, other in zip(changed.get_weights(), anew.get_weights(), strict=True):
        assert np.array_equal(own, other)


def test_a_copy_is_trained_by_its_own() -> None:
    model = made()
    fit(model)
    twin = copy.deepcopy(model)
    assert kept(twin) is None
    assert fit(twin, epochs=2) == fit(model, epochs=2)
    assert kept(twin) is not kept(model)


def test_nothing_is_kept_where_somebody_looks_on() -> None:
    model = made()
    seen: list[torch.Tensor] = []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.weights[0].grad))
    fit(model, epochs=2, callbacks=[look])
    assert kept(model) is None
    assert not torch.equal(seen[0], seen[1])


def test_gradients_of_single_batches_are_their_own() -> None:
    model = made()
    fit(model)
    model.train_on_batch(X[:2], Y[:2])
    first = model.weights[0].grad
    before = first.clone()
    model.train_on_batch(X[2:4], Y[2:4])
    assert torch.equal(first, before)


def test_a_stateful_layer_goes_on_from_states_that_were_set() -> None:
    set_random_seed(0)
    model = Sequential(
        [LSTM(3, batch_input_shape=(2, TIME, WIDTH), stateful=True), Dense(CLASSES, "softmax")]
    )
    model.compile("sgd", "categorical_crossentropy")
    other = copy.deepcopy(model)
    for one in (model, other):
        fit(one)
        one.layers[0].reset_state([np.ones((2, 3)), np.zeros((2, 3))])
    forget(other)
    assert fit(model) == fit(other)
    model.reset_states()
    assert fit(model) != fit(other)


def test_what_is_large_is_not_kept() -> None:
    model = Sequential([Dense(2, input_shape=(1,)), Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((1 << 20, 1))
    model.fit(x, x, batch_size=len(x), verbose=0)
    assert kept(model) is None
    model.fit(x[:8], x[:8], verbose=0)
    assert kept(model) is not None
    model.fit(x, x, batch_size=len(x), verbose=0)
    assert kept(model) is None


def functional() -> Model:
    x = layers.Input((TIME, WIDTH))
    model = Model(x, Dense(CLASSES, "softmax")(GRU(4)(x)))
    model.compile("adam", "categorical_crossentropy")
    return model


@pytest.mark.parametrize("make", [made, functional])
def test_it_goes_with_its_model(make: Callable[[], Any]) -> None:
    model = make()
    fit(model)
    chain = weakref.ref(kept(model))
    assert chain() is not None
    del model
    gc.collect()
    assert chain() is None
