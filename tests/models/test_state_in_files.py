"""What a file holds beside weights fits what will use it, or the file is refused and nothing changes."""

import functools
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from nabi import layers, models, optimizers
from nabi.errors import ArgumentError, FileFormatError, ShapeError
from nabi.files import read_model_file, write_model_file
from nabi.models import load_model

X = np.linspace(-1, 1, 4 * 5 * 2, dtype=np.float32).reshape(4, 5, 2)
Y = np.linspace(0, 1, 4, dtype=np.float32)

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: optimizers.SGD(0.01, momentum=0.9),
    "adam": optimizers.Adam,
    "amsgrad": lambda: optimizers.Adam(amsgrad=True),
    "adamw": optimizers.AdamW,
    "adamax": optimizers.Adamax,
    "nadam": optimizers.Nadam,
    "rmsprop": lambda: optimizers.RMSprop(momentum=0.5, centered=True),
    "adagrad": optimizers.Adagrad,
    "adadelta": optimizers.Adadelta,
    "torch's adafactor": lambda: torch.optim.Adafactor,
    "torch's asgd": lambda: torch.optim.ASGD,
    "torch's radam": lambda: torch.optim.RAdam,
}


def network(**options: Any) -> models.Sequential:
    return models.Sequential([layers.LSTM(3, input_shape=(5, 2), **options), layers.Dense(1)])


def saved(path: Path, optimizer: Any = "adam", schedule: Any = None, model: Any = None) -> Any:
    model = model or network(dropout=0.2, seed=3)
    model.compile(optimizer, "mse", schedule=schedule)
    model.fit(X, Y, epochs=2, batch_size=4, verbose=0)
    model.save(path)
    return model


def rewrite(
    path: Path,
    tensors: Callable[[dict[str, Any]], Any] | None = None,
    header: Callable[[dict[str, Any]], Any] | None = None,
) -> None:
    file = read_model_file(path)
    described = {name: one for name, one in file.header.items() if name not in ("format", "layout", "kind")}
    if tensors:
        tensors(file.tensors)
    if header:
        header(described)
    write_model_file(path, file.kind, described, file.tensors)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_an_optimizer_is_one_of_its_weights(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.nabi"
    model = saved(path, OPTIMIZERS[name]())
    model.fit(X, Y, initial_epoch=2, epochs=3, batch_size=4, verbose=0)
    again = load_model(path)
    again.fit(X, Y, initial_epoch=2, epochs=3, batch_size=4, verbose=0)
    for own, other in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(own, other)
    held = [one for one in read_model_file(path).tensors if one.startswith(("optimizer/0/", "optimizer/4/"))]
    assert held
    whole = path.read_bytes()
    for tensor in held:
        beside = [one for one in held if one != tensor and one.split("/")[1] == tensor.split("/")[1]]
        # A weight that was never trained has no state at all.
        for change in ("another size", "other type", "more axes", *(["gone"] if beside else [])):
            path.write_bytes(whole)

            def altered(tensors: dict[str, Any], tensor: str = tensor, change: str = change) -> None:
                old = tensors.pop(tensor)
                if change == "another size":
                    tensors[tensor] = torch.zeros(2 if old.shape == (1,) else 1)
                elif change == "other type":
                    tensors[tensor] = old.to(torch.int32)
                elif change == "more axes":
                    tensors[tensor] = old.expand(2, *old.shape).clone()

            rewrite(path, altered)
            with pytest.raises(
                FileFormatError, match=rf"model\.nabi is damaged.*{tensor}: expected .*, got "
            ):
                load_model(path)


def test_a_weight_without_a_momentum_beside_others_that_have_one(tmp_path: Path) -> None:
    saved(tmp_path / "model.nabi", optimizers.SGD(0.01, momentum=0.9))
    rewrite(
        tmp_path / "model.nabi",
        lambda it: [it.pop(one) for one in list(it) if one.startswith("optimizer/4/")],
    )
    model = load_model(tmp_path / "model.nabi")
    model.fit(X, Y, initial_epoch=2, epochs=3, batch_size=4, verbose=0)
    assert all(np.isfinite(one).all() for one in model.get_weights())


@pytest.mark.parametrize("step", [float("nan"), float("inf"), -1.0, 1.5])
def test_steps_are_counted_in_whole_numbers(tmp_path: Path, step: float) -> None:
    saved(tmp_path / "model.nabi")
    rewrite(tmp_path / "model.nabi", lambda one: one.update({"optimizer/1/step": torch.tensor(step)}))
    with pytest.raises(FileFormatError, match=r"optimizer/1/step: expected a whole number from 0, got "):
        load_model(tmp_path / "model.nabi")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it["groups"].append(it["groups"][0]), "expected 1 groups of weights, got 2"),
        (lambda it: it["numbers"].update({"99": {"step": 1}}), "optimizer/99: expected no state"),
        (lambda it: set_in(it["groups"][0], "lr", "fast"), r"optimizer\.lr: expected a value like"),
        (lambda it: set_in(it["groups"][0], "lr", float("nan")), r"optimizer\.lr: expected"),
        (
            lambda it: set_in(it["groups"][0], "lr", -1.0),
            r"optimizer\.lr: expected a finite number, not below 0",
        ),
        (lambda it: set_in(it["groups"][0], "betas", {"tuple": [0.9]}), r"optimizer\.betas: expected"),
        (
            lambda it: set_in(it["groups"][0], "betas", {"tuple": [0.9, 2.0]}),
            r"optimizer\.betas: expected a number from 0 to 1",
        ),
        (lambda it: set_in(it["groups"][0], "amsgrad", True), "max_exp_avg_sq: expected shape .*, got none"),
        (lambda it: set_in(it["groups"][0], "params", [0, 1, 2, 4, 3]), r"optimizer\.params: expected"),
    ],
)
def test_the_groups_of_an_optimizer_are_its_own(tmp_path: Path, change: Any, message: str) -> None:
    saved(tmp_path / "model.nabi")
    rewrite(tmp_path / "model.nabi", header=lambda it: change(it["training"]["optimizer_state"]))
    with pytest.raises(FileFormatError, match=message):
        load_model(tmp_path / "model.nabi")


def set_in(group: dict[str, Any], name: str, value: Any) -> None:
    pairs = group["dict"]
    (place,) = [number for number, pair in enumerate(pairs) if pair[0] == name]
    pairs[place][1] = value


@pytest.mark.parametrize(
    ("name", "value"),
    [("step", 5), ("last_epoch", -2), ("last_epoch", "two"), ("base_lrs", []), ("step_size", None)],
)
def test_the_state_of_a_schedule_is_its_own(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "model.nabi"
    saved(path, "sgd", functools.partial(lr_scheduler.StepLR, step_size=1))
    assert load_model(path).fit(X, Y, initial_epoch=2, epochs=3, verbose=0).history["loss"]

    def altered(header: dict[str, Any]) -> None:
        pairs = header["training"]["schedule_state"]["dict"]
        pairs[:] = [*(pair for pair in pairs if pair[0] != name), [name, value]]

    rewrite(path, header=altered)
    with pytest.raises(FileFormatError, match=rf"schedule\.{name}: expected .*, got "):
        load_model(path)


SCHEDULES: dict[str, Any] = {
    "cosine": functools.partial(lr_scheduler.CosineAnnealingLR, T_max=4),
    "restarts": functools.partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=2),
    "plateau": functools.partial(lr_scheduler.ReduceLROnPlateau, patience=1),
    "milestones": functools.partial(lr_scheduler.MultiStepLR, milestones=[1, 3]),
    "one cycle": functools.partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=9, cycle_momentum=False),
    "linear": lr_scheduler.LinearLR,
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_that_were_saved_go_on(tmp_path: Path, name: str) -> None:
    model = saved(tmp_path / "model.nabi", "sgd", SCHEDULES[name])
    again = load_model(tmp_path / "model.nabi")
    for one in (model, again):
        one.fit(X, Y, initial_epoch=2, epochs=4, batch_size=4, verbose=0)
    assert model.optimizer.learning_rate == again.optimizer.learning_rate


def past_its_numbers(state: torch.Tensor) -> torch.Tensor:
    """A state that torch takes, and then reads past the 624 numbers of it."""
    content = bytearray(state.numpy().tobytes())
    struct.pack_into("<i", content, 8, 600)
    struct.pack_into("<Q", content, 16, 600)
    return torch.frombuffer(content, dtype=torch.uint8)


@pytest.mark.parametrize("name", ["random/cpu", "random/shuffle", "state/stack.0._dropout_seed"])
def test_random_states_are_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.nabi"
    saved(path)
    tensors = read_model_file(path).tensors
    (held,) = [one for one in tensors if one == name or (name[:5] == "state" and one[:6] == "state/")][:1]
    whole = path.read_bytes()
    good = tensors[held]
    for bad in (past_its_numbers(good), good[:-1].clone(), torch.zeros_like(good), good.to(torch.float32)):
        path.write_bytes(whole)
        rewrite(path, lambda it, bad=bad: it.update({held: bad}))
        with pytest.raises(FileFormatError, match=rf"{held}: expected .*, got "):
            load_model(path)


@pytest.mark.parametrize("shape", [(1,), (4, 2), (3, 3), (4, 3, 1), (0, 3)])
def test_kept_states_have_the_shape_of_their_layer(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "model.nabi"
    first = layers.GRU(3, stateful=True, batch_input_shape=(4, 5, 2))
    model = saved(path, model=models.Sequential([first, layers.Dense(1)]))
    (name,) = [one for one in read_model_file(path).tensors if one.startswith("state/")]
    assert torch.equal(load_model(path).get_extra()[name[6:]], model.get_extra()[name[6:]])
    rewrite(path, lambda it: it.update({name: torch.zeros(shape)}))
    with pytest.raises(FileFormatError, match=rf"{name}: expected shape \(4, 3\), got shape"):
        load_model(path)
    with pytest.raises(ShapeError, match=r"expected shape \(4, 3\)"):
        model.set_extra({name[6:]: torch.zeros(shape)})


def test_a_batch_of_kept_states_that_the_file_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "model.nabi"
    first = layers.GRU(3, stateful=True, batch_input_shape=(4, 5, 2))
    saved(path, model=models.Sequential([first, layers.Dense(1)]))
    text = json.dumps(read_model_file(path).header["model"]).replace("[4, 5, 2]", "[4000000000000, 5, 2]")
    rewrite(path, header=lambda it: it.update(model=json.loads(text)))
    with pytest.raises(
        (FileFormatError, ArgumentError), match="expected states of 4 samples, as in the file"
    ):
        load_model(path)


CLAIMS: dict[str, tuple[Any, str, Any]] = {
    "units of a layer in a wrapper": (lambda: layers.Bidirectional(layers.GRU(3)), '"units": 3', 10**6),
    "taps of a convolution": (lambda: layers.Conv1D(3, 2), '"kernel_size": [2]', [10**9]),
    "codes": (lambda: layers.TimeDistributed(layers.Dense(3)), '"units": 3', 10**9),
    "features": (lambda: layers.SimpleRNN(3), "[null, 5, 2]", [None, 5, 10**9]),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_no_memory_is_taken_for_weights_that_a_file_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make, old, new = CLAIMS[name]
    path = tmp_path / "model.nabi"
    models.Sequential([layers.Input((5, 2)), make(), layers.Flatten(), layers.Dense(1)]).save(path)
    text = json.dumps(read_model_file(path).header["model"])
    assert old in text
    key = old.rpartition(": ")[0]
    claimed = text.replace(old, f"{key}: {json.dumps(new)}" if key else json.dumps(new))
    rewrite(path, header=lambda it: it.update(model=json.loads(claimed)))
    made = torch.as_tensor
    monkeypatch.setattr(torch, "as_tensor", lambda one, **options: small(made(one, **options)))
    with pytest.raises((FileFormatError, ArgumentError), match="numbers in all, as in the file"):
        load_model(path)


@pytest.mark.parametrize("many", ["layers", "calls"])
def test_models_of_more_parts_than_anybody_waits_for(tmp_path: Path, many: str) -> None:
    path = tmp_path / "model.nabi"
    start = layers.Input((2,))
    model = models.Model(start, layers.Activation("tanh")(start))
    model.save(path)

    def altered(header: dict[str, Any]) -> None:
        config = header["model"]["config"]
        config[many] = [config[many][-1]] * 20_000

    rewrite(path, header=altered)
    with pytest.raises(
        FileFormatError, match="expected 10,000 layers, initializers and calls at most, got 20,0"
    ):
        load_model(path)


def small(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.numel() < 10**6
    return tensor


DAMAGE: dict[str, Any] = {
    "a moment": {"tensors": lambda it: it.update({"optimizer/0/exp_avg": torch.zeros(1)})},
    "the shuffling": {"tensors": lambda it: it.update({"random/shuffle": torch.zeros(4)})},
    "a seed": {"tensors": lambda it: it.update({one: torch.zeros(3) for one in it if one[:6] == "state/"})},
    "the epoch": {"header": lambda it: it["training"].update(completed_epoch=-1)},
    "the iterations": {"header": lambda it: it["training"].update(iterations="many")},
    "a weight": {"tensors": lambda it: it.update({"weights/stack.1.bias": torch.zeros(2)})},
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_training_that_cannot_be_taken_up_changes_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.nabi"
    saved(path)
    rewrite(path, **DAMAGE[name])
    model = network(dropout=0.2, seed=3)
    model.compile("adam", "mse")
    model.fit(X[::-1].copy(), Y, epochs=1, batch_size=4, verbose=0)
    model.save(tmp_path / "before.nabi")
    with pytest.raises((FileFormatError, ShapeError), match=r"model\.nabi"):
        model.load_training(path)
    model.save(tmp_path / "after.nabi")
    assert (tmp_path / "before.nabi").read_bytes() == (tmp_path / "after.nabi").read_bytes()


def test_a_model_without_weights_stays_so_if_a_file_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "weights.nabi"
    network().save_weights(path)
    model = models.Sequential([layers.LSTM(3), layers.Dense(2)])
    with pytest.raises(ShapeError, match=r"weights/stack\.1\.bias: expected shape \(2,\), got shape \(1,\)"):
        model.load_weights(path)
    assert not model.built
    assert not list(model.parameters())
    fitting = models.Sequential([layers.LSTM(3), layers.Dense(1)])
    fitting.load_weights(path)
    assert fitting.built


def test_weights_of_another_type(tmp_path: Path) -> None:
    path = tmp_path / "weights.nabi"
    model = network()
    model.save_weights(path)
    rewrite(path, lambda it: it.update({name: one.double() for name, one in it.items()}))
    other = network()
    other.load_weights(path)
    for own, there in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(own, there)
    rewrite(path, lambda it: it.update({name: one.int() for name, one in it.items()}))
    with pytest.raises(ShapeError, match=r"weights/stack\.0\.bias: expected float32, got int32"):
        other.load_weights(path)
