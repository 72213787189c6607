"""What every `TaskModel` passes: its files, and trainings that are interrupted, killed and taken up again.

A test file of a system says how one is made and trained, and takes the checks over:

    from .task_checks import *  # the tests

    TASK = Task(make=..., fit=..., ask=...)

    @pytest.fixture(scope="module")
    def task():
        return TASK
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nabi.callbacks import Callback
from nabi.errors import ArgumentError, FileFormatError
from nabi.files import read_model_file, write_model_file

__all__ = [
    "Task",
    "learnt",
    "same_weights",
    "test_a_damaged_file_is_refused",
    "test_a_file_gives_the_same_model",
    "test_a_file_of_another_kind_is_refused_with_what_reads_it",
    "test_a_killed_training_goes_on_as_if_nothing_had_been",
    "test_a_training_that_fails_leaves_the_model_as_it_was",
    "test_an_interrupted_training_goes_on_as_if_nothing_had_been",
    "test_another_seed_gives_other_weights_and_the_same_the_same",
    "test_nothing_is_asked_before_something_is_learnt",
    "test_the_checkpoint_of_another_training_is_refused",
    "test_weights_of_other_shapes_are_refused",
]


# The systems take turns: what these checks test, files and the loop, they share.
in_turns = pytest.mark.rotates(days=3)


@dataclass(frozen=True)
class Task:
    """A system, small enough for a test.

    Attributes:
        make: makes one, of three epochs and five batches at least; takes settings.
        data: what `fit` takes by place.
        other_data: the same as other material, of which a checkpoint is refused.
        ask: what a trained one answers, to be compared with `==`.
        material: what it learns from, as the message about a checkpoint says it.
        options: what else `fit` takes.
    """

    make: Callable[..., Any]
    data: tuple[Any, ...]
    other_data: tuple[Any, ...]
    ask: Callable[[Any], Any]
    material: str
    options: Any = None

    def fit(self, model: Any, **options: Any) -> Any:
        """Train a model on the data."""
        return model.fit(*self.data, verbose=0, **{**(self.options or {}), **options})


class PressesCtrlC(Callback):
    """Presses Ctrl-C after so many batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self._left = batches

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGINT)


class Fails(Callback):
    """Raises after a batch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        raise InterruptedError


@pytest.fixture(scope="module")
def learnt(task: Task) -> Any:
    """A system that has learnt something."""
    model = task.make()
    task.fit(model)
    return model


def same_weights(one: Any, other: Any) -> bool:
    """Whether two systems have the same weights, to the last bit."""
    weights = one.network.state_dict(), other.network.state_dict()
    return weights[0].keys() == weights[1].keys() and all(
        torch.equal(weights[0][name], weights[1][name]) for name in weights[0]
    )


# Files ------------------------------------------------------------------------------------------------------


def test_a_file_gives_the_same_model(task: Task, learnt: Any, tmp_path: Path) -> None:
    path, again_path = tmp_path / "model.nabi", tmp_path / "again.nabi"
    learnt.save(path)
    again = type(learnt).load(path)
    assert task.ask(again) == task.ask(learnt)
    for name in ("settings", "asked", "report", "history", "cell"):
        expected = learnt.settings if name == "asked" else getattr(learnt, name)
        assert getattr(again, name) == expected, name
    assert same_weights(again, learnt)
    again.save(again_path)
    assert again_path.read_bytes() == path.read_bytes()


def test_a_file_of_another_kind_is_refused_with_what_reads_it(learnt: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.nabi"
    write_model_file(path, "weights", {"input_shape": None}, {})
    with pytest.raises(FileFormatError, match="load_weights"):
        type(learnt).load(path)


@in_turns
def test_a_damaged_file_is_refused(learnt: Any, tmp_path: Path) -> None:
    path, cut = tmp_path / "model.nabi", tmp_path / "cut.nabi"
    learnt.save(path)
    content = path.read_bytes()
    for place in range(100, len(content), len(content) // 25):
        cut.write_bytes(content[:place])
        with pytest.raises(FileFormatError):
            type(learnt).load(cut)
    file = read_model_file(path)
    header = {name: one for name, one in file.header.items() if name not in ("format", "layout", "kind")}
    for name in header:
        for wrong in ({key: one for key, one in header.items() if key != name}, {**header, name: "junk"}):
            write_model_file(cut, file.kind, wrong, file.tensors)
            # Something of the system's own may be a text, or be there only at times.
            if name in ("cell", "settings", "report", "history"):
                with pytest.raises((FileFormatError, ArgumentError)):
                    type(learnt).load(cut)


@in_turns
def test_weights_of_other_shapes_are_refused(learnt: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.nabi"
    learnt.save(path)
    file = read_model_file(path)
    header = {name: one for name, one in file.header.items() if name not in ("format", "layout", "kind")}
    for name, tensor in file.tensors.items():
        larger = torch.cat([tensor, tensor[:1]]) if tensor.dim() else tensor[None]
        others = {key: one for key, one in file.tensors.items() if key != name}
        for tensors in (others, {**others, name: larger}, {**file.tensors, "more": tensor}):
            write_model_file(path, file.kind, header, tensors)
            with pytest.raises(FileFormatError, match="is damaged: it cannot be made"):
                type(learnt).load(path)
    config = {**header["cell"]["config"], "units": 10**9}
    claim = {
        **header,
        "settings": {**header["settings"], "units": 10**9},
        "cell": {**header["cell"], "config": config},
    }
    write_model_file(path, file.kind, claim, file.tensors)
    with pytest.raises(FileFormatError, match="is damaged: it cannot be made"):
        type(learnt).load(path)


# Training ---------------------------------------------------------------------------------------------------


def test_nothing_is_asked_before_something_is_learnt(task: Task, tmp_path: Path) -> None:
    for asked in (task.ask, lambda model: model.save(tmp_path / "model.nabi")):
        with pytest.raises(ArgumentError, match="not fitted"):
            asked(task.make())
    assert not (tmp_path / "model.nabi").exists()


@in_turns
def test_another_seed_gives_other_weights_and_the_same_the_same(task: Task, learnt: Any) -> None:
    state = torch.get_rng_state()
    again, other = task.make(), task.make(seed=learnt.settings.seed + 1)
    task.fit(again)
    task.fit(other)
    assert same_weights(again, learnt)
    assert again.history == learnt.history
    assert not same_weights(other, learnt)
    assert torch.equal(torch.get_rng_state(), state)


@in_turns
def test_a_training_that_fails_leaves_the_model_as_it_was(task: Task) -> None:
    model = task.make()
    with pytest.raises(InterruptedError):
        task.fit(model, callbacks=Fails())
    assert not model.trained
    task.fit(model)
    before, answer = dict(vars(model)), task.ask(model)
    with pytest.raises(InterruptedError):
        task.fit(model, callbacks=Fails())
    assert vars(model) == before
    assert task.ask(model) == answer


@in_turns
@pytest.mark.parametrize("batches", [2, 5])
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(
    task: Task, learnt: Any, tmp_path: Path, batches: int
) -> None:
    place = tmp_path / "model.training"
    halves = task.make()
    assert task.fit(halves, checkpoint=place, callbacks=PressesCtrlC(batches)).interrupted
    assert place.exists()
    task.ask(halves)  # it can be used as it is
    again = task.make()
    assert not task.fit(again, checkpoint=place).interrupted
    assert not place.exists()
    assert same_weights(again, learnt)
    assert again.history == learnt.history


@in_turns
def test_the_checkpoint_of_another_training_is_refused(task: Task, tmp_path: Path) -> None:
    place = tmp_path / "model.training"
    task.fit(task.make(), checkpoint=place, callbacks=PressesCtrlC(2))
    content = place.read_bytes()
    with pytest.raises(ArgumentError, match="of a training with other settings"):
        task.fit(task.make(epochs=7), checkpoint=place)
    with pytest.raises(ArgumentError, match=f"of a training with other {task.material}"):
        replace(task, data=task.other_data).fit(task.make(), checkpoint=place)
    assert place.read_bytes() == content
    with pytest.raises(FileFormatError):
        type(task.make()).load(place)


_KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from nabi.callbacks import Callback
from nabi.training._loop import _resumable_training
_resumable_training._SECONDS_BETWEEN_CHECKPOINTS = 0.0
from {module} import TASK

class Waits(Callback):
    count = 0
    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        if self.count > 3:
            os.kill(os.getpid(), signal.SIGKILL)

TASK.fit(TASK.make(), checkpoint=sys.argv[1], callbacks=Waits())
"""


# The systems take turns: each kill is a process of its own, and what it tests is the loop that they share.
@pytest.mark.rotates(days=4)
@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
def test_a_killed_training_goes_on_as_if_nothing_had_been(
    task: Task, learnt: Any, tmp_path: Path, request: pytest.FixtureRequest, fresh: Any
) -> None:
    """A program that is killed in the middle of a training leaves a checkpoint that is whole."""
    place, root = tmp_path / "model.training", Path(__file__).parents[2]
    module = ".".join(request.path.relative_to(root).with_suffix("").parts)
    ended = fresh(_KILLED.format(root=str(root), module=module), place)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert place.exists()
    again = task.make()
    task.fit(again, checkpoint=place)
    assert not place.exists()
    assert same_weights(again, learnt)
    assert again.history == learnt.history
