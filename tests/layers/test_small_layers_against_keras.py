"""Small layers give the numbers of Keras' layers: outputs, gradients, moving averages."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nabi import layers

# One process computes what Keras gives for all cases: Keras is slow to load and chooses its backend once.
PROGRAM = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
import keras, numpy as np, torch
cases = pickle.load(sys.stdin.buffer)
results = []
for name, options, x, mask, training, steps in cases:
    layer = getattr(keras.layers, name)(**options)
    layer.build(x.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.random(w.shape).astype("float32") + 0.5 for w in layer.get_weights()])
    for _ in range(steps):
        t = torch.tensor(x, requires_grad=True)
        given = {} if mask is None else {"mask": torch.tensor(mask)}
        if training is not None and name == "BatchNormalization":
            given["training"] = training
        y = layer(t, **given)
    (y * torch.tensor(np.cos(np.arange(x.size)).reshape(x.shape).astype("float32"))).sum().backward()
    grads = [w.value.grad for w in layer.trainable_weights]
    results.append((y.detach().numpy(), t.grad.numpy(), [g.numpy() for g in grads], layer.get_weights()))
sys.stdout.buffer.write(pickle.dumps(results))
"""

rng = np.random.default_rng(0)
FLAT = rng.normal(size=(6, 5)).astype("float32")
STEPS = rng.normal(size=(4, 7, 3)).astype("float32")
PICTURE = rng.normal(size=(2, 4, 5, 3)).astype("float32")
MASK = rng.random((4, 7)) > 0.4

CASES: list[tuple[str, dict[str, Any], Any, Any, Any, int]] = [
    ("BatchNormalization", {}, FLAT, None, True, 3),
    ("BatchNormalization", {}, FLAT, None, False, 1),
    ("BatchNormalization", {"momentum": 0.5, "epsilon": 0.1}, STEPS, None, True, 2),
    ("BatchNormalization", {"axis": 1}, STEPS, None, True, 1),
    ("BatchNormalization", {"axis": 2, "center": False}, PICTURE, None, True, 1),
    ("BatchNormalization", {"scale": False}, STEPS, MASK, True, 2),
    ("BatchNormalization", {}, STEPS, MASK, True, 1),
    ("BatchNormalization", {}, STEPS, MASK, False, 1),
    ("BatchNormalization", {"trainable": False}, STEPS, None, True, 2),
    ("BatchNormalization", {}, FLAT[:1], None, True, 1),
    ("LayerNormalization", {}, FLAT, None, None, 1),
    ("LayerNormalization", {"axis": [1, 2], "epsilon": 0.1}, STEPS, None, None, 1),
    ("LayerNormalization", {"scale": False}, PICTURE, None, None, 1),
    ("LayerNormalization", {"center": False}, STEPS, None, None, 1),
    ("RMSNormalization", {}, STEPS, None, None, 1),
    ("RMSNormalization", {"axis": [1, 2], "epsilon": 0.1}, STEPS, None, None, 1),
    ("UnitNormalization", {}, STEPS, None, None, 1),
    ("UnitNormalization", {"axis": [1, 2]}, STEPS, None, None, 1),
    ("ReLU", {}, FLAT, None, None, 1),
    ("ReLU", {"max_value": 0.5}, FLAT, None, None, 1),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.2}, FLAT, None, None, 1),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.4}, FLAT, None, None, 1),
    ("ReLU", {"threshold": 0.4}, FLAT, None, None, 1),
    ("LeakyReLU", {}, FLAT, None, None, 1),
    ("LeakyReLU", {"negative_slope": 0.0}, FLAT, None, None, 1),
    ("ELU", {"alpha": 0.7}, FLAT, None, None, 1),
    ("PReLU", {}, STEPS, None, None, 1),
    ("PReLU", {"shared_axes": [1]}, STEPS, None, None, 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def by_keras(in_keras: Callable[..., bytes]) -> list[Any]:
    results: list[Any] = pickle.loads(in_keras(PROGRAM, pickle.dumps(CASES)))
    return results


@pytest.mark.parametrize(
    "number", range(len(CASES)), ids=[f"{name}-{number}" for number, (name, *_) in enumerate(CASES)]
)
def test_outputs_gradients_and_averages(number: int, by_keras: list[Any]) -> None:
    name, options, x, mask, training, steps = CASES[number]
    layer = getattr(layers, name)(**options)
    layer.build(x.shape)
    drawn = np.random.default_rng(1)
    layer.set_weights([drawn.random(w.shape).astype("float32") + 0.5 for w in layer.get_weights()])
    for _ in range(steps):
        given = torch.tensor(x, requires_grad=True)
        keywords = {} if mask is None else {"mask": torch.tensor(mask)}
        y = layer(given, training=training, **keywords)
    (y * torch.tensor(np.cos(np.arange(x.size)).reshape(x.shape).astype("float32"))).sum().backward()
    wanted = by_keras[number]
    got = (
        y.detach().numpy(),
        given.grad.numpy(),
        [w.grad.numpy() for w in layer.trainable_weights],
        layer.get_weights(),
    )
    for mine, its in zip(got[:2], wanted[:2], strict=True):
        np.testing.assert_allclose(mine, its, rtol=2e-5, atol=2e-5)
    for mine, its in zip([*got[2], *got[3]], [*wanted[2], *wanted[3]], strict=True):
        np.testing.assert_allclose(mine, its, rtol=2e-5, atol=2e-5)
