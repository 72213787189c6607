"""What tests of several pages share: one browser, and a folder for the pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .browser import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def torch_only() -> Iterator[None]:
    """Trainings of a few steps take less time without compiling anything for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NABI_NATIVE", "0")
        yield
