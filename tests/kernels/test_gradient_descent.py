"""Native steps of SGD and RMSprop are those of torch's optimizers, to within rounding."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor
from torch.nn import Parameter

from nabi.errors import NabiError
from nabi.kernels import RMSpropOptions, SGDOptions, rmsprop_steps, sgd_steps
from nabi.kernels._code import _gradient_descent, _updates
from nabi.native import OTHER_MACHINES, threads as _threads

from ..native.machines import called_by, needs_native

pytestmark = needs_native

Tensors = list[Tensor]
DTYPES = st.sampled_from([torch.float32, torch.float64])
COUNTS = st.lists(st.integers(1, 70), min_size=1, max_size=4)


def random(counts: list[int], dtype: torch.dtype, seed: int) -> Tensors:
    torch.manual_seed(seed)
    return [torch.randn(count, dtype=dtype) for count in counts]


def zeros(weights: Tensors) -> Tensors:
    return [torch.zeros_like(weight) for weight in weights]


def by_torch(kind: Any, weights: Tensors, gradients: list[Tensors], **options: Any) -> list[Parameter]:
    made = [Parameter(weight.clone()) for weight in weights]
    optimizer = kind(made, **options)
    for one in gradients:
        for weight, gradient in zip(made, one, strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
    return made


def assert_close(found: Tensors, expected: list[Parameter]) -> None:
    rounding = torch.finfo(found[0].dtype).eps
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other.detach(), rtol=16 * rounding, atol=16 * rounding)


@settings(max_examples=40, deadline=None)
@given(
    counts=COUNTS,
    dtype=DTYPES,
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    nesterov=st.booleans(),
    dampening=st.sampled_from([0.0, 0.25]),
    decay=st.sampled_from([0.0, 0.01]),
    maximize=st.booleans(),
)
def test_sgd_is_torchs(
    counts: list[int], dtype: torch.dtype, momentum: float, nesterov: bool, dampening: float, decay: float,
    maximize: bool,
) -> None:  # fmt: skip
    nesterov = nesterov and momentum > 0
    dampening = 0.0 if nesterov else dampening
    weights, gradients = random(counts, dtype, 0), [random(counts, dtype, 1 + i) for i in range(4)]
    expected = by_torch(
        torch.optim.SGD, weights, gradients, lr=0.1, momentum=momentum, nesterov=nesterov,
        dampening=dampening, weight_decay=decay, maximize=maximize,
    )  # fmt: skip
    # torch begins with the first gradient, without dampening: the same as a momentum that led to it.
    first = [-one if maximize else one for one in gradients[0]]
    first = [one + decay * weight for one, weight in zip(first, weights, strict=True)]
    momenta = [dampening * one / momentum if momentum else one for one in first]
    sgd = sgd_steps(weights, momenta if momentum else None)
    assert sgd is not None
    for one in gradients:
        options = SGDOptions(0.1, momentum, dampening, nesterov, decay, maximize=maximize)
        assert sgd.step(weights, one, options)
    assert_close(weights, expected)


@settings(max_examples=40, deadline=None)
@given(
    counts=COUNTS,
    dtype=DTYPES,
    momentum=st.sampled_from([0.0, 0.9]),
    centered=st.booleans(),
    decay=st.sampled_from([0.0, 0.01]),
    maximize=st.booleans(),
)
def test_rmsprop_is_torchs(
    counts: list[int], dtype: torch.dtype, momentum: float, centered: bool, decay: float, maximize: bool
) -> None:
    weights, gradients = random(counts, dtype, 0), [random(counts, dtype, 1 + i) for i in range(4)]
    expected = by_torch(
        torch.optim.RMSprop, weights, gradients, lr=0.01, alpha=0.9, eps=1e-5, momentum=momentum,
        centered=centered, weight_decay=decay, maximize=maximize,
    )  # fmt: skip
    counters = [torch.tensor(float(i)) for i in range(len(counts))]
    rmsprop = rmsprop_steps(
        weights, zeros(weights), zeros(weights) if centered else None, zeros(weights) if momentum else None,
        counters,
    )  # fmt: skip
    assert rmsprop is not None
    for one in gradients:
        options = RMSpropOptions(0.01, 0.9, 1e-5, momentum, centered, decay, maximize=maximize)
        assert rmsprop.step(weights, one, options)
    assert_close(weights, expected)
    assert [float(counter) for counter in counters] == [4.0 + i for i in range(len(counts))]


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, found = [1000, 3, 16, 33], []
    for threads in (1, 2, 3):
        monkeypatch.setattr(_threads, "threads_for", lambda work, threads=threads: threads)
        weights = random(counts, torch.float32, 0)
        steps = rmsprop_steps(weights, zeros(weights), None, zeros(weights))
        assert steps is not None
        for number in range(3):
            steps.step(weights, random(counts, torch.float32, number), RMSpropOptions(0.1, 0.9, 1e-7, 0.5))
        found.append(weights)
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_a_state_that_is_asked_for_and_not_there_changes_nothing() -> None:
    weights, gradients = random([20], torch.float32, 0), random([20], torch.float32, 1)
    before = weights[0].clone()
    sgd, rmsprop = sgd_steps(weights), rmsprop_steps(weights, zeros(weights))
    assert sgd is not None
    assert rmsprop is not None
    assert not sgd.step(weights, gradients, SGDOptions(0.1, 0.9))
    assert not rmsprop.step(weights, gradients, RMSpropOptions(0.1, 0.9, 1e-7, centered=True))
    assert rmsprop.prepare(weights, gradients, RMSpropOptions(0.1, 0.9, 1e-7, 0.9)) is None
    assert torch.equal(weights[0], before)
    assert sgd.step(weights, gradients, SGDOptions(0.5))
    assert torch.allclose(weights[0], before - 0.5 * gradients[0])


def test_states_are_looked_at() -> None:
    weights = random([20], torch.float32, 0)
    with pytest.raises(NabiError, match=r"momentum: expected shape \(20,\)"):
        sgd_steps(weights, [torch.zeros(19)])
    with pytest.raises(NabiError, match=r"square_avg: expected a contiguous tensor"):
        rmsprop_steps(weights, [torch.zeros(40)[::2]])


@pytest.mark.usefixtures("full_effort")
@pytest.mark.parametrize("name", OTHER_MACHINES)
@pytest.mark.parametrize("rule", [_gradient_descent.SGD, _gradient_descent.RMSPROP], ids=["SGD", "RMSprop"])
def test_code_for_other_machines(name: str, rule: _updates.Rule) -> None:
    machine = OTHER_MACHINES[name]
    allowed = {"_fltused", *(("fma", "fmaf") if "sse" in name else ())}
    assert called_by(_updates.write(rule, machine), machine) <= allowed
