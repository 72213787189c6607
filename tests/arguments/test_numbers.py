"""NumPy's numbers wherever Python's are taken; what is no number is refused by the argument's name."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import _checks, cells, data, decoding, layers, metrics, optimizers
from nabi._public import public
from nabi.errors import ArgumentError
from nabi.nn import RNN

# What is made, and its arguments in Python's numbers.
MADE: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "SimpleRNN": (layers.SimpleRNN, {"units": 3, "dropout": 0.25, "recurrent_dropout": 0.5, "seed": 7}),
    "LSTM": (layers.LSTM, {"units": 3, "dropout": 0.25, "recurrent_dropout": 0.5, "implementation": 1}),
    "GRU": (layers.GRU, {"units": 3, "input_shape": (4, 2)}),
    "GRUCell": (layers.GRUCell, {"units": 3, "dropout": 0.25}),
    "Dense": (layers.Dense, {"units": 3, "input_dim": 2}),
    "Embedding": (layers.Embedding, {"input_dim": 7, "output_dim": 3, "input_length": 4}),
    "Conv1D": (
        layers.Conv1D,
        {"filters": 4, "kernel_size": 3, "strides": 2, "dilation_rate": 1, "groups": 2},
    ),
    "Conv1D in tuples": (layers.Conv1D, {"filters": 4, "kernel_size": (3,), "strides": (2,)}),
    "Conv2D": (layers.Conv2D, {"filters": 4, "kernel_size": (3, 2), "strides": 2}),
    "MaxPooling1D": (layers.MaxPooling1D, {"pool_size": 2, "strides": 1}),
    "AveragePooling2D": (layers.AveragePooling2D, {"pool_size": (2, 3)}),
    "Dropout": (layers.Dropout, {"rate": 0.25, "seed": 7}),
    "SpatialDropout1D": (layers.SpatialDropout1D, {"rate": 0.25, "seed": 7}),
    "Reshape": (layers.Reshape, {"target_shape": (2, -1)}),
    "Permute": (layers.Permute, {"dims": (2, 1)}),
    "RepeatVector": (layers.RepeatVector, {"n": 3}),
    "Masking": (layers.Masking, {"mask_value": -1.0}),
    "Softmax": (layers.Softmax, {"axis": -1}),
    "Concatenate": (layers.Concatenate, {"axis": -1}),
    "Dot": (layers.Dot, {"axes": (1, 2)}),
    "Attention": (layers.Attention, {"dropout": 0.25, "seed": 7}),
    "L1L2": (nabi.regularizers.L1L2, {"l1": 0.25, "l2": 0.5}),
    "Constant": (nabi.initializers.Constant, {"value": 0.25}),
    "RandomNormal": (nabi.initializers.RandomNormal, {"mean": 0.25, "stddev": 0.5, "seed": 7}),
    "RandomUniform": (nabi.initializers.RandomUniform, {"minval": 0.25, "maxval": 0.5, "seed": -7}),
    "VarianceScaling": (nabi.initializers.VarianceScaling, {"scale": 2.0, "seed": 7}),
    "Orthogonal": (nabi.initializers.Orthogonal, {"gain": 2.0, "seed": 7}),
    "Identity": (nabi.initializers.Identity, {"gain": 2.0}),
    "SGD": (optimizers.SGD, {"learning_rate": 0.25, "momentum": 0.5, "clipnorm": 1.0}),
    "Adam": (optimizers.Adam, {"learning_rate": 0.25, "beta_1": 0.5, "beta_2": 0.75, "weight_decay": 0.5}),
    "ExponentialDecay": (
        optimizers.schedules.ExponentialDecay,
        {"initial_learning_rate": 0.25, "decay_steps": 10, "decay_rate": 0.5},
    ),
    "CosineDecayRestarts": (
        optimizers.schedules.CosineDecayRestarts,
        {"initial_learning_rate": 0.25, "first_decay_steps": 10, "t_mul": 2.0, "m_mul": 0.5, "alpha": 0.25},
    ),
    "GaussianNoise": (layers.GaussianNoise, {"stddev": 0.25, "seed": 7}),
    "GaussianDropout": (layers.GaussianDropout, {"rate": 0.25, "seed": 7}),
    "BatchNormalization": (layers.BatchNormalization, {"axis": -1, "momentum": 0.5, "epsilon": 0.25}),
    "LayerNormalization": (layers.LayerNormalization, {"axis": -1, "epsilon": 0.25}),
    "RMSNormalization": (layers.RMSNormalization, {"axis": -1, "epsilon": 0.25}),
    "ReLU": (layers.ReLU, {"max_value": 2.0, "negative_slope": 0.5, "threshold": 0.25}),
    "LeakyReLU": (layers.LeakyReLU, {"negative_slope": 0.5}),
    "ELU": (layers.ELU, {"alpha": 0.5}),
    "PReLU": (layers.PReLU, {"shared_axes": 1}),
    "Precision": (metrics.Precision, {"thresholds": 0.25}),
    "TruePositives": (metrics.TruePositives, {"thresholds": (0.25, 0.5)}),
    "AUC": (metrics.AUC, {"num_thresholds": 20}),
    "FBetaScore": (metrics.FBetaScore, {"beta": 0.5, "threshold": 0.25}),
    "BinaryAccuracy": (metrics.BinaryAccuracy, {"threshold": 0.25}),
    "BinaryCrossentropy": (metrics.BinaryCrossentropy, {"label_smoothing": 0.25}),
    "Huber": (nabi.losses.Huber, {"delta": 0.25}),
}


def in_numpy(value: Any) -> Any:
    """The same number, or numbers, of NumPy's types."""
    if isinstance(value, tuple):
        return tuple(map(in_numpy, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return np.int64(value) if isinstance(value, int) else np.float32(value)


def in_tensors(value: Any) -> Any:
    """The same number, or numbers, as tensors without axes."""
    if isinstance(value, tuple):
        return tuple(map(in_tensors, value))
    return torch.tensor(value) if isinstance(value, int | float) else value


def without_name(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "name"}


@pytest.mark.parametrize("convert", [in_numpy, in_tensors])
@pytest.mark.parametrize("name", MADE)
def test_the_config_is_that_of_pythons_numbers(name: str, convert: Callable[[Any], Any]) -> None:
    kind, arguments = MADE[name]
    expected = without_name(kind(**arguments).get_config())
    found = without_name(kind(**{key: convert(value) for key, value in arguments.items()}).get_config())
    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    "wrong",
    ["three", None, math.nan, math.inf, True, [3, [4]], 10**400, 2**70, 1j, b"3", object()],
    ids=[
        "text", "None", "nan", "inf", "True", "lists", "10 to the 400", "2 to the 70", "complex", "bytes",
        "object",
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_by_name(name: str, wrong: Any) -> None:
    kind, arguments = MADE[name]
    for argument in arguments:
        optional = wrong is None and argument not in (
            "units", "rate", "filters", "kernel_size", "target_shape", "dims", "n", "axis", "axes",
            "output_dim",
        )  # fmt: skip
        large = wrong == 2**70 and argument not in ("seed", "target_shape", "dims", "implementation")
        if optional or large:
            continue
        with pytest.raises(ArgumentError, match=argument):
            kind(**{**arguments, argument: wrong})


@pytest.mark.parametrize("wrong", ["three", None, math.nan, math.inf, True, [3, [4]], 1j, b"3", 0, 2.5])
def test_what_is_no_number_of_outputs_is_refused(wrong: Any) -> None:
    for kind in (metrics.TopKCategoricalAccuracy, metrics.SparseTopKCategoricalAccuracy):
        with pytest.raises(ArgumentError, match=r"^k: expected a whole number of at least 1, got"):
            kind(wrong)
        assert json.dumps(kind(np.int64(3)).get_config()) == json.dumps(kind(3).get_config())
    if wrong != 0 and wrong is not None:
        for argument in ("top_k", "class_id"):
            with pytest.raises(ArgumentError, match=f"^{argument}: expected a whole number"):
                metrics.Precision(**{argument: wrong})
    if wrong != 0:
        with pytest.raises(ArgumentError, match=r"^axis: expected a whole number"):
            metrics.CosineSimilarity(axis=wrong)


@pytest.mark.parametrize("size", [10**400, -1, 2.5, math.nan, True, "3", b"3", 1j])
def test_what_is_no_size_of_inputs_is_refused(size: Any) -> None:
    for declared in ({"input_shape": (4, size)}, {"batch_input_shape": (None, size)}):
        with pytest.raises(ArgumentError, match=r"input_shape: expected whole numbers.* or None, got"):
            layers.GRU(3, **declared)


def test_bytes_are_no_list_of_sizes() -> None:
    with pytest.raises(ArgumentError, match=r"^input_shape: expected a list or tuple .*, got b'3'$"):
        layers.GRU(3, input_shape=b"3")


def test_paths_by_any_annotation(tmp_path: Path) -> None:
    def read(path: str | Path, other: Path | None = None) -> Path:
        return Path(path)

    checked = public(read)
    assert checked(str(tmp_path), tmp_path) == checked(tmp_path) == tmp_path
    for wrong in (3, b"a.mid", ["a.mid"], np.float32(1)):
        with pytest.raises(ArgumentError, match=r"^path: expected a path, got"):
            checked(wrong)
        with pytest.raises(ArgumentError, match=r"^other: expected a path or None, got"):
            checked(tmp_path, wrong)


@pytest.mark.parametrize("name", cells.names())
def test_cells_keep_plain_numbers(name: str) -> None:
    needed = cells.get(name).needed_settings(3, 2)
    more = {
        setting: tuple(map(np.int64, value)) if isinstance(value, tuple) else np.int64(value)
        for setting, value in needed.items()
    }
    cell = cells.get(name)(np.int64(3), dropout=np.float64(0.25), use_bias=np.True_, **more)
    assert type(cell.units) is int
    assert type(cell.dropout) is float
    assert type(cell.use_bias) is bool
    assert cell.program(np.int64(2)) is cell.program(2)


def test_numbers_of_numpy_in_training() -> None:
    model = nabi.Sequential([layers.Dense(np.int64(1), input_shape=(np.int64(2),))])
    model.compile(optimizers.SGD(np.float32(0.1)), "mse", clipnorm=np.float32(1), loss_weights=np.float32(2))
    x, y = np.ones((8, 2)), np.ones((8, 1))
    one, two = np.int64(1), np.int64(2)
    history = model.fit(
        x, y, batch_size=np.int32(4), epochs=two, verbose=np.int64(0), validation_split=np.float32(0.5),
        initial_epoch=np.int64(0), steps_per_epoch=one, validation_freq=one, validation_batch_size=two,
    )  # fmt: skip
    assert len(history.history["loss"]) == 2
    assert model.predict(x, batch_size=np.uint8(3), steps=one).shape == (3, 1)
    model.evaluate(x, y, batch_size=two)
    model.fit(((x, y) for _ in range(4)), steps_per_epoch=2.0, verbose=0)  # often a quotient
    with pytest.raises(ArgumentError, match=r"steps_per_epoch: expected a whole number .*, got 2\.5"):
        model.fit(((x, y) for _ in range(4)), steps_per_epoch=2.5, verbose=0)


def test_a_learning_rate_of_zero() -> None:
    model = nabi.Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile(optimizers.Adam(0.0), "mse")
    before = model.get_weights()
    model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=0)
    model.optimizer.learning_rate = np.float32(0)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def test_numbers_of_numpy_elsewhere() -> None:
    two = np.int64(2)
    assert decoding.Sampling(np.float32(0.5), top_k=two, seed=two) == decoding.Sampling(0.5, top_k=2, seed=2)
    assert type(decoding.BeamSearch(two, two).beam) is int
    assert RNN(cells.LSTM(two), two, num_layers=two, dropout=np.float32(0.5)).num_layers == 2
    inputs, following = data.windows([1, 2, 3, 4], torch.tensor(2))
    assert inputs.tolist() == [[1, 2], [2, 3]]
    assert following.tolist() == [3, 4]
    assert data.pad_sequences([[1], [2, 3]], maxlen=two).tolist() == [[0, 1], [2, 3]]
    assert data.Labels.learn(np.array(["b", "a", "b"])).names == ("a", "b")
    assert data.Labels.learn([np.str_("b"), np.str_("a")]).encode(["b"]).tolist() == [1]
    assert data.one_hot([0, 1], two).shape == (2, 2)


@pytest.mark.parametrize(
    "model",
    [
        nabi.LanguageModel,
        nabi.Translator,
        nabi.Captioner,
        nabi.NoteModel,
        nabi.SeriesClassifier,
        nabi.SeriesRegressor,
        nabi.DNARegressor,
        nabi.ClipClassifier,
        nabi.TextClassifier,
    ],
)
def test_task_models_take_numbers_of_numpy(model: Any) -> None:
    made = model(units=np.int64(8), epochs=np.int64(2), dropout=np.float32(0.25), seed=np.int64(3))
    assert json.dumps(made.asked.to_dict()) == json.dumps(
        model(units=8, epochs=2, dropout=0.25, seed=3).asked.to_dict()
    )


@pytest.mark.parametrize("seed", [2**70, -1, 1.5, "x", math.nan, True])
def test_seeds_that_are_none(seed: Any) -> None:
    attempts: list[Callable[[], Any]] = [
        lambda: nabi.utils.set_random_seed(seed),
        lambda: nabi.LanguageModel(seed=seed),
        lambda: decoding.Sampling(seed=seed),
        lambda: data.stratified_split(["a", "b"] * 4, 0.5, seed=seed),
        lambda: data.LengthGroups([[1]], seed=seed),
        lambda: nabi.datasets.shapes.load_data(1, 1, 1, seed=seed),
        lambda: nabi.explain.gradient_distance(steps=3, seed=seed),
    ]
    if seed != -1:  # torch takes negative seeds, and so do layers
        attempts += [lambda: layers.Dropout(0.5, seed=seed), lambda: nabi.initializers.Orthogonal(seed=seed)]
    for attempt in attempts:
        with pytest.raises(ArgumentError, match=r"^seed: expected a whole number"):
            attempt()


def test_the_checks_say_the_bounds() -> None:
    with pytest.raises(ArgumentError, match=r"^n: expected a whole number from 1 to 4, got 5$"):
        _checks.whole("n", 5, 1, 4)
    with pytest.raises(ArgumentError, match=r"^n: expected a whole number of at least 1 or None, got 'x'$"):
        _checks.whole("n", "x", otherwise=" or None")
    with pytest.raises(ArgumentError, match=r"^rate: expected a rate of at least 0 and below 1, got 1$"):
        _checks.rate("rate", 1)
    with pytest.raises(ArgumentError, match=r"^share: expected a number between 0 and 1, got nan$"):
        _checks.real("share", math.nan, above=0, below=1)
    with pytest.raises(ArgumentError, match=r"^n: expected a whole number of at least 1, got ndarray of"):
        _checks.whole("n", np.array([1]))
    with pytest.raises(ArgumentError, match=r"^n: .{,150}$"):
        _checks.whole("n", "long " * 9999)
