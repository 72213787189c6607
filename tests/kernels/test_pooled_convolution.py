"""Back through max pooling into a convolution: what autograd gives, by any number of threads."""

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn import functional

from nabi.kernels._code import _pooled_convolution
from nabi.native import OTHER_MACHINES, threads as _threads
from nabi.targets import pooled_convolution

from ..native.machines import called_by, needs_native

pytestmark = needs_native

SIZES = [(1, 3), (2, 16), (3, 20), (5, 40)]  # rows of a filter, and their width: with and without a rest


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.sampled_from(SIZES),
    filters=st.integers(1, 5),
    batch=st.integers(1, 4),
    windows=st.sampled_from([1, 2, 30]),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    pool=st.integers(1, 3),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    threads=st.integers(1, 3),
)
def test_gradients_are_those_of_autograd(
    sizes: tuple[int, int],
    filters: int,
    batch: int,
    windows: int,
    stride: int,
    dilation: int,
    pool: int,
    dtype: torch.dtype,
    threads: int,
) -> None:
    size, width = sizes
    torch.manual_seed(windows)
    steps = (windows * pool - 1) * stride + (size - 1) * dilation + 2
    x = torch.randn(batch, steps, width, dtype=dtype, requires_grad=True)
    kernel = torch.randn(size, width, filters, dtype=dtype, requires_grad=True)
    y = functional.conv1d(x.transpose(1, 2), kernel.permute(2, 1, 0), None, stride, 0, dilation)
    largest, places = functional.max_pool1d(y, pool, return_indices=True)
    cotangent = torch.randn_like(largest)
    expected = torch.autograd.grad(largest, (x, kernel), cotangent)
    gradients = pooled_convolution(kernel, stride, dilation)
    assert gradients is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "threads_for", lambda work: threads)
        arguments = cotangent.transpose(1, 2), places.transpose(1, 2)
        found = (
            gradients.input_gradient(steps, *arguments),
            gradients.kernel_gradient(x.detach(), *arguments),
        )
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two)


def test_what_torch_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pooled_convolution(torch.ones(2, 3, 4, dtype=torch.float16), 1, 1) is None
    assert pooled_convolution(torch.ones(100, 100, 4), 1, 1) is None
    assert pooled_convolution(torch.ones(2, 3, 4), 1, 1) is not None
    monkeypatch.setenv("NABI_NATIVE", "0")
    assert pooled_convolution(torch.ones(2, 3, 4), 1, 1) is None


@pytest.mark.usefixtures("full_effort")
# What has no fused multiply-add never runs; see `why_not`.
@pytest.mark.parametrize("name", [name for name in OTHER_MACHINES if "sse" not in name])
def test_code_for_other_machines(name: str) -> None:
    machine = OTHER_MACHINES[name]
    for dtype in ("float32", "float64"):
        module = _pooled_convolution.write(_pooled_convolution.Shape(3, 20, 1, dtype), machine)
        assert called_by(module, machine) <= {"nabi_yield", "_fltused"}
