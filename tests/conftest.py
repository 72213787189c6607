"""What all tests share: where compiled kernels lie, and a count of other projects' tests at the end."""

import os
import tempfile
from pathlib import Path

import pytest

# Worker processes and the processes that tests start inherit this: no kernel is compiled twice, and the
# user's own cache stays as it is. Code that is hardly optimised does the same in the same order, and is made
# in a tenth of the time; tests/llvm tests what users get.
if "NABI_CACHE_DIR" not in os.environ:
    _folder = tempfile.TemporaryDirectory(prefix="nabi-kernels-")
    os.environ["NABI_CACHE_DIR"] = str(Path(_folder.name) / "cache")
os.environ.setdefault("NABI_LLVM_EFFORT", "0")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Recorded as properties of a test, because what a worker process prints is lost.
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "foreign tests":
                    terminalreporter.write_line(str(value))
