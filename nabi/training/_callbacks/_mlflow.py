"""The record of every epoch, as a run of MLflow."""

import os
import time
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, OutputError
from nabi.training._callbacks._records import Ending, EpochRecord, RecordWriter

__all__ = ["MLflow"]

_STATUS: Mapping[Ending, str] = {"complete": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_LONGEST = 500  # characters of a parameter's value, which is what all servers take
_AT_ONCE = 100  # parameters


class MLflow(RecordWriter):
    """Write the figures of every epoch to a run of MLflow, on its server or in its database.

    Needs MLflow (`pip install 'nabi[mlflow]'`; the package mlflow-skinny is enough with a server). The
    metrics are those of the logs, `learning_rate` and `seconds`; their step is the epoch, counted from 0. The
    parameters are the number of epochs, and the settings of a ready system or the optimizer of a Keras-style
    model. Within `with mlflow.start_run():`, where no `tracking_uri` is given, they go to that run, which is
    left open. Otherwise a run is made, which is finished at the end of the training, killed by Ctrl-C, and
    failed after an error.

    A server that can no longer be reached after the first epoch has begun does not end the training: a
    warning says what is missing. Of several workers only the first writes.

    Args:
        experiment: name of the experiment of a new run, which is made if there is none. None for that of the
            environment variables MLFLOW_EXPERIMENT_ID and MLFLOW_EXPERIMENT_NAME, or "Default".
        run_name: name of the run. None for one that MLflow chooses.
        tracking_uri: where runs are kept. None for what `mlflow.set_tracking_uri` or the environment variable
            MLFLOW_TRACKING_URI says.
        tags: of the run.

    Attributes:
        run_id: of the run that was written last; None before the first.

    Raises:
        ArgumentError: if MLflow is not installed.
        OutputError: before the first epoch if no run can be made.

    >>> MLflow("songs", run_name="one with an LSTM", tags={"data": "nabiya"}).experiment
    'songs'
    """

    only_reads = True

    @public
    def __init__(
        self,
        experiment: str | None = None,
        run_name: str | None = None,
        tracking_uri: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        if find_spec("mlflow") is None:
            raise ArgumentError(
                "MLflow: expected the package mlflow to be installed, got none; install it with: "
                "pip install 'nabi[mlflow]'"
            )
        self.experiment, self.run_name, self.tracking_uri = experiment, run_name, tracking_uri
        self.tags = dict(tags or {})
        self.run_id: str | None = None
        self._client: Any = None
        self._is_own = self._resumes = False

    def get_extra(self) -> dict[str, Any]:
        """Return which run it is."""
        return {"run": self.run_id}

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Go on with the run."""
        if not (extra["run"] is None or isinstance(extra["run"], str)):
            raise TypeError(f"run: expected text, got {_checks.short(extra['run'])}")
        self.run_id, self._resumes = extra["run"], True

    def begin(self, resumed: int | None) -> None:
        """Find the run, or make one."""
        import mlflow

        try:
            self._client = mlflow.MlflowClient(self.tracking_uri)
            active = mlflow.active_run() if self.tracking_uri is None else None
            self._is_own = active is None
            if active is not None:
                self.run_id = active.info.run_id
            elif self._resumes and self.run_id is not None:
                self._client.update_run(self.run_id, status="RUNNING")
            else:
                run = self._client.create_run(self._experiment_id(), tags=self.tags, run_name=self.run_name)
                self.run_id = run.info.run_id
            self._write_parameters()
        # MLflow's own errors, and those of the libraries by which it reaches a server or a database.
        except Exception as problem:
            raise OutputError(f"MLflow: no run can be made: {problem}") from problem
        self._resumes = False

    def write(self, record: EpochRecord) -> None:
        """Write the metrics of an epoch."""
        from mlflow.entities import Metric

        row, now = record.row(), round(time.time() * 1000)
        step = row.pop("epoch")
        metrics = [Metric(name, value, now, step) for name, value in row.items() if value is not None]
        self._try(f"the figures of epoch {step}", "log_batch", self.run_id, metrics=metrics)

    def end(self, ending: Ending) -> None:
        """Say how the training ended."""
        if self._is_own and self._client is not None and self.run_id is not None:
            self._try("the end of the run", "set_terminated", self.run_id, _STATUS[ending])
        self._client = None

    def _try(self, what: str, method: str, *arguments: Any, **more: Any) -> None:
        try:
            getattr(self._client, method)(*arguments, **more)
        except Exception as problem:  # as above
            warnings.warn(f"MLflow: {what} could not be written: {problem}", RuntimeWarning, stacklevel=2)

    def _experiment_id(self) -> str:
        known = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if self.experiment is None and known:
            return known
        name = self.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"
        found = self._client.get_experiment_by_name(name)
        return str(self._client.create_experiment(name) if found is None else found.experiment_id)

    def _write_parameters(self) -> None:
        from mlflow.entities import Param

        named = {"epochs": self.params.get("epochs"), **_settings_of(self.model)}
        # They cannot be changed; a run may be gone on with, or have several trainings.
        known = self._client.get_run(self.run_id).data.params
        new = {name: value for name, value in named.items() if name not in known}
        parameters = [Param(name, str(value)[:_LONGEST]) for name, value in new.items()]
        for first in range(0, len(parameters), _AT_ONCE):
            self._client.log_batch(self.run_id, params=parameters[first : first + _AT_ONCE])


def _settings_of(model: Any) -> dict[str, Any]:
    """What a model was told: a ready system by its settings, a Keras-style model by its optimizer."""
    settings: Any = getattr(model, "settings", None)
    if hasattr(settings, "to_dict"):
        return {name: value for name, value in settings.to_dict().items() if name != "epochs"}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return {}
    return {"optimizer": optimizer.name, "learning_rate": optimizer.learning_rate}
