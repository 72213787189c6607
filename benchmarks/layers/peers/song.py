"""Training on the song 나비야 as in the recipe, one epoch of 50 windows per call, in each library.

A stateful LSTM of 128 units, softmax over 12 notes, Adam, batches of one. All start with the same weights;
the results are the mean losses of the first two epochs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.layers.arrays import Array, uniform
from benchmarks.layers.work import Work
from nabi.data import NABIYA, NOTES, encode_notes, windows

__all__ = ["jax_song", "keras_song", "nabi_song", "torch_song"]

UNITS, STEPS = 128, 4
RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7  # Keras' Adam
EPOCHS_OF_A_FIT = 5


def data() -> tuple[Array, Any]:
    heard, following = windows(encode_notes(NABIYA), STEPS)
    return (heard[:, :, None] / (len(NOTES) - 1)).astype(np.float32), np.asarray(following, np.int64)


def weights(classes: int) -> list[Array]:
    """Return the weights in Keras' layout: those of the LSTM, then those of the dense layer."""
    random = np.random.default_rng(0)
    shapes = [(1, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,), (UNITS, classes), (classes,)]
    return [uniform(random, shape, UNITS**-0.5) for shape in shapes]


def work(
    epoch: Callable[[], Any], note: str, timed: Callable[[], Any] | None = None, epochs: int = 1
) -> Work:
    first = [float(epoch()) for _ in range(2)]
    parts = len(data()[0]) * epochs
    return Work(timed or epoch, lambda: {"losses": np.array(first, np.float32)}, parts, note)


def nabi_song() -> Work:
    from nabi.layers import LSTM, Dense
    from nabi.models import Sequential

    model = Sequential([LSTM(UNITS, batch_input_shape=(1, STEPS, 1), stateful=True), Dense(12, "softmax")])
    return keras_like(model, model.reset_states, "fit and reset_states for every epoch")


def keras_like(model: Any, reset: Callable[[], Any], note: str) -> Work:
    x, following = data()
    y = np.eye(12, dtype=np.float32)[following]
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    model.set_weights(weights(12))

    def epoch() -> Any:
        loss = model.fit(x, y, epochs=1, batch_size=1, shuffle=False, verbose=0).history["loss"][0]
        reset()
        return loss

    return work(epoch, note)


def keras_song() -> Work:
    """Make the work of Keras on JAX, whose version 3.15 loses the states between batches of `fit`."""
    import keras

    model = keras.Sequential(
        [
            keras.Input(batch_shape=(1, STEPS, 1)),
            keras.layers.LSTM(UNITS, stateful=True),
            keras.layers.Dense(12, activation="softmax"),
        ]
    )
    made = keras_like(model, model.layers[0].reset_state, f"fit over {EPOCHS_OF_A_FIT} epochs")
    x, following = data()
    y = np.eye(12, dtype=np.float32)[following]

    def timed() -> None:
        # Starting `fit` is expensive in Keras; several epochs share the cost, to Keras' advantage.
        model.fit(x, y, epochs=EPOCHS_OF_A_FIT, batch_size=1, shuffle=False, verbose=0)

    return Work(timed, made.results, len(x) * EPOCHS_OF_A_FIT, made.note)


def torch_song(keeps_state: bool = True) -> Work:
    import torch

    x, following = (torch.from_numpy(each) for each in data())
    lstm, dense = torch.nn.LSTM(1, UNITS), torch.nn.Linear(UNITS, 12)
    kernel, recurrent, bias, dense_kernel, dense_bias = (torch.from_numpy(each) for each in weights(12))
    with torch.no_grad():
        for parameter, value in [
            (lstm.weight_ih_l0, kernel.t()),
            (lstm.weight_hh_l0, recurrent.t()),
            (lstm.bias_ih_l0, bias),
            (dense.weight, dense_kernel.t()),
            (dense.bias, dense_bias),
        ]:
            parameter.copy_(value)
        lstm.bias_hh_l0.zero_()
    # One bias, as in Keras' LSTM: two would learn twice as fast.
    lstm.bias_hh_l0.requires_grad_(False)
    learned = [
        parameter for parameter in (*lstm.parameters(), *dense.parameters()) if parameter.requires_grad
    ]
    optimizer = torch.optim.Adam(learned, RATE, (BETA_1, BETA_2), EPSILON)
    inputs = [each[:, None] for each in x.unbind(0)]  # [T, 1, 1]
    targets = list(following.split(1))

    def epoch() -> float:
        state, total = None, torch.zeros(())
        for window, target in zip(inputs, targets, strict=True):
            output, (h, c) = lstm(window, state)
            loss = torch.nn.functional.cross_entropy(dense(output[-1]), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            state = (h.detach(), c.detach()) if keeps_state else None
            total += loss.detach()
        return float(total) / len(inputs)

    return work(epoch, "a loop over the windows")


def jax_song() -> Work:
    import jax
    import jax.numpy as jnp

    x, following = (jnp.asarray(each) for each in data())
    given = [jnp.asarray(each) for each in weights(12)]
    zeros = [jnp.zeros_like(each) for each in given]

    def loss_of(weights: Any, state: Any, window: Any, target: Any) -> Any:
        kernel, recurrent, bias, dense_kernel, dense_bias = weights
        h, c = state
        for row in window @ kernel + bias:
            i, f, g, o = jnp.split(row + h @ recurrent, 4)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return -jax.nn.log_softmax(h @ dense_kernel + dense_bias)[target], (h, c)

    def step(carry: Any, pair: Any) -> Any:
        weights, first, second, number, state = carry
        (loss, state), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, state, *pair)
        number = number + 1
        first = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(first, gradients, strict=True)]
        second = [BETA_2 * v + (1 - BETA_2) * g * g for v, g in zip(second, gradients, strict=True)]
        rate = RATE * jnp.sqrt(1 - BETA_2**number) / (1 - BETA_1**number)
        weights = [
            w - rate * m / (jnp.sqrt(v) + EPSILON) for w, m, v in zip(weights, first, second, strict=True)
        ]
        return (weights, first, second, number, state), loss

    @jax.jit
    def epoch_of(weights: Any, first: Any, second: Any, number: Any) -> Any:
        state = jnp.zeros(UNITS), jnp.zeros(UNITS)
        carry, losses = jax.lax.scan(step, (weights, first, second, number, state), (x, following))
        return carry[:4], losses.mean()

    learned = [given, zeros, zeros, jnp.zeros(())]

    def epoch() -> Any:
        learned[:], loss = epoch_of(*learned)
        return jax.block_until_ready((list(learned), loss))[1]

    return work(epoch, "a jitted scan over the whole epoch")
