"""Workers on one machine: what they write into memory that all see is what messages would bring."""

import os
from typing import Any

import numpy as np
import pytest
import torch

from nabi import layers, models, optimizers
from nabi.callbacks import LambdaCallback
from nabi.errors import NotFiniteError
from nabi.training._workers import _shared_memory
from nabi.training._workers._group import find_workers
from nabi.training._workers._memory import LargeInMemory
from nabi.training._workers._pieces import Pieces
from nabi.training._workers._shared_memory import SharedMemory
from nabi.utils import set_random_seed
from tests.workers.processes import on_workers

RANDOM = np.random.default_rng(0)
WORDS, WIDTH = 4200, 64  # as many numbers as make a table large
CODES = RANDOM.integers(0, WORDS, size=(60, 9))
CODES[:, 6:] *= RANDOM.integers(0, 2, size=(60, 3))
Y = (CODES.sum(1) % 7)[:, None] / 7.0


class _Sometimes(layers.Layer):
    """Leaves out what it is given, from some call on."""

    calls = 0

    def call(self, x: Any) -> Any:
        self.calls += self.training
        return x if self.calls <= 5 else torch.zeros_like(x)


def _trained(optimizer: Any, between: Any = (), *, mask: bool = True, **how: Any) -> Any:
    """Return history, weights, what the optimizer keeps, and how many steps were made in pieces."""
    steps, update = [], Pieces.update

    def counted(self: Pieces) -> None:
        steps.append(1)
        update(self)

    set_random_seed(3)
    table = layers.Embedding(WORDS, WIDTH, mask_zero=mask)
    model = models.Sequential([table, *between, layers.GRU(5), layers.Dense(1)])
    model.compile(optimizer, "mse")
    Pieces.update = counted  # type: ignore[method-assign]
    try:
        how = {"epochs": 2, "batch_size": 12, "validation_split": 0.2, **how}
        history = model.fit(CODES, Y, verbose=0, **how).history
    finally:
        Pieces.update = update  # type: ignore[method-assign]
    kept = [value for state in model.optimizer.torch_optimizer.state.values() for value in state.values()]
    copies = [one.detach().numpy().copy() for one in (*model.parameters(), *kept)]
    return history, copies, len(steps)


def _adam() -> Any:
    return _trained(optimizers.Adam(0.01))


def _momentum() -> Any:
    return _trained(optimizers.SGD(0.1, momentum=0.9), mask=False)


def _by_autograd() -> Any:
    return _trained(optimizers.Adam(0.01), [layers.LayerNormalization()])


def _clipped() -> Any:
    """The norm of all gradients has to be known, so none is left in pieces."""
    return _trained(optimizers.Adam(0.01, global_clipnorm=1.0))


def _large_batches() -> Any:
    """Most of the table is read."""
    codes = RANDOM.permutation(np.arange(WORDS))[: 60 * 70].reshape(60, 70)
    return _trained_on(codes)


def _trained_on(codes: Any) -> Any:
    set_random_seed(3)
    model = models.Sequential([layers.Embedding(WORDS, WIDTH), layers.GRU(5), layers.Dense(1)])
    model.compile(optimizers.SGD(0.1), "mse")
    history = model.fit(codes, Y, batch_size=60, epochs=3, verbose=0).history
    return history, [one.detach().numpy().copy() for one in model.parameters()], 0


def _left_out() -> Any:
    """From the sixth step on, the table has no gradient."""
    return _trained(optimizers.SGD(0.1, momentum=0.9), [_Sometimes()], mask=False)


def _watched() -> Any:
    """Somebody may look at the weights after every batch."""
    return _trained(optimizers.Adam(0.01), callbacks=[LambdaCallback(on_train_batch_end=lambda *_: None)])


# Of eight steps; the first is made whole, as an optimizer that is new has nothing in pieces yet.
CASES = [(_adam, 7), (_momentum, 7), (_by_autograd, 7), (_clipped, 0), (_left_out, 4), (_watched, 0)]


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize(("train", "in_pieces"), CASES)
@pytest.mark.parametrize("count", [2, 3])
def test_workers_update_pieces_of_what_one_would_update(train: Any, in_pieces: int, count: int) -> None:
    expected = train()
    _are_alike(on_workers(count, train), expected, in_pieces)


def test_a_table_of_which_most_is_read() -> None:
    _are_alike(on_workers(2, _large_batches), _large_batches(), 0)


def _are_alike(found: list[Any], expected: Any, in_pieces: int) -> None:
    for history, numbers, steps in found:
        assert steps == in_pieces
        for name, values in expected[0].items():
            np.testing.assert_allclose(history[name], values, rtol=2e-5, err_msg=name)
        for one, other, first in zip(numbers, expected[1], found[0][1], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
            np.testing.assert_array_equal(one, first)


@pytest.mark.parametrize("train", [_adam, _clipped])
def test_without_such_memory_gradients_travel(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shared_memory, "_make", lambda size: None)
    _are_alike(on_workers(2, train), train(), 0)


def _until_no_number() -> Any:
    """The loss becomes infinite in the second epoch, while weights are in pieces."""
    set_random_seed(3)
    model = models.Sequential([layers.Embedding(WORDS, WIDTH), layers.GRU(5), layers.Dense(1)])
    model.compile(optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(CODES, Y, batch_size=12, verbose=0)
    before = model.layers[0].embeddings.data_ptr()
    with pytest.raises(NotFiniteError):
        model.fit(
            CODES, np.where(np.arange(60)[:, None] < 40, Y, np.inf), batch_size=12, verbose=0, shuffle=False
        )
    table = model.layers[0].embeddings
    (momentum,) = model.optimizer.states_like(table)
    return table.data_ptr() == before, table.detach().numpy().copy(), momentum.numpy().copy()


def test_after_an_error_every_worker_has_all_of_its_own() -> None:
    (own, weights, momentum), (other_own, other_weights, other_momentum) = on_workers(2, _until_no_number)
    assert own
    assert other_own
    np.testing.assert_array_equal(weights, other_weights)
    np.testing.assert_array_equal(momentum, other_momentum)


def _share(lacks: int | None) -> Any:
    workers = find_workers()
    assert workers is not None
    if workers.number == lacks:
        # As on another machine.
        _shared_memory._see = lambda file, size: None  # type: ignore[assignment]
    memory = SharedMemory.of(workers, 1000)
    if memory is None:
        return None
    own = [memory.tensor([3], torch.float32) for _ in range(workers.count)]
    zeros = bool((own[workers.number] == 0).all())
    workers.meet()
    own[workers.number].fill_(workers.number + 1)
    workers.meet()
    return zeros, [one.tolist() for one in own], len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory without a name is Linux's")
@pytest.mark.parametrize("lacks", [None, 0, 1])
def test_all_workers_see_the_same_memory_or_none_does(lacks: int | None) -> None:
    found = on_workers(2, _share, lacks)
    if lacks is None:
        assert [one[:2] for one in found] == [(True, [[1.0] * 3, [2.0] * 3])] * 2
    else:
        assert found == [None, None]


def test_parts_of_a_weight_are_all_of_it() -> None:
    """Also where it does not divide evenly."""
    parts = on_workers(3, _part_of, (521, 503)) + on_workers(3, _part_of, (262_147,))
    for first, second, third in (parts[:3], parts[3:]):
        assert first[0] == 0
        assert (first[1], second[1]) == (second[0], third[0])
        assert third[1] in (521 * 503, 262_147)


def _part_of(shape: tuple[int, ...]) -> Any:
    workers = find_workers()
    assert workers is not None
    weights = [torch.zeros(shape)]
    memory = SharedMemory.of(workers, LargeInMemory.size(weights, 3))
    assert memory is not None
    part = LargeInMemory(weights, workers, memory).part
    return part.start, part.stop
