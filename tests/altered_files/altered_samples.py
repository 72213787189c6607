"""A small valid file of each kind, and how each is loaded and used."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nabi
from nabi import (
    Captioner,
    ClipClassifier,
    DNARegressor,
    LanguageModel,
    NoteModel,
    SeriesClassifier,
    SeriesRegressor,
    Tagger,
    Translator,
    layers,
    models,
)
from nabi.callbacks import Callback
from nabi.training._loop import _resumable_training as training
from nabi.utils import set_random_seed

TEXT = "the cat sat on the mat. the dog sat on the log. " * 6
X = np.linspace(-1, 1, 4 * 5 * 2, dtype=np.float32).reshape(4, 5, 2)
Y = np.linspace(0, 1, 4, dtype=np.float32)
CODES = np.arange(12).reshape(4, 3) % 7
PIECES, STYLES = [[(60, 64), (62,), ()]] * 8, ["a", "b"] * 4
PICTURES, CAPTIONS = list(np.zeros((6, 8, 8, 3), np.uint8)), ["a dot", "no dot"] * 3
CLIPS, WAYS = [np.zeros((frames, 8, 8, 3), np.uint8) for frames in (2, 3, 4, 5)], ["left", "right"] * 2
SOURCE, TARGET = ["one two", "two one"] * 3, ["1 2", "2 1"] * 3
REVIEWS = ["good film", "bad film", "a good one", "a bad one", "so good", "so bad"] * 4


@dataclass(frozen=True)
class Sample:
    """A kind of file: what writes one, what loads it, and what is done with what was loaded."""

    write: Callable[[Path], Any]
    load: Callable[[Path], Any]
    use: Callable[[Any], Any]


def _sequential() -> Any:
    return models.Sequential(
        [
            layers.LSTM(3, input_shape=(5, 2), dropout=0.2, seed=3),
            layers.Dropout(0.3, seed=1),
            layers.Dense(1),
        ]
    )


def _write_sequential(path: Path) -> None:
    model = _sequential()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, epochs=2, batch_size=2, verbose=0)
    model.save(path)


def _stateful() -> Any:
    first = layers.GRU(3, stateful=True, return_sequences=True, batch_input_shape=(4, 5, 2))
    return models.Sequential([first, layers.Bidirectional(layers.SimpleRNN(2)), layers.Dense(1)])


def _write_stateful(path: Path) -> None:
    import functools

    model = _stateful()
    schedule = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=2)
    optimizer = nabi.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, "mse", schedule=schedule)
    model.fit(X, Y, epochs=2, batch_size=4, verbose=0)
    model.save(path)


def _write_functional(path: Path) -> None:
    numbers, words = nabi.Input((5, 2), name="numbers"), nabi.Input((3,), name="words")
    embedded = layers.Embedding(7, 3, mask_zero=True)(words)
    both = layers.concatenate([layers.GRU(2)(numbers), layers.LSTM(2)(embedded)])
    hidden = layers.Activation("tanh")(layers.Dense(4)(layers.RepeatVector(2)(both)))
    outputs = [layers.Dense(1, name="one")(layers.Flatten()(hidden)), layers.Dense(2, name="two")(both)]
    model = models.Model([numbers, words], outputs)
    model.compile("rmsprop", {"one": "mse", "two": "mae"}, loss_weights={"one": 1.0, "two": 0.5})
    model.fit([X, CODES], [Y, np.stack([Y, Y], 1)], epochs=1, batch_size=2, verbose=0)
    model.save(path)


def _train(model: Any) -> None:
    several = isinstance(model.input_shape, list)
    x, y = ([X, CODES], [Y, np.stack([Y, Y], 1)]) if several else (X, Y)
    if model.built:
        model.predict(x, batch_size=4, verbose=0)
        model.reset_state()
    if model.optimizer is not None:
        model.fit(x, y, epochs=model.completed_epoch + 1, batch_size=4, verbose=0)


def _into(make: Callable[[], Any], load: Callable[[Any, Path], Any]) -> Callable[[Path], Any]:
    """Load into a model that is there, which must stay as it was if that fails."""

    def loaded(path: Path) -> Any:
        model = make()
        model.compile("adam", "mse", metrics=["mae"])
        before = {name: value.clone() for name, value in model.state_dict().items()}
        try:
            load(model, path)
        except Exception:
            for name, value in model.state_dict().items():
                assert torch.equal(value, before[name]), name
            raise
        return model

    return loaded


class _Stop(Callback):
    """Ends a training as if the program were killed."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1:
            raise InterruptedError


def _write_checkpoint(model: Any, data: tuple[Any, ...], options: dict[str, Any], path: Path) -> None:
    between, training._SECONDS_BETWEEN_CHECKPOINTS = training._SECONDS_BETWEEN_CHECKPOINTS, 0.0
    try:
        model.fit(*data, verbose=0, checkpoint=path, callbacks=_Stop(), **options)
    except InterruptedError:
        pass
    finally:
        training._SECONDS_BETWEEN_CHECKPOINTS = between


def _task(
    make: Callable[[], Any], data: tuple[Any, ...], options: dict[str, Any], use: Callable[[Any], Any]
) -> tuple[Sample, Sample]:
    """The file of a task model, and the checkpoint of its training."""

    def write(path: Path) -> None:
        model = make()
        model.fit(*data, verbose=0, **options)
        model.save(path)

    def go_on(path: Path) -> Any:
        make().fit(*data, verbose=0, checkpoint=path, **options)

    checkpoint = Sample(lambda path: _write_checkpoint(make(), data, options, path), go_on, lambda _: None)
    return Sample(write, type(make()).load, use), checkpoint


_SMALL = {"embedding_size": 3, "epochs": 1, "units": 4}
_LANGUAGE, _LANGUAGE_TRAINING = _task(
    lambda: LanguageModel(window=8, batch_size=4, **_SMALL),
    ([TEXT],),
    {},
    lambda one: list(one.write("the", 5, seed=1)),
)
_PIECE_MODEL, _PIECE_TRAINING = _task(
    lambda: LanguageModel(window=8, batch_size=4, unit="pieces", layers=2, tied=True, cell="gru", **_SMALL),
    ([TEXT],),
    {},
    lambda one: list(one.write("the", 5, seed=1)),
)
_NOTES, _NOTES_TRAINING = _task(
    lambda: NoteModel(batch_size=2, **_SMALL),
    (PIECES, STYLES),
    {},
    lambda one: list(one.write(frames=3, label="a", seed=1)),
)
_TRANSLATOR, _TRANSLATOR_TRAINING = _task(
    lambda: Translator(unit="words", batch_size=2, **_SMALL),
    (SOURCE, TARGET),
    {"validation_share": 0},
    lambda one: one.translate(["one two"]),
)
_CAPTIONER, _CAPTIONER_TRAINING = _task(
    lambda: Captioner(image_size=8, channels=(2, 3), batch_size=2, **_SMALL),
    (PICTURES, CAPTIONS),
    {"validation_share": 0},
    lambda one: one.caption(PICTURES[:1]),
)
_CLIPS, _CLIPS_TRAINING = _task(
    lambda: ClipClassifier(
        image_size=8, channels=(2,), features=3, units=4, epochs=1, batch_size=2, convolutions=(3,)
    ),
    (CLIPS, WAYS),
    {"validation_share": 0},
    lambda one: one.predict(CLIPS[:1]),
)

_SERIES, _SERIES_TRAINING = _task(
    lambda: SeriesClassifier(units=3, epochs=1, batch_size=2, networks=2, convolutions=(2,)),
    ([np.ones((3, 2)) * row for row in range(4)], ["a", "b"] * 2),
    {"validation_share": 0},
    lambda one: (one.evaluate([np.ones((2, 2))] * 2, ["a", "b"]), str(one.report)),
)

_SERIES_NUMBERS, _SERIES_NUMBERS_TRAINING = _task(
    lambda: SeriesRegressor(units=3, epochs=1, batch_size=2, networks=2, convolutions=(2,)),
    ([np.ones((3, 2)) * row for row in range(10)], list(range(10))),
    {"validation_share": 0},
    lambda one: (one.predict([np.ones((2, 2))]), str(one.report)),
)

_DNA_NUMBERS, _DNA_NUMBERS_TRAINING = _task(
    lambda: DNARegressor(units=3, epochs=1, batch_size=2, words="bases", convolutions=(2,)),
    (["ACGTA", "CCGTA", "GGGTA", "TCGAA", "ACCCC"] * 2, list(range(10))),
    {"validation_share": 0, "test_share": 0.4},
    lambda one: (one.predict(["ACGTT"]), str(one.report)),
)

_TAGGER, _TAGGER_TRAINING = _task(
    lambda: Tagger(characters=2, character_size=3, batch_size=2, **_SMALL),
    ([["a", "Cat"], ["it"]] * 3, [["O", "B-X"], ["O"]] * 3),
    {},
    lambda one: (one.predict(["a cat"]), one.evaluate([["a"]], [["O"]]), str(one.report)),
)


def _write_classifier(path: Path) -> None:
    classifier = nabi.TextClassifier(units=3, embedding_size=4, epochs=1, batch_size=8)
    classifier.fit(REVIEWS, ["good", "bad"] * 12, verbose=0)
    classifier.save(path)


SAMPLES: dict[str, Sample] = {
    "sequential": Sample(_write_sequential, models.load_model, _train),
    "stateful": Sample(_write_stateful, models.load_model, _train),
    "functional": Sample(_write_functional, models.load_model, _train),
    "weights": Sample(
        lambda path: _sequential().save_weights(path),
        _into(_sequential, lambda model, path: model.load_weights(path)),
        _train,
    ),
    "training": Sample(
        _write_sequential, _into(_sequential, lambda model, path: model.load_training(path)), _train
    ),
    "text classifier": Sample(
        _write_classifier,
        nabi.TextClassifier.load,
        lambda one: (one.predict(["a good film"]), str(one.report)),
    ),
    "language model": _LANGUAGE,
    "language model of pieces": _PIECE_MODEL,
    "note model": _NOTES,
    "translator": _TRANSLATOR,
    "captioner": _CAPTIONER,
    "series classifier": _SERIES,
    "series regressor": _SERIES_NUMBERS,
    "DNA regressor": _DNA_NUMBERS,
    "clip classifier": _CLIPS,
    "tagger": _TAGGER,
    "language model training": _LANGUAGE_TRAINING,
    "piece model training": _PIECE_TRAINING,
    "note model training": _NOTES_TRAINING,
    "translator training": _TRANSLATOR_TRAINING,
    "captioner training": _CAPTIONER_TRAINING,
    "series classifier training": _SERIES_TRAINING,
    "series regressor training": _SERIES_NUMBERS_TRAINING,
    "DNA regressor training": _DNA_NUMBERS_TRAINING,
    "clip classifier training": _CLIPS_TRAINING,
    "tagger training": _TAGGER_TRAINING,
}


def write(kind: str, path: Path) -> None:
    """Write a valid file of a kind; the same each time."""
    set_random_seed(0)
    SAMPLES[kind].write(path)
