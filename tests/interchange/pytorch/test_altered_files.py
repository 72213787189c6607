"""Altered files of other programs end in one kind of error or are read, soon and in little memory.

`NABI_ALTERED_FILES=1000` tries so many of each kind instead of a few.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import try_files

COUNT = int(os.environ.get("NABI_ALTERED_FILES", "40"))


@pytest.mark.timeout(300 + COUNT)
def test_altered_files_end_in_one_error_or_are_read(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.interchange.pytorch.try_files", str(tmp_path), str(COUNT)]
    root = Path(__file__).parents[3]
    ended = subprocess.run(program, capture_output=True, text=True, check=False, cwd=root)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert [one["kind"] for one in told] == list(try_files.KINDS)
    for one in told:
        assert one["faults"] == [], one
        assert one["good"] == ["works", ""]
        # An alteration that nothing notices, or that nothing survives, tries nothing.
        assert one["counts"]["works"] > 0, one
        assert one["counts"]["refused"] > COUNT // 4, one
