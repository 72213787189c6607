"""What a forecaster's networks read: changes of past columns, and products for the linear map."""

from dataclasses import replace

import numpy as np

from nabi.models._forecaster._inputs import Inputs
from nabi.models._forecaster._planning import make_plan

from .toy import shops, small


def read(horizon=8, **changed):
    series_set = shops(3)
    plan = replace(make_plan(series_set, horizon, small().settings), **changed)
    return series_set, plan, Inputs(plan, series_set.frequency).read(series_set.series)


def test_past_columns_come_with_their_changes_and_products():
    series_set, plan, reads = read()
    assert plan.changes == [1, 2, 4, 8]
    for series, one in zip(series_set, reads, strict=True):
        assert one.x.shape == (len(series), plan.width)
        changes, products = one.x[:, plan.read - 4 : plan.read], one.x[:, plan.read :]
        weather = series.past[:, 0]
        for place, steps in enumerate(plan.changes):
            expected = (weather[:-steps] - weather[steps:]) / plan.spreads[0]
            np.testing.assert_allclose(changes[steps:, place], expected, rtol=1e-5, atol=1e-6)
            assert (changes[:steps, place] == 0).all()
        now = (weather - plan.centres[0]) / plan.spreads[0]
        np.testing.assert_allclose(products[:, -1], np.minimum(now**2, 8), rtol=1e-5)
        # The level against the mean, in deviations, is the factor of all others.
        level = products[20:, 0] / now[20:]
        np.testing.assert_allclose(products[20:, 1:5], level[:, None] * changes[20:], rtol=1e-4, atol=1e-5)
        calendar = Inputs(plan, series_set.frequency).calendar(series, 21, len(series) - 20)
        expected = level[:, None] * calendar
        np.testing.assert_allclose(products[20:, 5 : 5 + plan.calendar], expected, rtol=1e-4, atol=1e-5)


def test_many_series_and_many_columns_have_no_products():
    _, plan, [one, *_] = read(scaling="level")
    assert plan.changes == []
    assert one.x.shape[1] == plan.width == plan.read
    assert replace(plan, scaling="deviation", past=17).products == 0
