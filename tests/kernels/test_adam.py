"""Adam in native code: what torch's kernel computes, in every setting, whatever the number of threads."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from nabi.kernels import AdamOptions, adam_steps
from nabi.kernels._code import _adam, _updates
from nabi.native import OTHER_MACHINES, threads as _threads

from ..native.machines import called_by, needs_native

pytestmark = needs_native

USUAL: dict[str, Any] = {
    "rate": 0.01, "betas": (0.9, 0.999), "epsilon": 1e-7, "decay": 0.0, "decoupled": False, "maximize": False,
}  # fmt: skip
Tensors = list[Tensor]


def tensors(counts: list[int], dtype: torch.dtype, steps: int) -> tuple[Tensors, Tensors, Tensors, Tensors]:
    """Weights, means, squares and counters in the middle of a training."""
    torch.manual_seed(0)
    weights = [torch.randn(count, dtype=dtype) for count in counts]
    means = [0.1 * torch.randn(count, dtype=dtype) for count in counts]
    squares = [0.01 * torch.rand(count, dtype=dtype) for count in counts]
    return weights, means, squares, [torch.tensor(float(steps + i)) for i in range(len(counts))]


def run(counts: list[int], dtype: torch.dtype, steps: int, chosen: dict[str, Any]) -> list[Tensors]:
    """Three native steps."""
    weights, means, squares, counters = made = tensors(counts, dtype, steps)
    adam = adam_steps(weights, means, squares, counters)
    assert adam is not None
    for number in range(3):
        assert adam.step(weights, gradients(weights, number), AdamOptions(**chosen))
    return list(made)


def gradients(weights: Tensors, number: int) -> Tensors:
    torch.manual_seed(number)
    return [torch.randn_like(weight) for weight in weights]


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    steps=st.sampled_from([0, 1, 7, 1000, 123456]),
    decay=st.sampled_from([0.0, 0.01]),
    decoupled=st.booleans(),
    maximize=st.booleans(),
    betas=st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)]),
)
def test_steps_are_those_of_torchs_kernel(
    counts: list[int], dtype: torch.dtype, steps: int, betas: tuple[float, float], **options: Any
) -> None:
    chosen = {**USUAL, **options, "betas": betas}
    found = run(counts, dtype, steps, chosen)
    expected = tensors(counts, dtype, steps)
    kernel: Any = torch._fused_adamw_ if chosen["decoupled"] else torch._fused_adam_
    weights, means, squares, counters = expected
    for number in range(3):
        for counter in counters:
            counter.add_(1)
        kernel(
            weights, gradients(weights, number), means, squares, [], counters, lr=chosen["rate"],
            beta1=betas[0], beta2=betas[1], weight_decay=chosen["decay"], eps=chosen["epsilon"],
            amsgrad=False, maximize=chosen["maximize"],
        )  # fmt: skip
    rounding = torch.finfo(dtype).eps
    for own, theirs in zip(found, expected, strict=True):
        for one, other in zip(own, theirs, strict=True):
            assert torch.allclose(one, other, rtol=8 * rounding, atol=4 * rounding)


def test_rounding_is_no_larger_than_torchs() -> None:
    exact, native, plain = (
        tensors([5000], kind, 20) for kind in (torch.float64, torch.float32, torch.float32)
    )
    for one, other in zip(exact[:3], native[:3], strict=True):
        one[0].copy_(other[0])
    for one, other in zip(plain[:3], native[:3], strict=True):
        one[0].copy_(other[0])
    adam = adam_steps(*native)
    assert adam is not None
    slope = gradients(native[0], 0)
    adam.step(native[0], slope, AdamOptions(**USUAL))
    for made, slopes in ((exact, [slope[0].double()]), (plain, slope)):
        made[3][0].add_(1)
        torch._fused_adam_(
            made[0], slopes, made[1], made[2], [], made[3], lr=0.01, beta1=0.9, beta2=0.999,
            weight_decay=0.0, eps=1e-7, amsgrad=False, maximize=False,
        )  # type: ignore[call-overload]  # fmt: skip
    for place in range(3):
        own, theirs = (float((made[place][0] - exact[place][0]).abs().mean()) for made in (native, plain))
        assert own <= 1.05 * theirs


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [1000, 3, 16, 33]
    alone = run(counts, torch.float32, 5, USUAL)
    for threads in (2, 3):
        monkeypatch.setattr(_threads, "threads_for", lambda work, threads=threads: threads)
        together = run(counts, torch.float32, 5, USUAL)
        for one, other in zip(alone, together, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_settings_may_change_from_step_to_step() -> None:
    one, other = tensors([20], torch.float32, 3), tensors([20], torch.float32, 3)
    changing = adam_steps(*one)
    assert changing is not None
    for number, rate in enumerate((0.1, 0.01, 0.1)):
        fresh = adam_steps(*other)
        assert fresh is not None
        for adam, made in ((changing, one), (fresh, other)):
            adam.step(
                made[0],
                gradients(made[0], number),
                AdamOptions(**{**USUAL, "rate": rate, "decay": number / 100}),
            )
    assert torch.equal(one[0][0], other[0][0])


def test_a_gradient_that_is_not_finite_reaches_its_own_weight_alone() -> None:
    made = tensors([40], torch.float32, 3)
    adam = adam_steps(*made)
    assert adam is not None
    slopes = gradients(made[0], 0)
    slopes[0][17] = math.nan
    adam.step(made[0], slopes, AdamOptions(**USUAL))
    assert made[0][0].isnan().nonzero().tolist() == [[17]]


def test_weights_that_lie_elsewhere_are_refused() -> None:
    weights, means, squares, counters = tensors([20], torch.float32, 3)
    adam = adam_steps(weights, means, squares, counters)
    assert adam is not None
    assert not adam.step([weights[0].clone()], gradients(weights, 0), AdamOptions(**USUAL))
    assert counters[0] == 3


def test_torch_does_what_native_code_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert adam_steps(*tensors([20], torch.bfloat16, 3)) is None
    monkeypatch.setenv("NABI_NATIVE", "0")
    assert adam_steps(*tensors([20], torch.float32, 3)) is None


@pytest.mark.usefixtures("full_effort")
@pytest.mark.parametrize("name", OTHER_MACHINES)
def test_code_for_other_machines(name: str) -> None:
    machine = OTHER_MACHINES[name]
    allowed = {"_fltused", *(("fma", "fmaf") if "sse" in name else ())}
    assert called_by(_updates.write(_adam.ADAM, machine), machine) <= allowed
