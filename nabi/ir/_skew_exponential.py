"""The exponential of an antisymmetric matrix, with a derivative that is quicker and closer than torch's.

torch differentiates `matrix_exp` by the exponential of a matrix of twice the size. An antisymmetric matrix A
is normal: `A = U (iλ) Uᴴ` with real λ and unitary U, from the eigenvalues of the Hermitian `-iA`. So
`exp(A) = U e^{iλ} Uᴴ`, and by Daleckii and Krein the derivative in a direction E is `U (Φ ∘ Uᴴ E U) Uᴴ`, with
the divided differences `Φ_jk = (e^{iλ_j} - e^{iλ_k}) / (iλ_j - iλ_k)`. As the values lie on a circle, these
are `e^{i(λ_j + λ_k)/2} sinc((λ_j - λ_k)/2)`, which divides by no small number where eigenvalues are near or
equal (Higham 2008, Functions of Matrices, theorem 3.11).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["exponential"]


def exponential(a: Tensor) -> Tensor:
    """Return the exponential of an antisymmetric matrix of float32 or float64, any number of times derivable.

    Takes torch's where nothing is derived, which is quicker for the value alone, and on other devices than
    CPUs, and where torch compiles, because compilers know no complex numbers.
    """
    is_derived = (a.requires_grad and torch.is_grad_enabled()) or _is_transformed()
    if not is_derived or a.device.type != "cpu" or torch.compiler.is_compiling():
        value: Tensor = torch.linalg.matrix_exp(a)
    else:
        value = _apply(a)[0]
    return value


def _is_transformed() -> bool:
    """Whether one of `torch.func`'s transforms or forward-mode differentiation may look at the value."""
    return torch._C._functorch.peek_interpreter_stack() is not None


class _Exponential(torch.autograd.Function):
    @staticmethod
    def forward(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        try:
            values, vectors = torch.linalg.eigh(torch.complex(torch.zeros_like(a), -a))
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            # not finite: what is refused later, with the name of the weight
            vectors = torch.full_like(a, torch.nan, dtype=a.dtype.to_complex())
            return torch.linalg.matrix_exp(a), vectors.real[..., 0].contiguous(), vectors
        turns = torch.polar(torch.ones_like(values), values)
        return _back(vectors * turns[..., None, :], vectors), values, vectors

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor, Tensor]) -> None:
        _, values, vectors = output
        ctx.mark_non_differentiable(values, vectors)
        ctx.save_for_backward(inputs[0], values, vectors)
        ctx.save_for_forward(values, vectors)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> Tensor:
        a, values, vectors = ctx.saved_tensors
        if torch.is_grad_enabled():  # a derivative of this derivative may follow, which needs a
            return _by_blocks(a.mT, gradient)
        return _in_direction(gradient, -values, vectors)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> tuple[Tensor, None, None]:
        values, vectors = ctx.saved_tensors
        return _in_direction(tangent, values, vectors), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int], a: Tensor) -> tuple[Any, tuple[int, int, int]]:
        return _apply(a.movedim(in_dims[0], 0)), (0, 0, 0)  # all of it takes many at once


_apply: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]] = _Exponential.apply


def _in_direction(e: Tensor, values: Tensor, vectors: Tensor) -> Tensor:
    """Return `U (Φ ∘ Uᴴ E U) Uᴴ`; with the negative of the values it is the adjoint of that map."""
    half = values / 2
    turns = torch.polar(torch.ones_like(half), half)
    # The phase of Φ is a factor of each side, so that a real table is all that is multiplied by.
    left = vectors * turns[..., None, :].conj()
    right = vectors * turns[..., None, :]
    table = torch.sinc((half[..., :, None] - half[..., None, :]) / torch.pi)
    # E is real: two real products take half as long as a complex one.
    turned = torch.complex(left.real.mT @ e, -(left.imag.mT @ e)) @ right
    return _back(vectors @ (turned * table), vectors)


def _back(x: Tensor, vectors: Tensor) -> Tensor:
    """Return the real part of `X Uᴴ`."""
    return x.real @ vectors.real.mT + x.imag @ vectors.imag.mT


def _by_blocks(a: Tensor, e: Tensor) -> Tensor:
    """Return the derivative at a in direction e: a block of the exponential of `[[a, e], [0, a]]`."""
    upper = torch.cat([a, e], -1)
    lower = torch.cat([torch.zeros_like(e), a], -1)
    n = a.shape[-1]
    whole: Tensor = torch.linalg.matrix_exp(torch.cat([upper, lower], -2))
    return whole[..., :n, n:]
