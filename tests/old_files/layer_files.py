"""Files of Sequential and functional models, of weights alone, and checkpoints of `Model.fit`."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nabi
from nabi import layers, models
from nabi.callbacks import BackupAndRestore, Callback, ModelCheckpoint
from nabi.utils import set_random_seed

from .layer_models import CODES, HALF, MODELS, X, lstm, two_in_two_out, words
from .old_file import CountBatches, OldFile
from .own_objects import OWN


def _weights() -> OldFile:
    """Weights alone, into a model that is there."""
    trained = MODELS["sequential lstm"]

    def ask(model: Any) -> Any:
        return model.predict(X, verbose=0)

    def write(path: Path) -> Any:
        model = trained.compiled()
        model.save_weights(path)
        return ask(model)

    def read(path: Path) -> Any:
        model = lstm()
        model.load_weights(path)
        return ask(model)

    return OldFile(write, read)


def _not_compiled() -> OldFile:
    """A model without training, and one whose weights were never made: only its layers are asked for."""

    def write(path: Path) -> Any:
        set_random_seed(3)
        model = two_in_two_out()
        model.save(path)
        models.Sequential([layers.LSTM(2), layers.Dense(1)]).save(path.with_suffix(".unbuilt"))
        return [model.predict([X, CODES], verbose=0), [4, 1], ["LSTM", "Dense"], None]

    def read(path: Path) -> Any:
        model = models.load_model(path)
        unbuilt = models.load_model(path.with_suffix(".unbuilt"))
        kinds = [type(layer).__name__ for layer in unbuilt.layers]
        shape = unbuilt.predict(X, verbose=0).shape
        return [model.predict([X, CODES], verbose=0), list(shape), kinds, model.optimizer]

    return OldFile(write, read)


class _Killed(Callback):
    """Ends a run after so many batches, as if its program had been killed."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.left -= 1
        if not self.left:
            raise InterruptedError


def _backup(name: str, batches: int, schedule: Any) -> OldFile:
    """A run of four epochs that ends in the middle, and goes on from its file."""
    of = MODELS[name]
    trained = replace(of, options={**of.options, "schedule": schedule})

    per_epoch = -(-len(of.y[0] if isinstance(of.y, list) else of.y) // of.batch_size)
    whole_epochs = (batches - 1) // per_epoch

    def ask(model: Any, first: int, *more: Any) -> Any:
        counting = CountBatches()
        history = trained.fit(model, 0, 4, [*more, counting])
        return {
            # The epochs before the interruption are in the history of the program that was stopped.
            "history": {key: values[first:] for key, values in history.items()},
            "weights": model.get_weights(),
            "epoch": model.completed_epoch,
            "batches left": counting.batches - first * per_epoch,
        }

    def write(path: Path) -> Any:
        with contextlib.suppress(InterruptedError):
            trained.fit(trained.compiled(), 0, 4, [BackupAndRestore(path), _Killed(batches)])
        return ask(trained.compiled(), whole_epochs)

    def read(path: Path) -> Any:
        model = trained.compiled()
        set_random_seed(11)  # what is random comes from the file
        answer = ask(model, 0, BackupAndRestore(path))
        assert not path.exists()
        return answer

    return OldFile(write, read)


def _model_checkpoint(save_freq: str | int) -> OldFile:
    """What `ModelCheckpoint` writes, here after the third epoch or in the middle of it."""
    trained = MODELS["sequential lstm"]

    def ask(model: Any) -> Any:
        says = model.predict(X, verbose=0)
        return {"says": says, "history": trained.fit(model, 3, 4), "weights": model.get_weights()}

    def write(path: Path) -> Any:
        model = trained.compiled()
        model.save(path)
        trained.fit(model, 0, 3, ModelCheckpoint(path, save_freq=save_freq))
        return ask(models.load_model(path) if save_freq == 5 else model)

    return OldFile(write, lambda path: ask(models.load_model(path)))


def _best_weights() -> OldFile:
    trained = MODELS["sequential words"]

    def write(path: Path) -> Any:
        model = trained.compiled()
        keeping = ModelCheckpoint(path, "loss", save_best_only=True, save_weights_only=True)
        trained.fit(model, 0, 2, keeping)
        return model.predict(CODES, verbose=0)

    def read(path: Path) -> Any:
        model = words()
        model.load_weights(path)
        return model.predict(CODES, verbose=0)

    return OldFile(write, read)


_CONFIGS = ["sequential words", "sequential normalised", "functional cells", "functional merged"]


def _configs() -> OldFile:
    """Models as text, and words by their numbers."""

    def ask(made: list[Any], tokenizer: Any) -> Any:
        layers_of = [[[layer.name, layer.count_params()] for layer in model.layers] for model in made]
        return [layers_of, tokenizer.texts_to_sequences(["the dog sat", "a cat"])]

    def write(path: Path) -> Any:
        layers.reset_names()
        made = [MODELS[name].compiled() for name in _CONFIGS]
        for model, name in zip(made, _CONFIGS, strict=True):
            model.predict(MODELS[name].x, verbose=0)
        tokenizer = nabi.data.Tokenizer(num_words=5)
        tokenizer.fit_on_texts(["the cat sat", "the dog sat", "a dog"])
        path.write_text(json.dumps([[model.to_json() for model in made], tokenizer.to_json()]))
        return ask(made, tokenizer)

    def read(path: Path) -> Any:
        described, tokenizer = json.loads(path.read_text())
        made = [models.model_from_json(one, custom_objects=OWN) for one in described]
        for model, name in zip(made, _CONFIGS, strict=True):
            model.predict(MODELS[name].x, verbose=0)
        return ask(made, nabi.data.tokenizer_from_json(tokenizer))

    return OldFile(write, read)


FILES: dict[str, OldFile] = {
    **{name: trained.old_file() for name, trained in MODELS.items()},
    "weights": _weights(),
    "not compiled": _not_compiled(),
    "backup of lstm": _backup("sequential lstm", 5, HALF),
    "backup of lstm without a schedule": _backup("sequential lstm", 5, None),
    "backup of stateful": _backup("sequential stateful", 3, HALF),
    "backup of functional": _backup("functional several", 6, HALF),
    "model checkpoint": _model_checkpoint("epoch"),
    "model checkpoint within an epoch": _model_checkpoint(5),
    "best weights": _best_weights(),
    "configs": _configs(),
}
