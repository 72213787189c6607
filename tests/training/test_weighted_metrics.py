"""Metrics in `compile`: weighted and not, by name and as objects, beside Keras' figures and after a file."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers, metrics
from nabi.errors import ArgumentError, UnknownNameError

PROGRAM = """
def build(K, L, kind):
    if kind == "binary":
        return K.Sequential([L.Input((4,)), L.Dense(1, activation="sigmoid")])
    if kind == "classes":
        return K.Sequential([L.Input((4,)), L.Dense(3, activation="softmax")])
    if kind == "steps":
        return K.Sequential([L.Input((5, 4)), L.Masking(), L.GRU(3, return_sequences=True), L.Dense(1)])
    a = L.Input((4,))
    return K.Model(a, [L.Dense(1, name="p")(a), L.Dense(1, name="q")(a)])

def run(K, L, kind, options, x, y, weights, fit, values):
    K.backend.clear_session()  # so that the names of metrics are counted from the first one
    model = build(K, L, kind)
    model.set_weights(values)
    def made(one):
        return getattr(K.metrics, one[1:])() if isinstance(one, str) and one[0] == "=" else one
    options = {name: [made(one) for one in given] for name, given in options.items()}
    loss = {"binary": "binary_crossentropy", "classes": "categorical_crossentropy"}.get(kind, "mse")
    model.compile("sgd", loss, **options)
    found = model.fit(x, y, sample_weight=weights, batch_size=4, shuffle=False, verbose=0, **fit).history
    found = {name: [float(one) for one in values] for name, values in found.items()}
    after = model.evaluate(x, y, sample_weight=weights, batch_size=4, verbose=0, return_dict=True)
    return found, {name: float(value) for name, value in after.items()}
"""
names: dict[str, Any] = {}
exec(PROGRAM, names)
random = np.random.default_rng(0)
X, STEPS = random.normal(size=(10, 4)).astype("float32"), random.normal(size=(10, 5, 4)).astype("float32")
STEPS[::2, 3:] = 0
BINARY = (random.random((10, 1)) > 0.5).astype("float32")
CLASSES = np.eye(3, dtype="float32")[random.integers(0, 3, 10)]
W = random.random(10).astype("float32") * 3
TARGETS = random.normal(size=(10, 1)).astype("float32")
STEP_WEIGHTS = random.random((10, 5)).astype("float32")
BOTH = {"epochs": 2}

CASES: list[tuple[str, dict[str, Any], Any, Any, Any, dict[str, Any]]] = [
    ("binary", {"metrics": ["accuracy"], "weighted_metrics": ["accuracy"]}, X, BINARY, W, BOTH),
    ("binary", {"weighted_metrics": ["mae", "mse", "mae"]}, X, BINARY, W, BOTH),
    ("binary", {"metrics": ["mae", "mae"], "weighted_metrics": ["mae"]}, X, BINARY, None, BOTH),
    ("binary", {"weighted_metrics": ["acc"]}, X, BINARY, None, {"class_weight": {0: 1.0, 1: 3.0}}),
    ("binary", {"metrics": ["Precision", "AUC"], "weighted_metrics": ["Recall"]}, X, BINARY, W, BOTH),
    ("binary", {"metrics": ["RootMeanSquaredError", "TruePositives"]}, X, BINARY, W, BOTH),
    ("binary", {"metrics": ["cosine_similarity", "hinge"]}, X, BINARY, W, BOTH),
    ("classes", {"metrics": ["accuracy"], "weighted_metrics": ["accuracy", "mse"]}, X, CLASSES, W, BOTH),
    ("classes", {"metrics": ["=MeanSquaredError", "=CategoricalAccuracy"]}, X, CLASSES, W, BOTH),
    ("classes", {"metrics": ["mse"], "weighted_metrics": ["=Precision"]}, X, CLASSES, W, BOTH),
    ("steps", {"metrics": ["mae"], "weighted_metrics": ["mae"]}, STEPS, STEPS[..., :1], STEP_WEIGHTS, BOTH),
    ("several", {"weighted_metrics": [["mae"], ["mse"]]}, X, [TARGETS, TARGETS + 1], [W, W * 2], BOTH),
]  # fmt: skip


def given() -> list[Any]:
    found = []
    for kind, *rest in CASES:
        shapes = [w.shape for w in names["build"](nabi, layers, kind).get_weights()]
        values = [np.random.default_rng(1).uniform(-0.5, 0.5, shape).astype("float32") for shape in shapes]
        found.append((kind, *rest, values))
    return found


@pytest.fixture(scope="module")
def by_keras(in_keras: Callable[..., bytes]) -> Any:
    program = PROGRAM + (
        "\nimport pickle, sys, warnings\nwarnings.simplefilter('ignore')\nimport keras\n"
        "given = pickle.load(sys.stdin.buffer)\n"
        "sys.stdout.buffer.write(pickle.dumps([run(keras, keras.layers, *one) for one in given]))\n"
    )
    return pickle.loads(in_keras(program, pickle.dumps(given())))


@pytest.mark.parametrize("number", range(len(CASES)))
def test_figures_are_those_of_keras(number: int, by_keras: Any) -> None:
    found, after = names["run"](nabi, layers, *given()[number])
    their_found, their_after = by_keras[number]
    assert sorted(found) == sorted(their_found)
    for name, values in found.items():
        np.testing.assert_allclose(values, their_found[name], rtol=1e-4, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(after[name], their_after[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("watched", [False, True], ids=["directly", "by autograd"])
def test_both_ways_of_training_weigh(watched: bool) -> None:
    model = names["build"](nabi, layers, "classes")
    values = [np.full(w.shape, 0.1, "float32") for w in model.get_weights()]
    model.set_weights(values)
    if watched:
        model.layers[0].register_forward_hook(lambda *_: None)
    model.compile(
        nabi.optimizers.SGD(1e-12), "categorical_crossentropy", metrics=["mae"], weighted_metrics=["mae"]
    )
    history = model.fit(X, CLASSES, sample_weight=W, batch_size=3, verbose=0).history
    errors = np.abs(model.predict(X) - CLASSES).mean(-1)
    assert history["mae"][0] == pytest.approx(errors.mean(), rel=1e-5)
    assert history["weighted_mae"][0] == pytest.approx((errors * W).sum() / W.sum(), rel=1e-5)


class Largest(metrics.Metric):
    def __init__(self, name: str = "largest", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.found = self.add_weight(name="found", initializer="zeros")
        self.seen = self.add_weight(shape=(2,), initializer="ones")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.seen.assign_add(y_pred.shape[0])
        self.found.assign(torch.maximum(self.found, (y_true - y_pred).abs().max()))

    def result(self) -> Any:
        return {"largest": self.found, "seen": self.seen[0]}


def test_a_metric_of_ones_own() -> None:
    model = names["build"](nabi, layers, "binary")
    metric = Largest()
    model.compile("sgd", "mse", metrics=[metric])
    logs = model.evaluate(X, BINARY, verbose=0, return_dict=True)
    assert logs["largest"] == pytest.approx(float(np.abs(model.predict(X) - BINARY).max()))
    assert logs["seen"] == 11.0
    assert [tuple(one.shape) for one in metric.variables] == [(), (2,)]
    metric.reset_state()
    assert float(metric.found) == 0.0
    assert metric.seen.numpy().tolist() == [1.0, 1.0]
    with pytest.raises(NotImplementedError, match="must define update_state"):
        metrics.Metric().update_state(1)


def test_metrics_come_back_from_files(tmp_path: Path) -> None:
    model = names["build"](nabi, layers, "classes")
    asked = [metrics.TopKCategoricalAccuracy(k=2), metrics.F1Score(average="macro"), "mae"]
    weighted = [metrics.Precision(thresholds=0.3, name="exact"), "accuracy"]
    model.compile("sgd", "categorical_crossentropy", metrics=asked, weighted_metrics=weighted)
    model.fit(X, CLASSES, verbose=0)
    model.save(tmp_path / "m.nabi")
    again = nabi.models.load_model(tmp_path / "m.nabi")
    assert again.metrics_names == [
        "loss", "top_k_categorical_accuracy", "f1_score", "mae", "exact", "accuracy",
    ]  # fmt: skip
    one, other = (m.evaluate(X, CLASSES, sample_weight=W, verbose=0) for m in (model, again))
    np.testing.assert_allclose(one, other)
    graph = names["build"](nabi, layers, "several")
    graph.compile("sgd", "mse", metrics={"p": ["mae"]}, weighted_metrics={"q": ["mae", "mse"]})
    graph.fit(X, [TARGETS, TARGETS], verbose=0)
    graph.save(tmp_path / "g.nabi")
    again = nabi.models.load_model(tmp_path / "g.nabi")
    assert (
        again.metrics_names == graph.metrics_names == ["loss", "p_loss", "q_loss", "p_mae", "q_mae", "q_mse"]
    )


def test_what_cannot_be() -> None:
    model = names["build"](nabi, layers, "classes")
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        model.compile("sgd", "mse", weighted_metrics=["acuracy"])
    model.compile("sgd", "mse", metrics=[metrics.F1Score()])
    with pytest.raises(ArgumentError, match=r"metrics: expected one number, .*, from f1_score, got array"):
        model.evaluate(X, CLASSES, verbose=0)
    import torchmetrics

    with pytest.raises(ArgumentError, match="takes no sample weights"):
        model.compile("sgd", "mse", weighted_metrics=[torchmetrics.MeanSquaredError()])
    for make, message in [
        (lambda: metrics.Precision(thresholds=2), "thresholds: expected a number from 0 to 1, got 2"),
        (
            lambda: metrics.AUC(num_thresholds=1),
            "num_thresholds: expected a whole number from 2 to 1000000, got 1",
        ),
        (lambda: metrics.AUC(curve="PRC"), "curve: 'PRC' is not known. Known are: PR, ROC"),
        (lambda: metrics.AUC(multi_label=True), "MultilabelAUROC"),
        (lambda: metrics.F1Score(average="makro"), "did you mean 'macro'"),
        (lambda: metrics.get("prezision"), "did you mean 'precision'"),
        (lambda: metrics.deserialize({"class_name": "X", "config": {}}), "'X' is not known"),
        (lambda: metrics.Precision(class_id=4).update_state([[1, 0]], [[0.5, 0.5]]), "with a class 4"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            make()


def test_masked_steps_are_left_out_of_counts() -> None:
    y_pred = torch.tensor([[0.9, 0.8, float("nan")]])
    y_pred._keras_mask = torch.tensor([[True, True, False]])  # type: ignore[attr-defined]
    for name, wanted in (
        ("Precision", 0.5),
        ("Recall", 1.0),
        ("FalsePositives", 1.0),
        ("TruePositives", 1.0),
    ):
        metric = getattr(metrics, name)()
        metric.update_state(torch.tensor([[1.0, 0.0, 1.0]]), y_pred)
        assert metric.result() == wanted, name
    area = metrics.AUC()
    area.update_state(torch.tensor([[1.0, 0.0, 1.0]]), y_pred)
    assert area.result() == 1.0
