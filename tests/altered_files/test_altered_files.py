"""Altered files of every kind end in an error of nabi's or in a model that works, soon and in little memory.

`NABI_ALTERED_FILES=3000` tries so many of each kind instead of a few.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import altered_samples
from .alterations import alter, pack, unpack

COUNT = int(os.environ.get("NABI_ALTERED_FILES", "24"))
# Kinds that one process tries.
TOGETHER = [list(altered_samples.SAMPLES)[begin::4] for begin in range(4)]


@pytest.mark.rotates(days=4)
@pytest.mark.timeout(300 + 2 * COUNT)
@pytest.mark.parametrize("kinds", TOGETHER, ids=["0", "1", "2", "3"])
def test_altered_files_end_in_an_error_of_nabis_or_in_a_model_that_works(
    tmp_path: Path, kinds: list[str], fresh: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    program = "import sys\nfrom tests.altered_files.try_files import main\nmain(*sys.argv[1:])"
    ended = fresh(program, tmp_path, 0, COUNT, *kinds)
    told = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    at = (tmp_path / "in work").read_text() if (tmp_path / "in work").exists() else "the beginning"
    assert ended.returncode == 0, f"it ended with {ended.returncode} at {at}: {ended.stderr[-2000:]}"
    assert [one for one in told if "counts" not in one] == []
    assert {one["kind"] for one in told} == set(kinds)
    for one in told:
        # An alteration that nothing notices, or that nothing survives, tries nothing.
        assert one["counts"]["works"] > 0, one
        assert one["counts"]["refused"] > COUNT // 4, one


def test_alterations_follow_from_their_number(tmp_path: Path) -> None:
    altered_samples.write("weights", tmp_path / "good")
    content = (tmp_path / "good").read_bytes()
    assert unpack(pack(*unpack(content))) == unpack(content)
    altered = [alter(content, seed) for seed in range(60)]
    assert altered == [alter(content, seed) for seed in range(60)]
    assert len(set(altered)) > 50
    assert content not in altered[:3]
