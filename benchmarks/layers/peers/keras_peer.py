"""Keras' recurrent layers on JAX and on TensorFlow, each compiled by its backend.

`KERAS_BACKEND` is set before the process starts.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.layers.arrays import Array, Arrays, layer_arrays
from benchmarks.layers.points import Task
from benchmarks.layers.work import Work

__all__ = ["make"]

CLASSES = {"simple-rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
# Positions of Keras' gates among torch's: LSTM the same, i f c o; GRU z r h of r z n.
GATES = {"simple-rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}


def make(name: str, task: Task, threads: int) -> Work | list[Work]:
    if name == "keras-tensorflow":
        import tensorflow as tf

        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    if task["subject"] == "song":
        from benchmarks.layers.peers import song

        return song.keras_song()
    if task["subject"] == "imdb":
        from benchmarks.layers.peers import imdb

        return imdb.keras_imdb(task)
    arrays = layer_arrays(task)
    layer = getattr(keras.layers, CLASSES[task["cell"]])(task["shape"][3], return_sequences=True)
    x, cotangent = (np.ascontiguousarray(arrays[key].swapaxes(0, 1)) for key in ("x", "cotangent"))
    layer.build(x.shape)
    layer.set_weights(own_weights(task["cell"], arrays))
    if name == "keras-jax":
        return on_jax(task, layer, x, cotangent)
    return [on_tensorflow(task, layer, x, cotangent, compiled) for compiled in (False, True)]


def on_jax(task: Task, layer: Any, x: Array, cotangent: Array) -> Work:
    import jax

    weights = [variable.value for variable in layer.trainable_variables]
    others = [variable.value for variable in layer.non_trainable_variables]

    def infer(weights: Any, x: jax.Array) -> Any:
        return layer.stateless_call(weights, others, x, training=False)[0]

    def train(weights: Any, x: jax.Array, cotangent: jax.Array) -> Any:
        forward = lambda weights, x: layer.stateless_call(weights, others, x, training=True)[0]  # noqa: E731
        output, back = jax.vjp(forward, weights, x)
        return output, *back(cotangent)

    given = jax.numpy.asarray(x), jax.numpy.asarray(cotangent)
    if task["kind"] == "inference":
        compiled = jax.jit(infer)
        run = lambda: jax.block_until_ready(compiled(weights, given[0]))  # noqa: E731
        return Work(run, lambda: results(task["cell"], run(), None, []))
    compiled = jax.jit(train)
    run = lambda: jax.block_until_ready(compiled(weights, *given))  # noqa: E731

    def arrays_of_run() -> Arrays:
        output, d_weights, d_x = run()
        return results(task["cell"], output, d_x, d_weights)

    return Work(run, arrays_of_run)


def on_tensorflow(task: Task, layer: Any, x: Array, cotangent: Array, compiled: bool) -> Work:
    import tensorflow as tf

    given = tf.constant(x), tf.constant(cotangent)
    variables = [variable.value for variable in layer.trainable_variables]

    @tf.function(jit_compile=compiled)
    def infer(x: Any) -> Any:
        return layer(x, training=False)

    @tf.function(jit_compile=compiled)
    def train(x: Any, cotangent: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x, training=True)
        return output, tape.gradient(output, [x, *variables], output_gradients=cotangent)

    note = f"tf.function(jit_compile={compiled})"
    run: Callable[[], Any]
    if task["kind"] == "inference":
        # .numpy() waits for the values without copying them.
        run = lambda: infer(given[0]).numpy()  # noqa: E731
        return Work(run, lambda: results(task["cell"], run(), None, []), note=note)

    def run() -> Any:
        output, gradients = train(*given)
        return output.numpy(), [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]

    def arrays_of_run() -> Arrays:
        output, (d_x, *d_weights) = run()
        return results(task["cell"], output, d_x, d_weights)

    return Work(run, arrays_of_run, note=note)


def own_weights(cell: str, arrays: Arrays) -> list[Array]:
    kernel, recurrent = (columns(arrays[key], GATES[cell]) for key in ("w_x", "w_h"))
    if cell == "gru":
        return [kernel, recurrent, np.stack([columns(arrays[key], GATES[cell]) for key in ("b_x", "b_h")])]
    return [kernel, recurrent, columns(arrays["b_x"] + arrays["b_h"], GATES[cell])]


def columns(rows: Array, gates: list[int]) -> Array:
    """Convert torch's rows `[gates · H, ...]` to Keras' gate order and columns `[..., gates · H]`."""
    parts = np.split(rows, len(gates))
    return np.ascontiguousarray(np.concatenate([parts[gate] for gate in gates]).T)


def results(cell: str, output: Any, d_x: Any, d_weights: Any) -> Arrays:
    found: Arrays = {"output": np.asarray(output).swapaxes(0, 1)}
    if d_x is None:
        return found
    kernel, recurrent, bias = (np.asarray(d) for d in d_weights)
    found["x"] = np.asarray(d_x).swapaxes(0, 1)
    # The gate permutations are their own inverses.
    found["w_x"], found["w_h"] = columns(kernel.T, GATES[cell]).T, columns(recurrent.T, GATES[cell]).T
    b_x, b_h = bias if cell == "gru" else (bias, bias)
    found["b_x"], found["b_h"] = columns(b_x, GATES[cell]), columns(b_h, GATES[cell])
    return found
