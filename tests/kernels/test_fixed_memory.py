"""Embeddings and dropout with results in the same memory every time are torch's and those of any size."""

import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi.errors import NabiError
from nabi.kernels import draw_kept, draw_keys, small_dropout, small_embedding
from nabi.kernels._code import _embedding
from nabi.native import OTHER_MACHINES

from ..native.machines import called_by, needs_native

pytestmark = needs_native

DTYPES = st.sampled_from([torch.float32, torch.float64])


@settings(max_examples=30, deadline=None)
@given(
    numbers=st.integers(1, 40), width=st.integers(1, 40), count=st.integers(1, 30), dtype=DTYPES,
    seed=st.integers(0, 9),
)  # fmt: skip
def test_embeddings_are_torchs(numbers: int, width: int, count: int, dtype: torch.dtype, seed: int) -> None:
    torch.manual_seed(seed)
    weight = torch.randn(numbers, width, dtype=dtype)
    embedding = small_embedding(weight, count)
    assert embedding is not None
    for _ in range(2):
        indices, cotangent = torch.randint(0, numbers, (count,)), torch.randn(count, width, dtype=dtype)
        assert torch.equal(embedding.forward(indices), torch.embedding(weight, indices))
        embedding.backward(cotangent)
        assert torch.equal(embedding.gradient, torch.zeros_like(weight).index_add_(0, indices, cotangent))


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3), dtype=DTYPES, rate=st.floats(0.01, 0.99),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_dropout_drops_what_draws_of_any_size_drop(
    shape: list[int], dtype: torch.dtype, rate: float, seed: int
) -> None:
    x, cotangent = torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
    dropout = small_dropout(x, rate)
    assert dropout is not None
    one, other = (torch.Generator().manual_seed(seed) for _ in range(2))
    keys = draw_keys((3,), one)  # all at once, or one by one
    for key in keys:
        kept = draw_kept(x, rate, other)
        assert torch.equal(dropout.forward(x, key), kept.times(x))
        assert torch.equal(dropout.backward(cotangent), kept.times(cotangent))


def test_large_ones_are_left_to_others() -> None:
    assert small_embedding(torch.zeros(1 << 12, 1 << 9), 3) is None
    assert small_embedding(torch.zeros(10, 64), 1 << 11) is None
    assert small_dropout(torch.zeros(1 << 17), 0.5) is None
    assert small_dropout(torch.zeros(5), 0.0) is None
    assert small_dropout(torch.zeros(5), 1.0) is None
    assert small_embedding(torch.zeros(10, 4, dtype=torch.bfloat16), 3) is None


def test_what_does_not_fit_is_refused() -> None:
    embedding, dropout = small_embedding(torch.zeros(10, 4), 3), small_dropout(torch.zeros(5), 0.5)
    assert embedding is not None
    assert dropout is not None
    with pytest.raises(NabiError, match=r"indices: expected torch\.int64"):
        embedding.forward(torch.zeros(3, dtype=torch.int32))
    with pytest.raises(NabiError, match=r"indices: expected shape \(3,\)"):
        embedding.forward(torch.zeros(4, dtype=torch.int64))
    with pytest.raises(NabiError, match=r"x: expected shape \(5,\)"):
        dropout.forward(torch.zeros(6), torch.tensor(1))


@pytest.mark.usefixtures("full_effort")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OTHER_MACHINES)
def test_code_for_other_machines(name: str, dtype: str) -> None:
    machine = OTHER_MACHINES[name]
    assert called_by(_embedding.write(dtype, machine), machine) <= {"_fltused", "memset", "memcpy"}
