"""Training functional models: several inputs and outputs, losses, weights, metrics, files, speed's way."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

import nabi
from nabi import layers, losses
from nabi.data import LengthGroups
from nabi.errors import ArgumentError, NotFiniteError, ShapeError, UnknownNameError
from nabi.layers import GRU, LSTM, Dense, Dropout, Embedding
from nabi.models import Model, Sequential
from nabi.training import Step
from nabi.utils import set_random_seed

RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(12, 4)).astype("float32"), RANDOM.normal(size=(12, 3)).astype("float32")
KIND, SIZE = np.eye(2, dtype="float32")[RANDOM.integers(0, 2, 12)], RANDOM.normal(size=12).astype("float32")


def two_in_two_out() -> Model:
    set_random_seed(1)
    a, b = nabi.Input((4,), name="a"), nabi.Input((3,), name="b")
    both = Dense(5, "tanh", name="both")(layers.concatenate([a, b]))
    return nabi.Model([a, b], [Dense(2, "softmax", name="kind")(both), Dense(1, name="size")(both)])


def compiled(**options: Any) -> Model:
    model = two_in_two_out()
    given: dict[str, Any] = {"loss": ["categorical_crossentropy", "mse"], "loss_weights": [1.0, 0.5]}
    model.compile("sgd", **{**given, **options})
    return model


def test_a_step_is_what_torch_makes_of_the_sum() -> None:
    model, twin = compiled(), two_in_two_out()
    x = torch.cat([torch.as_tensor(A), torch.as_tensor(B)], 1)
    optimizer = torch.optim.SGD(twin.parameters(), lr=model.optimizer.learning_rate)
    for _ in range(3):
        both = twin.get_layer("both")(x)
        kind = torch.nn.functional.nll_loss(
            twin.get_layer("kind")(both).log(), torch.as_tensor(KIND).argmax(1)
        )
        size = torch.nn.functional.mse_loss(twin.get_layer("size")(both)[:, 0], torch.as_tensor(SIZE))
        optimizer.zero_grad()
        (kind + 0.5 * size).backward()
        kind, size = kind.detach(), size.detach()
        optimizer.step()
        found = model.train_on_batch([A, B], [KIND, SIZE], return_dict=True)
        assert found == pytest.approx(
            {"loss": float(kind + 0.5 * size), "kind_loss": float(kind), "size_loss": float(size)}, rel=1e-5
        )
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_figures_of_each_output() -> None:
    model = compiled(metrics=[["accuracy"], ["mae", "mse"]])
    names = ["loss", "kind_loss", "size_loss", "kind_accuracy", "size_mae", "size_mse"]
    assert model.metrics_names == names
    history = model.fit([A, B], [KIND, SIZE], validation_split=0.25, epochs=2, verbose=0).history
    assert list(history) == [*names, *(f"val_{name}" for name in names)]
    values = dict(zip(names, model.evaluate([A, B], [KIND, SIZE], batch_size=5), strict=True))
    kind, size = model.predict([A, B])
    assert values["kind_accuracy"] == pytest.approx((kind.argmax(1) == KIND.argmax(1)).mean())
    assert values["size_mse"] == pytest.approx(((size[:, 0] - SIZE) ** 2).mean(), rel=1e-5)
    assert values["loss"] == pytest.approx(values["kind_loss"] + 0.5 * values["size_loss"], rel=1e-5)
    assert model.metrics_names == names
    assert model.evaluate([A, B], [KIND, SIZE], return_dict=True) == pytest.approx(values)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "loss": {"size": "mse", "kind": "categorical_crossentropy"},
            "loss_weights": {"size": 0.5, "kind": 1.0},
        },
        {
            "loss": {"size": losses.MeanSquaredError(), "kind": "categorical_crossentropy"},
            "loss_weights": [1, 0.5],
        },
    ],
)
def test_losses_in_lists_and_by_name(options: Any) -> None:
    expected = compiled().train_on_batch([A, B], [KIND, SIZE])
    x = {"b": B, "a": A}
    assert compiled(**options).train_on_batch(x, {"size": SIZE, "kind": KIND}) == expected


def test_one_loss_is_that_of_all_outputs() -> None:
    model = compiled(loss="mse", loss_weights=None, metrics={"size": "mae"})
    found = model.test_on_batch([A, B], [KIND, SIZE], return_dict=True)
    assert found["loss"] == pytest.approx(found["kind_loss"] + found["size_loss"])
    assert list(found) == ["loss", "kind_loss", "size_loss", "size_mae"]


def test_an_output_without_a_loss() -> None:
    for loss in (["categorical_crossentropy", None], {"kind": "categorical_crossentropy"}):
        model = compiled(loss=loss, loss_weights=None)
        before = model.get_layer("size").get_weights()
        assert list(model.fit([A, B], {"kind": KIND}, verbose=0).history) == ["loss"]
        np.testing.assert_array_equal(model.get_layer("size").get_weights()[0], before[0])
    with pytest.raises(ArgumentError, match=r"y: expected targets for size, which has a loss"):
        compiled().fit([A, B], {"kind": KIND}, verbose=0)


def test_sample_weights() -> None:
    weights = np.arange(12) % 3
    model = compiled()
    same = model.test_on_batch([A, B], [KIND, SIZE], weights)
    assert same == model.test_on_batch([A, B], [KIND, SIZE], [weights, weights])
    only = model.test_on_batch([A, B], [KIND, SIZE], {"size": weights}, return_dict=True)
    size = model.predict([A, B])[1][:, 0]
    assert only["size_loss"] == pytest.approx((weights * (size - SIZE) ** 2).mean(), rel=1e-5)
    plain = model.test_on_batch([A, B], [KIND, SIZE], return_dict=True)
    assert only["kind_loss"] == plain["kind_loss"]
    with pytest.raises(ArgumentError, match=r"class_weight: expected None for a model with several outputs"):
        model.fit([A, B], [KIND, SIZE], class_weight={0: 1.0}, verbose=0)


def test_shuffled_rows_stay_together() -> None:
    """Targets that the inputs hold: any mix-up of rows would leave a loss."""
    a, b = nabi.Input((4,), name="a"), nabi.Input((3,), name="b")
    same = layers.Activation("linear")
    model = nabi.Model([a, b], [same(a), Dense(3, kernel_initializer="identity")(b)])
    model.compile("sgd", "mse")
    history = model.fit([A, B], [A, B], batch_size=5, epochs=3, verbose=0).history
    assert max(history["loss"]) < 1e-12


class Rows(Dataset[Any]):
    def __len__(self) -> int:
        return 12

    def __getitem__(self, row: int) -> Any:
        return ({"a": A[row], "b": B[row]}, (KIND[row], SIZE[row]))


def batches() -> Iterator[Any]:
    for start in range(0, 12, 4):
        rows = slice(start, start + 4)
        yield [A[rows], B[rows]], {"kind": KIND[rows], "size": SIZE[rows]}


@pytest.mark.parametrize(
    "source",
    [
        lambda: DataLoader(Rows(), batch_size=4),
        lambda: batches(),
        lambda: DataLoader(TensorDataset(*map(torch.as_tensor, (A, B, KIND, SIZE))), batch_size=4),
    ],
    ids=["nested", "generator", "flat"],
)
def test_loaders_of_tuples_and_dictionaries(source: Any) -> None:
    expected, model = compiled(), compiled()
    history = expected.fit([A, B], [KIND, SIZE], batch_size=4, shuffle=False, verbose=0).history
    assert model.fit(source(), verbose=0).history == history
    assert model.evaluate(source()) == expected.evaluate([A, B], [KIND, SIZE], batch_size=4)


def test_loaders_of_inputs_alone() -> None:
    model = compiled()
    expected = model.predict([A, B])
    for source in (
        DataLoader(TensorDataset(torch.as_tensor(A), torch.as_tensor(B)), batch_size=5),
        DataLoader(Rows(), batch_size=5),
        ({"a": A[row : row + 3], "b": B[row : row + 3]} for row in range(0, 12, 3)),
    ):
        for one, other in zip(model.predict(source), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_length_groups() -> None:
    words = nabi.Input((None,))
    read = GRU(4)(Embedding(9, 3, mask_zero=True)(words))
    model = nabi.Model(words, Dense(1, "sigmoid")(read))
    model.compile("adam", "binary_crossentropy")
    sequences = [[1, 2], [3], [4, 5, 6], [7]]
    history = model.fit(LengthGroups(sequences, [0, 1, 0, 1], batch_size=2, seed=0), epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    groups = LengthGroups(sequences, batch_size=2, shuffle=False)
    assert model.predict(groups).shape == (4, 1)


def test_outputs_in_a_dictionary() -> None:
    a = nabi.Input((4,), name="a")
    model = nabi.Model({"a": a}, {"left": Dense(1)(a), "right": Dense(2, "softmax")(a)})
    model.compile("adam", {"right": "categorical_crossentropy", "left": "mse"}, metrics={"right": "accuracy"})
    history = model.fit({"a": A}, {"left": SIZE, "right": KIND}, verbose=0).history
    assert list(history) == ["loss", "left_loss", "right_loss", "right_accuracy"]
    assert set(model.predict({"a": A})) == {"left", "right"}


def test_one_output_takes_a_name_and_a_weight() -> None:
    a = nabi.Input((4,), name="a")
    model = nabi.Model(a, Dense(1, name="size")(a))
    model.compile("sgd", {"size": "mse"}, metrics={"size": ["mae"]})
    plain = model.evaluate({"a": A}, {"size": SIZE})
    assert model.metrics_names == ["loss", "mae"]
    model.compile("sgd", "mse", loss_weights=[0.5], metrics=["mae"])
    assert model.evaluate(A, SIZE) == pytest.approx([plain[0] / 2, plain[1]])
    stack = Sequential([layers.InputLayer((4,)), Dense(1)])
    stack.set_weights(model.get_weights())
    stack.compile("sgd", "mse", loss_weights=2.0)
    assert stack.evaluate(A, SIZE) == pytest.approx(2 * plain[0])


def encoder_decoder() -> Model:
    set_random_seed(2)
    source, target = nabi.Input((None,), name="source"), nabi.Input((None,), name="target")
    _, *states = LSTM(5, return_state=True)(Embedding(9, 4, mask_zero=True)(source))
    written = Embedding(8, 4, mask_zero=True)(target)
    written = LSTM(5, return_sequences=True, dropout=0.2)(written, initial_state=states)
    return nabi.Model([source, target], Dense(8, "softmax")(written))


def test_masked_steps_do_not_count() -> None:
    model = encoder_decoder()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    source, target = np.array([[1, 2, 3], [4, 0, 0]]), np.array([[1, 2], [3, 4]])
    padded = [np.pad(one, ((0, 0), (0, 3))) for one in (source, target)]
    expected = model.evaluate([source, target], target)
    assert model.evaluate(padded, padded[1]) == pytest.approx(expected, rel=1e-5)


def chain(kind: str) -> Model:
    set_random_seed(3)
    parts = [LSTM(5, return_sequences=True), GRU(4), Dense(3, "softmax")]
    if kind == "sequential":
        return Sequential([nabi.Input((6, 2)), *parts])
    x = nabi.Input((6, 2))
    outputs = x
    for part in parts:
        outputs = part(outputs)
    return nabi.Model(x, outputs)


def test_a_chain_trains_without_autograd_as_a_sequential_does() -> None:
    x, y = RANDOM.normal(size=(12, 6, 2)), np.eye(3)[RANDOM.integers(0, 3, 12)]
    found = []
    for kind in ("sequential", "functional"):
        model = chain(kind)
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        found.append(model.fit(x, y, batch_size=5, epochs=2, shuffle=False, verbose=0).history)
        model.compiled.bind(model.trainable_weights)
        assert Step(model, model.compiled).without_autograd
    assert found[0] == found[1]


def test_what_is_no_chain_trains_with_autograd() -> None:
    x = nabi.Input((6, 2))
    dense = Dense(2)
    for outputs in (
        layers.add([dense(x), x]),
        dense(dense(x)),
        Dropout(0.5)(dense(x), training=True),
        [dense(x)],
    ):
        model = nabi.Model(x, outputs)
        model.compile("sgd", "mse")
        assert Step(model, model.compiled).without_autograd is isinstance(outputs, list)
    hooked = nabi.Model(x, Dense(2)(x))
    hooked.register_forward_hook(lambda module, inputs, outputs: None)
    hooked.compile("sgd", "mse")
    assert not Step(hooked, hooked.compiled).without_autograd


def test_logits_go_to_the_losses_that_ask_for_them() -> None:
    """Probabilities that round to 0 keep their gradient, and the layers keep their activations."""
    a = nabi.Input((1,), name="a")
    kind, yes = Dense(2, "softmax", name="kind"), Dense(1, "sigmoid", name="yes")
    model = nabi.Model(a, [kind(a), yes(a)])
    model.compile("sgd", ["categorical_crossentropy", "binary_crossentropy"])
    for layer in (kind, yes):
        layer.kernel.data.fill_(1.0)
    kind.kernel.data[0, 0] = -1.0
    x = np.array([[200.0]])
    found = model.test_on_batch(x, [np.array([[1.0, 0.0]]), np.array([[0.0]])], return_dict=True)
    assert (found["kind_loss"], found["yes_loss"]) == (pytest.approx(400), pytest.approx(200))
    np.testing.assert_allclose(model.predict(x)[0].sum(), 1)
    read_twice = nabi.Model(a, [kind(a), Dense(1)(kind.output)])
    read_twice.compile("sgd", ["categorical_crossentropy", "mse"])
    assert np.isfinite(read_twice.test_on_batch(x, [np.array([[1.0, 0.0]]), np.array([0.0])])).all()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"loss": {"kind": "mse", "sise": "mse"}}, UnknownNameError, r"loss: 'sise' .* did you mean 'size'"),
        ({"loss": ["mse"]}, ArgumentError, r"loss: expected a list of 2 .* for kind, size, got 1 part"),
        ({"loss": [None, None]}, ArgumentError, r"loss: expected one for at least one of kind, size"),
        ({"loss": ["mse", "msee"]}, UnknownNameError, r"loss: 'msee' is not known"),
        ({"loss_weights": [1.0]}, ArgumentError, r"loss_weights: .*, got 1 part"),
        ({"loss_weights": [1.0, "2"]}, ArgumentError, "loss_weights: size: expected a number, got '2'"),
        ({"loss_weights": [1.0, float("nan")]}, ArgumentError, "loss_weights: size: expected a number, got"),
        ({"metrics": ["accuracy"]}, ArgumentError, r"metrics: .*, got 1 part.*each output has its own"),
        ({"metrics": {"kind": "acuracy"}}, UnknownNameError, r"metrics: 'acuracy' is not known"),
    ],
)
def test_compile_refuses(options: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        compiled(**options)


def test_data_that_does_not_fit() -> None:
    model = compiled()
    with pytest.raises(ArgumentError, match=r"y: expected a list of 2 .* kind, size, got ndarray"):
        model.fit([A, B], KIND, verbose=0)
    with pytest.raises(ShapeError, match=r"y: expected targets of shape .*\(output size\)"):
        model.fit([A, B], [KIND, KIND], verbose=0)
    with pytest.raises(ArgumentError, match=r"x: .* got a batch of 3 parts|x: expected a list of 2"):
        model.fit(iter([(A, KIND, SIZE)]), verbose=0)
    with pytest.raises(NotFiniteError, match=r"x has a NaN"):
        model.fit([A, np.full_like(B, np.nan)], [KIND, SIZE], verbose=0)
