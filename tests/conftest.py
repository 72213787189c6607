"""Shows at the end of a run how many tests of other projects passed."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Recorded as properties of a test, because what a worker process prints is lost.
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "foreign tests":
                    terminalreporter.write_line(str(value))
