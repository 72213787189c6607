"""Damaged files: truncated, with other bytes. Nothing but FileFormatError, soon, without much memory."""

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from nabi.errors import FileFormatError
from nabi.interchange import read_onnx

FILES = Path(__file__).parent / "files"
COUNT = int(os.environ.get("NABI_ALTERED_FILES", "60"))


def damaged(data: bytes, seed: int) -> bytes:
    draw = np.random.default_rng(seed)
    if seed % 3 == 0:
        return data[: draw.integers(len(data))]
    changed = bytearray(data)
    for place in draw.integers(0, len(data), int(draw.integers(1, 9))):
        changed[place] = draw.integers(256) if seed % 3 == 1 else changed[place] ^ (1 << draw.integers(8))
    return bytes(changed)


def refusal(path: Path) -> str | None:
    """Read a file; return why it is refused, if it is. Any other exception fails the test."""
    try:
        read_onnx(path)
    except FileFormatError as problem:
        return str(problem)
    return None


@pytest.mark.parametrize("part", range(4))
def test_damaged_files(part: int, tmp_path: Path) -> None:
    paths = sorted(FILES.glob("*.onnx"))
    refused = 0
    for seed in range(part, COUNT, 4):
        source = paths[seed % len(paths)]
        path = tmp_path / "damaged.onnx"
        path.write_bytes(damaged(source.read_bytes(), seed))
        before = time.process_time()
        tracemalloc.start()
        problem = refusal(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if problem is not None:
            refused += 1
            assert str(path) in problem
        assert peak < 200 << 20, (seed, source.name, peak)
        # Tracing memory slows everything down.
        assert time.process_time() - before < 4, (seed, source.name)
    assert refused > COUNT // 16


def test_reading_needs_no_package_for_onnx() -> None:
    program = (
        "import sys\n"
        "from nabi.interchange import read_onnx\n"
        f"read_onnx({str(FILES / 'torch_legacy_gru.onnx')!r})\n"
        "assert not {'onnx', 'onnxruntime', 'google.protobuf', 'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
