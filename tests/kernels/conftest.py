"""Kernels are tested as users get them."""

import pytest


@pytest.fixture(autouse=True)
def _as_users_get_it(full_effort: None) -> None:
    """Compile as for users."""
