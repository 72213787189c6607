"""Functional models, written once for Keras and for nabi; as a program, what Keras makes of them.

`python functional_models.py FOLDER` writes the weights and the outputs of each model under Keras, and in
JSON its layers, shapes and figures.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

BATCH, STEPS = 6, 5


def two_in_two_out(keras: Any) -> Any:
    layers = keras.layers
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    both = layers.Dense(5, activation="tanh", name="both")(layers.concatenate([a, b]))
    kind = layers.Dense(3, activation="softmax", name="kind")(both)
    return keras.Model([a, b], [kind, layers.Dense(1, name="size")(both)])


def by_name(keras: Any) -> Any:
    layers = keras.layers
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    sum_ = layers.add([layers.Dense(5)(a), layers.Dense(5)(b)])
    share = layers.Dense(1, activation="sigmoid")(sum_)
    return keras.Model({"a": a, "b": b}, {"share": share, "sum": sum_})


def encoder_decoder(keras: Any) -> Any:
    layers = keras.layers
    source, target = keras.Input((None,), name="source"), keras.Input((None,), name="target")
    read = layers.Embedding(9, 4, mask_zero=True)(source)
    _, h, c = layers.LSTM(6, return_state=True)(read)
    written = layers.Embedding(8, 4)(target)
    written = layers.LSTM(6, return_sequences=True)(written, initial_state=[h, c])
    return keras.Model([source, target], layers.Dense(8, activation="softmax")(written))


def both_directions(keras: Any) -> Any:
    layers = keras.layers
    source = keras.Input((None,), name="source")
    read = layers.Embedding(9, 4, mask_zero=True)(source)
    outputs = layers.Bidirectional(layers.GRU(3, return_sequences=True, return_state=True))(read)
    states = layers.concatenate(outputs[1:])
    return keras.Model(source, [outputs[0], layers.Dense(2)(states)])


def attention(keras: Any) -> Any:
    layers = keras.layers
    a, b = keras.Input((STEPS, 4), name="a"), keras.Input((None, 4), name="b")
    queries, memory = layers.GRU(6, return_sequences=True)(a), layers.GRU(6, return_sequences=True)(b)
    shares = layers.Softmax()(layers.Dot(axes=2)([queries, memory]))
    context = layers.Dot(axes=(2, 1))([shares, memory])
    joined = layers.Concatenate()([context, queries])
    return keras.Model([a, b], layers.TimeDistributed(layers.Dense(3))(joined))


def shared(keras: Any) -> Any:
    layers = keras.layers
    source = keras.Input((STEPS,))
    reader = keras.Model(source, layers.LSTM(4)(layers.Embedding(9, 3)(source)), name="reader")
    a, b = keras.Input((STEPS,), name="a"), keras.Input((STEPS,), name="b")
    one, other = reader(a), reader(b)
    apart = layers.Subtract()([one, other])
    found = [layers.Multiply()([apart, apart]), layers.Maximum()([one, other])]
    found += [layers.Minimum()([one, other]), layers.Average()([one, other])]
    alike = layers.Dot(axes=1, normalize=True)([one, other])
    joined = layers.Permute((2, 1))(layers.Reshape((4, 4))(layers.Concatenate()(found)))
    return keras.Model([a, b], layers.concatenate([layers.Flatten()(joined), alike]))


def late_and_early(keras: Any) -> Any:
    """Branches of different lengths, a layer called at two depths, and an input that comes in late."""
    layers = keras.layers
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    square = layers.Dense(4, name="square")
    first = square(a)
    long = square(layers.Dense(4, name="between")(first))
    return keras.Model([b, a], layers.Add(name="end")([layers.Dense(4, name="late")(b), long, first]))


MODELS = {
    make.__name__: make
    for make in (
        two_in_two_out, by_name, encoder_decoder, both_directions, attention, shared, late_and_early,
    )
}  # fmt: skip


def data(model: Any) -> list[np.ndarray]:
    """Inputs for a model, in the order of its inputs."""
    random = np.random.default_rng(0)
    found = []
    for symbol in model.inputs:
        shape = [BATCH, *(STEPS if size is None else size for size in symbol.shape[1:])]
        numbers = len(shape) == 2 and shape[1] == STEPS
        found.append(random.integers(0, 8, shape) if numbers else random.normal(size=shape).astype("float32"))
    return found


def described(model: Any) -> dict[str, Any]:
    """What both say of a model."""
    return {
        "layers": [[layer.name, type(layer).__name__] for layer in model.layers],
        "parameters": model.count_params(),
        "shapes": [list(symbol.shape) for symbol in model.outputs],
    }


def figures(keras: Any) -> list[list[str]]:
    """The names of the figures, in alphabetical order, for all ways to give losses and metrics."""
    found = []
    x = {"a": np.ones((BATCH, 4), "float32"), "b": np.ones((BATCH, 3), "float32")}
    kind, size = np.eye(3)[[0, 1, 2, 0, 1, 2]], np.arange(6.0)
    for options in (
        {"loss": ["categorical_crossentropy", "mse"], "metrics": [["accuracy"], ["mae", "mse"]]},
        {"loss": {"kind": "mse", "size": "mae"}, "metrics": {"size": "mae"}, "loss_weights": [1.0, 0.5]},
        {"loss": "mse"},
    ):
        model = two_in_two_out(keras)
        model.compile(optimizer="sgd", **options)
        held_out = ([x["a"], x["b"]], [kind, size])
        history = model.fit([x["a"], x["b"]], [kind, size], validation_data=held_out, verbose=0)
        found.append(sorted(history.history))
        found.append(sorted(model.evaluate(x, [kind, size], return_dict=True, verbose=0)))
    return found


def main(folder: Path) -> None:
    import keras

    found: dict[str, Any] = {"figures": figures(keras), "models": {}}
    for name, make in MODELS.items():
        keras.backend.clear_session()
        model = make(keras)
        given = data(model)
        outputs = model(dict(zip("ab", given, strict=True)) if name == "by_name" else given)
        flat = list(outputs.values()) if isinstance(outputs, dict) else outputs
        flat = flat if isinstance(flat, list | tuple) else [flat]
        arrays = {f"w{number:02d}": weight for number, weight in enumerate(model.get_weights())}
        arrays |= {f"y{n}": keras.ops.convert_to_numpy(one) for n, one in enumerate(flat)}
        np.savez(folder / name, **arrays)
        found["models"][name] = described(model)
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
