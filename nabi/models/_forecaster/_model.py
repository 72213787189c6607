"""A model that forecasts series of observations."""

import hashlib
import os
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nabi import _checks
from nabi._public import public
from nabi.data import Frequency, Series, SeriesColumns, SeriesSet, read_series
from nabi.errors import ArgumentError
from nabi.files import ModelFile
from nabi.models._baselines._forecasts import FORECASTS
from nabi.models._forecaster._backtest import Backtest
from nabi.models._forecaster._calibration import LEVELS, Calibration, calibrate, choose, mase_scales, score
from nabi.models._forecaster._forecasts import Forecast
from nabi.models._forecaster._inputs import InputPlan, Inputs, Read
from nabi.models._forecaster._network import ForecastNetwork
from nabi.models._forecaster._planning import check_series, check_static, hold_out, make_plan, those_that_fit
from nabi.models._forecaster._report import ForecastReport
from nabi.models._forecaster._rolling import baselines_of, origins_of, roll, says_something
from nabi.models._forecaster._sensitivity import ForecastReading, read_forecast
from nabi.models._forecaster._settings import ForecastSettings
from nabi.models._forecaster._state import Engine, ForecastState, forecast_all
from nabi.models._forecaster._state_file import read_state, time_from_json, time_to_json, write_state
from nabi.models._forecaster._training import ForecastTraining
from nabi.models._forecaster._windows import Windows
from nabi.models._task._task_model import TaskModel
from nabi.training import Afterwards, ResumableTraining, as_time_limit

__all__ = ["Forecaster"]

_STEPS_TO_TRAIN, _STEPS_FOR_FEW = 600, 150
_FEWEST_EPOCHS, _MOST_EPOCHS = 8, 150
_MIDDLE = 3
Names = str | Sequence[str]


class _Data(NamedTuple):
    """What a training learns from and measures on."""

    series: SeriesSet
    plan: InputPlan
    share: float
    learnt: SeriesSet
    """Those of the series that fit into memory."""
    held_out: list[int]
    reads: list[Read]
    seconds: float
    """That making them took."""
    windows: Windows
    origins: list[tuple[int, int]]


class Forecaster(TaskModel):
    """Learns from series of observations to forecast what comes next, with intervals.

    One model takes many series of different lengths, with gaps, and with columns that are known up to now
    (`past`), ahead (`known`), or of the whole series (`static`). At every step, exponential smoothing gives
    simple forecasts, a level and a season; values are divided by the level or the deviation, and recurrent
    networks of any cell forecast all steps at once, as quantiles: how far to trust each simple forecast, and
    what to add (residuals on simple forecasts as in Smyl 2020; all steps at once, from every step of a
    series, as in Wen et al. 2017). Several networks are averaged.

    Rolling origins in the held-out ends of the series say how good this is beside simple methods, how wide
    the intervals must be (conformal calibration), and which method forecasts: the network, the best of the
    simple methods, or a mixture.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> sales = [[10.0, 20, 30, 20] * 10 for shop in range(3)]
    >>> forecaster = Forecaster(units=4, networks=1, epochs=2, season=4, window=4)
    >>> report = forecaster.fit(sales, horizon=4, verbose=0)
    >>> [forecast] = forecaster.forecast([sales[0][:-2]], horizon=2)
    >>> forecast.median.round().tolist()
    [30.0, 20.0]
    """

    _kind = "forecaster"
    _called = "a forecaster"
    _settings_type = ForecastSettings
    _report_type = ForecastReport

    settings: ForecastSettings
    network: ForecastNetwork
    report: ForecastReport
    """Of what was held out."""
    plan: InputPlan
    """What the networks read."""
    frequency: Frequency
    columns: SeriesColumns
    """Of the table that was learnt from: another is read in the same way."""
    calibration: Calibration
    reading_seconds: float = 0.0
    """What reading all series of the training took, step after step; a forecast does it again."""
    _engine: Engine
    _held: list[dict[str, Any]]

    # Training -----------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        source: Any,
        *,
        horizon: int = 12,
        time: Names | None = None,
        target: Names | None = None,
        group: Names | None = None,
        known: Names = (),
        past: Names = (),
        static: Names = (),
        frequency: Frequency | str | None = None,
        validation_share: float = 0.2,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> ForecastReport:
        """Learn from series.

        Everything that is wrong with them is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            source: a `SeriesSet`, or what `nabi.data.read_series` takes: a file, a data frame, a mapping of
                columns, an array, a list of arrays.
            horizon: steps to forecast. `forecast` may ask for more or fewer later.
            time, target, group, known, past, static, frequency: names of columns, and the step between two
                observations; see `read_series`.
            validation_share: the end of each series that is held out, at least the horizon. The best epoch,
                the method, and the widths of the intervals are chosen with it.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            MissingFileError, FileFormatError, UnknownNameError: as `read_series`.
            ArgumentError: as `read_series`; for a horizon that no series is long enough for, and a series
                without a value in a static column.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        horizon = _checks.whole("horizon", horizon)
        share = _checks.rate("validation_share", validation_share)
        if isinstance(source, SeriesSet):
            series_set = source
        else:
            series_set = read_series(
                source, time=time, target=target, group=group, known=known, past=past, static=static,
                frequency=frequency,
            )  # fmt: skip
        check_series(series_set, horizon)
        plan = make_plan(series_set, horizon, self.asked)
        learnt = those_that_fit(series_set, plan, self.asked.seed)
        held_out = hold_out(learnt, horizon, share, plan.season)
        origins = origins_of(learnt.series, held_out, horizon)
        if not origins:
            raise ArgumentError(
                "series: expected observations in the held-out ends and before them, got missing values"
            )
        begun = clock.perf_counter()
        reads = Inputs(plan, learnt.frequency).read(learnt.series)
        seconds = clock.perf_counter() - begun
        windows = Windows(plan, learnt.series, reads, held_out)
        data = _Data(series_set, plan, share, learnt, held_out, reads, seconds, windows, origins)
        report: ForecastReport = self._learn(
            data, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )
        return report

    def _prepare(self, data: _Data) -> ForecastSettings:
        """Keep what the series are, and choose how often all are gone through."""
        asked: ForecastSettings = self.asked
        found = data.series
        self.plan, self.frequency, self.columns = data.plan, found.frequency, found.columns
        self.reading_seconds = data.seconds
        self._names = {
            "known": list(found.known_names),
            "past": list(found.past_names),
            "static": list(found.static_names),
        }
        self._held = [
            {"name": one.name, "start": time_to_json(one.start), "steps": len(one), "rows": len(one.known)}
            for one in found
        ]
        self._share, self._zone, self._notes = data.share, found.zone, tuple(found.notes)
        batches = -(-data.windows.rows // asked.batch_size)
        steps = _STEPS_FOR_FEW if data.plan.scaling == "deviation" else _STEPS_TO_TRAIN
        wanted = min(max(round(steps / batches), _FEWEST_EPOCHS), _MOST_EPOCHS)
        return replace(asked, epochs=asked.epochs or wanted)

    def _make_network(self) -> ForecastNetwork:
        """Return networks for the plan, with room for the series."""
        sizes = {
            "steps": sum(one["steps"] for one in self._held),
            "rows": sum(one["rows"] for one in self._held),
            "series": len(self._held),
            **{kind: len(names) for kind, names in self._names.items()},
        }
        return ForecastNetwork(self.plan, self.settings, self.cell, sizes)

    def _make_training(self, data: _Data, checkpoint: Path | None) -> ForecastTraining:
        """Return the training on the series, which are put into the network to be kept."""
        held = self.network.held
        with torch.no_grad():
            for name in ("target", "known", "past"):
                rows = np.concatenate([getattr(one, name) for one in data.series])
                getattr(held, name).copy_(torch.from_numpy(rows))
            held.static.copy_(torch.from_numpy(np.stack([one.static for one in data.series])))
        of_mean = self.plan.scaling == "deviation"
        if of_mean:
            members = [*self.network.measured, *self.network.again]
            apart, whole = data.windows.ridge(members[0].at_first)
            for number, member in enumerate(members):
                member.set_linear(apart if number < self.settings.networks else whole)
        return ForecastTraining(self.network, data.windows, self.settings, of_mean, checkpoint)

    def _report_takes(self, data: _Data, training: ResumableTraining) -> Afterwards:
        """Return what tells how long the report takes: the simple methods go through all steps, too."""
        return Afterwards(training.validation_share, seconds=data.seconds)

    def _make_report(self, data: _Data, training: ResumableTraining) -> ForecastReport:
        """Measure on what was held out, choose the method and calibrate the intervals."""
        plan, series = data.plan, data.learnt.series
        inputs = Inputs(plan, self.frequency)
        seasons = [plan.season] * len(series)
        origins = data.origins
        rolled = roll(inputs, self.network.measured, series, data.reads, origins)
        baselines = baselines_of(series, seasons, origins, plan.horizon, FORECASTS)
        scales = mase_scales(series, seasons, origins)
        relative = plan.scaling == "level"
        share, best, skill = choose(rolled, baselines, scales, relative, self.settings.fallback)
        self.calibration, covered, forecasts = calibrate(rolled, baselines[best], share, best)
        self._engine = Engine.of(inputs, self.network, self.calibration, _method(share, best))
        middle = forecasts.quantiles[..., _MIDDLE]
        alone = rolled.quantiles[..., _MIDDLE]
        scores = {"network": score(rolled.actual, alone, rolled.mean, scales).to_dict()}
        by_horizon = {"network": _by_horizon(rolled.actual, alone)}
        if 0 < share < 1:
            scores[_method(share, best)] = score(rolled.actual, middle, forecasts.mean, scales).to_dict()
            by_horizon[_method(share, best)] = _by_horizon(rolled.actual, middle)
        for name, found in baselines.items():
            scores[name] = score(rolled.actual, found, found, scales).to_dict()
            by_horizon[name] = _by_horizon(rolled.actual, found)
        return ForecastReport(
            series=len(series),
            observations=sum(int((~np.isnan(one.target)).sum()) for one in series),
            horizon=plan.horizon,
            season=plan.season,
            origins=len(origins),
            scores=scores,
            by_horizon=by_horizon,
            coverage={f"{level:.0%}".rstrip("%"): one for level, one in zip(LEVELS, covered, strict=True)},
            method=_method(share, best),
            skill=skill,
            verdict=_verdict(share, best, skill, self.settings.fallback),
            seconds=training.position.seconds,
            notes=data.learnt.notes,
            interrupted=training.interrupted,
        )

    def _state(self) -> dict[str, Any]:
        """Return what the series are, what is read of them, and how forecasts are calibrated."""
        frequency = self.frequency
        return {
            "inputs": self.plan.to_dict(),
            "frequency": [frequency.unit, frequency.count, frequency.month_end],
            "columns": self.columns.as_json(),
            "names": self._names,
            "series": self._held,
            "validation_share": self._share,
            "zone": self._zone,
            "notes": list(self._notes),
            "calibration": self.calibration.to_dict(),
        }

    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave."""
        self.plan = InputPlan.from_dict(state["inputs"])
        self.frequency = Frequency(*state["frequency"])
        self.columns = SeriesColumns.from_json(state["columns"])
        self._names = {
            kind: [str(name) for name in state["names"][kind]] for kind in ("known", "past", "static")
        }
        self._held = [
            {
                "name": str(one["name"]),
                "start": one["start"],
                "steps": int(one["steps"]),
                "rows": int(one["rows"]),
            }
            for one in state["series"]
        ]
        for one in self._held:
            time_from_json(one["start"])
        self._share, self._zone = float(state["validation_share"]), str(state["zone"])
        self._notes = tuple(str(note) for note in state["notes"])
        self.calibration = Calibration.from_dict(state["calibration"])

    def _from_file(self, file: ModelFile, custom_objects: Mapping[str, Any] | None) -> None:
        """Be what a file holds, ready to forecast."""
        super()._from_file(file, custom_objects)
        inputs = Inputs(self.plan, self.frequency)
        self._engine = Engine.of(inputs, self.network, self.calibration, self.report.method)

    # Asking -------------------------------------------------------------------------------------------------

    @property
    def series(self) -> SeriesSet:
        """The series that it was trained on."""
        self._check_trained()
        held, found = self.network.held, []
        steps = rows = 0
        for number, one in enumerate(self._held):
            found.append(
                Series(
                    one["name"],
                    time_from_json(one["start"]),
                    held.target[steps : steps + one["steps"]].numpy(),
                    held.known[rows : rows + one["rows"]].numpy(),
                    held.past[steps : steps + one["steps"]].numpy(),
                    held.static[number].numpy(),
                )
            )
            steps, rows = steps + one["steps"], rows + one["rows"]
        names = {f"{kind}_names": tuple(self._names[kind]) for kind in ("known", "past", "static")}
        return SeriesSet(
            tuple(found), self.frequency, columns=self.columns, zone=self._zone, notes=self._notes, **names
        )

    @public
    def forecast(self, source: Any = None, *, horizon: int | None = None) -> list[Forecast]:
        """Forecast what follows the last observation of each series.

        Args:
            source: series, as `fit` takes them; those it was trained on by default. They may be others, or
                longer.
            horizon: steps to forecast; as in training by default. A longer forecast goes on in blocks.

        Raises:
            ArgumentError: for series of another frequency or with other columns, without a value in a static
                column, and where known columns end before the horizon.
            MissingFileError, FileFormatError: as `read_series`.
        """
        self._check_trained()
        wanted = (
            self.plan.horizon if horizon is None else _checks.whole("horizon", horizon, otherwise=" or None")
        )
        series_set = self._read(source)
        series_set.check_future(wanted)
        return forecast_all(self._states(series_set), wanted)

    @public
    def state(self, source: Any = None, name: str | None = None) -> ForecastState:
        """Read one series, and return what goes on from there with every new observation.

        Args:
            source: a series, as `fit` takes them; one it was trained on by default.
            name: of the series, where there are several.

        Raises:
            ArgumentError: as `forecast`; `UnknownNameError` if there are several and none has this name.

        >>> forecaster = Forecaster(units=4, networks=1, epochs=1)
        >>> report = forecaster.fit([1.0, 2, 3, 4] * 10, horizon=2, verbose=0)
        >>> state = forecaster.state()
        >>> observation = state.update(1.0)
        >>> len(state), len(state.forecast().median)
        (41, 2)
        """
        self._check_trained()
        series_set = self._read(source)
        if name is not None:
            series_set = series_set.with_series([series_set[name]])
        elif len(series_set) > 1:
            names = ", ".join(one.name for one in series_set.series[:5])
            raise ArgumentError(
                f"name: expected the name of one of {len(series_set)} series ({names}), got None"
            )
        return next(iter(self._states(series_set)))

    @public
    def save_state(self, state: ForecastState, path: str | os.PathLike[str]) -> None:
        """Write what is carried along of a series into a file, for `load_state` of the same model.

        Raises:
            OutputError: if the file cannot be written.
        """
        self._check_trained()
        write_state(state, path, self._fingerprint())

    @public
    def load_state(self, path: str | os.PathLike[str]) -> ForecastState:
        """Read a state that `save_state` wrote, which goes on from where it was.

        Raises:
            MissingFileError: if there is no such file.
            FileFormatError: if it is damaged or holds something else.
            ArgumentError: if it was written for another forecaster.
        """
        self._check_trained()
        return read_state(path, self._engine, self._fingerprint())

    @public
    def backtest(self, *, origins: int | None = None) -> Backtest:
        """Forecast from origins in the held-out ends of the series that it was trained on.

        The networks that are measured have not learnt from these ends.

        Args:
            origins: how many in each series, spread evenly; all that were measured in training by default.

        Raises:
            ArgumentError: for a number below 1.
        """
        self._check_trained()
        plan = self.plan
        learnt = those_that_fit(self.series, plan, self.settings.seed)
        series = learnt.series
        held_out = hold_out(learnt, plan.horizon, self._share, plan.season)
        places = origins_of(series, held_out, plan.horizon)
        if origins is not None:
            places = _thinned(places, _checks.whole("origins", origins))
        return self._rolled(series, places, self.network.measured)

    @public
    def evaluate(self, source: Any, *, last: int | None = None, every: int = 1) -> Backtest:
        """Forecast the end of other series, or of the same with what came later, and measure it.

        Args:
            source: series, as `fit` takes them, with the observations that are forecast.
            last: steps at the end of each series that are forecast, from an origin before each of them as
                far as the horizon fits; the horizon by default, which means one origin.
            every: steps between two origins.

        Raises:
            ArgumentError: as `forecast`, and where no series is long enough.
        """
        self._check_trained()
        horizon = self.plan.horizon
        last = horizon if last is None else _checks.whole("last", last, horizon, otherwise=" or None")
        every = _checks.whole("every", every)
        series = self._read(source).series
        places = [
            (number, origin)
            for number, one in enumerate(series)
            for origin in range(max(len(one) - last, 1), len(one) - horizon + 1, every)
            if says_something(series, (number, origin), horizon)
        ]
        if not places:
            raise ArgumentError(f"series: expected more than {horizon} steps, the horizon, in at least one")
        return self._rolled(series, places, self.network.forecasting)

    @public
    def reading(
        self, source: Any = None, name: str | None = None, *, steps: int | None = None
    ) -> ForecastReading:
        """Return which past steps moved a forecast, and how far.

        Args:
            source, name: as `state` takes them.
            steps: how many of the last steps are asked; two seasons or four windows by default.

        Raises:
            ArgumentError: as `state`.
        """
        self._check_trained()
        series_set = self._read(source)
        if name is not None or len(series_set) > 1:
            series_set = series_set.with_series([series_set[name or ""]])
        [series] = series_set
        default = max(4 * self.plan.window, 2 * self.plan.season)
        wanted = default if steps is None else _checks.whole("steps", steps, otherwise=" or None")
        return read_forecast(self._engine, series, min(wanted, len(series)))

    # What it does -------------------------------------------------------------------------------------------

    def _read(self, source: Any) -> SeriesSet:
        """Return series to forecast, as those of the training were read."""
        if source is None:
            return self.series
        if isinstance(source, SeriesSet):
            found = source
        elif self.columns == SeriesColumns():
            found = read_series(source, frequency=self.frequency)
        else:
            found = read_series(source, frequency=self.frequency, columns=self.columns)
        if found.frequency != self.frequency:
            raise ArgumentError(
                f"frequency: expected {self.frequency}, as in training, got {found.frequency}"
            )
        for kind, names in self._names.items():
            given = list(getattr(found, f"{kind}_names"))
            if given != names:
                raise ArgumentError(f"{kind}: expected the columns {names}, as in training, got {given}")
        check_static(found)
        return found

    def _fingerprint(self) -> str:
        """Return what differs for other weights."""
        found = hashlib.sha256()
        for weight in self.network.forecasting.parameters():
            found.update(weight.detach().numpy().tobytes())
        return found.hexdigest()

    def _states(self, series_set: SeriesSet) -> list[ForecastState]:
        engine = self._engine
        found = []
        for one, read in zip(series_set, engine.inputs.read(series_set.series), strict=True):
            states, said = engine.run(read)
            found.append(ForecastState(engine, one, read, states, said))
        return found

    def _rolled(self, series: Sequence[Series], origins: Any, members: Any) -> Backtest:
        inputs = Inputs(self.plan, self.frequency)
        used = sorted({number for number, _ in origins})
        reads: Any = [None] * len(series)
        for number, read in zip(used, inputs.read([series[number] for number in used]), strict=True):
            reads[number] = read
        rolled = roll(inputs, members, series, reads, origins)
        seasons = [self.plan.season] * len(series)
        baseline, calibration = None, self.calibration
        if calibration.share < 1:
            names = [calibration.baseline]
            baseline = baselines_of(series, seasons, origins, self.plan.horizon, names)[names[0]]
        quantiles, mean = calibration.mix(rolled.quantiles, rolled.mean, baseline)
        return Backtest(
            tuple(series),
            self.frequency,
            self.plan.season,
            tuple(origins),
            rolled.actual,
            calibration.widen(quantiles, rolled.scale),
            mean,
            self.report.method,
        )


def _method(share: float, baseline: str) -> str:
    if share == 1:
        return "network"
    return baseline if share == 0 else f"network and {baseline}"


def _verdict(share: float, baseline: str, skill: float, fallback: bool) -> str:
    if share == 0:
        return (
            f"No skill: the network is no better than {baseline} on the held-out ends ({skill:+.1%}). "
            f"Forecasts are made with {baseline}."
        )
    mixture = "" if share == 1 else f" Forecasts are {share:.0%} network, the rest {baseline}."
    if skill > 0:
        return (
            f"Skill {skill:.1%}: errors are so much smaller than those of the best baseline, {baseline}."
            f"{mixture}"
        )
    told = "" if fallback else " It forecasts because it was told to (fallback=False)."
    return f"No skill over the best baseline, {baseline} ({skill:+.1%}).{told}{mixture}"


def _by_horizon(actual: Any, middle: Any) -> list[float | None]:
    error = np.abs(actual - middle)
    there = ~np.isnan(error)
    return [
        float(error[there[:, step], step].mean()) if there[:, step].any() else None
        for step in range(error.shape[1])
    ]


def _thinned(places: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in sorted({number for number, _ in places}):
        own = [place for place in places if place[0] == number]
        chosen = np.linspace(len(own) - 1, 0, min(count, len(own))).round().astype(int)
        found += [own[place] for place in sorted(set(chosen.tolist()))]
    return found
