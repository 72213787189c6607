"""What each kind of model says about a row of a table: columns it reads, columns it adds."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nabi.errors import ArgumentError, unknown_name
from nabi.models._captioner._model import Captioner
from nabi.models._classifier._model import TextClassifier
from nabi.models._clips._model import ClipClassifier
from nabi.models._dna._model import DNAClassifier
from nabi.models._dna._regressor import DNARegressor
from nabi.models._forecaster._model import Forecaster
from nabi.models._language._model import LanguageModel
from nabi.models._notes._model import NoteModel
from nabi.models._regressor._model import TextRegressor
from nabi.models._series._model import SeriesClassifier
from nabi.models._series_regressor._model import SeriesRegressor
from nabi.models._sound._classifier import SoundClassifier
from nabi.models._sound._recognizer import SpeechRecognizer
from nabi.models._tagger._model import Tagger
from nabi.models._translator._model import Translator

__all__ = ["MODELS", "RowTask", "row_task"]

MODELS: dict[str, Any] = {
    one.__name__: one
    for one in (
        Captioner, ClipClassifier, DNAClassifier, DNARegressor, Forecaster, LanguageModel, NoteModel,
        SeriesClassifier, SeriesRegressor, SoundClassifier, SpeechRecognizer, Tagger, TextClassifier,
        TextRegressor, Translator,
    )
}  # fmt: skip
"""The classes of models that say something about rows, by name."""

_FORECAST = ("median", "low80", "high80", "low95", "high95")


@dataclass(frozen=True)
class RowTask:
    """What a model does with rows.

    Attributes:
        inputs: columns that are read, if no others are named.
        outputs: columns that are added, with the kind of their values.
        compute: takes the values of the columns, and options; gives a tuple of outputs for each row.
    """

    inputs: tuple[str, ...]
    outputs: Mapping[str, type]
    compute: Callable[..., Iterable[tuple[Any, ...]]]


def row_task(model: Any, options: Mapping[str, Any]) -> RowTask:
    """Return what a model does with rows; `options` are those of its method for predicting.

    Raises:
        ArgumentError: for a model that says nothing about rows, and an option that it does not have.
    """
    labels = {"label": str, "probability": float}
    match model:
        case TextClassifier():
            _check_options(model.predict, options)
            return _text_classification(model, options)
        case TextRegressor():
            _check_options(model.predict, options)
            return _numbers(model)
        case DNAClassifier():
            _check_options(model.predict, options, ("names",))
            return RowTask(("sequence",), labels, lambda rows: _labelled(model.predict(_texts(rows))))
        case DNARegressor():
            _check_options(model.predict, options, ("names",))
            return RowTask(
                ("sequence",),
                {"number": float},
                lambda rows: [(one,) for one in model.predict(_texts(rows)).tolist()],
            )
        case Tagger():
            _check_options(model.predict, options)
            return RowTask(
                ("text",),
                {"tokens": object, "tags": object},
                lambda rows: [(list(one.tokens), list(one.tags)) for one in model.predict(_token_rows(rows))],
            )
        case SeriesRegressor():
            _check_options(model.predict, options, ("reading",))
            return RowTask(
                ("sequence",),
                {"number": float},
                lambda rows: [(one,) for one in model.predict(_arrays(rows)).tolist()],
            )
        case SeriesClassifier() | ClipClassifier():
            _check_options(model.predict, options, ("reading",))
            return RowTask(("sequence",), labels, lambda rows: _labelled(model.predict(_arrays(rows))))
        case SoundClassifier():
            _check_options(model.predict, options)
            return RowTask(
                ("recording",), labels, lambda rows: _labelled(model.predict(_arrays(rows), **options))
            )
        case SpeechRecognizer():
            _check_options(model.transcribe, options)
            return RowTask(
                ("recording",),
                {"transcript": str, "probability": float},
                lambda rows: [
                    (one.text, one.probability) for one in model.transcribe(_arrays(rows), **options)
                ],
            )
        case Translator():
            _check_options(model.translate, options, ("best",))
            return RowTask(
                ("text",),
                {"translation": str, "score": float},
                lambda rows: [(one.text, one.score) for one in model.translate(_texts(rows), **options)],
            )
        case Captioner():
            _check_options(model.caption, options, ("best",))
            return RowTask(
                ("image",),
                {"caption": str, "score": float},
                lambda rows: [(one.text, one.score) for one in model.caption(_arrays(rows), **options)],
            )
        case LanguageModel():
            _check_options(model.write, options)
            return RowTask(
                ("text",),
                {"written": str},
                lambda rows: (("".join(model.write(text, **options)),) for text in _texts(rows)),
            )
        case NoteModel():
            _check_options(model.write, options)
            return RowTask(
                ("primer",),
                {"frames": object},
                lambda rows: (
                    ([list(frame) for frame in model.write(_nested(primer), **options)],) for primer in rows
                ),
            )
        case Forecaster():
            _check_options(model.forecast, options)
            return _forecasts(model, options)
    raise ArgumentError(
        f"model: expected a model of a task, such as a TextClassifier, got a {type(model).__name__}"
    )


def _check_options(
    method: Callable[..., Any], options: Mapping[str, Any], left_out: Sequence[str] = ()
) -> None:
    # The first argument is what stands in the rows.
    _, *others = inspect.signature(method).parameters
    known = [name for name in others if name not in (*left_out, "aspects", "columns")]
    for name in options:
        if name not in known:
            raise unknown_name("predictor", name, known or ["no option of this model"])


# What models read -------------------------------------------------------------------------------------------


def _texts(rows: Sequence[Any]) -> list[str]:
    return ["" if _is_missing(value) else str(value) for value in rows]


def _token_rows(rows: Sequence[Any]) -> list[Any]:
    """Return texts, and lists of tokens as they are."""
    return [
        list(map(str, value)) if isinstance(value, list | tuple | np.ndarray) else _texts([value])[0]
        for value in rows
    ]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _arrays(rows: Sequence[Any]) -> list[Any]:
    """Return arrays, and names of files as they are; in rows of tables, arrays may be lists of lists."""
    return [value if isinstance(value, str) else np.asarray(_nested(value)) for value in rows]


def _nested(value: Any) -> Any:
    """Return lists in place of arrays whose elements are arrays, as Arrow and pandas give them."""
    if isinstance(value, np.ndarray):
        return [_nested(one) for one in value] if value.dtype == object else value.tolist()
    return [_nested(one) for one in value] if isinstance(value, list | tuple) else value


# What they say ----------------------------------------------------------------------------------------------


def _text_classification(model: TextClassifier, options: Mapping[str, Any]) -> RowTask:
    several = model.labels.several
    between = model.settings.label_separator or "|"
    outputs: dict[str, type] = {"label": str}
    if several:
        outputs |= {f"probability of {name}": float for name in model.labels.names}
    else:
        outputs["probability"] = float

    def compute(rows: Sequence[Any], *more: Sequence[Any]) -> list[tuple[Any, ...]]:
        found = model.predict(_texts(rows), **_beside(model, more), **options)
        if several:
            return [(between.join(one.label), *one.probabilities.values()) for one in found]
        return [(one.label, one.probability) for one in found]

    return RowTask(_columns_read(model), outputs, compute)


def _numbers(model: TextRegressor) -> RowTask:
    def compute(rows: Sequence[Any], *more: Sequence[Any]) -> list[tuple[Any, ...]]:
        found = model.predict(_texts(rows), **_beside(model, more))
        return [(one,) for one in found.tolist()]

    return RowTask(_columns_read(model), {"number": float}, compute)


def _columns_read(model: TextClassifier | TextRegressor) -> tuple[str, ...]:
    """Return the columns that a model of texts reads: the text, the aspect if any, and others."""
    columns, others = model.columns, model.other_columns
    text = "text" if columns is None else columns.text
    aspect = (columns and columns.aspect) or "aspect"
    return text, *((aspect,) if model.has_aspects else ()), *(() if others is None else others.names)


def _beside(model: TextClassifier | TextRegressor, more: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return what `predict` is told beside the texts, from the other columns that a model reads."""
    aspects = _texts(more[0]) if model.has_aspects else None
    names = () if model.other_columns is None else model.other_columns.names
    cells = dict(zip(names, more[1:] if model.has_aspects else more, strict=True))
    return {"aspects": aspects, "columns": cells or None}


def _labelled(found: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return labels and their probabilities; the labels of steps stand in one text."""
    return [
        (one.label if isinstance(one.label, str) else " ".join(one.label), one.probability) for one in found
    ]


def _forecasts(model: Forecaster, options: Mapping[str, Any]) -> RowTask:
    columns = model.columns
    names = dict.fromkeys(
        (*columns.time, *columns.targets, *columns.group, *columns.known, *columns.past, *columns.static)
    )

    def compute(*rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        found = []
        for row in zip(*rows, strict=True):
            table = {name: _nested(value) for name, value in zip(names, row, strict=True)}
            said = model.forecast(table, **options)
            if len(said) != 1:
                raise ArgumentError(f"batch: expected one series in each row, got {len(said)} in one")
            one = said[0]
            columns = (one.median, *one.interval(0.8), *one.interval(0.95))
            found.append(tuple([float(value) for value in column] for column in columns))
        return found

    return RowTask(tuple(names), dict.fromkeys(_FORECAST, object), compute)
