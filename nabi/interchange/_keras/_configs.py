"""Keras' description of one layer as a class of nabi and its arguments, for Keras 1, 2 and 3.

Nothing is looked up by the names of modules that a file gives. A class is one of nabi's layers, by a list, or
one that the user passed in `custom_objects`.
"""

from collections.abc import Mapping
from typing import Any

from nabi import layers
from nabi._keras_names import hint
from nabi._shown import short
from nabi.interchange._keras._origin import Origin
from nabi.layers import Layer, deserialize, keyword_arguments
from nabi.nn import initializers

__all__ = ["LAYERS", "arguments_of", "class_of", "plain_layer", "plain_name"]

# Layers of nabi that have the name of Keras' and its meaning. Containers are made in `_graphs`.
LAYERS = frozenset(
    [
        "ELU",
        "GRU",
        "LSTM",
        "RNN",
        "Activation",
        "ActivityRegularization",
        "Add",
        "AdditiveAttention",
        "Attention",
        "Average",
        "AveragePooling1D",
        "AveragePooling2D",
        "BatchNormalization",
        "Bidirectional",
        "Concatenate",
        "Conv1D",
        "Conv2D",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "Dense",
        "Dot",
        "Dropout",
        "Embedding",
        "Flatten",
        "GRUCell",
        "GaussianDropout",
        "GaussianNoise",
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling1D",
        "GlobalMaxPooling2D",
        "Identity",
        "InputLayer",
        "LSTMCell",
        "LayerNormalization",
        "LeakyReLU",
        "Masking",
        "MaxPooling1D",
        "MaxPooling2D",
        "Maximum",
        "Minimum",
        "Multiply",
        "PReLU",
        "Permute",
        "RMSNormalization",
        "ReLU",
        "RepeatVector",
        "Reshape",
        "SimpleRNN",
        "SimpleRNNCell",
        "Softmax",
        "SpatialDropout1D",
        "StackedRNNCells",
        "Subtract",
        "TimeDistributed",
        "UnitNormalization",
    ]
)
_OTHER_NAMES = {
    "AveragePooling": "AveragePooling1D", "AvgPool1D": "AveragePooling1D", "AvgPool2D": "AveragePooling2D",
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "CuDNNGRU": "GRU", "CuDNNLSTM": "LSTM",
    "GRUV2": "GRU", "GlobalAvgPool1D": "GlobalAveragePooling1D", "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "LSTMV2": "LSTM", "MaxPool1D": "MaxPooling1D", "MaxPool2D": "MaxPooling2D",
    "TimeDistributedDense": "Dense", "UnifiedGRU": "GRU", "UnifiedLSTM": "LSTM",
}  # fmt: skip
# Arguments that change nothing of what a layer computes, or that say what nabi does in any case.
_WITHOUT_EFFECT = frozenset(
    [
        "sparse",
        "ragged",
        "optional",
        "dynamic",
        "autocast",
        "quantization_config",
        "synchronized",
        "renorm_clipping",
        "renorm_momentum",
        "fused",
        "virtual_batch_size",
        "adjustment",
        "build_input_shape",
        "enable_caching_device",
        "lora_rank",
        "lora_alpha",
        "input_dtype",
        "create_input",
        "consume_less",
        "batch_input_dtype",
        "mode_type",
    ]
)
_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell")
# Names of arguments in Keras 1, where they were others.
_FIRST_NAMES = {
    "W_constraint": "kernel_constraint", "W_regularizer": "kernel_regularizer", "U_regularizer":
    "recurrent_regularizer", "b_constraint": "bias_constraint", "b_regularizer": "bias_regularizer",
    "bias": "use_bias", "border_mode": "padding", "dim_ordering": "data_format", "dropout_U":
    "recurrent_dropout", "dropout_W": "dropout", "filter_length": "kernel_size", "init":
    "kernel_initializer", "inner_activation": "recurrent_activation", "inner_init": "recurrent_initializer",
    "nb_filter": "filters", "output_dim": "units", "p": "rate", "pool_length": "pool_size", "sigma": "stddev",
    "stride": "strides", "subsample": "strides", "subsample_length": "strides",
}  # fmt: skip
_FIRST_INITIALIZERS = {"one": "ones", "zero": "zeros"}
_FIRST_MERGES = {
    "ave": "Average", "concat": "Concatenate", "max": "Maximum", "min": "Minimum", "mul": "Multiply",
    "sum": "Add",
}  # fmt: skip
# Keras 2 has another slope than Keras 3 under the same name.
_SECOND_ACTIVATIONS = {"hard_sigmoid": "hard_sigmoid_keras2"}


def plain_name(described: Any) -> tuple[str, dict[str, Any]]:
    """Return class name and arguments of a described object.

    Raises:
        ValueError: if it is no description.
    """
    if not isinstance(described, Mapping):
        raise ValueError(f"expected a layer with class_name and config, got {short(described)}")
    name, config = described.get("class_name"), described.get("config")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise ValueError(f"expected a layer with class_name and config, got {short(dict(described))}")
    return name, dict(config)


def class_of(name: str, described: Mapping[str, Any], origin: Origin) -> Any:
    """Return the class for a layer of a file.

    Raises:
        ValueError: for a class that is neither one of nabi's layers nor among `custom_objects`.
    """
    own = _custom(name, described, origin)
    if own is not None:
        if not (isinstance(own, type) and issubclass(own, Layer)):
            raise ValueError(f"custom_objects: expected a layer class for {name!r}, got {short(own)}")
        return own
    known = _OTHER_NAMES.get(name, name)
    if known in LAYERS:
        return getattr(layers, known)
    said = hint("nabi.layers", name)
    raise ValueError(
        f"{short(name)} is not a layer that nabi has"
        + (f": {said}" if said else "")
        + f"; a layer class of your own can take its place: custom_objects={{{short(name)}: ...}}"
    )


def _custom(name: str, described: Mapping[str, Any], origin: Origin) -> Any:
    for given in (described.get("registered_name"), name):
        if isinstance(given, str) and given in origin.custom_objects:
            return origin.custom_objects[given]
    return None


def plain_layer(described: Mapping[str, Any], origin: Origin) -> Any:
    """Return a layer that contains no others."""
    name, config = plain_name(described)
    if name == "Lambda" and _custom(name, described, origin) is None:
        return _replaced_lambda(config, origin)
    if name == "Merge":
        name, config = _first_merge(config)
    kind = class_of(name, described, origin)
    if kind.__module__.split(".")[0] == "nabi":
        config = arguments_of(kind, name, config, origin)
        return deserialize({"class_name": kind.__name__, "config": config}, origin.custom_objects)
    config = {key: _value(key, one, origin) for key, one in config.items()}
    return kind.from_config(config)


def _replaced_lambda(config: dict[str, Any], origin: Origin) -> Any:
    """Return a Lambda with the user's function; the one in the file is never looked at, let alone run."""
    layer, function = config.get("name"), config.get("function")
    named = function.get("config") if isinstance(function, Mapping) else function
    for given in (layer, named):
        own = origin.custom_objects.get(given) if isinstance(given, str) else None
        if callable(own):
            return layers.Lambda(own, name=layer if isinstance(layer, str) else None)
    known = named if isinstance(named, str) else layer
    raise ValueError(
        "a Lambda layer holds code, which is never run from a file. Write its function in torch and pass it "
        f"under the layer's name: custom_objects={{{short(layer)}: function}}"
        + (f", or under its own: {short(known)}" if known != layer else "")
        + "; or build the model yourself and read only the weights, with load_weights"
    )


def _first_merge(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the layer of today for Keras 1's Merge."""
    mode = config.get("mode")
    if not isinstance(mode, str) or mode not in _FIRST_MERGES:
        raise ValueError(f"mode: expected one of {', '.join(_FIRST_MERGES)}, got {short(mode)}")
    kept: dict[str, Any] = {"name": config.get("name")}
    if mode == "concat":
        kept["axis"] = config.get("concat_axis", -1)
    return _FIRST_MERGES[mode], kept


def arguments_of(kind: Any, name: str, config: dict[str, Any], origin: Origin) -> dict[str, Any]:
    """Return the arguments for one of nabi's layers.

    Raises:
        ValueError: for an argument that nabi's layer does not have, unless it has no effect.
    """
    if origin.major == 1:
        config = _from_first(kind.__name__, config)
    config = {key: _value(key, one, origin) for key, one in config.items()}
    if kind.__name__ == "InputLayer" and "batch_input_shape" in config:
        config["batch_shape"] = config.pop("batch_input_shape")
    if kind.__name__ != "Bidirectional":
        config.pop("weights", None)
    axis = config.get("axis")
    if kind.__name__ == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    if name.startswith("CuDNN"):
        config["activation"], config["recurrent_activation"] = "tanh", "sigmoid"
        if name == "CuDNNGRU":
            config["reset_after"] = True
    elif kind.__name__ in ("GRU", "GRUCell"):
        # The first Keras with the other kind of GRU wrote which one it is.
        config.setdefault("reset_after", False)
    if kind.__name__ in _RECURRENT and origin.major < 3:
        config.setdefault("recurrent_activation", "hard_sigmoid_keras2")
        if "SimpleRNN" in kind.__name__:
            del config["recurrent_activation"]
    known = keyword_arguments(kind)
    for argument in [one for one in config if one not in known]:
        value = config.pop(argument)
        if argument not in _WITHOUT_EFFECT and value not in (None, False, [], {}):
            raise ValueError(
                f"{short(argument)}: nabi's {kind.__name__} has no such argument, got {short(value)}"
            )
    return config


def _value(argument: str, value: Any, origin: Origin) -> Any:
    """Return an argument: an activation by name, a type by name, an initializer without Keras' additions."""
    if argument == "dtype":
        return _dtype(value)
    if argument.endswith("activation"):
        return _activation(argument, value, origin)
    if argument.endswith("initializer"):
        return _initializer(argument, value, origin)
    if argument.endswith("regularizer") and isinstance(value, Mapping):
        return _regularizer(value)
    if argument == "seed" and isinstance(value, Mapping):
        return plain_name(value)[1].get("seed")
    return value


def _dtype(value: Any) -> Any:
    """Return the type of the weights; a policy of mixed precision keeps them in float32."""
    if isinstance(value, Mapping):
        name, config = plain_name(value)
        if name not in ("DTypePolicy", "Policy", "PolicyV1", "FloatDTypePolicy"):
            raise ValueError(f"dtype: expected numbers of one type, got the policy {short(name)}")
        value = config.get("name")
    return "float32" if isinstance(value, str) and value.startswith("mixed_") else value


def _activation(argument: str, value: Any, origin: Origin) -> Any:
    if isinstance(value, Mapping):
        if value.get("class_name") != "function" or not isinstance(value.get("config"), str):
            given = short(value.get("class_name"))
            raise ValueError(f"{argument}: expected the name of a function, got the layer or object {given}")
        value = value["config"]
    if isinstance(value, str) and origin.major < 3 and value not in origin.custom_objects:
        return _SECOND_ACTIVATIONS.get(value, value)
    return value


def _initializer(argument: str, value: Any, origin: Origin) -> Any:
    """Return an initializer that nabi knows, or the usual one: the weights come from the file anyway."""
    if isinstance(value, str):
        value = _FIRST_INITIALIZERS.get(value, value)
    elif isinstance(value, Mapping) and isinstance(value.get("class_name"), str):
        config = value.get("config")
        config = dict(config) if isinstance(config, Mapping) else {}
        kept = {key: _value(key, one, origin) for key, one in config.items()}
        value = {"class_name": value["class_name"], "config": kept}
    else:
        value = None
    if isinstance(value, Mapping) and value["class_name"] in origin.custom_objects:
        return value
    try:
        initializers.get(value, argument)
    except Exception:
        value = None
    if value is None:
        return {
            "recurrent_initializer": "orthogonal",
            "gamma_initializer": "ones",
            "moving_variance_initializer": "ones",
            "kernel_initializer": "glorot_uniform",
            "embeddings_initializer": "uniform",
        }.get(argument, "zeros")
    return value


def _regularizer(value: Mapping[str, Any]) -> Any:
    if "class_name" not in value and {"l1", "l2"} & value.keys():  # Keras 1
        return {"class_name": "L1L2", "config": {name: value.get(name) or 0.0 for name in ("l1", "l2")}}
    name, config = plain_name(value)
    return {"class_name": name, "config": config}


def _from_first(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return arguments under the names that they have since Keras 2."""
    if kind == "Embedding":
        if config.get("dropout"):
            raise ValueError("dropout: nabi's Embedding drops nothing; use layers.SpatialDropout1D after it")
        found = {_FIRST_NAMES.get(name, name): one for name, one in config.items() if name != "dropout"}
        found["output_dim"] = found.pop("units", None)
        found["embeddings_initializer"] = found.pop("kernel_initializer", None)
        found["embeddings_regularizer"] = found.pop("kernel_regularizer", None)
        found["embeddings_constraint"] = found.pop("kernel_constraint", None)
        return found
    found = {_FIRST_NAMES.get(name, name): one for name, one in config.items()}
    if kind == "BatchNormalization" and found.pop("mode", 0) != 0:
        raise ValueError("mode: expected 0, the only one that later versions of Keras have")
    if "nb_row" in found and "nb_col" in found:
        found["kernel_size"] = [found.pop("nb_row"), found.pop("nb_col")]
    if found.get("data_format") in ("tf", "th", "default"):
        found["data_format"] = "channels_first" if found["data_format"] == "th" else "channels_last"
    if "forget_bias_init" in found:
        found["unit_forget_bias"] = found.pop("forget_bias_init") in ("one", "ones")
    if kind in ("GRU", "GRUCell"):
        found["reset_after"] = False
    # A first layer had both the shape and the size of the last axis.
    if found.get("batch_input_shape") is not None:
        for name in ("input_dim", "input_length"):
            found.pop(name, None)
    return found
