"""The networks of a forecaster: from features and simple forecasts to quantiles, in units of the scale."""

from typing import Any

import numpy as np

from nabi.interchange._onnx._writer._recurrent import write_stack
from nabi.interchange._onnx._writer._writing import Value, Writing
from nabi.models import METHODS, QUANTILES

__all__ = ["write_forecaster"]

_MIDDLE = len(QUANTILES) // 2


def write_forecaster(w: Writing, model: Any, lengths: bool) -> None:
    """Write the networks that forecast, at every step of a series, and the mean of what they say."""
    plan, graph = model.plan, w.graph
    steps: list[int | str | None] = ["batch", "time"]
    features = w.input("features", np.float32, [*steps, plan.width], (None, None, plan.width))
    methods = w.input("methods", np.float32, [*steps, len(METHODS), plan.horizon], ())
    x = w.inside(features, lengths)
    ahead = graph.transpose(methods.name, 0, 1, 3, 2, name="methods_of_steps_ahead")
    read = graph.cut(x.name, 0, plan.read, 2, "features_read")
    members = list(model.network.forecasting)
    said = [_member(w, one, x, read, ahead, f"member_{place}") for place, one in enumerate(members)]
    names = ("quantiles", "mean")
    for number, (name, axes) in enumerate(zip(names, ([len(QUANTILES)], []), strict=True)):
        total = said[0][number]
        for one in said[1:]:
            total = graph.add("Add", [total, one[number]], f"sum_of_{name}")
        if len(said) > 1:
            total = graph.add("Mul", [total, graph.number(1 / len(said))], f"mean_of_{name}")
        w.output(total, name, np.float32, [*steps, plan.horizon, *axes])
    w.preprocessing = _outside(model)


def _member(w: Writing, member: Any, x: Value, read: str, ahead: str, name: str) -> tuple[str, str]:
    """Return the quantiles `[B, T, horizon, Q]` and the mean `[B, T, horizon]` of one network."""
    graph, count = w.graph, len(METHODS)
    before = Value(read, (*x.shape[:2], member.reads), x.mask)
    said = write_stack(w, member.recurrent, before, f"{name}_").name
    front = graph.add("Tanh", [w.dense(read, member.front.kernel, member.front.bias, f"{name}_front")])
    both = graph.add("Concat", [said, front], f"{name}_said", axis=2)
    flat = w.dense(both, member.readout.kernel, member.readout.bias, f"{name}_readout")
    figures = count + len(QUANTILES) + 1
    figured = graph.add("Reshape", [flat, graph.ints(0, 0, member.horizon, figures)], f"{name}_figures")
    trust, added, apart, off = graph.split(
        figured,
        [count, 1, len(QUANTILES) - 1, 1],
        3,
        [f"{name}_{part}" for part in ("trust", "added", "apart", "off")],
    )
    shares = graph.add("Softmax", [trust], f"{name}_shares", axis=3)
    mixed = graph.reduce("ReduceSum", graph.add("Mul", [shares, ahead]), [3], True, f"{name}_mixed")
    linear = w.dense(x.name, member.linear.kernel, member.linear.bias, f"{name}_linear")
    column = graph.add("Unsqueeze", [linear, graph.ints(3)])
    middle = graph.add("Add", [graph.add("Add", [mixed, added]), column], f"{name}_middle")
    # Distances between quantiles, added up from the middle to both sides.
    sums = np.zeros((len(QUANTILES) - 1, len(QUANTILES)), np.float32)
    for place in range(len(QUANTILES)):
        sums[: max(_MIDDLE - place, 0), place] = -1
        sums[_MIDDLE:place, place] = 1
    distances = graph.add("Softplus", [apart], f"{name}_distances")
    away = graph.add("MatMul", [distances, graph.constant(sums, "sums_of_distances")], f"{name}_away")
    mean = graph.add("Squeeze", [graph.add("Add", [middle, off]), graph.ints(3)], f"{name}_mean")
    return graph.add("Add", [middle, away], f"{name}_quantiles"), mean


def _outside(model: Any) -> dict[str, Any]:
    """Say what is computed before the networks, and after them."""
    plan, calibration, series = model.plan, model.calibration, model.series
    names = {kind: list(getattr(series, f"{kind}_names")) for kind in ("past", "known", "static")}
    return {
        "input": "for each step of a series from its first, `features` and the forecasts of `methods`, as "
        "Inputs.step in nabi/models/_forecaster/_inputs.py computes them; neither is in the graph",
        "outputs": "of each step ahead, in units of the scale: a forecast is centre + scale * output",
        "features": [{"what": what, "count": count} for what, count in _features(plan) if count],
        "methods": list(METHODS),
        "quantiles": list(QUANTILES),
        "frequency": str(model.frequency),
        "horizon": plan.horizon,
        "window": plan.window,
        "season": plan.season,
        "season_is_a_factor": plan.multiplicative,
        "scaling": plan.scaling,
        "columns": {**names, "centres": list(plan.centres), "spreads": list(plan.spreads)},
        "afterwards": "nabi mixes the forecast with a baseline and widens its intervals, as follows",
        "share": calibration.share,
        "share_of_mean": calibration.share_of_mean,
        "baseline": calibration.baseline,
        "offsets": [list(one) for one in calibration.offsets],
    }


def _features(plan: Any) -> list[tuple[str, int]]:
    """Return what the features of a step are, in their order."""
    seasonal = plan.season > 1
    found = [
        ("past values, as distances from the level, in units of the scale", plan.window),
        (f"methods, each at the steps ahead {plan.looked_at}", len(METHODS) * len(plan.looked_at)),
        ("error, level, count, strength of the season, trend", 5),
        ("the season of the steps ahead", min(plan.season, plan.horizon) if seasonal else 0),
        ("the season before, as a forecast", plan.horizon if seasonal else 0),
        ("calendar of the next step", plan.calendar),
        ("past columns, and whether each is there", 2 * plan.past),
        ("known columns, of this step and those ahead", plan.known * (plan.horizon + 1)),
        ("static columns", plan.static),
        ("changes of past columns", len(plan.changes) * plan.past),
        ("products, for the linear map alone", plan.products),
    ]
    flags = plan.width - sum(count for _, count in found)
    found.insert(1, ("whether each of the last steps was observed", flags))
    return found
