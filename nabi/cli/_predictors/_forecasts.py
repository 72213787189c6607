"""`nabi predict` and `nabi evaluate` for models that forecast."""

from typing import Any

import typer

from nabi.cli._figures import give_figures
from nabi.cli._load import load_with_cells, series_as_trained
from nabi.cli._predictors._predictor import Said
from nabi.cli._texts import Reading
from nabi.cli._uses import suggestion
from nabi.errors import ArgumentError

__all__ = ["ForecastPredictor"]

_ALWAYS = frozenset({"model", "file", "cell", "threads"})


class ForecastPredictor:
    """A forecaster: measured on what came after it was trained, or on other series."""

    kind, what = "forecaster", "series to forecast"
    predict_options = _ALWAYS | {"texts"}
    evaluate_options = _ALWAYS | {
        "out", "as_json", "overwrite", "picture", "encoding", "separator", "quotes", "header"
    }  # fmt: skip

    def predict(self, said: Said) -> None:
        """Say which command forecasts."""
        path = said["model"]
        raise ArgumentError(
            f"MODEL: expected a model that labels something, got a forecaster: {path}. "
            f"{suggestion('forecaster', path, '[--file NEW.csv]')}"
        )

    def evaluate(self, said: Said) -> None:
        """Forecast the end of each series of the file, and show the errors beside those of simple methods."""
        from nabi.drawing import check_suffix
        from nabi.explain import forecast_picture
        from nabi.training import on_threads

        out, picture, cells = said["out"], said["picture"], said["cell"] or ()
        if picture is not None:
            check_suffix(picture)
        model = load_with_cells("Forecaster", said["model"], cells)
        series = series_as_trained(model, said["file"], **Reading.of(said).options())
        for note in series.notes:
            typer.echo(note, err=said["as_json"])
        with on_threads(said["threads"]):
            backtest = model.evaluate(series)
            table = {name: scores.to_dict() for name, scores in backtest.table().items()}
        covered = {f"{level:.0%}": share for level, share in backtest.coverage().items()}
        horizon = backtest.actual.shape[1]
        count = len(backtest.origins)
        content: dict[str, Any] = {
            "horizon": horizon,
            "forecasts": count,
            "method": backtest.method,
            "scores": table,
            "coverage": covered,
            "notes": list(series.notes),
        }
        give_figures("evaluate", content, out, said["as_json"], lambda: _show(content))
        if picture is not None:
            known = [one for one in series if one.future >= horizon or not series.known_names]
            if not known:
                raise ArgumentError(
                    "--picture: expected known columns up to the horizon, to forecast the future"
                )
            some = series.with_series(known)
            forecast_picture(model.forecast(some), some, picture, backtest=backtest)


def _show(content: dict[str, Any]) -> None:
    """Print the errors of each method in a table, and how often the intervals held what came."""
    count = content["forecasts"]
    typer.echo(f"\nthe last {content['horizon']} steps, {count:,} forecast{'s' if count > 1 else ''}")
    typer.echo(f"{'':28}{'MASE':>9}{'sMAPE':>9}{'RMSE':>12}{'MAE':>12}")
    for name, scores in content["scores"].items():
        typer.echo(
            f"{name:28}"
            + "".join(
                f"{'-' if scores[key] is None else format(scores[key], ',.3f'):>{width}}"
                for key, width in (("MASE", 9), ("sMAPE", 9), ("RMSE", 12), ("MAE", 12))
            )
        )
    covered = content["coverage"].items()
    shares = ", ".join(f"{share:.1%} in the interval of {level}" for level, share in covered)
    typer.echo(f"coverage: {shares}")
