"""The README is true: see tests/test_docs.py for what that means."""

from pathlib import Path

import pytest

from ..test_docs import README, check_examples


def test_the_examples_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_examples(README, tmp_path, monkeypatch)
