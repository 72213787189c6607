"""Names that are loaded when they are first asked for behave like those of any other package."""

import ast
import importlib
import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nabi
from nabi._lazy import loaded_when_asked

PACKAGE = Path(__file__).parent.parent / "nabi"


Run = Callable[[str], str]


@pytest.fixture
def run(fresh: Any) -> Run:
    """Say what a program prints in a process of its own, where nothing of nabi has been loaded yet."""

    def run(program: str) -> str:
        ended = fresh(program)
        assert ended.returncode == 0, ended.stderr
        return str(ended.stdout)

    return run


def packages() -> list[str]:
    """Those that load something when it is asked for."""
    files = sorted(PACKAGE.rglob("__init__.py"))
    asking = [path for path in files if "loaded_when_asked(" in path.read_text(encoding="utf-8")]
    return [".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in asking]


def imports_for_type_checkers(package: str) -> dict[str, str]:
    """The names under `if TYPE_CHECKING:`, each with the module that it is imported from."""
    tree = ast.parse(Path(str(importlib.import_module(package).__file__)).read_text(encoding="utf-8"))
    branches = [node for node in tree.body if isinstance(node, ast.If)]
    assert len(branches) == 1
    found = {}
    for node in branches[0].body:
        assert isinstance(node, ast.ImportFrom)
        found.update({alias.name: str(node.module) for alias in node.names})
    return found


@pytest.mark.parametrize("package", packages())
def test_type_checkers_read_the_same_names(package: str) -> None:
    for name, module in imports_for_type_checkers(package).items():
        source = importlib.import_module(module)
        assert getattr(importlib.import_module(package), name) is getattr(source, name)


def test_every_name_is_there(run: Run) -> None:
    program = (
        "import importlib\n"
        f"for name in {packages()!r}:\n"
        "    package, found = importlib.import_module(name), {}\n"
        "    assert set(package.__all__) <= set(dir(package)), name\n"
        "    exec(f'from {name} import *', found)\n"
        "    assert set(package.__all__) <= set(found), name\n"
    )
    assert run(program) == ""


def test_a_module_is_loaded_when_it_is_asked_for_and_a_name_asked_for_once(run: Run) -> None:
    program = (
        "import nabi as keras\n"
        "print(keras.layers.LSTM(3).units, keras.data.Vocabulary.__name__)\n"
        "print('Sequential' in vars(keras), keras.Sequential.__name__, 'Sequential' in vars(keras))\n"
    )
    assert run(program).splitlines() == ["3 Vocabulary", "False Sequential True"]


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(
        AttributeError, match=r"^module 'nabi' has no attribute 'Sequental'; did you mean 'Sequential'\?$"
    ) as caught:
        nabi.Sequental  # noqa: B018
    # Without the module beside the name, Python does not say a second time what is meant.
    assert (caught.value.name, caught.value.obj) == ("Sequental", None)
    assert not hasattr(nabi, "Sequental")
    with pytest.raises(AttributeError, match=r"^module 'nabi' has no attribute 'qwertz'$") as caught:
        nabi.qwertz  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("qwertz", nabi)
    assert not hasattr(nabi, "_private")
    with pytest.raises(ImportError, match="cannot import name 'Sequental' from 'nabi'; did you mean 'Sequ"):
        from nabi import Sequental  # noqa: F401


def test_an_error_while_loading_is_not_hidden() -> None:
    """A name whose module cannot be loaded is no name that is missing."""
    load, _ = loaded_when_asked("nabi", {"nabi.no_such_module": ["Something"]})
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        load("Something")


def test_classes_are_pickled_by_where_they_are_defined() -> None:
    for kind in (nabi.TextClassifier, nabi.Sequential, nabi.layers.LSTM):
        assert pickle.loads(pickle.dumps(kind)) is kind


def test_a_module_of_a_package_that_bears_an_old_name_loads_nothing_else(run: Run) -> None:
    """Packages with the name of a module of 0.1 answer for its classes, and only for these."""
    program = (
        "import sys\n"
        "from nabi.data._series import _windows\n"
        "print(sorted(name for name in sys.modules if name.startswith('nabi.data._series.')))\n"
        "from nabi.data._series import NumberSeries\n"
        "print(NumberSeries.__module__)\n"
    )
    assert run(program).splitlines() == ["['nabi.data._series._windows']", "nabi.data._series._numbers"]


def test_doors_of_layers_and_training_load_nothing() -> None:
    program = (
        "import sys\n"
        "import nabi.layers, nabi.optimizers, nabi.training\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('nabi.', 'torch'))))\n"
    )
    loaded = ["nabi._lazy", "nabi._operator", "nabi._version"]
    loaded += ["nabi.layers", "nabi.optimizers", "nabi.training"]
    # Where torch has not been loaded either.
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == loaded


# Each with a module that holds it; all are asked for in a process of their own.
LAYERS_BY_NAME = [
    ("Conv2D", {"filters": 2, "kernel_size": 3}),
    ("MaxPooling2D", {}),
    ("TimeDistributed", {"layer": {"class_name": "PReLU", "config": {}}}),
    ("RNN", {"cell": {"class_name": "ConvLSTMCell", "config": {"filters": 2, "kernel_size": 3, "rank": 1}}}),
    ("RNN", {"cell": {"class_name": "IndRNN", "config": {"units": 2}, "module": "nabi.cells"}}),
]


@pytest.mark.parametrize(
    ("name", "config"),
    LAYERS_BY_NAME,
    ids=[f"{name}-{number}" for number, (name, _) in enumerate(LAYERS_BY_NAME)],
)
def test_a_layer_that_a_config_names_is_loaded(run: Run, name: str, config: dict[str, object]) -> None:
    described = {"class_name": name, "config": config}
    assert (
        run(f"from nabi import layers\nprint(type(layers.deserialize({described!r})).__name__)")
        == f"{name}\n"
    )


def test_a_model_file_loads_the_layers_that_it_names(run: Run, tmp_path: Path) -> None:
    model = nabi.Sequential([nabi.layers.Conv1D(2, 3, input_shape=(8, 2)), nabi.layers.MaxPool1D(2)])
    path = tmp_path / "model.nabi"
    model.save(path)
    program = (
        "import sys, nabi\n"
        f"model = nabi.models.load_model({str(path)!r})\n"
        "print([type(layer).__name__ for layer in model.layers])\n"
        "print('nabi.layers._attention' in sys.modules)\n"
    )
    assert run(program).splitlines() == ["['Conv1D', 'MaxPooling1D']", "False"]


def test_a_pickle_loads_the_layers_in_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "layer.pickle"
    path.write_bytes(pickle.dumps(nabi.layers.AveragePooling2D(3)))
    program = f"import pickle\nprint(pickle.load(open({str(path)!r}, 'rb')).pool_size)"
    assert run(program) == "(3, 3)\n"


def test_a_class_of_the_same_name_does_not_stand_for_a_layer_that_is_not_loaded_yet(run: Run) -> None:
    program = (
        "from nabi import layers\n"
        "class GaussianNoise(layers.Layer):\n"
        "    pass\n"
        "made = layers.deserialize({'class_name': 'GaussianNoise', 'config': {'stddev': 0.5}})\n"
        "print(type(made) is layers.GaussianNoise)\n"
        "own = layers.deserialize({'class_name': 'GaussianNoise', 'config': {}, 'module': '__main__'})\n"
        "print(type(own) is GaussianNoise)\n"
    )
    assert run(program).split() == ["True", "True"]


def test_a_misspelt_layer_is_compared_with_all_layers(run: Run) -> None:
    program = (
        "from nabi import errors, layers\n"
        "try:\n"
        "    layers.deserialize({'class_name': 'GausianNoise', 'config': {}})\n"
        "except errors.UnknownNameError as problem:\n"
        "    print(problem)\n"
    )
    assert "did you mean 'GaussianNoise'?" in run(program)


def test_other_names_of_layers_are_the_layers(run: Run) -> None:
    program = (
        "from nabi.layers import MaxPool1D, CuDNNLSTM, Convolution2D\n"
        "from nabi import layers\n"
        "print(MaxPool1D is layers.MaxPooling1D, CuDNNLSTM is layers.LSTM, Convolution2D is layers.Conv2D)\n"
    )
    assert run(program).split() == ["True"] * 3


# What a training of texts and labels from the command line has no use for.
NOT_FOR_TEXTS = [
    "nabi.cli._bench", "nabi.cli._evaluate", "nabi.cli._explain", "nabi.cli._predictors", "nabi.cli._show",
    "nabi.callbacks", "nabi.data._clips", "nabi.data._dna._sequences", "nabi.data._music",
    "nabi.data._pictures", "nabi.data._sound", "nabi.decoding", "nabi.explain",
    "nabi.layers._activation_layers", "nabi.layers._attention", "nabi.layers._functions",
    "nabi.layers._merging", "nabi.layers._noise", "nabi.layers._normalization",
    "nabi.layers._recurrent._convolutional", "nabi.layers._reshaping", "nabi.layers._windows._convolution_2d",
    "nabi.layers._windows._pooling_2d", "nabi.losses", "nabi.metrics", "nabi.models._captioner._model",
    "nabi.models._clips._model", "nabi.models._dna._model", "nabi.models._forecaster._model",
    "nabi.models._functional", "nabi.models._language._model", "nabi.models._loading",
    "nabi.models._networks", "nabi.models._notes._model", "nabi.models._sequences._model",
    "nabi.models._series._model", "nabi.models._sound._model", "nabi.models._translator._model",
    "nabi.optimizers.schedules", "nabi.recipes._registry", "nabi.targets.eager._kernel",
    "nabi.training._loop._resumable_training", "nabi.training._metrics._counts",
]  # fmt: skip


def test_the_modules_that_are_not_for_texts_exist() -> None:
    """So that the next test fails if one of them is moved."""
    for name in NOT_FOR_TEXTS:
        assert importlib.util.find_spec(name) is not None, name


def test_a_training_of_texts_loads_no_other_kind_of_network(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"film {number} was {('dull', 'fine')[number % 2]},{number % 2}" for number in range(40)]
    Path("reviews.csv").write_text("\n".join(["review,verdict", *rows]), encoding="utf-8")
    program = (
        "import sys\n"
        "from contextlib import suppress\n"
        "from nabi.cli import main\n"
        "with suppress(SystemExit):\n"
        "    main('train reviews.csv --text review --label verdict --epochs 1'.split())\n"
        "print(*sys.modules)\n"
    )
    loaded = run(program).splitlines()[-1].split()
    assert next(Path().glob("*.nabi"), None) is not None
    for name in NOT_FOR_TEXTS:
        assert not [module for module in loaded if module == name or module.startswith(f"{name}.")], name


def test_models_of_layers_do_not_load_torchs_compiler() -> None:
    """It takes most of a second, and who needs it calls `torch.compile`."""
    code = (
        "import sys, torch; from nabi.models import Sequential; from nabi.layers import LSTM; "
        "Sequential([LSTM(3, input_shape=(4, 2))]); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
