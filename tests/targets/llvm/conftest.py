"""Native code is tested as users get it."""

import pytest


@pytest.fixture(autouse=True)
def _as_users_get_it(effort_by_turns: None) -> None:
    """Compile as for users, by turns."""
