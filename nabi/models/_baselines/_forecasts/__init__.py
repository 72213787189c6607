"""Forecasts of a series from itself: what every network has to be better than."""

from nabi.models._baselines._forecasts._all import FORECASTS, statistical_forecasts
from nabi.models._baselines._forecasts._linear import LinearAutoregression
from nabi.models._baselines._forecasts._season import is_seasonal, season_length

__all__ = ["FORECASTS", "LinearAutoregression", "is_seasonal", "season_length", "statistical_forecasts"]
