"""Tests that take turns: `@pytest.mark.rotates(days=4)` runs a fourth of a test's cases on each day.

For families of cases that test the same code with other numbers, cells or settings, each of which compiles
or trains for seconds. In so many days every case comes up once. `NABI_TEST_AGREEMENT=all` runs all of them,
and so does whoever names a test: `pytest tests/a.py::test_b`.

Tests of native code take turns in another way as well: LLVM compiles it with full effort, which takes seven
times as long as hardly any, in every third of a test's runs (`at_full_effort`).
"""

import os
from collections import Counter
from datetime import date
from zlib import crc32

import pytest

__all__ = ["at_full_effort", "day", "everything", "leave_out"]

_DAY = "NABI_TEST_DAY"


def everything() -> bool:
    """Whether all cases are to be tested, not those of today."""
    return os.environ.get("NABI_TEST_AGREEMENT") == "all"


def day() -> int:
    """The number of today, which all processes of a run agree on, over midnight as well."""
    return int(os.environ.setdefault(_DAY, str(date.today().toordinal())))


def _whole(config: pytest.Config) -> bool:
    """Whether nothing takes turns: everything is asked for, or tests are named."""
    return everything() or any("::" in argument for argument in config.args)


def at_full_effort(item: pytest.Item) -> bool:
    """Whether a test of native code compiles it today as for users: in every third of the test's runs."""
    if _whole(item.config):
        return True
    marker = item.get_closest_marker("rotates")
    # Runs are counted, not days, so that days that are left out put no test off for good.
    run = day() // (1 if marker is None else marker.kwargs["days"])
    return (run + crc32(item.nodeid.encode())) % 3 == 0


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cases whose turn is not today."""
    if _whole(config):
        return
    seen: Counter[str] = Counter()
    kept, left = [], []
    for item in items:
        marker = item.get_closest_marker("rotates")
        if marker is None:
            kept.append(item)
            continue
        function = item.nodeid.partition("[")[0]
        # Different tests begin at different places, so that single cases do not all come up on one day.
        turn = (seen[function] + crc32(function.encode()) + day()) % marker.kwargs["days"]
        seen[function] += 1
        (left if turn else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept
