"""Random models, with random masks, lengths and states; `benchmarks/onnx_fuzz.py` runs thousands."""

import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings, strategies as st

from .random_models import compare, compare_module

SEEDS = st.integers(0, 1 << 30)
FEW = settings(
    max_examples=int(os.environ.get("NABI_RANDOM_ONNX", "6")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FEW
@given(SEEDS)
def test_random_stacks_of_layers(tmp_path: Path, seed: int) -> None:
    difference = compare(seed, tmp_path / "model.onnx")
    assert difference.found < difference.allowed


@FEW
@given(SEEDS)
def test_random_stacks_of_cells(tmp_path: Path, seed: int) -> None:
    difference = compare_module(seed, tmp_path / "module.onnx")
    assert difference.found < difference.allowed
