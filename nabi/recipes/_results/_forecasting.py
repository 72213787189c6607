"""What the recipes that forecast have in common: training, the test part, the picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.data import SeriesSet
from nabi.explain import forecast_picture, forecast_reading_picture
from nabi.models import Backtest, Forecaster, LinearAutoregression
from nabi.recipes._run._run import Run

__all__ = ["learn", "show_test"]

Numbers = npt.NDArray[np.float64]

LINEAR = "linear autoregression"


def learn(run: Run, known: SeriesSet, horizon: int, **settings: Any) -> Forecaster:
    """Train a forecaster on the part before the test, show its verdict, save it.

    Running the same command again goes on where an interrupted training was.
    """
    model = Forecaster(epochs=run.epochs, seed=run.seed, **settings)
    with run.training("forecaster", run.epochs, 1) as bar:
        report = model.fit(
            known, horizon=horizon, checkpoint=run.folder / "forecaster.training", verbose=0, callbacks=bar
        )
    run.interrupted = run.interrupted or report.interrupted
    model.save(run.folder / "forecaster.nabi")
    run.figures |= {
        "validation": report.to_dict(),
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "history": model.history,
    }
    run.console.print(f"On the end of the training part\n{report}\n", highlight=False)
    return model


def show_test(
    run: Run,
    model: Forecaster,
    known: SeriesSet,
    whole: SeriesSet,
    steps: Sequence[int],
    *,
    baselines: Sequence[str],
    lags: int,
    every: int = 1,
) -> None:
    """Forecast the test part from every origin in it, and show the errors beside those of simple methods.

    Args:
        run: of the recipe.
        model: trained on `known`.
        known: the series before the test part, one.
        whole: the same with the test part.
        steps: how far ahead errors are shown, counted from 1; beside them stands the mean of all steps.
        baselines: names of simple methods; a linear autoregression is always beside them.
        lags: of the linear autoregression.
        every: steps between two origins.
    """
    horizon = model.plan.horizon
    [before], [series] = known.series, whole.series
    tested = len(series) - len(before)
    backtest = model.evaluate(whole, last=tested, every=every)
    linear = LinearAutoregression(horizon, known.frequency, season=model.plan.season, lags=lags)
    linear.fit([before])
    origins = np.array([origin for _, origin in backtest.origins])
    found = {
        "forecaster": (backtest.median, backtest.mean),
        **{name: (one, one) for name, one in backtest.baselines(baselines).items()},
    }
    plain = linear.forecast_at(series, origins)
    found[LINEAR] = plain, plain
    shown = [step for step in steps if step <= horizon]
    head = [f"{'RMSE of the test part, by step':30}", *(f"{step:>9}" for step in shown)]
    rows = ["".join([*head, f"{'all':>10}", f"{'MAE all':>10}"])]
    for name, (median, mean) in found.items():
        line = f"{name:30}"
        for step in shown:
            root, absolute = _errors(backtest, median, mean, step)
            run.figures[f"test.{name}.step {step}"] = {"rmse": root, "mae": absolute}
            line += f"{root:9,.2f}"
        root, absolute = _errors(backtest, median, mean, None)
        run.figures[f"test.{name}"] = {"rmse": root, "mae": absolute}
        rows.append(line + f"{root:10,.2f}{absolute:10,.2f}")
    covered = {f"{level:.0%}": share for level, share in backtest.coverage().items()}
    run.figures["test.coverage"], run.figures["test.origins"] = covered, len(origins)
    shares = ", ".join(f"{share:.1%} in the interval of {level}" for level, share in covered.items())
    run.console.print("\n".join([*rows, f"coverage: {shares}", ""]), highlight=False)
    _draw(run, model, whole, backtest)


def _errors(backtest: Backtest, median: Numbers, mean: Numbers, step: int | None) -> tuple[float, float]:
    """Return RMSE of the means and MAE of the medians; of all steps, the means of those of each step."""
    steps = range(backtest.actual.shape[1]) if step is None else [step - 1]
    roots, absolutes = [], []
    for place in steps:
        actual = backtest.actual[:, place]
        roots.append(float(np.sqrt(np.nanmean((actual - mean[:, place]) ** 2))))
        absolutes.append(float(np.nanmean(np.abs(actual - median[:, place]))))
    return float(np.mean(roots)), float(np.mean(absolutes))


def _draw(run: Run, model: Forecaster, whole: SeriesSet, backtest: Backtest) -> None:
    """Draw the forecast of what comes after the test part, and what it read."""
    forecasts = model.forecast(whole)
    forecast_picture(forecasts, whole, run.folder / "forecast.png", backtest=backtest)
    forecast_reading_picture(model.reading(whole), run.folder / "reading.png")
    run.console.print("forecast.png is the forecast, reading.png what moved it")
