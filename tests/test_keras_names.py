"""Every public name of Keras is here, or says what to write instead."""

import importlib
import importlib.util
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

import nabi
from nabi import _keras_names, layers
from nabi.errors import MissingNameError, NabiError

MODULES = [
    "", "activations", "backend", "callbacks", "constraints", "datasets", "initializers", "layers", "losses",
    "metrics", "models", "optimizers", "optimizers.schedules", "preprocessing", "preprocessing.image",
    "preprocessing.sequence", "regularizers", "utils",
]  # fmt: skip

# Names of Keras 1 and 2 that books and lectures use.
OLD = {
    "nabi.layers": [
        "CuDNNLSTM", "CuDNNGRU", "recurrent", "core", "embeddings", "convolutional", "wrappers", "merge",
        "Merge",
        "TimeDistributedDense", "ThresholdedReLU", "AtrousConvolution1D", "Convolution1D", "ConvLSTM2DCell",
        "MaxoutDense", "Highway", "LocallyConnected1D", "AbstractRNNCell", "PeepholeLSTMCell",
    ],
    "nabi.utils": [
        "np_utils", "to_categorical", "Sequence", "plot_model", "multi_gpu_model", "HDF5Matrix", "vis_utils",
        "generic_utils", "data_utils", "layer_utils", "print_summary", "GeneratorEnqueuer",
    ],
    "nabi.losses": ["kullback_leibler_divergence", "logcosh", "cosine_proximity", "mse", "MSE", "Reduction"],
    "nabi.initializers": ["normal", "uniform", "one", "zero", "glorot_uniform", "constant"],
    "nabi.regularizers": ["l1", "l2", "l1_l2", "l1l2", "WeightRegularizer", "activity_l2"],
    "nabi.models": ["model_from_json", "model_from_yaml", "model_from_config", "clone_model", "save_model"],
    "nabi.optimizers": ["TFOptimizer", "legacy", "schedules"],
    "nabi.preprocessing.text": ["Tokenizer", "one_hot", "hashing_trick", "text_to_word_sequence"],
    "nabi.preprocessing.sequence": ["pad_sequences", "TimeseriesGenerator", "skipgrams"],
    "nabi.backend": ["mean", "sum", "square", "function", "learning_phase", "placeholder", "clear_session"],
    "nabi": ["objectives", "engine", "wrappers", "applications", "estimator", "Input", "Model", "Sequential"],
    "nabi.callbacks": ["BaseLogger", "TensorBoard"],
}  # fmt: skip


@pytest.fixture(scope="module")
def names_of_keras(in_keras: Callable[..., bytes]) -> dict[str, list[str]]:
    program = (
        "import importlib, keras\n"
        f"for name in {MODULES!r}:\n"
        "    module = importlib.import_module('keras.' + name if name else 'keras')\n"
        "    print('.'.join(['nabi', name] if name else ['nabi']), *(one for one in dir(module) if "
        "one[0] != '_'))\n"
    )
    found = [line.split() for line in in_keras(program).decode().splitlines()]
    return {module: names for module, *names in found}


def module_of(name: str) -> Any:
    if importlib.util.find_spec(name) is not None:
        return importlib.import_module(name)
    with pytest.raises(ModuleNotFoundError, match=f"No module named '{name}': "):  # it has a hint itself
        importlib.import_module(name)
    return None


def unanswered(module: str, names: list[str]) -> list[str]:
    """The names that are not there and have no hint."""
    found = module_of(module)
    if found is None:
        return []
    missing = [name for name in names if not hasattr(found, name)]
    for name in missing:
        if _keras_names.hint(module, name) or _keras_names.family_hint(module, name):
            with pytest.raises(MissingNameError, match=f"has no attribute '{name}': "):
                getattr(found, name)
    return [
        name
        for name in missing
        if not (_keras_names.hint(module, name) or _keras_names.family_hint(module, name))
    ]


def test_every_name_of_keras_is_answered(names_of_keras: dict[str, list[str]]) -> None:
    assert len(names_of_keras["nabi.layers"]) > 150
    found = {module: unanswered(module, names) for module, names in names_of_keras.items()}
    assert {module: names for module, names in found.items() if names} == {}


@pytest.mark.parametrize("module", OLD)
def test_every_old_name_is_answered(module: str) -> None:
    assert unanswered(module, OLD[module]) == []


def test_every_name_of_a_model_of_keras_is_answered(in_keras: Callable[..., bytes]) -> None:
    program = (
        "import keras\n"
        "for kind in (keras.Sequential, keras.Model):\n"
        "    print(*(name for name in dir(kind) if name[0] != '_'))\n"
    )
    model = nabi.Sequential([layers.Dense(1, input_shape=(2,))])
    old = ["fit_generator", "predict_generator", "evaluate_generator", "predict_proba", "to_yaml"]
    # Steps of training that can be overridden are part of fitting, not of this list.
    names = {*in_keras(program).decode().split(), *old} - {
        "compute_loss", "compute_metrics", "predict_step", "test_step", "train_step",
    }  # fmt: skip
    unknown = [name for name in sorted(names) if not hasattr(model, name) and name not in _keras_names.MODEL]
    assert unknown == []
    with pytest.raises(MissingNameError, match=r"no attribute 'fit_generator': use fit\(generator"):
        model.fit_generator(None)
    assert not hasattr(model, "fit_generator")
    with pytest.raises(AttributeError, match=r"'Sequential' object has no attribute 'qwertz'$"):
        model.qwertz  # noqa: B018


def test_hints_name_what_exists() -> None:
    """What a hint says to use can be used."""
    tables = [*_keras_names._HINTS.values(), _keras_names.MODEL]
    texts = {text for table in tables for text in table.values()}
    texts |= {text for _, _, text in _keras_names._FAMILIES}
    missing = []
    for text in texts:
        for path in re.findall(r"\b(?:nabi|torch|torchmetrics|numpy)(?:\.\w+)+", text):
            if path == "torch.utils.tensorboard":  # another package brings it
                continue
            parts = path.split(".")
            value: Any = importlib.import_module(parts[0])
            for number, part in enumerate(parts[1:], 1):
                if not hasattr(value, part):
                    if importlib.util.find_spec(".".join(parts[: number + 1])) is None:
                        missing.append(path)
                        break
                    importlib.import_module(".".join(parts[: number + 1]))
                value = getattr(value, part)
        for door, name in re.findall(
            r"(?<![\w.])(layers|losses|metrics|callbacks|initializers|regularizers|utils)\.(\w+)", text
        ):
            if not hasattr(importlib.import_module(f"nabi.{door}"), name):
                missing.append(f"{door}.{name}")
    assert missing == []


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("from nabi.layers import Conv3D", ImportError, "cannot import name 'Conv3D' from 'nabi.layers': "),
        ("from nabi.layers import (Dense, "
         "Conv3D)", ImportError, "'nabi.layers': use layers.TorchModuleWrapper"),
        ("from nabi.layers import Lstm", ImportError, r"from 'nabi.layers'; did you mean 'LSTM'\?"),
        ("from nabi.metrics import MeanIoU", ImportError, "'nabi.metrics': pass torchmetrics.JaccardIndex"),
        ("from nabi.constraints import "
         "max_norm", ModuleNotFoundError, "No module named 'nabi.constraints': c"),
        ("import nabi.layers.recurrent", ModuleNotFoundError, "in nabi.layers itself, as in: from "
                                                              "nabi.layers"),
        ("from nabi import ops", ImportError, "cannot import name 'ops' from 'nabi': compute with torch"),
        ("nabi.layers.Bidirectionl", MissingNameError, r"did you mean 'Bidirectional'\?$"),
        ("nabi.callbacks.EarlyStoping", MissingNameError, r"did you mean 'EarlyStopping'\?$"),
        ("nabi.backend.clear_sesion", MissingNameError, r"did you mean 'clear_session'\?$"),
        ("nabi.layers.qwertz", AttributeError, "^module 'nabi.layers' has no attribute 'qwertz'$"),
        ("from nabi.layers import qwertz", ImportError, "cannot import name 'qwertz' from 'nabi.layers'"),
        ("import nabi.qwertz", ModuleNotFoundError, "^No module named 'nabi.qwertz'$"),
    ],
)  # fmt: skip
def test_what_is_said(line: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        exec(line, {"nabi": nabi})


def test_looking_for_a_module_finds_none() -> None:
    assert importlib.util.find_spec("nabi.constraints") is None
    assert not hasattr(nabi, "constraints")
    assert issubclass(MissingNameError, NabiError)


def test_what_has_no_value_yet_is_no_attribute() -> None:
    """`hasattr` answers, and asking says what comes first."""
    model = nabi.Sequential([layers.Dense(2)])
    for name in ("compiled", "inputs", "outputs", "input", "output", "parameter_count"):
        assert not hasattr(model, name)
        with pytest.raises(nabi.errors.NotReadyError, match="sequential"):
            getattr(model, name)
    assert model.metrics_names == []
    with pytest.raises(nabi.errors.NotReadyError, match="is not built yet"):
        layers.LSTM(3).parameter_count  # noqa: B018
    assert not hasattr(nabi.optimizers.Adam(), "torch_optimizer")
    model.compile("sgd", "mse", metrics=["mae"])
    model.build((None, 3))
    assert model.metrics_names == ["loss", "mae"]
    assert model.parameter_count == 8
    assert hasattr(model, "inputs")


def test_attributes_of_layers_are_found_as_torch_finds_them() -> None:
    layer = layers.Dense(2)
    layer(torch.zeros(1, 3))
    layer.register_buffer("extra", torch.ones(1))
    layer.inner = torch.nn.Linear(1, 1)
    assert layer.kernel is layer._parameters["kernel"]
    assert layer.extra is layer._buffers["extra"]
    assert layer.inner is layer._modules["inner"]
    with pytest.raises(AttributeError, match="'Dense' object has no attribute 'nothing'"):
        layer.nothing  # noqa: B018
