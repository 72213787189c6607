"""Native code on guarded memory: that it keeps within its bounds, and that the guard sees what does not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .machines import needs_native

pytestmark = needs_native

ROOT = Path(__file__).parents[2]
ROOMS = [ROOT / "nabi" / room for room in ("native", "kernels", "targets")]
ALL = os.environ.get("NABI_TEST_GUARD") == "all"
LONGEST = 7200 if ALL else 240
"""Seconds that a process may take."""


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NABI_LLVM_EFFORT": "0", **variables}
    command = [sys.executable, "-W", "ignore", "-X", "faulthandler", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST)


PARTS = [
    pytest.param("0", "end", "", id="end"),
    # On a processor without AVX-512 this changes nothing.
    pytest.param("1", "begin", "-avx512f", id="begin-avx2"),
    pytest.param("2", "end", "", id="more-end"),
    pytest.param("3", "begin", "-avx512f", id="more-begin-avx2"),
]


@pytest.mark.rotates(days=4)
@pytest.mark.timeout(LONGEST + 60)
@pytest.mark.parametrize(("part", "place", "features"), PARTS)
def test_native_code_keeps_within_its_memory(part: str, place: str, features: str) -> None:
    chosen = [] if ALL else ["--part", part]
    given = {"NABI_GUARD": place, "NABI_CPU_FEATURES": features} if features else {"NABI_GUARD": place}
    found = run("-m", "tests.native.guarded", *chosen, **given)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-4000:]
    checks = re.fullmatch(rf"(\d+) checks, guard pages at the {place}\n", found.stdout)
    assert checks is not None, found.stdout
    assert int(checks.group(1)) > 150


FAULTS = {
    "reads behind": "crash end",
    "writes behind": "crash end",
    "reads before": "crash begin",
    "writes before": "crash begin",
    "writes what it should read": "crash both",
    "writes behind its arguments": "crash end",
    "leaves an element": "1 of 4 words were not written, the first is number 3",
    "reads working memory": "NaN",
    "is given a number": "expected the address of a tensor",
    "outlives its tensor": "its memory was freed",
    "outlives its working memory": "expected working memory that the block holds",
    "is given one array twice": "they overlap",
    "does all right": "done",
}


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize("place", ["end", "begin"])
def test_the_guard_sees_every_fault(place: str) -> None:
    """Each fault in a process of its own, forked from one that has torch loaded."""
    found = run("-m", "tests.native.faulty", *FAULTS, NABI_GUARD=place)
    assert found.returncode == 0, found.stderr[-4000:]
    lines = dict(line.split(": ", 1) for line in found.stdout.splitlines())
    assert list(lines) == list(FAULTS)
    for fault, expected in FAULTS.items():
        if expected.startswith("crash"):
            seen = expected.endswith(("both", place))
            assert (lines[fault] == "crash") is seen, (fault, lines[fault])
        else:
            assert expected in lines[fault], (fault, lines[fault])


def test_addresses_come_from_one_place() -> None:
    """What turns a tensor into a number says what a kernel does there, so that the guard can look."""
    # `_fallback` asks whether a tensor has memory; `bound` and `_small_weights` compare addresses. These go
    # nowhere.
    allowed = {"addresses.py", "_guard.py", "_fallback.py", "bound.py", "_small_weights.py"}
    for path in sorted(path for room in ROOMS for path in room.rglob("*.py")):
        if path.name not in allowed:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\.(data_ptr|buffer_info)\(", text), path.name
            assert "c_int64 *" not in text, f"{path.name}: a block of arguments comes from `arguments`"
