"""The models of a server: what each can be asked, and the thread that computes for it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from nabi import models
from nabi.errors import ArgumentError, NabiError
from nabi.serving._limits import Limits
from nabi.serving._refused import RefusedError
from nabi.serving._sessions import Sessions
from nabi.serving._worker import Worker
from nabi.shipping import Stream

__all__ = ["ArrayInterface", "Models", "ServedModel", "TensorShape"]

# What each kind of model does, by the name of the route.
TASKS: Mapping[str, tuple[type, ...]] = {
    "classify": (
        models.TextClassifier,
        models.SeriesClassifier,
        models.ClipClassifier,
        models.DNAClassifier,
        models.SoundClassifier,
        models.Tagger,
    ),
    "estimate": (models.TextRegressor, models.SeriesRegressor, models.DNARegressor),
    "recognise": (models.SoundClassifier, models.SpeechRecognizer),
    "write": (models.LanguageModel,),
    "translate": (models.Translator,),
    "forecast": (models.Forecaster,),
}

_LONGEST_NAME = 100


@dataclass(frozen=True)
class TensorShape:
    """A tensor that a model reads or gives.

    Attributes:
        name: of the tensor.
        datatype: as the protocol names it.
        shape: with -1 for axes of any size.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ArrayInterface:
    """A model that reads arrays and gives arrays, row by row.

    Attributes:
        inputs: what a row is made of.
        outputs: what the model gives for it.
        compute: takes rows, each with one array for each input, and gives as many rows of outputs.
        together: whether rows of several requests may be computed together.
        by_size: whether larger inputs are what takes longer; not so where outputs may be of any length.
    """

    inputs: tuple[TensorShape, ...]
    outputs: tuple[TensorShape, ...]
    compute: Callable[[list[Any]], list[tuple[npt.NDArray[Any], ...]]]
    together: bool = True
    by_size: bool = True


@dataclass(eq=False)
class ServedModel:
    """A model and all that a server keeps for it.

    Attributes:
        name: in addresses.
        model: that was loaded.
        tasks: names of the routes that answer with it.
        arrays: how it is asked with arrays; None if it is not.
        sessions: None if it cannot go step by step.
        without_sessions: why it cannot.
        worker: computes for it.
    """

    name: str
    model: Any
    tasks: tuple[str, ...]
    arrays: ArrayInterface | None
    sessions: Sessions | None
    without_sessions: str
    worker: Worker = field(repr=False)

    @property
    def kind(self) -> str:
        """What kind of model it is: the name of its class."""
        return type(self.model).__name__


class Models:
    """All models of a server, by name.

    Args:
        given: loaded models by name.
        limits: of the server.
        clock: gives the seconds after which sessions expire.

    Raises:
        ArgumentError: for no model, a name that cannot stand in an address, and a model of which nothing can
            be asked.
    """

    def __init__(
        self, given: Mapping[str, Any], limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not given:
            raise ArgumentError("models: expected at least one")
        self.limits, self._clock = limits, clock
        self._models = {name: _served(name, model, limits, clock) for name, model in given.items()}
        # Those that were replaced or unloaded: they go on as long as a request or a session has them.
        self._retired: list[ServedModel] = []
        self._all = WeakSet(self._models.values())
        self._unloaded: dict[str, type] = {}

    def __iter__(self) -> Iterator[ServedModel]:
        self._forget()
        return iter(self._models.values())

    def __getitem__(self, name: str) -> ServedModel:
        """Return a model, or refuse the request with 404."""
        if name in self._unloaded:
            raise RefusedError(404, f"model: {name} is not loaded now")
        if name not in self._models:
            raise RefusedError(
                404, f"model: no model is called {name[:60]!r}; there are {', '.join(self._models)}"
            )
        return self._models[name]

    def sessions(self, name: str, id: str | None = None) -> Sessions:
        """Return the sessions of a model: those among which this one is, or those that can be opened.

        Raises:
            RefusedError: with 404 for an unknown model, with 400 for one that has no sessions.
        """
        if id is not None:
            self._forget()
            for retired in self._retired:
                if retired.name == name and retired.sessions is not None and id in retired.sessions:
                    return retired.sessions
        model = self[name]
        if model.sessions is None:
            raise RefusedError(400, f"{model.name} has no sessions: {model.without_sessions}")
        return model.sessions

    # Replacing --------------------------------------------------------------------------------------------

    @property
    def unloaded(self) -> tuple[str, ...]:
        """Names of models that were unloaded."""
        return tuple(self._unloaded)

    def made(self, name: str, model: Any) -> ServedModel:
        """Return what the server needs of a model that is to stand in the place of one.

        Raises:
            ArgumentError: for a model of another kind, or one that cannot be served.
        """
        old = self._unloaded.get(name) or type(self._models[name].model)
        if type(model) is not old:
            raise ArgumentError(f"model: expected a {old.__name__}, got {name}, a {type(model).__name__}")
        return _served(name, model, self.limits, self._clock)

    def replace(self, new: ServedModel) -> None:
        """Have new requests and new sessions answered by another model."""
        self._retire(new.name)
        self._unloaded.pop(new.name, None)
        self._models[new.name] = new
        self._all.add(new)

    def unload(self, name: str) -> None:
        """Take a model away; an unknown one is refused with 404."""
        self._unloaded[name] = type(self[name].model)
        self._retire(name)

    def _retire(self, name: str) -> None:
        old = self._models.pop(name, None)
        if old is not None and old.sessions:
            self._retired.append(old)

    def _forget(self) -> None:
        """Let go of those that were replaced, and whose sessions have all ended."""
        if self._retired:
            self._retired = [one for one in self._retired if one.sessions]

    async def finish(self) -> None:
        """Finish what all models are doing, those that were replaced too."""
        for model in list(self._all):
            await model.worker.close()
            if model.sessions is not None:
                await model.sessions.finish()

    def for_task(self, task: str, name: str) -> ServedModel:
        """Return the model with this name, or without a name the only one that does the task."""
        able = [one for one in self if task in one.tasks]
        if name:
            found = self[name]
            if found not in able:
                raise RefusedError(400, f"model: {name} does not {task}; it is a {found.kind}")
            return found
        if len(able) != 1:
            names = ", ".join(one.name for one in able) or "none"
            raise RefusedError(
                404 if not able else 400, f"model: expected the name of a model; {task}: {names}"
            )
        return able[0]


def _served(name: str, model: Any, limits: Limits, clock: Callable[[], float]) -> ServedModel:
    allowed = name and len(name) <= _LONGEST_NAME and all(one.isalnum() or one in "-_." for one in name)
    if not allowed:
        raise ArgumentError(f"model: expected a name of letters, digits, '-', '_' and '.', got {name!r}")
    tasks = tuple(task for task, kinds in TASKS.items() if isinstance(model, kinds))
    sessions, reason = None, ""
    try:
        sessions = Sessions(name, Stream(model), limits, clock)
    except NabiError as problem:
        reason = str(problem)
    arrays = _array_interface(model)
    if not tasks and arrays is None and sessions is None:
        raise ArgumentError(
            f"model: expected one that can be asked over HTTP, got {name}, a {type(model).__name__}"
        )
    return ServedModel(name, model, tasks, arrays, sessions, reason, Worker(name, limits))


def _array_interface(model: Any) -> ArrayInterface | None:
    """Return how a model is asked with arrays."""
    match model:
        case models.Model():
            return _of_layers(model)
        case models.TextClassifier() if not model.has_aspects and model.other_columns is None:
            return _of_texts(model.probabilities, len(model.labels.names))
        case models.TextRegressor() if not model.has_aspects and model.other_columns is None:
            return ArrayInterface(
                (TensorShape("text", "BYTES", (-1,)),),
                (TensorShape("number", "FP64", (-1,)),),
                lambda rows: [(np.asarray(one),) for one in model.predict([row[0] for row in rows])],
            )
        case models.Translator():
            return ArrayInterface(
                (TensorShape("text", "BYTES", (-1,)),),
                (TensorShape("translation", "BYTES", (-1,)),),
                lambda rows: [(_text(one.text),) for one in model.translate([row[0] for row in rows])],
                by_size=False,
            )
    return None


def _of_texts(probabilities: Callable[[list[str]], npt.NDArray[np.float32]], classes: int) -> ArrayInterface:
    return ArrayInterface(
        (TensorShape("text", "BYTES", (-1,)),),
        (TensorShape("probabilities", "FP32", (-1, classes)),),
        lambda rows: [(row,) for row in probabilities([row[0] for row in rows])],
    )


def _of_layers(model: models.Model) -> ArrayInterface | None:
    """Return the interface of a model of layers; None if it keeps states between calls."""
    if any(getattr(layer, "stateful", False) for layer in model.layers):
        return None
    names = list(model.input_names) or ["input"]
    shapes = model.input_shape
    listed = shapes if isinstance(shapes, list) else [shapes] * len(names)
    inputs = tuple(
        TensorShape(
            name, "FP32", () if shape is None else tuple(-1 if size is None else size for size in shape)
        )
        for name, shape in zip(names, listed, strict=True)
    )
    outputs = tuple(TensorShape(name, "FP32", ()) for name in model.output_names or ["output"])

    def compute(rows: Sequence[tuple[npt.NDArray[Any], ...]]) -> list[tuple[npt.NDArray[Any], ...]]:
        stacked = [np.stack(parts) for parts in zip(*rows, strict=True)]
        found = model.predict(stacked if len(stacked) > 1 else stacked[0], verbose=0)
        columns = found if isinstance(found, list | tuple) else [found]
        return list(zip(*(np.asarray(column) for column in columns), strict=True))

    fixed = any(one.shape and one.shape[0] > 0 for one in inputs)
    return ArrayInterface(inputs, outputs, compute, together=not fixed)


def _text(text: str) -> npt.NDArray[Any]:
    found = np.empty((), object)
    found[()] = text
    return found
