"""How many examples Hypothesis draws where each takes long: few in every run, many when they are asked for.

`NABI_TEST_EXAMPLES=10` draws ten times as many.
"""

import os

__all__ = ["examples"]

_TIMES = int(os.environ.get("NABI_TEST_EXAMPLES", "1"))


def examples(count: int) -> int:
    return count * _TIMES
