"""How good a forecaster is, beside simple methods."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nabi.models._task._described import Described

__all__ = ["ForecastReport"]


@dataclass(frozen=True)
class ForecastReport(Described):
    """What rolling origins in the held-out ends of the series say.

    The network was not trained on what it is measured on here, but its best epoch, its share in the forecast
    and the best baseline were chosen by it. Print it for a table.
    """

    _called: ClassVar[str] = "report"

    series: int
    """How many were learnt from."""
    observations: int
    """How many values they have."""
    horizon: int
    season: int
    """Steps of a season, 1 for none."""
    origins: int
    """From how many there were forecasts."""
    scores: dict[str, Any]
    """For each method MASE, sMAPE, RMSE and MAE; None where there was nothing to measure."""
    by_horizon: dict[str, Any]
    """For each method the MAE of every step ahead."""
    coverage: dict[str, Any]
    """The share of the observations in the intervals of 50, 80 and 95 %, each calibrated on other origins."""
    method: str
    """What forecasts: "network", a baseline, or both."""
    skill: float
    """1 - error / error of the best baseline, by which the method was chosen; of the network."""
    verdict: str
    seconds: float
    """How long training took."""
    notes: tuple[str, ...] = ()
    """What was found in the data and done about it."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(self.notes))

    def __str__(self) -> str:
        lines = [
            f"{self.origins:,} forecasts of {self.horizon} steps from the held-out ends of {self.series:,} "
            "series",
            f"{'':26}{'MASE':>9}{'sMAPE':>9}{'RMSE':>12}",
        ]
        lines += [_line(name, scores) for name, scores in self.scores.items()]
        shares = ", ".join(
            f"{share:.1%} in the interval of {name} %"
            for name, share in self.coverage.items()
            if share is not None
        )
        if shares:
            lines.append(f"coverage: {shares}")
        return "\n".join([*lines, self.verdict])


def _line(name: str, scores: Mapping[str, float | None]) -> str:
    def shown(key: str, width: int) -> str:
        value = scores[key]
        return f"{'-' if value is None else format(value, ',.3f'):>{width}}"

    return f"{name:26}{shown('MASE', 9)}{shown('sMAPE', 9)}{shown('RMSE', 12)}"
