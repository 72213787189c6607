"""Random Keras-style models, made in nabi and in Keras with the same weights, and run side by side.

A model is described by plain values, which hypothesis draws and makes smaller when something differs. As a
program, `python tests/models/random_keras_models.py 1000` draws that many; a second number is the seed.
"""

import os
import sys
import warnings
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st

BATCH, STEPS, WIDTH, WORDS = 4, 5, 3, 7

# Values that a layer's constructor takes, the same in both libraries.
Layer = dict[str, Any]
Described = dict[str, Any]

ACTIVATIONS = ["linear", "tanh", "sigmoid", "relu", "softplus", "softsign", "elu", "hard_sigmoid"]
MERGES = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]
# A loss, the activation before it, and what its targets are.
LOSSES = [
    ("mse", "linear", "numbers"), ("mae", "tanh", "numbers"), ("huber", "linear", "numbers"),
    ("log_cosh", "linear", "numbers"), ("msle", "softplus", "shares"), ("poisson", "softplus", "shares"),
    ("mape", "linear", "shares"), ("hinge", "tanh", "bits"), ("binary_crossentropy", "sigmoid", "bits"),
    ("kl_divergence", "softmax", "distribution"), ("cosine_similarity", "linear", "numbers"),
    ("categorical_crossentropy", "softmax", "one-hot"),
    ("sparse_categorical_crossentropy", "softmax", "labels"),
]  # fmt: skip
# Large epsilons: where a gradient is nothing but rounding, a step of fixed size would show its sign.
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"learning_rate": 0.1}), ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"learning_rate": 0.1, "clipnorm": 0.1}), ("SGD", {"learning_rate": 0.1, "clipvalue": 0.01}),
    ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.1, "weight_decay": 0.1}),
    ("RMSprop", {"learning_rate": 0.01, "epsilon": 1e-2}),
    ("RMSprop", {"learning_rate": 0.01, "epsilon": 1e-2, "centered": True, "momentum": 0.5}),
    ("Adam", {"learning_rate": 0.01, "epsilon": 1e-2}), ("Adam", {"epsilon": 1e-2, "amsgrad": True}),
    ("AdamW", {"learning_rate": 0.01, "epsilon": 1e-2, "weight_decay": 0.1}),
    ("Nadam", {"learning_rate": 0.01, "epsilon": 1e-2}), ("Adamax", {"epsilon": 1e-2}),
    ("Adagrad", {"learning_rate": 0.01}), ("Adadelta", {"learning_rate": 0.5, "epsilon": 1e-3}),
]  # fmt: skip


@st.composite
def recurrent(draw: Any, sequences: bool, stateful: bool, masked: bool, inner: bool = False) -> Layer:
    kind = draw(st.sampled_from(["SimpleRNN", "LSTM", "GRU"]))
    options: dict[str, Any] = {"units": draw(st.integers(1, 3)), "return_sequences": sequences}
    options["activation"] = draw(st.sampled_from(["tanh", "relu", "linear", "sigmoid"]))
    if kind != "SimpleRNN":
        options["recurrent_activation"] = draw(st.sampled_from(["sigmoid", "hard_sigmoid", "tanh"]))
    if kind == "GRU":
        options["reset_after"] = draw(st.booleans())
    if kind == "LSTM":
        options["unit_forget_bias"] = draw(st.booleans())
    for switch in ("use_bias", "go_backwards", "zero_output_for_mask", "unroll"):
        options[switch] = draw(st.booleans())
    # What Keras cannot do: unroll with a mask on torch, and turn a layer round that is turned already.
    options["unroll"] = options["unroll"] and not masked
    # And it leaves the mask of a sequence that is turned round as it was.
    options["go_backwards"] = options["go_backwards"] and not inner and not (masked and sequences)
    if stateful and draw(st.booleans()):
        options["stateful"] = True
    if draw(st.integers(0, 4)) == 0:
        options["kernel_regularizer"] = "l2"
    return {"kind": kind, **options}


@st.composite
def on_sequences(
    draw: Any, shape: tuple[int, ...], masked: bool, stateful: bool
) -> tuple[Layer, tuple[int, ...], bool]:
    """A layer that takes `[B, T, D]`, with the shape that it gives, and whether a mask is left."""
    steps, width = shape
    kinds = ["recurrent", "both ways", "Dense", "each step", "Activation", "Dropout", "merge", "twice"]
    if not masked:
        kinds += ["Conv1D", "MaxPooling1D", "AveragePooling1D", "Permute", "Reshape", "Softmax"]
    kind = draw(st.sampled_from([*kinds, "last", "last both", "pool", "Flatten", "attention"]))
    if kind == "recurrent":
        made = draw(recurrent(True, stateful, masked))
        return made, (steps, made["units"]), masked
    if kind == "last":
        made = draw(recurrent(False, stateful, masked))
        return made, (made["units"],), False
    if kind in ("both ways", "last both"):
        inner = draw(recurrent(kind == "both ways", False, masked, inner=True))
        mode = draw(st.sampled_from(["concat", "sum", "mul", "ave"]))
        width = inner["units"] * (2 if mode == "concat" else 1)
        made = {"kind": "Bidirectional", "inner": inner, "merge_mode": mode}
        return (made, (steps, width), masked) if kind == "both ways" else (made, (width,), False)
    if kind == "Dense":
        made = draw(dense())
        return made, (steps, made["units"]), masked
    if kind == "each step":
        inner = draw(dense())
        return {"kind": "TimeDistributed", "inner": inner}, (steps, inner["units"]), masked
    if kind in ("merge", "twice"):
        name = draw(st.sampled_from(MERGES))
        made = {"kind": name, "shared": kind == "twice", "first": draw(dense()), "second": draw(dense())}
        made["second"]["units"] = made["first"]["units"] = width
        return made, (steps, width * (2 if name == "Concatenate" else 1)), masked
    if kind == "attention":
        return {"kind": "Attention", "use_scale": draw(st.booleans())}, shape, masked
    if kind == "pool":
        # Keras' maximum looks at masked steps, nabi's does not.
        names = ["GlobalAveragePooling1D", *([] if masked else ["GlobalMaxPooling1D"])]
        name = draw(st.sampled_from(names))
        return {"kind": name}, (width,), False
    if kind == "Flatten":
        return {"kind": kind}, (steps * width,), False
    if kind == "Conv1D":
        made = {"kind": kind, "filters": draw(st.integers(1, 3)), "use_bias": draw(st.booleans())}
        made["kernel_size"] = draw(st.integers(1, min(3, steps)))
        made["padding"] = draw(st.sampled_from(["same", "causal", "valid"]))
        made["activation"] = draw(st.sampled_from(ACTIVATIONS))
        left = steps - made["kernel_size"] + 1 if made["padding"] == "valid" else steps
        return made, (left, made["filters"]), False
    if kind.endswith("Pooling1D"):
        size = draw(st.integers(1, min(2, steps)))
        made = {"kind": kind, "pool_size": size, "padding": draw(st.sampled_from(["same", "valid"]))}
        return made, (-(-steps // size) if made["padding"] == "same" else steps // size, width), False
    if kind == "Permute":
        return {"kind": kind, "dims": (2, 1)}, (width, steps), False
    if kind == "Reshape":
        return {"kind": kind, "target_shape": (1, steps * width)}, (1, steps * width), False
    return draw(simple(kind)), shape, masked


@st.composite
def dense(draw: Any) -> Layer:
    made = {
        "kind": "Dense",
        "units": draw(st.integers(1, 3)),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
    }
    if draw(st.integers(0, 4)) == 0:
        made[draw(st.sampled_from(["kernel_regularizer", "activity_regularizer"]))] = "l2"
    return made


@st.composite
def simple(draw: Any, kind: str) -> Layer:
    if kind == "Activation":
        return {"kind": kind, "activation": draw(st.sampled_from(ACTIVATIONS))}
    return {"kind": kind, "rate": 0.0} if kind == "Dropout" else {"kind": kind}


@st.composite
def on_vectors(draw: Any, shape: tuple[int, ...]) -> tuple[Layer, tuple[int, ...], bool]:
    """A layer that takes `[B, D]`, with the shape that it gives."""
    (width,) = shape
    kind = draw(st.sampled_from(["Dense", "Activation", "Dropout", "RepeatVector", "merge", "Dot"]))
    if kind == "Dense":
        made = draw(dense())
        return made, (made["units"],), False
    if kind == "RepeatVector":
        return {"kind": kind, "n": draw(st.integers(1, 4))}, (3, width), False
    if kind in ("merge", "Dot"):
        name = draw(st.sampled_from(MERGES)) if kind == "merge" else "Dot"
        made = {"kind": name, "shared": draw(st.booleans()), "first": draw(dense()), "second": draw(dense())}
        made["second"]["units"] = made["first"]["units"] = width
        if kind == "Dot":
            made |= {"axes": 1, "normalize": draw(st.booleans())}
            return made, (1,), False
        return made, (width * (2 if name == "Concatenate" else 1),), False
    return draw(simple(kind)), shape, False


@st.composite
def models(draw: Any) -> Described:
    """A model, how it is trained, and on what."""
    words, stateful = draw(st.booleans()), draw(st.integers(0, 4)) == 0
    masked = draw(st.booleans())
    shape: tuple[int, ...] = (STEPS, WIDTH)
    chain: list[Layer] = []
    if words:
        chain.append({"kind": "Embedding", "input_dim": WORDS, "output_dim": WIDTH, "mask_zero": masked})
    elif masked:
        chain.append({"kind": "Masking", "mask_value": 0.0})
    for _ in range(draw(st.integers(1, 4))):
        if len(shape) == 2:
            made, shape, masked = draw(on_sequences(shape, masked, stateful))
        else:
            made, shape, masked = draw(on_vectors(shape))
        if made["kind"] == "RepeatVector":
            shape = (made["n"], shape[1])
        chain.append(made)
    loss, activation, targets = draw(st.sampled_from(LOSSES))
    units = draw(st.integers(2 if activation == "softmax" else 1, 3))
    chain.append({"kind": "Dense", "units": units, "activation": activation})
    # Keras has no weights of whole samples for losses of steps.
    weights = draw(st.sampled_from([None, "steps"] if len(shape) == 2 else [None, "samples", "zeros"]))
    by_class = len(shape) == 1 and weights is None and targets in ("labels", "one-hot")
    return {
        "words": words, "layers": chain, "loss": loss, "targets": targets, "output": (*shape[:-1], units),
        "stateful": any(layer.get("stateful") for layer in chain), "weights": weights,
        "class_weight": by_class and draw(st.booleans()), "optimizer": draw(st.sampled_from(OPTIMIZERS)),
        "metrics": draw(
            # Of labels there is no error; and for several bits Keras' accuracy is that of a class.
            st.sampled_from(
                {"labels": [[], ["accuracy"]], "bits": [[], ["mae", "mse"]]}.get(
                    targets, [[], ["mae"], ["accuracy"], ["mse", "accuracy"]]
                )
            )
        ),
        "seed": draw(st.integers(0, 99)),
    }  # fmt: skip


def make(library: Any, described: Described) -> Any:
    """The model in nabi or in Keras."""
    own = library.layers

    def layer(given: Layer) -> Any:
        options = {
            name: value for name, value in given.items() if name not in ("kind", "shared", "first", "second")
        }
        if "inner" in options:
            options["layer"] = layer(options.pop("inner"))
        return getattr(own, given["kind"])(**options)

    shape = (STEPS,) if described["words"] else (STEPS, WIDTH)
    x = entry = own.Input(shape, batch_size=BATCH if described["stateful"] else None)
    for one in described["layers"]:
        if "first" in one:
            first = layer(one["first"])
            second = first if one["shared"] else layer(one["second"])
            x = layer(one)([first(x), second(first(x) if one["shared"] else x)])
        elif one["kind"] == "Attention":
            x = layer(one)([x, x])
        else:
            x = layer(one)(x)
    model = library.Model(entry, x)
    name, options = described["optimizer"]
    optimizer = getattr(library.optimizers, name)(**options)
    # A list in a list, so that neither library has to guess; the names are used again at every compile.
    model.compile(optimizer, described["loss"], metrics=list(described["metrics"]) or None)
    return model


def data(described: Described, count: int) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of so many samples."""
    rng = np.random.default_rng(described["seed"])
    shape = (count, *described["output"])
    if described["words"]:
        x: Any = rng.integers(1, WORDS, (count, STEPS))
    else:
        x = rng.normal(size=(count, STEPS, WIDTH)).astype("float32")
    lengths = rng.integers(1, STEPS + 1, count)
    lengths[0] = max(2, lengths[0])
    for row, length in enumerate(lengths):
        x[row, length:] = 0
    x[0, 0] = 0  # a masked step in front
    labels = rng.integers(0, shape[-1], shape[:-1])
    targets: dict[str, Any] = {
        "numbers": rng.normal(size=shape), "shares": rng.uniform(0.2, 0.9, shape),
        "bits": rng.integers(0, 2, shape), "labels": labels, "one-hot": np.eye(shape[-1])[labels],
    }  # fmt: skip
    shares = rng.uniform(0.1, 1.0, shape)
    targets["distribution"] = shares / shares.sum(-1, keepdims=True)
    y = targets[described["targets"]].astype("int64" if described["targets"] == "labels" else "float32")
    weights: Any = None
    if described["weights"] is not None:
        weights = rng.uniform(0.5, 2.0, shape[:2] if described["weights"] == "steps" else count)
        if described["weights"] != "samples":
            weights = weights * rng.integers(0, 2, weights.shape)
        weights = weights.astype("float32")
    return x, y, weights


def compare(described: Described) -> None:
    """Run both models; an `AssertionError` where they differ."""
    import keras

    import nabi

    own, other = make(nabi, described), make(keras, described)
    rng = np.random.default_rng(described["seed"] + 1)
    values = [0.7 * rng.normal(size=weight.shape).astype("float32") for weight in other.get_weights()]
    assert [one.shape for one in values] == [weight.shape for weight in own.get_weights()]
    own.set_weights(values)
    other.set_weights(values)
    assert own.count_params() == other.count_params()
    assert tuple(own.output_shape) == tuple(other.output_shape)
    count = BATCH if described["stateful"] else 2 * BATCH - 1
    x, y, weights = data(described, count)
    by_class = (
        {label: 0.5 + label for label in range(described["output"][-1])}
        if described["class_weight"]
        else None
    )

    def same(what: str, one: Any, wanted: Any, rounding: float) -> None:
        scale = max(1.0, float(np.abs(np.nan_to_num(np.asarray(wanted))).max(initial=0.0)))
        np.testing.assert_allclose(one, wanted, rtol=rounding, atol=rounding * scale, err_msg=what)

    for turn in range(2 if described["stateful"] else 1):
        same(
            f"predict {turn}",
            own.predict(x, batch_size=BATCH),
            other.predict(x, batch_size=BATCH, verbose=0),
            2e-5,
        )

    def saturates() -> bool:
        """Whether Keras cuts a probability at 1e-7, where nabi computes the loss from the logits."""
        if "crossentropy" not in described["loss"] or described["stateful"]:
            return False  # asking would move the states
        found = other.predict(x, batch_size=BATCH, verbose=0)
        return bool((np.abs(found - 0.5) > 0.5 - 1e-6).any())

    if saturates():
        return
    same(
        "evaluate",
        own.evaluate(x, y, batch_size=BATCH, sample_weight=weights),
        other.evaluate(x, y, batch_size=BATCH, sample_weight=weights, verbose=0),
        1e-4,
    )
    if described["stateful"]:
        own.reset_states()
        for each in other.layers:
            if getattr(each, "stateful", False):
                each.reset_state()
    for step in range(3):
        if saturates():
            return
        try:
            wanted = other.train_on_batch(x, y, sample_weight=weights, class_weight=by_class)
        except RuntimeError as problem:  # Keras writes over states that its gradients need
            if described["stateful"] and "inplace operation" in str(problem):
                return
            raise
        one = own.train_on_batch(x, y, sample_weight=weights, class_weight=by_class)
        same(f"train_on_batch {step}", one, wanted, 1e-4)
        if not np.all(np.abs(wanted) < 1e3):
            return  # it runs away, and so do the roundings
    for number, (one, wanted) in enumerate(zip(own.get_weights(), other.get_weights(), strict=True)):
        same(f"weight {number}", one, wanted, 2e-4)
    same(
        "after training", own.predict_on_batch(x[:BATCH]), np.asarray(other.predict_on_batch(x[:BATCH])), 1e-3
    )


def check(count: int, number: int = 0) -> None:
    """Draw so many models and compare each; raises for the smallest one that differs."""

    @seed(number)
    @settings(
        max_examples=count, deadline=None, report_multiple_bugs=False, database=None, print_blob=False,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(models())
    def one_after_the_other(described: Described) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compare(described)

    one_after_the_other()


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "torch"
    check(*map(int, sys.argv[1:] or ["1000"]))
    print("no difference")
