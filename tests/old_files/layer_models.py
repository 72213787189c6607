"""Sequential and functional models of every family of layers, trained a little."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nabi
from nabi import cells, layers, losses, metrics, models, optimizers, regularizers
from nabi.optimizers import schedules
from nabi.utils import set_random_seed

from .old_file import OLD_CELLS, OldFile
from .own_objects import OWN, AddingCell, Doubled, Falling, MinimalGatedUnit, Twice, far, halved

X = np.linspace(-1, 1, 4 * 5 * 2, dtype=np.float32).reshape(4, 5, 2) ** 3
Y = np.linspace(0, 1, 4, dtype=np.float32)
SIGNS = np.array([0, 1, 1, 0], dtype=np.float32)
KINDS = np.array([0, 2, 1, 2])
CODES = np.array([[1, 2, 3], [4, 5, 0], [6, 0, 0], [2, 4, 6]])
PICTURES = np.sin(np.arange(4 * 8 * 8 * 2, dtype=np.float32)).reshape(4, 8, 8, 2)
# Takes effect after a file of two epochs, so its counter matters.
HALF = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=3, gamma=0.5)


@dataclass(frozen=True)
class Trained:
    """A model, how it is compiled, and what it learns from."""

    make: Callable[[], Any]
    x: Any = field(default_factory=lambda: X)
    y: Any = field(default_factory=lambda: Y)
    optimizer: Any = "adam"
    loss: Any = "mse"
    options: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 2
    epochs: int = 1

    def compiled(self) -> Any:
        set_random_seed(3)
        model = self.make()
        optimizer = self.optimizer() if callable(self.optimizer) else self.optimizer
        model.compile(optimizer, self.loss, **self.options)
        return model

    def fit(self, model: Any, first: int, epochs: int, callbacks: Any = None) -> dict[str, Any]:
        kept = model.fit(
            self.x,
            self.y,
            batch_size=self.batch_size,
            initial_epoch=first,
            epochs=epochs,
            verbose=0,
            callbacks=callbacks,
        )
        return dict(kept.history)

    def ask(self, model: Any) -> dict[str, Any]:
        """What it says, and how its training goes on."""
        says = model.predict(self.x, batch_size=4, verbose=0)
        history = self.fit(model, self.epochs, self.epochs + 1)
        then = model.predict(self.x, batch_size=4, verbose=0)
        return {
            "weights": model.count_params(),
            "layers": [type(layer).__name__ for layer in model.layers],
            "says": says,
            "history": history,
            "then": then,
        }

    def old_file(self) -> OldFile:
        def write(path: Path) -> Any:
            model = self.compiled()
            self.fit(model, 0, self.epochs)
            model.save(path)
            return self.ask(model)

        return OldFile(write, lambda path: self.ask(models.load_model(path, custom_objects=OWN)))


def stacked(*parts: Any) -> Callable[[], Any]:
    """A Sequential of layers that are made anew each time."""
    return lambda: models.Sequential([part() for part in parts])


def lstm() -> Any:
    return models.Sequential(
        [
            layers.LSTM(3, input_shape=(5, 2), dropout=0.2, recurrent_dropout=0.1, seed=3),
            layers.Dropout(0.3, seed=1),
            layers.Dense(1),
        ]
    )


def stateful() -> Any:
    first = layers.GRU(3, stateful=True, return_sequences=True, batch_input_shape=(4, 5, 2))
    return models.Sequential([first, layers.Bidirectional(layers.SimpleRNN(2)), layers.Dense(1)])


def words() -> Any:
    return models.Sequential(
        [
            layers.Embedding(7, 3, mask_zero=True, input_length=3),
            layers.SpatialDropout1D(0.2, seed=1),
            layers.Bidirectional(layers.LSTM(2, return_sequences=True), merge_mode="ave"),
            layers.TimeDistributed(layers.Dense(2, "relu")),
            layers.Bidirectional(layers.GRU(2), backward_layer=layers.GRU(2, go_backwards=True)),
            layers.Dense(3, "softmax"),
        ]
    )


def normalised() -> Any:
    return models.Sequential(
        [
            layers.Masking(-1.0, input_shape=(5, 2)),
            layers.SimpleRNN(3, return_sequences=True),
            layers.BatchNormalization(momentum=0.9),
            layers.GaussianNoise(0.1, seed=1),
            layers.LayerNormalization(),
            layers.PReLU(shared_axes=[1]),
            layers.RMSNormalization(),
            layers.GaussianDropout(0.2, seed=2),
            layers.UnitNormalization(),
            layers.LeakyReLU(0.2),
            layers.ELU(0.5),
            layers.ActivityRegularization(0.01, 0.01),
            layers.Identity(),
            layers.Activation("gelu"),
            layers.Softmax(),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2),
            layers.ReLU(6.0, 0.1, 0.01),
            layers.Dense(1),
        ]
    )


def shapes() -> Any:
    return models.Sequential(
        [
            layers.Conv1D(3, 2, padding="causal", activation="relu", input_shape=(5, 2)),
            layers.MaxPooling1D(2, 1),
            layers.AveragePooling1D(2),
            layers.Permute((2, 1)),
            layers.Reshape((6,)),
            layers.RepeatVector(2),
            layers.Conv1D(2, 1, dilation_rate=2),
            layers.GlobalMaxPooling1D(),
            layers.Dense(1),
        ]
    )


def pictures() -> Any:
    return models.Sequential(
        [
            layers.Conv2D(4, (3, 3), strides=(2, 1), groups=2, padding="same", input_shape=(8, 8, 2)),
            layers.MaxPooling2D(2),
            layers.Conv2D(2, 2, activation="tanh"),
            layers.AveragePooling2D((1, 2)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1),
        ]
    )


def own() -> Any:
    return models.Sequential(
        [
            layers.RNN(MinimalGatedUnit(3, keep=0.9), return_sequences=True, input_shape=(5, 2)),
            Twice(),
            layers.RNN(AddingCell(2), return_sequences=True),
            layers.Lambda(halved),
            layers.SimpleRNN(2, kernel_initializer=Falling()),
            layers.Dense(1, kernel_initializer=Falling()),
        ]
    )


def keras_cells() -> Any:
    stack = layers.StackedRNNCells([layers.LSTMCell(2), layers.GRUCell(3, reset_after=False)])
    return models.Sequential(
        [
            layers.RNN(stack, return_sequences=True, input_shape=(5, 2)),
            layers.RNN([layers.SimpleRNNCell(2)], return_sequences=True, go_backwards=True),
            layers.CuDNNLSTM(2, return_sequences=True),
            layers.CuDNNGRU(2, return_sequences=True),
            layers.LSTM(2, return_sequences=True, unit_forget_bias=False, time_major=False, unroll=True),
            layers.GRU(
                2,
                reset_after=False,
                kernel_initializer="he_normal",
                recurrent_initializer=nabi.initializers.RandomNormal(0.0, 0.3, seed=1),
                kernel_regularizer="l2",
                recurrent_regularizer=regularizers.l1_l2(0.01, 0.02),
                activity_regularizer=regularizers.L1(0.01),
            ),
            layers.Dense(1, bias_initializer=nabi.initializers.Constant(0.5)),
        ]
    )


def torch_modules() -> Any:
    return models.Sequential(
        [
            layers.Input((5, 2)),
            layers.TorchModuleWrapper(torch.nn.Linear(2, 3)),
            torch.nn.Tanh(),
            torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1),
        ]
    )


def float64() -> Any:
    return models.Sequential(
        [layers.LSTM(2, input_shape=(5, 2), dtype="float64"), layers.Dense(1, dtype="float64")]
    )


def deferred() -> Any:
    return models.Sequential([models.Sequential([layers.GRU(2, return_sequences=True)]), layers.GRU(2)])


def every_cell() -> Any:
    numbers = nabi.Input((5, 2), name="numbers")
    special: list[Any] = [
        cells.PeepholeLSTM(2, full=True),
        cells.ProjectedLSTM(3, projection=2, cell_clip=3.0),
        cells.SimpleRNN(2, activation="relu", use_bias=False),
        MinimalGatedUnit(2),
    ]
    plain = [cells.get(name)(2) for name in OLD_CELLS if name != "projected-lstm"]
    read = [layers.RNN(cell)(numbers) for cell in [*plain, *special]]
    return models.Model(numbers, layers.Dense(1)(layers.concatenate(read)))


def two_in_two_out() -> Any:
    numbers, said = nabi.Input((5, 2), name="numbers"), nabi.Input((3,), name="words")
    embedded = layers.Embedding(7, 3, mask_zero=True)(said)
    both = layers.concatenate([layers.GRU(2)(numbers), layers.LSTM(2)(embedded)])
    hidden = layers.Activation("tanh")(layers.Dense(4)(layers.RepeatVector(2)(both)))
    outputs = [layers.Dense(1, name="one")(layers.Flatten()(hidden)), layers.Dense(2, name="two")(both)]
    return models.Model([numbers, said], outputs)


def encoder_decoder() -> Any:
    source, target = nabi.Input((None,), name="source"), nabi.Input((None,), name="target")
    read, *states = layers.LSTM(3, return_state=True, return_sequences=True)(
        layers.Embedding(7, 2, mask_zero=True)(source)
    )
    written = layers.Embedding(7, 2)(target)
    written = layers.LSTM(3, return_sequences=True)(written, initial_state=states)
    seen = layers.Attention(use_scale=True)([written, read])
    added = layers.AdditiveAttention()([written, read])
    both = layers.Concatenate()([written, seen, added])
    return models.Model([source, target], layers.Dense(7, "softmax")(both))


def merged() -> Any:
    a, b = nabi.Input((3,), name="a"), nabi.Input((3,), name="b")
    shared = layers.Dense(3, "tanh", name="shared")
    left, right = shared(a), shared(b)
    inner = nabi.Input((3,), name="inner")
    nested = models.Model(inner, layers.Dense(2)(inner), name="nested")
    kinds = [layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract]
    both = [kind()([left, right]) for kind in kinds] + [layers.Dot(1, normalize=True)([left, right])]
    return models.Model(
        {"a": a, "b": b}, layers.Dense(1)(layers.Concatenate()([*both, nested(a), nested(b)]))
    )


LOSSES: dict[str, Any] = {
    "huber": losses.Huber(0.5),
    "log_cosh": losses.LogCosh(),
    "squared": losses.MeanSquaredError(),
    "absolute": losses.MeanAbsoluteError(),
    "percentage": losses.MeanAbsolutePercentageError(),
    "logarithmic": losses.MeanSquaredLogarithmicError(),
    "cosine": losses.CosineSimilarity(axis=-1),
    "hinge": losses.Hinge(),
    "poisson": losses.Poisson(),
    "divergence": losses.KLDivergence(),
    "binary": losses.BinaryCrossentropy(label_smoothing=0.1),
    "categorical": losses.CategoricalCrossentropy(label_smoothing=0.1),
    "sparse": losses.SparseCategoricalCrossentropy(from_logits=True),
    "own": far,
}


def every_loss() -> Any:
    given = nabi.Input((2,), name="given")
    widths = {"categorical": 3, "sparse": 3, "divergence": 3}
    activations = {"categorical": "softmax", "divergence": "softmax", "sparse": None}
    return models.Model(
        given,
        {
            name: layers.Dense(widths.get(name, 1), activations.get(name, "sigmoid"), name=name)(given)
            for name in LOSSES
        },
    )


def loss_targets() -> dict[str, Any]:
    one_hot = np.eye(3, dtype=np.float32)[KINDS]
    special = {"categorical": one_hot, "divergence": one_hot, "sparse": KINDS}
    return {name: special.get(name, SIGNS[:, None]) for name in LOSSES}


def every_start() -> Any:
    starts = nabi.initializers
    made = [
        starts.GlorotNormal(1),
        starts.GlorotUniform(2),
        starts.HeNormal(3),
        starts.HeUniform(4),
        starts.LecunNormal(5),
        starts.LecunUniform(6),
        starts.TruncatedNormal(0.0, 0.5, seed=7),
        starts.RandomUniform(-0.2, 0.2, seed=8),
        starts.Orthogonal(0.5, seed=9),
        starts.Identity(2.0),
        starts.VarianceScaling(2.0, "fan_avg", "uniform", 10),
        starts.Ones(),
        starts.Zeros(),
    ]
    given = nabi.Input((8, 8, 2), name="given")
    read = layers.GlobalMaxPooling2D()(given)
    return models.Model(given, layers.Add()([layers.Dense(2, kernel_initializer=one)(read) for one in made]))


def every_metric() -> list[Any]:
    return [
        "accuracy", "mae", metrics.AUC(num_thresholds=11), metrics.BinaryAccuracy(threshold=0.4),
        metrics.BinaryCrossentropy(), metrics.Precision(thresholds=0.3), metrics.Recall(),
        metrics.TruePositives(), metrics.TrueNegatives(), metrics.FalsePositives(), metrics.FalseNegatives(),
        metrics.RootMeanSquaredError(name="root"), metrics.LogCoshError(), metrics.Hinge(), metrics.Poisson(),
        metrics.CosineSimilarity(), metrics.F1Score("macro", threshold=0.5),
        metrics.FBetaScore("micro", beta=2.0, threshold=0.5),
        metrics.MeanMetricWrapper(far, name="far"), far,
    ]  # fmt: skip


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: optimizers.SGD(schedules.ExponentialDecay(0.1, 2, 0.5), momentum=0.9, nesterov=True),
    "adadelta": lambda: optimizers.Adadelta(schedules.InverseTimeDecay(1.0, 2, 0.5)),
    "adagrad": lambda: optimizers.Adagrad(schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.05, 0.01])),
    "adam": lambda: optimizers.Adam(schedules.CosineDecay(0.1, 6), amsgrad=True, clipnorm=1.0),
    "adamw": lambda: optimizers.AdamW(schedules.CosineDecayRestarts(0.1, 2), weight_decay=0.1, clipvalue=0.5),
    "adamax": lambda: optimizers.Adamax(0.1, global_clipnorm=0.5),
    "nadam": lambda: optimizers.Nadam(0.1),
    "with averages": lambda: optimizers.Adam(0.1, use_ema=True, ema_momentum=0.9),
    "rmsprop": lambda: optimizers.RMSprop(schedules.PolynomialDecay(0.1, 6), centered=True, momentum=0.5),
    "decay": lambda: optimizers.SGD(0.1, decay=0.1),
    "torch": lambda: functools.partial(torch.optim.RAdam, lr=0.1),
}

_SMALL = stacked(lambda: layers.Dense(2, "tanh", input_shape=(2,)), lambda: layers.Dense(1))

MODELS: dict[str, Trained] = {
    "sequential lstm": Trained(lstm, options={"metrics": ["mae"]}, epochs=2),
    "sequential stateful": Trained(
        stateful,
        optimizer=lambda: optimizers.SGD(0.01, momentum=0.9),
        options={"schedule": HALF},
        batch_size=4,
        epochs=2,
    ),
    "sequential words": Trained(
        words, CODES, KINDS, "rmsprop", "sparse_categorical_crossentropy", {"metrics": ["accuracy"]}
    ),
    "sequential normalised": Trained(normalised),
    "sequential shapes": Trained(shapes),
    "sequential pictures": Trained(pictures, PICTURES),
    "sequential own": Trained(own, loss=far, options={"metrics": [far]}),
    "sequential keras cells": Trained(keras_cells),
    "sequential torch modules": Trained(torch_modules),
    "sequential float64": Trained(float64, X.astype(np.float64)),
    "sequential deferred": Trained(deferred, y=np.stack([Y, Y], 1)),
    "own model": Trained(lambda: Doubled(3), loss=losses.Huber(0.5)),
    "functional cells": Trained(every_cell),
    "functional several": Trained(
        two_in_two_out,
        [X, CODES],
        [Y, np.stack([Y, Y], 1)],
        loss={"one": "mse", "two": "mae"},
        options={"loss_weights": {"one": 1.0, "two": 0.5}, "weighted_metrics": {"one": ["mae"]}},
    ),
    "functional encoder decoder": Trained(
        encoder_decoder, [CODES, CODES[:, ::-1].copy()], CODES, loss="sparse_categorical_crossentropy"
    ),
    "functional merged": Trained(merged, {"a": X[:, :3, 0], "b": X[:, 2:, 1]}),
    "functional losses": Trained(every_loss, X[:, 0], loss_targets(), loss=LOSSES),
    "metrics": Trained(
        stacked(lambda: layers.Dense(1, "sigmoid", input_shape=(2,))),
        X[:, 0],
        SIGNS[:, None],
        loss="binary_crossentropy",
        options={"metrics": every_metric()},
    ),
    "metrics of several classes": Trained(
        stacked(lambda: layers.Dense(3, "softmax", input_shape=(2,))),
        X[:, 0],
        np.eye(3, dtype=np.float32)[KINDS],
        loss="categorical_crossentropy",
        options={
            "metrics": ["accuracy", metrics.CategoricalAccuracy(), metrics.TopKCategoricalAccuracy(k=2)],
            "weighted_metrics": [metrics.CategoricalCrossentropy()],
        },
    ),
    "metrics of numbered classes": Trained(
        stacked(lambda: layers.Dense(3, "softmax", input_shape=(2,))),
        X[:, 0],
        KINDS,
        loss="sparse_categorical_crossentropy",
        options={
            "metrics": [metrics.SparseCategoricalAccuracy(), metrics.SparseTopKCategoricalAccuracy(k=2)]
        },
    ),
    "functional start values": Trained(every_start, PICTURES, np.stack([Y, Y], 1)),
    **{
        f"optimizer {name}": Trained(_SMALL, X[:, 0], optimizer=make, epochs=2)
        for name, make in OPTIMIZERS.items()
    },
}
