"""What is bound at the first batch of a shape serves the others; nothing of a batch stays for the next."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from nabi.layers import GRU, LSTM, Bidirectional, Dense, Embedding
from nabi.models import Sequential
from nabi.training import Step
from nabi.utils import set_random_seed

TIME, WORDS = 6, 7


def model_of(masked: bool) -> Sequential:
    set_random_seed(0)
    first = Embedding(WORDS, 3, mask_zero=masked, input_length=TIME)
    body = [LSTM(5, return_sequences=True), Bidirectional(GRU(4, return_sequences=True)), LSTM(5)]
    model = Sequential([first, *body, Dense(3, "tanh"), Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def batches() -> Iterator[tuple[Tensor, Tensor, None]]:
    """Batches of two sizes, with padding in front, behind, everywhere, and without any."""
    random = np.random.default_rng(0)
    steps = np.arange(TIME)
    for number in range(10):
        size = 4 if number % 4 else 1
        x = random.integers(1, WORDS, (size, TIME))
        lengths = random.integers(0, TIME + 1, (size, 1))
        hidden = [steps >= lengths, steps < TIME - lengths, random.random((size, TIME)) < 0.5][number % 3]
        if number not in (3, 7):
            x[hidden] = 0
        yield torch.as_tensor(x), torch.as_tensor(random.integers(0, 2, size)).float(), None


def trained(model: Sequential, *, anew: bool) -> list[float]:
    """The losses, with what was bound for the last batch or with nothing of it."""
    compiled, losses = model.compiled, []
    compiled.bind(model.trainable_weights)
    model.train(True)
    step = Step(model, compiled)
    for batch in batches():
        if anew:
            step = Step(model, compiled)
        assert step.without_autograd
        compiled.reset_figures()
        step.train(batch)
        losses.append(compiled.mean_loss.last)
    return losses


@pytest.mark.parametrize("masked", [False, True])
def test_nothing_of_a_batch_stays_for_the_next(masked: bool) -> None:
    once, anew = model_of(masked), model_of(masked)
    assert trained(once, anew=False) == trained(anew, anew=True)
    assert all(map(torch.equal, once.weights, anew.weights))


@pytest.mark.parametrize("masked", [False, True])
def test_weights_that_get_other_memory_between_two_batches_are_seen(masked: bool) -> None:
    def giving_memory(model: Sequential) -> Iterator[tuple[Tensor, Tensor]]:
        for number, (x, y, _) in enumerate(batches()):
            if number == 4:
                for weight in model.weights:
                    weight.data = weight.data * 0.5
            yield x, y

    moved, slow = model_of(masked), model_of(masked)
    slow.register_forward_hook(lambda module, inputs, outputs: None)
    losses = [model.fit(giving_memory(model), verbose=0).history["loss"] for model in (moved, slow)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    for one, other in zip(moved.weights, slow.weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
