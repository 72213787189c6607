"""`predictor`: a trained model as what data engines call with batches of rows."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.files import READERS, read_model_file
from nabi.models._predictor._row_tasks import MODELS, RowTask, row_task
from nabi.training import on_threads

__all__ = ["predictor"]


class predictor:  # noqa: N801 - it is called like a function, and given to engines as a class
    """A trained model that adds columns to batches of rows, made for data engines.

    A predictor is what `ray.data.Dataset.map_batches`, the `map` of a `multiprocessing.Pool` and Spark's
    `mapInPandas` take. It is pickled as the name of its file; each process loads the model once, with its
    first batch. The class itself can be given to engines that make an object in each process:

    - Ray: `rows.map_batches(nabi.predictor("m.nabi"))`, or in actors
      `rows.map_batches(nabi.predictor, fn_constructor_args=["m.nabi"], concurrency=4)`;
    - `multiprocessing`: `pool.imap(nabi.predictor("m.nabi"), batches)`;
    - Spark: `rows.mapInPandas(nabi.predictor("m.nabi"), schema)`.

    A batch is a dict of N values for each column (arrays, lists), or a pandas `DataFrame`. The result is of
    the same kind, with the N rows in their order, all columns of the batch, and the new ones:

    | model | reads | adds |
    | --- | --- | --- |
    | `TextClassifier` | the columns of its training, else `text`, `aspect` | `label`, `probability`; with several labels a text, `label` and a `probability of ...` each |
    | `TextRegressor` | the columns of its training, else `text`, `aspect` | `number` |
    | `DNAClassifier` | `sequence`: letters | `label`, `probability` |
    | `DNARegressor` | `sequence`: letters | `number` |
    | `Tagger` | `text`, or lists of tokens | `tokens`, `tags`: lists |
    | `SeriesClassifier` | `sequence`: `[steps, channels]` | `label`, `probability` |
    | `SeriesRegressor` | `sequence`: `[steps, channels]` | `number` |
    | `ClipClassifier` | `sequence`: `[frames, rows, columns]`, or a file | `label`, `probability` |
    | `SoundClassifier` | `recording`: samples, or a file | `label`, `probability` |
    | `SpeechRecognizer` | `recording`: samples, or a file | `transcript`, `probability` |
    | `Translator` | `text` | `translation`, `score` |
    | `Captioner` | `image`: pixels, or a file | `caption`, `score` |
    | `LanguageModel` | `text` | `written`: what follows |
    | `NoteModel` | `primer`: lists of pitches | `frames`: what follows |
    | `Forecaster` | the columns of its training, in each row the values of a series | `median`, `low80`, `high80`, `low95`, `high95`: lists |

    Missing texts are read as empty ones.

    Args:
        model: the path of a file, as `save` of these models writes; every process must see it.
        inputs: the columns to read, instead of those above.
        prefix: of the names of the new columns.
        custom_objects: classes of your own, as `load` takes them.
        threads: of each process; those of PyTorch by default.
        **options: of the model's own method (`predict`, `transcribe`, `translate`, `caption`, `write`,
            `forecast`), such as `threshold`, `beam` or `horizon`.

    Raises:
        MissingFileError, FileFormatError: when it is made, for a file that is not there, or is damaged.
        ArgumentError: when it is made, for a file of something else; with a batch, for an option that the
            model does not have, a column that is missing, or one that would be replaced.

    >>> import tempfile, pathlib
    >>> import nabi
    >>> texts, labels = ["a good film", "good and warm", "bad", "a bad film"] * 5, ["+", "+", "-", "-"] * 5
    >>> classifier = nabi.TextClassifier(units=4, embedding_size=8, epochs=20, learning_rate=0.03)
    >>> report = classifier.fit(texts, labels, verbose=0)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "films.nabi"
    >>> classifier.save(path)
    >>> label = nabi.predictor(path)
    >>> found = label({"id": [1, 2], "text": ["so good", "bad and cold"]})
    >>> list(found), found["label"].tolist()
    (['id', 'text', 'label', 'probability'], ['+', '-'])
    """  # noqa: E501 - rows of a table

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        inputs: str | Sequence[str] | None = None,
        prefix: str = "",
        custom_objects: Mapping[str, Any] | None = None,
        threads: int | None = None,
        **options: Any,
    ) -> None:
        _checks.path("model", model)
        # A worker may run in another folder.
        self.model = os.path.abspath(model)
        self.inputs = None if inputs is None else (inputs,) if isinstance(inputs, str) else tuple(inputs)
        self.prefix = prefix
        self.custom_objects = dict(custom_objects or {})
        self.threads = None if threads is None else _checks.whole("threads", threads)
        self.options = options
        _reader(self.model)

    def __repr__(self) -> str:
        return f"nabi.predictor({self.model!r})"

    def __call__(self, batch: Any) -> Any:
        """Return a batch with the columns that the model adds; of an iterator of batches, an iterator."""
        if isinstance(batch, Iterator):
            return map(self, batch)
        is_frame = hasattr(batch, "columns") and hasattr(batch, "assign")
        if not is_frame and not isinstance(batch, Mapping):
            raise ArgumentError(
                f"batch: expected a dict of columns or a pandas DataFrame, got {_checks.short(batch)}"
            )
        names = list(batch.columns) if is_frame else list(batch)
        task = row_task(self._loaded(), self.options)
        rows = {name: list(batch[name]) for name in self._columns(task, names)}
        lengths = {len(batch[name]) for name in names}
        if len(lengths) > 1:
            raise ArgumentError(f"batch: expected columns of one length, got {sorted(lengths)}")
        added = self._added(task, list(rows.values()), lengths.pop())
        return batch.assign(**added) if is_frame else {**batch, **added}

    def _loaded(self) -> Any:
        place = os.stat(self.model)
        own = tuple(sorted(self.custom_objects.items()))
        return _load(self.model, place.st_mtime_ns, place.st_size, own)

    def _columns(self, task: RowTask, names: Sequence[Any]) -> tuple[str, ...]:
        wanted = self.inputs or task.inputs
        if len(wanted) != len(task.inputs):
            raise ArgumentError(
                f"inputs: expected {len(task.inputs)} ({', '.join(task.inputs)}), got {len(wanted)}"
            )
        for name in wanted:
            if name not in names:
                known = ", ".join(map(str, names))
                raise ArgumentError(f"inputs: there is no column {name!r} in the batch; it has: {known}")
        for name in task.outputs:
            if self.prefix + name in names:
                raise ArgumentError(
                    f"prefix: the batch has a column {self.prefix + name!r} already; pass prefix='predicted '"
                )
        return wanted

    def _added(self, task: RowTask, rows: list[list[Any]], count: int) -> dict[str, Any]:
        with on_threads(self.threads):
            found = list(task.compute(*rows)) if count else []
        if len(found) != count:
            raise ArgumentError(f"batch: expected a result for each of {count} rows, got {len(found)}")
        columns = {}
        for place, (name, kind) in enumerate(task.outputs.items()):
            # Filled one by one: from lists of one length, numpy would make a matrix.
            column = np.empty(count, np.float64 if kind is float else object)
            for row, values in enumerate(found):
                column[row] = values[place]
            columns[self.prefix + name] = column
        return columns


@lru_cache(maxsize=2)
def _load(path: str, changed: int, size: int, own: tuple[tuple[str, Any], ...]) -> Any:
    """Load a model once for all predictors of a process; `changed` and `size` tell a new file apart."""
    return MODELS[_reader(path)].load(path, dict(own))


def _reader(path: str) -> str:
    """Return the class that reads a model file."""
    kind = read_model_file(path).kind
    where, _, name = READERS.get(kind, "").partition(".")
    reader, _, method = name.partition(".")
    if where != "nabi" or method != "load" or reader not in MODELS:
        raise ArgumentError(f"model: expected a model of a task, got a file of kind {kind!r}: {path}")
    return reader
