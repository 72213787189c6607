"""`derived.skew_exponential` against torch's `matrix_exp`: values, and derivatives of all kinds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies
from torch import Tensor

from nabi.ir import _skew_exponential
from nabi.ir.derived import skew_exponential


def plain(v: Tensor) -> Any:
    return torch.linalg.matrix_exp(v - v.mT)


def weighted(f: Callable[[Tensor], Tensor], v: Tensor) -> Tensor:
    """A number with another derivative for every entry."""
    g = torch.linspace(-1, 1, v.shape[-1] ** 2, dtype=v.dtype).reshape(v.shape[-2:])
    return (f(v) * g).sum()


def gradient(f: Callable[[Tensor], Tensor], v: Tensor) -> Tensor:
    v = v.detach().requires_grad_()
    return torch.autograd.grad(weighted(f, v), v)[0]


@settings(deadline=None, max_examples=12)
@given(
    strategies.integers(1, 5), strategies.integers(0, 10**6), strategies.sampled_from([0.0, 1e-9, 1.0, 30.0])
)
def test_values_and_gradients_are_those_of_torch(n: int, seed: int, size: float) -> None:
    v = size * torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(skew_exponential(v.requires_grad_()), plain(v), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradient(skew_exponential, v), gradient(plain, v), rtol=0, atol=1e-11)


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi])
def test_equal_eigenvalues(angle: float) -> None:
    # Three planes turn by the same angle, so every eigenvalue is there three times.
    v = torch.block_diag(*[torch.tensor([[0.0, angle], [0.0, 0.0]], dtype=torch.float64)] * 3)
    torch.testing.assert_close(gradient(skew_exponential, v), gradient(plain, v), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(skew_exponential, v.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_at_least_as_exact_as_those_of_torch(dtype: torch.dtype) -> None:
    v = torch.randn(40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 3
    exact = gradient(plain, v)
    found, usual = (
        float((gradient(f, v.to(dtype)).double() - exact).abs().max()) for f in (skew_exponential, plain)
    )
    assert found < (usual if dtype == torch.float32 else 1e-11)


def test_derivatives_of_derivatives_and_of_torch_func() -> None:
    v = torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    one = v[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(skew_exponential, one)
    assert torch.autograd.gradgradcheck(skew_exponential, one)

    def compare(
        transform: Callable[[Callable[[Tensor], Tensor]], Callable[..., Any]], *given: Tensor
    ) -> None:
        torch.testing.assert_close(transform(skew_exponential)(*given), transform(plain)(*given))

    compare(torch.vmap, v)
    compare(lambda f: torch.vmap(torch.func.grad(lambda v: weighted(f, v))), v)
    compare(lambda f: torch.func.hessian(lambda v: weighted(f, v)), v[0])
    compare(lambda f: lambda v, e: torch.func.jvp(f, (v,), (e,)), v[0], v[1])
    compare(lambda f: lambda v: gradient(torch.vmap(f), v), v)


def test_the_derivative_takes_no_larger_matrix(monkeypatch: Any) -> None:
    def refuse(a: Tensor) -> Tensor:
        raise AssertionError("torch's was called")

    v = torch.randn(4, 4, generator=torch.Generator().manual_seed(2))
    expected = gradient(plain, v)
    monkeypatch.setattr(torch.linalg, "matrix_exp", refuse)
    torch.testing.assert_close(gradient(skew_exponential, v), expected)


def test_what_is_not_finite_stays_so() -> None:
    v = torch.full((3, 3), torch.nan)
    assert skew_exponential(v.requires_grad_()).isnan().all()
    assert gradient(skew_exponential, v).isnan().all()
    assert _skew_exponential.exponential(v.detach()).isnan().all()
