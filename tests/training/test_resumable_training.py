"""The base of trainings: stopped anywhere and taken up again, patient, with averaged weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nabi.callbacks import Callback
from nabi.errors import ArgumentError, FileFormatError, NotFiniteError
from nabi.files import read_model_file, write_model_file
from nabi.models._task._described import Described
from nabi.training import BatchCallbacks, CallbackList, ResumableTraining, make_display
from nabi.training._loop._interrupt import FinishBatch
from nabi.training._loop._time_limit import TimeLimit


@dataclass(frozen=True)
class Settings(Described):
    epochs: int | None = 4
    learning_rate: float = 0.05
    clipnorm: float = 1.0
    weight_decay: float = 0.0
    seed: int = 0
    patience: int | None = None
    averaging: float | None = None

    def rate(self, step: int, steps: int) -> float:
        return self.learning_rate * (1 - step / steps)


class Line(ResumableTraining):
    """A line through points, five batches of four in an order that is drawn."""

    kind = "line training"
    material = "points"

    def __init__(self, settings: Settings, checkpoint: Path | None, fingerprint: str = "a") -> None:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = torch.nn.Linear(3, 1)
        super().__init__(network, settings, checkpoint, fingerprint)
        random = torch.Generator().manual_seed(2)
        self.x = torch.randn(20, 3, generator=random)
        self.y = self.x.sum(1, keepdim=True) + 0.1 * torch.randn(20, 1, generator=random)
        self.validated: list[dict[str, Tensor]] = []
        self.losses: list[float] = []
        self.begun = 0

    @property
    def batches_per_epoch(self) -> int:
        return 5

    def begin_epoch(self) -> None:
        self.order = torch.randperm(20, generator=self.generator)
        self.begun += 1

    def batches(self, first: int) -> Iterator[Tensor]:
        return iter(self.order.split(4)[first:])

    def loss(self, batch: Tensor) -> tuple[Tensor, int]:
        noise = torch.rand((), generator=self.generator)
        return ((self.network(self.x[batch]) - self.y[batch]) ** 2).mean() * (1 + noise), len(batch)

    @property
    def validates(self) -> bool:
        return True

    def validate(self, after_batch: BatchCallbacks) -> float:
        self.validated.append({name: value.clone() for name, value in self.network.state_dict().items()})
        if self.losses:
            return self.losses[len(self.validated) - 1]
        with torch.no_grad():
            return float(((self.network(self.x) - self.y) ** 2).mean())

    def extra(self) -> dict[str, Any]:
        return {"order": self.order, "begun": self.begun}

    def set_extra(self, extra: dict[str, Any]) -> None:
        self.order, self.begun = extra["order"], int(extra["begun"])


class StopAfter(Callback):
    """Asks for an end after some batches, as Ctrl-C does."""

    def __init__(self, batches: int) -> None:
        self.left = batches
        self.interrupts: list[FinishBatch] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.left -= 1
        if not self.left:
            self.interrupts[-1].asked = True


def run(training: Line, callbacks: list[Callback] | None = None) -> Line:
    training.run(make_display(0), CallbackList(callbacks or [], None, {}))
    return training


def stop(training: Line, batches: int, monkeypatch: pytest.MonkeyPatch) -> Line:
    stopping = StopAfter(batches)
    entered = FinishBatch.__enter__

    def enter(interrupt: FinishBatch) -> FinishBatch:
        stopping.interrupts.append(interrupt)
        return entered(interrupt)

    with monkeypatch.context() as patch:
        patch.setattr(FinishBatch, "__enter__", enter)
        return run(training, [stopping])


@pytest.mark.parametrize("averaging", [None, 0.9])
@pytest.mark.parametrize("batches", [1, 5, 8, 19])
def test_it_goes_on_as_if_it_had_not_been_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int, averaging: float | None
) -> None:
    settings = Settings(averaging=averaging)
    whole = run(Line(settings, None))
    stopped = stop(Line(settings, tmp_path / "line.nabi"), batches, monkeypatch)
    assert stopped.interrupted
    resumed = run(Line(settings, tmp_path / "line.nabi"))
    assert not resumed.interrupted
    assert not (tmp_path / "line.nabi").exists()
    assert resumed.position.history == whole.position.history
    assert resumed.begun == 4
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])


def test_patience_ends_it_and_the_best_weights_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Line(Settings(epochs=9, patience=2), None)
    training.losses = [3.0, 2.0, 2.5, 2.0, 1.0]
    run(training)
    assert training.position.epoch == 4
    assert training.position.best_epoch == 2
    assert not training.interrupted
    for name, value in training.network.state_dict().items():
        assert torch.equal(value, training.validated[1][name])
    # Patience is counted on after an interruption.
    training = Line(Settings(epochs=9, patience=2), tmp_path / "line.nabi")
    training.losses = [3.0, 2.0, 2.5]
    stop(training, 16, monkeypatch)
    training = Line(Settings(epochs=9, patience=2), tmp_path / "line.nabi")
    training.losses = [2.0, 1.0]
    assert run(training).position.epoch == 4


class Slow(Line):
    """A line whose batches take a second each, on a clock of its own."""

    now = 50.0

    def step(self, batch: Tensor) -> None:
        Slow.now += 1.0
        super().step(batch)


def test_the_learning_rate_goes_through_its_course_in_the_time_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: Slow.now)
    training = Slow(Settings(epochs=100), None)
    training.limit = TimeLimit(33.0)
    run(training)
    assert 30 <= training.position.step <= 33
    assert not training.interrupted
    # It falls to nothing; with all the time it would be at 0.94 of its beginning.
    assert training.optimizer.param_groups[0]["lr"] < 0.05 * 0.06
    assert len(training.validated) == training.position.epoch == 7
    assert training.position.best_epoch  # and the best weights are what is kept
    # One that is interrupted has the rest of its time, and its plan, when it goes on.
    halves = Slow(Settings(epochs=100), tmp_path / "line.nabi")
    halves.limit = TimeLimit(33.0)
    stop(halves, 20, monkeypatch)
    Slow.now += 5_000
    halves = Slow(Settings(epochs=100), tmp_path / "line.nabi")
    halves.limit = TimeLimit(33.0)
    run(halves)
    assert 30 <= halves.position.step <= 33
    assert halves.optimizer.param_groups[0]["lr"] < 0.05 * 0.06
    assert not (tmp_path / "line.nabi").exists()


def test_callbacks_hear_of_all_of_it() -> None:
    heard: list[str] = []

    class Hear(Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            heard.append("train begin")

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            heard.append(f"epoch {epoch}")

        def on_test_begin(self, logs: Any = None) -> None:
            heard.append("test begin")

        def on_test_end(self, logs: Any = None) -> None:
            heard.append(f"test {sorted(logs)}")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            heard.append(f"end {sorted(logs)}")

        def on_train_end(self, logs: Any = None) -> None:
            heard.append("train end")

    run(Line(Settings(epochs=1), None), [Hear()])
    assert heard == [
        "train begin",
        "epoch 0",
        "test begin",
        "test ['loss']",
        "end ['loss', 'val_loss']",
        "train end",
    ]


def test_averages_are_what_is_validated_and_kept() -> None:
    training = Line(Settings(epochs=1, averaging=0.8), None)
    seen: list[list[Tensor]] = []

    class Watch(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append([weight.detach().clone() for weight in training.weights])

    expected = [weight.detach().clone() for weight in training.weights]
    run(training, [Watch()])
    for step, weights in enumerate(seen):
        kept = min(0.8, (1 + step) / (10 + step))
        expected = [kept * old + (1 - kept) * new for old, new in zip(expected, weights, strict=True)]
    kept_weights = list(training.network.state_dict().values())
    for found, average, last in zip(kept_weights, expected, seen[-1], strict=True):
        torch.testing.assert_close(found, average)
        assert not torch.allclose(found, last)
    plain = run(Line(Settings(epochs=1), None))  # averaging does not change the training itself
    assert plain.position.history["loss"] == training.position.history["loss"]


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "line.nabi"
    stop(Line(Settings(averaging=0.9), path), 3, monkeypatch)
    with pytest.raises(ArgumentError, match="is of a training with other settings"):
        run(Line(Settings(averaging=0.8), path))
    with pytest.raises(ArgumentError, match="is of a training with other points"):
        run(Line(Settings(averaging=0.9), path, "b"))
    file = read_model_file(path)
    header = {name: value for name, value in file.header.items() if name not in ("format", "layout", "kind")}
    for lost in ("averages/0", "extra/order", "optimizer/0/exp_avg", "weights/bias", "random/training"):
        tensors = {name: value for name, value in file.tensors.items() if name != lost}
        write_model_file(path, "line training", header, tensors)
        with pytest.raises(FileFormatError, match="training cannot go on from it"):
            run(Line(Settings(averaging=0.9), path))


FOREIGN: dict[str, tuple[str, Tensor | None, str]] = {
    "a moment of one number": ("optimizer/0/exp_avg", torch.zeros(1), r"optimizer/0/exp_avg: expected shape"),
    "a moment turned": (
        "optimizer/0/exp_avg_sq",
        torch.zeros(3, 1),
        r"optimizer/0/exp_avg_sq: expected shape",
    ),
    "a moment of another type": ("optimizer/1/exp_avg", torch.zeros(1, dtype=torch.int32), "got int32"),
    "steps that are none": ("optimizer/0/step", torch.tensor(float("nan")), "step: expected a whole number"),
    "steps in a row": ("optimizer/0/step", torch.zeros(3), r"optimizer/0/step: expected shape \(\)"),
    "a weight that is not there": ("optimizer/7/step", torch.tensor(1.0), "optimizer/7: expected no state"),
    "more of a weight": ("optimizer/0/more", torch.zeros(1, 3), "optimizer/0/more: expected no tensor"),
    "an average": ("averages/1", torch.zeros(2), r"averages/1: expected shape \(1,\)"),
    "a best weight": ("best/weight", torch.zeros(2), r"best/(bias|weight): expected"),
    "more": ("more", torch.zeros(2), "more: expected no tensor"),
    "a random state": (
        "random/training",
        torch.zeros(5056, dtype=torch.uint8),
        "random/training: expected the state",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_tensors_of_another_training_are_refused_before_anything_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "line.nabi"
    stop(Line(Settings(averaging=0.9), path), 3, monkeypatch)
    file = read_model_file(path)
    header = {name: value for name, value in file.header.items() if name not in ("format", "layout", "kind")}
    held, tensor, message = FOREIGN[name]
    write_model_file(path, "line training", header, {**file.tensors, held: tensor})
    training = Line(Settings(averaging=0.9), path)
    before = [weight.clone() for weight in training.weights]
    with pytest.raises(FileFormatError, match=rf"training cannot go on from it .*{message}"):
        run(training)
    assert all(torch.equal(own, old) for own, old in zip(training.weights, before, strict=True))
    assert training.position == type(training.position)()
    assert not training.optimizer.state


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("completed_epoch", -1),
        ("completed_epoch", 99),
        ("batch", 1.5),
        ("batch", 4),
        ("iterations", None),
        ("count", 0),
        ("total", "x"),
        ("history", []),
    ],
)
def test_a_position_that_no_training_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    path = tmp_path / "line.nabi"
    stop(Line(Settings(), path), 3, monkeypatch)
    file = read_model_file(path)
    header = {name: value for name, value in file.header.items() if name not in ("format", "layout", "kind")}
    described = header["training"]
    (described if name in described else described["position"])[name] = value
    write_model_file(path, "line training", header, file.tensors)
    with pytest.raises(FileFormatError, match=r"training cannot go on .*\(training\.[a-z_.]*: expected"):
        run(Line(Settings(), path))


def test_a_loss_that_is_no_number_ends_it() -> None:
    training = Line(Settings(), None)
    training.y[:] = torch.inf
    with pytest.raises(NotFiniteError, match="it became inf in epoch 1, batch 1"):
        run(training)


def test_an_infinite_gradient_of_a_finite_loss_stops_before_the_weights_are_lost() -> None:
    class Rooted(Line):
        def loss(self, batch: Tensor) -> tuple[Tensor, int]:
            first, count = super().loss(batch)
            if self.position.step == 3:  # the gradient of the root of zero is infinite
                return (first - first.detach()).abs().sqrt(), count
            return first, count

    training = Rooted(Settings(), None)
    batch = torch.arange(4)
    for number in range(3):
        training.position.batch = number
        training.step(batch)
    training.position.batch = 3
    with pytest.raises(NotFiniteError, match="gradient: it became nan in epoch 1, batch 4"):
        training.step(batch)
    assert all(torch.isfinite(weight).all() for weight in training.network.parameters())
