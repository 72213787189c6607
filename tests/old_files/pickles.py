"""What `torch.save` and pickle write of modules and models: it names classes by where they are defined."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import nabi.nn
from nabi import cells
from nabi.utils import set_random_seed

from .layer_models import CODES, MODELS, X
from .old_file import OldFile
from .task_models import TASKS

_INPUT = torch.from_numpy(X)


def _module(make: Callable[[], torch.nn.Module]) -> OldFile:
    """A module that `torch.save` wrote whole."""

    def ask(module: Any) -> Any:
        found = module(_INPUT)
        output, states = found if isinstance(found, tuple) else (found, ())
        kept = states if isinstance(states, tuple) else (states,)
        return [repr(module), output, [type(states).__name__, *kept]]

    def write(path: Path) -> Any:
        set_random_seed(2)
        module = make()
        torch.save(module, path)
        return ask(module)

    return OldFile(write, lambda path: ask(torch.load(path, weights_only=False)))


def _state_dict() -> OldFile:
    def write(path: Path) -> Any:
        set_random_seed(2)
        module = nabi.nn.LSTM(2, 3, num_layers=2, bidirectional=True)
        torch.save(module.state_dict(), path)
        return module(_INPUT)[0]

    def read(path: Path) -> Any:
        module = nabi.nn.LSTM(2, 3, num_layers=2, bidirectional=True)
        module.load_state_dict(torch.load(path, weights_only=True))
        return module(_INPUT)[0]

    return OldFile(write, read)


def _model(name: str, x: Any, *, save: Callable[[Any, Path], None], load: Callable[[Path], Any]) -> OldFile:
    trained = MODELS[name]

    def ask(model: Any) -> Any:
        return [model.predict(x, verbose=0), model.count_params()]

    def write(path: Path) -> Any:
        model = trained.compiled()
        trained.fit(model, 0, 1)
        save(model, path)
        return ask(model)

    return OldFile(write, lambda path: ask(load(path)))


def _task(name: str) -> OldFile:
    task = TASKS[name]

    def write(path: Path) -> Any:
        model = task.trained()
        _dump(model, path)
        return task.ask(model)

    return OldFile(write, lambda path: task.ask(_load(path)))


def _small_things() -> OldFile:
    """Cells, states, a vocabulary: what programs keep beside their models."""

    def ask(things: Any) -> Any:
        cell, state, vocabulary, labels, history = things
        return [
            repr(cell),
            cell.program(2).parameter_sum,
            [type(state).__name__, state.h, state.c],
            [codes.tolist() for codes in vocabulary.encode(["the cat"])],
            labels.names,
            history,
        ]

    def write(path: Path) -> Any:
        set_random_seed(2)
        _, state = nabi.nn.RNN(cells.LSTM(2), input_size=2)(_INPUT)
        language, classifier = TASKS["language of words"].trained(), TASKS["classifier"].trained()
        kept = type(state)(*(one.detach() for one in state))
        things = (
            cells.PeepholeLSTM(3, full=True),
            kept,
            language.vocabulary,
            classifier.labels,
            language.history,
        )
        _dump(things, path)
        return ask(things)

    return OldFile(write, lambda path: ask(_load(path)))


def _dump(thing: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(thing))


def _load(path: Path) -> Any:
    return pickle.loads(path.read_bytes())


_TORCH: dict[str, Any] = {
    "save": lambda model, path: torch.save(model, path),
    "load": lambda path: torch.load(path, weights_only=False),
}
_PICKLE: dict[str, Any] = {"save": _dump, "load": _load}

FILES: dict[str, OldFile] = {
    "pickled nn lstm": _module(lambda: nabi.nn.LSTM(2, 3, batch_first=True)),
    "pickled nn gru": _module(lambda: nabi.nn.GRU(2, 3, num_layers=2, bidirectional=True)),
    "pickled nn elman rnn": _module(lambda: nabi.nn.ElmanRNN(2, 3)),
    "pickled nn rnn of a cell": _module(lambda: nabi.nn.RNN(cells.PeepholeLSTM(3), input_size=2)),
    "pickled state dict": _state_dict(),
    "pickled sequential": _model("sequential words", CODES, **_TORCH),
    "pickled sequential by pickle": _model("sequential lstm", X, **_PICKLE),
    "pickled functional": _model("functional several", [X, CODES], **_PICKLE),
    "pickled things": _small_things(),
    **{
        f"pickled {name}": _task(name)
        for name in ("classifier", "language of gru", "notes", "translator", "captioner")
    },
}
