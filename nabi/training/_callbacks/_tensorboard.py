"""The record of every epoch, and weights and layers, as event files of TensorBoard.

The package `tensorboard` writes them, by its messages and its writer of records.
`torch.utils.tensorboard` would load all of TensorFlow where that is installed, which takes seconds.
"""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from nabi import _checks
from nabi._checks import as_real
from nabi._public import public
from nabi.errors import ArgumentError, NabiError, OutputError
from nabi.training._callbacks._records import Ending, EpochRecord, RecordWriter

__all__ = ["TensorBoard"]

_VALIDATION = "val_"


class TensorBoard(RecordWriter):
    """Write what `tensorboard --logdir logs` shows, in the layout and under the names of Keras.

    Needs the package tensorboard (`pip install 'nabi[tensorboard]'`). For every epoch, counted from 0, the
    folder `train` gets `epoch_loss`, `epoch_learning_rate` and what else is measured, and the folder
    `validation` the figures of the validation under the same names, so that both curves are drawn in one
    chart. All of it is in the files as soon as the epoch has ended. Of several workers only the first writes.

    A training that goes on where an earlier one stopped goes on with its curves.

    Args:
        log_dir: the folder. Missing folders are created; existing files are left alone. Each training should
            have a folder of its own.
        histogram_freq: every how many epochs histograms of the weights are written; 0 for never.
        write_graph: whether to write the layers of a Keras-style model, as a graph.
        write_images: as in Keras; only False is supported.
        write_steps_per_second: whether to write how many batches are trained in a second.
        update_freq: "epoch"; "batch", or a number of batches, to write the figures so far of an epoch as
            `batch_loss` and the like, too. That makes training slower.
        purge_step: figures from this epoch on that earlier trainings left in the folder are no longer shown.

    Raises:
        ArgumentError: if tensorboard is not installed, and for arguments that are not supported.
        OutputError: before the first epoch if the folder cannot be written, or later if it can no longer be.

    >>> import tempfile, pathlib
    >>> from nabi.models import Sequential
    >>> from nabi.layers import Dense
    >>> model = Sequential([Dense(1, input_shape=(1,))])
    >>> model.compile("sgd", "mse")
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = model.fit([[1.0]], [[2.0]], validation_data=([[2.0]], [[4.0]]), verbose=0,
    ...               callbacks=[TensorBoard(folder)])
    >>> sorted(path.parent.name for path in folder.glob("*/events.out.tfevents.*"))
    ['train', 'validation']
    """

    only_reads = True

    @public
    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        *,
        purge_step: int | None = None,
    ) -> None:
        self.log_dir = _checks.path("log_dir", log_dir, wrong=OutputError)
        self.histogram_freq = _checks.whole("histogram_freq", histogram_freq, 0, otherwise=" of epochs")
        self.write_graph = _checks.flag("write_graph", write_graph)
        self.write_steps_per_second = _checks.flag("write_steps_per_second", write_steps_per_second)
        if _checks.flag("write_images", write_images):
            raise ArgumentError(
                "write_images: expected False, got True; histogram_freq=1 writes weights as histograms"
            )
        if update_freq not in ("epoch", "batch"):
            update_freq = _checks.whole(
                "update_freq", update_freq, otherwise=" of batches, 'batch' or 'epoch'"
            )
        self.update_freq = update_freq
        if purge_step is not None:
            purge_step = _checks.whole("purge_step", purge_step, 0, otherwise=" or None")
        self.purge_step = purge_step
        if find_spec("tensorboard") is None:
            raise ArgumentError(
                "TensorBoard: expected the package tensorboard to be installed, got none; install it with: "
                "pip install 'nabi[tensorboard]'"
            )
        self._files: dict[str, _EventFile] = {}
        self._purged: int | None = None
        self._before = 0  # batches of earlier epochs
        if update_freq != "epoch":
            # Set only here, so that otherwise this callback is not called for every batch.
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]

    def begin(self, resumed: int | None) -> None:
        """Open the file of the training."""
        self._purged = self.purge_step if resumed is None else resumed
        self._before = (resumed or 0) * (self.params.get("steps") or 0)
        events = self._file("train")
        with suppress(AttributeError, NabiError, NotImplementedError, TypeError, ValueError):
            # A model whose class says what is computed has no list of layers.
            if self.write_graph:
                events.graph(self.model.to_json())

    def write(self, record: EpochRecord) -> None:
        """Write the figures of an epoch."""
        train, validation = _parted(record.figures)
        if record.learning_rate is not None:
            train["learning_rate"] = record.learning_rate
        if self.write_steps_per_second and record.seconds and record.batches:
            train["steps_per_second"] = record.batches / record.seconds
        self._scalars("train", "epoch_", train, record.epoch)
        if validation:
            self._scalars("validation", "epoch_", validation, record.epoch)
        network = None if self.training is None else self.training.network
        if self.histogram_freq and record.epoch % self.histogram_freq == 0 and network is not None:
            for name, weight in _named_weights(network):
                numbers = weight.detach().double().cpu()
                finite = numbers[numbers.isfinite()].numpy()
                self._file("train").histogram(f"{name.replace('.', '/')}/histogram", finite, record.epoch)
        for events in self._files.values():
            events.flush()
        self._before += record.batches or 0

    def end(self, ending: Ending) -> None:
        """Close the files."""
        for events in self._files.values():
            events.close()
        self._files = {}

    def _after_batch(self, batch: int, logs: Any = None) -> None:
        place = self._before + batch
        if self._has_begun and (self.update_freq == "batch" or (place + 1) % int(self.update_freq) == 0):
            numbers = {name: as_real(value) for name, value in (logs or {}).items()}
            known = {name: value for name, value in numbers.items() if value is not None}
            self._scalars("train", "batch_", known, place)

    def _scalars(self, folder: str, prefix: str, figures: Mapping[str, float], step: int) -> None:
        events = self._file(folder)
        for name, value in figures.items():
            events.scalar(f"{prefix}{name}", value, step)

    def _file(self, folder: str) -> "_EventFile":
        if folder not in self._files:
            self._files[folder] = _EventFile(os.path.join(self.log_dir, folder), self._purged)
        return self._files[folder]


def _named_weights(network: Any) -> Iterator[tuple[str, Any]]:
    """Yield the weights; those of Keras-style models by the names of their layers."""
    layers = getattr(network, "layers", None)
    if not isinstance(layers, list):
        yield from network.named_parameters()
        return
    for layer in layers:
        for name, weight in layer.named_parameters():
            yield f"{layer.name}/{name}", weight


def _parted(figures: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the figures of training, and those of the validation by the same names."""
    held_out = {name: value for name, value in figures.items() if name.startswith(_VALIDATION)}
    train = {name: value for name, value in figures.items() if name not in held_out}
    return train, {name.removeprefix(_VALIDATION): value for name, value in held_out.items()}


class _EventFile:
    """A file of events in a folder, of a name that no other has.

    Args:
        folder: where it is.
        purged: from which step on a reader forgets what files before this one have.
    """

    def __init__(self, folder: str, purged: int | None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter as Records

        self._event = Event
        # Files are read in the order of their names.
        name = f"{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self._path = os.path.join(folder, f"events.out.tfevents.{name}.v2")
        try:
            os.makedirs(folder, exist_ok=True)
            self._records = Records(open(self._path, "xb"))  # noqa: SIM115 (open until the training ends)
        except OSError as problem:
            raise self._failed(problem) from problem
        self._write(file_version="brain.Event:2")
        # A reader takes the first start that it meets in a folder for the beginning, and forgets nothing.
        for _ in range(0 if purged is None else 2):
            self._write(step=purged, session_log=SessionLog(status=SessionLog.START))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._write(step=step, summary=scalar_pb(tag, value))

    def histogram(self, tag: str, numbers: Any, step: int) -> None:
        """Write how numbers are distributed."""
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb

        self._write(step=step, summary=histogram_pb(tag, numbers))

    def graph(self, described: str) -> None:
        """Write a model that Keras' JSON describes."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.plugins.graph.metadata import PLUGIN_NAME_KERAS_MODEL
        from tensorboard.util.tensor_util import make_tensor_proto

        plugin = SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME_KERAS_MODEL, content=b"1")
        value = Summary.Value(
            tag="keras", tensor=make_tensor_proto(described), metadata=SummaryMetadata(plugin_data=plugin)
        )
        self._write(step=0, summary=Summary(value=[value]))

    def flush(self) -> None:
        """Hand on what was written to the system."""
        try:
            self._records.flush()
        except OSError as problem:
            raise self._failed(problem) from problem

    def close(self) -> None:
        """Write what is left."""
        try:
            self._records.close()
        except OSError as problem:
            raise self._failed(problem) from problem

    def _write(self, **event: Any) -> None:
        try:
            self._records.write(self._event(wall_time=time.time(), **event).SerializeToString())
        except OSError as problem:
            raise self._failed(problem) from problem

    def _failed(self, problem: OSError) -> OutputError:
        return OutputError(f"log_dir: cannot write {self._path}: {problem.strerror or problem}")
