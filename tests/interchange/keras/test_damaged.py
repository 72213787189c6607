"""Damaged Keras files end in `FileFormatError` or in a model, soon and in little memory.

`NABI_ALTERED_FILES=1000` tries so many damages of each file instead of a few.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("h5py")

COUNT = int(os.environ.get("NABI_ALTERED_FILES", "24"))
FILES = ("keras3_states.keras", "keras2_h5.h5", "keras3_states.weights.h5")


@pytest.mark.timeout(300 + 2 * COUNT)
def test_damaged_files_end_in_an_error_that_names_the_file(tmp_path: Path) -> None:
    asked = [
        sys.executable,
        "-m",
        "tests.interchange.keras.try_damaged",
        str(tmp_path),
        "0",
        str(COUNT),
        *FILES,
    ]
    ended = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    told = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    at = (tmp_path / "in work").read_text() if (tmp_path / "in work").exists() else "the beginning"
    assert ended.returncode == 0, f"it ended with {ended.returncode} at {at}: {ended.stderr[-2000:]}"
    assert [one for one in told if "counts" not in one] == []
    assert [one["file"] for one in told] == list(FILES)
    for one in told:
        # A damage that nothing notices, or that nothing survives, tries nothing.
        assert one["counts"]["works"] > COUNT // 8, one
        assert one["counts"]["refused"] > COUNT // 4, one
