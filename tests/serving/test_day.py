"""A day of sessions, with a clock that is set forward. `python -m benchmarks.serving_long day` has more."""

import asyncio
import gc

from benchmarks.serving_long import WIDTH, Day
from nabi import Sequential, layers
from nabi.serving import Limits
from nabi.serving._sessions import Session

SESSIONS = 6  # at once, on each server


def test_sessions_of_a_day_are_bounded_and_leave_nothing() -> None:
    model = Sequential([layers.LSTM(4, input_shape=(None, WIDTH)), layers.Dense(4)])
    limits = Limits(sessions=SESSIONS, idle=600.0)
    day = Day(model, hours=24, opened=400, limits=limits, seed=1, says=False)
    asyncio.run(day.passes())
    # All of it has happened, and nothing is left: not even more rows of states than sessions at once.
    for what in ("opened", "refused", "expired", "closed", "left alone", "moved"):
        assert day.counts[what] > 10, day.summary()
    assert day.counts["compared with the whole sequence"] > 5
    assert day.most == SESSIONS
    for models in day.served:
        sessions = models["gauge"].sessions
        assert sessions is not None
        assert len(sessions._steps._states) == 16  # as at the beginning
        assert sorted(sessions._free) == list(range(len(sessions._free)))
        assert len(sessions._free) <= SESSIONS
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, Session) and one.busy]
