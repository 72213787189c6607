"""A small weight is the float32 tensor that it stands for, within the error of its kind."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from nabi.errors import ArgumentError, UnknownNameError
from nabi.small_weights import KINDS, SmallWeight, arrays_of, as_dense, as_kind, shrink, small_parameter

kinds = pytest.mark.parametrize("kind", list(KINDS))


def matrix(outputs: int, inputs: int, seed: int, size: float = 1.0) -> Tensor:
    return torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed)) * size


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 99), st.sampled_from([1e-20, 1.0, 1e4]),
    st.sampled_from([0, 1]),
)  # fmt: skip
def test_int8_is_within_half_a_step_of_its_output(
    outputs: int, inputs: int, seed: int, size: float, axis: int
) -> None:
    values = matrix(outputs, inputs, seed, size)
    small = shrink(values, "int8", axis)
    step = values.abs().amax(1 - axis, keepdim=True) / 127
    assert ((as_dense(small) - values).abs() <= step * 0.50001).all()
    assert as_dense(small).shape == small.shape == values.shape


@given(st.lists(st.integers(1, 4), min_size=3, max_size=4), st.integers(0, 99), st.integers(0, 3))
def test_a_kernel_has_a_scale_for_each_output(shape: list[int], seed: int, axis: int) -> None:
    axis %= len(shape)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    small = shrink(values, "int8", axis)
    assert small.stored.scales.shape == (shape[axis],)
    others = [other for other in range(len(shape)) if other != axis]
    step = values.abs().amax(others, keepdim=True) / 127
    assert ((as_dense(small) - values).abs() <= step * 0.50001).all()
    turned = small.transpose(0, 1)  # of a matrix this is a small weight, too
    torch.testing.assert_close(turned, as_dense(small).transpose(0, 1), rtol=0, atol=0)
    torch.testing.assert_close(as_dense(copy.deepcopy(small)), as_dense(small), rtol=0, atol=0)


@given(st.integers(0, 99), st.sampled_from([("float16", 2.0**-11), ("bfloat16", 2.0**-8)]))
def test_halves_are_rounded(seed: int, kind: tuple[str, float]) -> None:
    values = matrix(5, 4, seed)
    error = (as_dense(shrink(values, kind[0], 0)) - values).abs()
    assert (error <= values.abs() * kind[1] + 1e-7).all()


def test_an_output_of_zeros_stays_zero() -> None:
    values = torch.tensor([[0.0, 0.0], [1.0, -2.0]])
    assert as_dense(shrink(values, "int8", 0))[0].tolist() == [0.0, 0.0]


@kinds
def test_torch_sees_the_float32_tensor(kind: str) -> None:
    small = small_parameter(shrink(matrix(6, 5, 1), kind, 0))
    dense, x = as_dense(small), matrix(3, 5, 2)
    assert isinstance(small, torch.nn.Parameter)
    assert (small.dtype, small.numel(), small.requires_grad) == (torch.float32, 30, False)
    for one in (small.T, small.t(), small.transpose(0, 1)):
        assert isinstance(one, SmallWeight)
        torch.testing.assert_close(as_dense(one), dense.T, rtol=0, atol=0)
    torch.testing.assert_close(torch.nn.functional.linear(x, small), x @ dense.T)
    places = torch.tensor([[1, 0], [5, 5]])
    torch.testing.assert_close(torch.nn.functional.embedding(places, small), dense[places])
    torch.testing.assert_close(torch.nn.functional.embedding(torch.tensor([4]), small.T), dense.T[[4]])
    np.testing.assert_array_equal(small.detach().numpy(), dense.numpy())
    assert (small * 2).tolist() == (dense * 2).tolist()


@kinds
def test_copies_are_of_their_own(kind: str) -> None:
    small = small_parameter(shrink(matrix(6, 5, 1), kind, 1))
    before = as_dense(small).clone()
    for other in (copy.deepcopy(small), pickle.loads(pickle.dumps(small)), small.clone()):
        assert isinstance(other, SmallWeight)
        with torch.no_grad():
            other.copy_(torch.ones(6, 5))
        torch.testing.assert_close(as_dense(other), torch.ones(6, 5))
        assert torch.equal(as_dense(small), before)
    turned = copy.deepcopy(small).T
    with torch.no_grad():
        turned.copy_(small.T)
    assert torch.equal(as_dense(turned), before.T)


def test_what_is_refused() -> None:
    small = small_parameter(shrink(matrix(2, 3, 1), "int8", 0))
    with pytest.raises(ArgumentError, match="expected float32 weights to train, got int8"):
        small.requires_grad_()
    with pytest.raises(ArgumentError, match=r"or copy_\(\), got add_\(\)"):
        small.add_(1.0)
    with pytest.raises(ArgumentError, match="kernel: expected float32 weights, got torch"):
        shrink(matrix(2, 3, 1).double(), "int8", 0, "kernel")
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ArgumentError, match="kernel: expected finite weights"):
            shrink(torch.full((2, 2), wrong), "int8", 0, "kernel")
    with pytest.raises(ArgumentError, match="weights that float16 can hold, got 1e"):
        shrink(torch.full((2, 2), 1e6), "float16", 0)
    with pytest.raises(UnknownNameError, match="'int4' is not known"):
        as_kind("int4")


def test_arrays_for_files() -> None:
    tensors = {
        "a": shrink(matrix(4, 3, 1), "int8", 0),
        "b": shrink(matrix(4, 3, 1), "float16", 0),
        "c": torch.ones(2),
    }
    found = arrays_of(tensors)
    assert {name: (tuple(one.shape), one.dtype) for name, one in found.items()} == {
        "a": ((4, 3), torch.int8),
        "a.scale": ((4,), torch.float32),
        "b": ((4, 3), torch.float16),
        "c": ((2,), torch.float32),
    }


@kinds
def test_a_module_with_another_dtype_has_ordinary_weights(kind: str) -> None:
    layer = torch.nn.Linear(5, 6)
    layer._parameters["weight"] = small = small_parameter(shrink(matrix(6, 5, 1), kind, 0))
    dense, x = as_dense(small).double(), matrix(3, 5, 2).double()
    layer.double()
    torch.testing.assert_close(layer(x), x @ dense.T + layer.bias)
    torch.testing.assert_close(layer.weight.T, dense.T)
    assert copy.deepcopy(layer)(x).dtype is torch.float64
    gradient = torch.autograd.grad(layer(x.requires_grad_()).sum(), x)[0]
    torch.testing.assert_close(gradient, dense.sum(0).expand(3, 5))
