"""The page of a forecaster: it draws a series and what comes next, also for a history that one changes."""

from datetime import datetime
from typing import Any

import numpy as np

from nabi import layers, models
from nabi.errors import ArgumentError
from nabi.shipping._web._module import WebModule, module_of
from nabi.shipping._web._page import Page

__all__ = ["forecaster_page"]

_BEGAN = datetime(1970, 1, 1)
_SCRIPTS = ("times", "filters", "inputs", "baselines", "state", "values", "chart")


def forecaster_page(model: models.Forecaster, name: str) -> Page:
    """Return the page, with the series that the forecaster was trained on.

    Recurrent layers run as WebAssembly; filters, inputs and what follows the layers are computed in the page,
    in float64, so that forecasts differ from Python's by what float32 sums do.

    Raises:
        ArgumentError: if the forecaster is not trained, or its cell cannot go step by step.
    """
    if not hasattr(model, "network"):
        raise ArgumentError("model: the forecaster has not learnt from series yet; fit it first")
    members = list(model.network.forecasting)
    plan, frequency, calibration = model.plan, model.frequency, model.calibration
    held = list(model.series)
    facts = {
        "plan": {
            **plan.to_dict(),
            "read": plan.read,
            "width": plan.width,
            "changes": plan.changes,
            "lookedAt": plan.looked_at,
            "crossed": plan.crossed,
        },
        "frequency": {
            "unit": frequency.unit,
            "count": frequency.count,
            "monthEnd": frequency.month_end,
        },
        "calibration": {
            "share": calibration.share,
            "shareOfMean": calibration.share_of_mean,
            "baseline": calibration.baseline,
            "offsets": calibration.offsets,
        },
        "front": members[0].front.units,
        "covered": model.report.coverage.get("80"),
        "series": [
            {"name": one.name, "start": _number(one.start), "steps": len(one), "rows": len(one.known)}
            for one in held
        ],
    }
    parts = {"heads": b"".join(_head(member) for member in members)}
    for kind in ("target", "past", "known", "static"):
        rows = [np.asarray(getattr(one, kind), "<f8").reshape(-1) for one in held]
        parts[kind] = np.concatenate(rows).tobytes()
    scripts = tuple(f"forecast-{one}.mjs" for one in _SCRIPTS)
    return Page("forecaster", name, [_recurrent(member) for member in members], facts, parts, scripts=scripts)


def _number(time: Any) -> float | int:
    """Return a time as milliseconds since 1970, or the number of a step."""
    return int(time) if not isinstance(time, datetime) else (time - _BEGAN).total_seconds() * 1000


def _recurrent(member: Any) -> WebModule:
    stack = [layers.InputLayer((None, member.reads)), *member.recurrent.rnns]
    return module_of(models.Sequential(stack, name="network"))


def _head(member: Any) -> bytes:
    """Return the weights of what follows the recurrent layers."""
    found = []
    for dense in (member.front, member.readout, member.linear):
        found += [dense.kernel, dense.bias]
    return b"".join(one.detach().cpu().float().numpy().astype("<f4").tobytes() for one in found)
