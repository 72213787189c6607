"""Dropout in native code: the numbers of Philox, whatever the machine and the number of threads."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi._row_share import RowShare, having_rows
from nabi.kernels._code import _dropout
from nabi.native import OTHER_MACHINES, threads as _threads
from nabi.targets import draw_kept

from ..native.machines import called_by, needs_native

pytestmark = needs_native

KEY = 0x9E2779B185EBCA87


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 as the paper defines it, with Python's integers."""
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (second >> 32) ^ counter[1] ^ key[0],
            second & 0xFFFFFFFF,
            (first >> 32) ^ counter[3] ^ key[1],
            first & 0xFFFFFFFF,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def test_the_definition_gives_the_numbers_that_its_authors_publish() -> None:
    assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    digits_of_pi = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0]
    assert philox(*digits_of_pi) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def as_key(key: int) -> torch.Tensor:
    """The same 64 bits as a signed number."""
    return torch.tensor((key + 2**63) % 2**64 - 2**63)


def kept(count: int, rate: float, key: int = KEY) -> np.ndarray:
    bits = np.unpackbits(_dropout.draw(count, rate, as_key(key)).numpy(), bitorder="little")
    return bits[:count].astype(bool)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.999999])
def test_bits_are_words_against_a_threshold(rate: float) -> None:
    count = 5 * 64 + 7
    words = [philox([16 * (n // 64) + n % 16, 0, 0, 0], [KEY & 0xFFFFFFFF, KEY >> 32]) for n in range(count)]
    expected = [word[n % 64 // 16] >= rate * 2**32 for n, word in enumerate(words)]
    assert kept(count, rate).tolist() == expected


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), row=st.sampled_from([1, 7, 16, 64, 100]), data=st.data())
def test_a_share_of_the_rows_keeps_what_all_keep(rows: int, row: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, rows - 1))
    share = RowShare(first, data.draw(st.integers(1, rows - first)), rows)
    x = torch.rand(rows, row) + 1
    expected = draw_kept(x, 0.4, torch.Generator().manual_seed(1)).times(x)[share.rows]
    with having_rows(share):
        mine = x[share.rows]
        found = draw_kept(mine, 0.4, torch.Generator().manual_seed(1)).times(mine)
    assert torch.equal(found, expected)


def test_rates_are_met_and_places_do_not_know_each_other() -> None:
    drawn = kept(1_000_000, 0.3).astype(float)
    assert drawn.mean() == pytest.approx(0.7, abs=0.002)
    for apart in (1, 16, 64, 1024):
        both = (drawn[apart:] * drawn[:-apart]).mean()
        assert both == pytest.approx(0.49, abs=0.003)
    other = kept(1_000_000, 0.3, KEY + 1).astype(float)
    assert (drawn * other).mean() == pytest.approx(0.49, abs=0.003)


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 300),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    threads=st.integers(1, 3),
)
def test_thinning_is_a_product(count: int, dtype: torch.dtype, threads: int) -> None:
    x = torch.from_numpy(np.random.default_rng(count).normal(size=count)).to(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "threads_for", lambda work: threads)
        found = _dropout.thin(x, _dropout.draw(count, 0.4, as_key(KEY)), 1 / 0.6)
    mask = torch.from_numpy(kept(count, 0.4)).to(dtype) * torch.tensor(1 / 0.6, dtype=dtype)
    assert torch.equal(found, x * mask)


def test_a_draw_follows_the_generator() -> None:
    like = torch.ones(7, 5)
    first, second = (draw_kept(like, 0.5, torch.Generator().manual_seed(3)).times(like) for _ in range(2))
    assert torch.equal(first, second)
    generator = torch.Generator().manual_seed(3)
    again = [draw_kept(like, 0.5, generator).times(like) for _ in range(2)]
    assert torch.equal(again[0], first)
    assert not torch.equal(again[1], first)
    x = torch.full((7, 5), float("nan"))
    assert draw_kept(like, 0.5, generator).times(x).isnan().all()  # as a product with zero


def test_without_native_code_torch_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NABI_NATIVE", "0")
    drawn = draw_kept(torch.ones(10_000), 0.25, torch.Generator().manual_seed(0))
    assert drawn.values is not None
    assert drawn.times(torch.ones(10_000)).mean().item() == pytest.approx(1, abs=0.03)
    half = draw_kept(torch.ones(9, dtype=torch.float16), 0.25, None)
    assert half.values is not None
    torch.func.vmap(lambda x: draw_kept(x, 0.25, None).times(x), randomness="different")(torch.ones(2, 3))


@pytest.mark.usefixtures("full_effort")
@pytest.mark.parametrize("name", OTHER_MACHINES)
def test_code_for_other_machines(name: str) -> None:
    machine = OTHER_MACHINES[name]
    assert called_by(_dropout.write(machine), machine) <= {"nabi_yield", "_fltused"}
