"""A hand-written recurrent layer in JAX: a jitted `lax.scan` after the input projection."""

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.layers.arrays import Arrays, layer_arrays
from benchmarks.layers.points import Task
from benchmarks.layers.work import Work

__all__ = ["make"]

Weights = dict[str, jax.Array]
# Unroll factors of the loop: JAX users try several, so the fastest counts.
UNROLLS = (1, 4)


def make(name: str, task: Task, threads: int) -> Work | list[Work]:
    if os.cpu_count() != threads and "NPROC" not in os.environ:
        raise RuntimeError("NPROC is not set; XLA takes its number of threads from it")
    if task["subject"] == "song":
        from benchmarks.layers.peers import song

        return song.jax_song()
    return [layer(task, unroll) for unroll in UNROLLS]


def layer(task: Task, unroll: int) -> Work:
    arrays = layer_arrays(task)
    weights = own_weights(task["cell"], arrays)
    forward = FORWARD[task["cell"]]
    x, cotangent = jnp.asarray(arrays["x"]), jnp.asarray(arrays["cotangent"])

    def infer(weights: Weights, x: jax.Array) -> Any:
        return forward(weights, x, unroll)

    def train(weights: Weights, x: jax.Array, cotangent: jax.Array) -> Any:
        output, back = jax.vjp(infer, weights, x)
        return output, *back(cotangent)

    note = f"scan(unroll={unroll})"
    if task["kind"] == "inference":
        compiled = jax.jit(infer)
        return Work(
            lambda: compiled(weights, x).block_until_ready(),
            lambda: {"output": np.asarray(compiled(weights, x))},
            note=note,
        )
    compiled = jax.jit(train)

    def results() -> Arrays:
        output, d_weights, d_x = compiled(weights, x, cotangent)
        gradients = torch_gradients(task["cell"], {key: np.asarray(d) for key, d in d_weights.items()})
        return {"output": np.asarray(output), "x": np.asarray(d_x), **gradients}

    return Work(lambda: jax.block_until_ready(compiled(weights, x, cotangent)), results, note=note)


def own_weights(cell: str, arrays: Arrays) -> Weights:
    """Return weights in the usual JAX layout: applied from the right, without redundant biases."""
    weights = {"w": arrays["w_x"].T, "u": arrays["w_h"].T}
    if cell == "gru":
        units = weights["u"].shape[0]
        weights["b"] = arrays["b_x"] + np.r_[arrays["b_h"][: 2 * units], np.zeros(units, np.float32)]
        weights["b_n"] = arrays["b_h"][2 * units :]
    else:
        weights["b"] = arrays["b_x"] + arrays["b_h"]
    return {key: jnp.asarray(np.ascontiguousarray(value)) for key, value in weights.items()}


def torch_gradients(cell: str, own: dict[str, Any]) -> Arrays:
    gradients = {"w_x": own["w"].T, "w_h": own["u"].T, "b_x": own["b"], "b_h": own["b"]}
    if cell == "gru":
        gradients["b_h"] = np.r_[own["b"][: -len(own["b_n"])], own["b_n"]]
    return gradients


def simple_rnn(weights: Weights, x: jax.Array, unroll: int) -> jax.Array:
    projected = x @ weights["w"] + weights["b"]

    def step(h: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh(row + h @ weights["u"])
        return h, h

    zeros = jnp.zeros((x.shape[1], weights["u"].shape[0]), x.dtype)
    return lax.scan(step, zeros, projected, unroll=unroll)[1]


def lstm(weights: Weights, x: jax.Array, unroll: int) -> jax.Array:
    projected = x @ weights["w"] + weights["b"]

    def step(state: tuple[jax.Array, jax.Array], row: jax.Array) -> Any:
        h, c = state
        i, f, g, o = jnp.split(row + h @ weights["u"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], weights["u"].shape[0]), x.dtype)
    return lax.scan(step, (zeros, zeros), projected, unroll=unroll)[1]


def gru(weights: Weights, x: jax.Array, unroll: int) -> jax.Array:
    projected = x @ weights["w"] + weights["b"]

    def step(h: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
        r_x, z_x, n_x = jnp.split(row, 3, axis=-1)
        r_h, z_h, n_h = jnp.split(h @ weights["u"], 3, axis=-1)
        z = jax.nn.sigmoid(z_x + z_h)
        n = jnp.tanh(n_x + jax.nn.sigmoid(r_x + r_h) * (n_h + weights["b_n"]))
        h = n + z * (h - n)
        return h, h

    zeros = jnp.zeros((x.shape[1], weights["u"].shape[0]), x.dtype)
    return lax.scan(step, zeros, projected, unroll=unroll)[1]


FORWARD: dict[str, Callable[[Weights, jax.Array, int], jax.Array]] = {
    "simple-rnn": simple_rnn,
    "lstm": lstm,
    "gru": gru,
}
