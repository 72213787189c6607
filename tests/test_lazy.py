"""Names that are loaded when they are first asked for behave like those of any other package."""

import ast
import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import nabi
from nabi._lazy import loaded_when_asked

PACKAGE = Path(__file__).parent.parent / "nabi"


def run(program: str) -> str:
    """What a program prints in a process of its own, where nothing has been loaded yet."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


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


def test_every_name_is_there() -> None:
    program = (
        "import importlib\n"
        f"for name in {packages()!r}:\n"
        "    package, found = importlib.import_module(name), {}\n"
        "    assert set(package.__all__) <= set(dir(package)), name\n"
        "    exec(f'from {name} import *', found)\n"
        "    assert set(package.__all__) <= set(found), name\n"
    )
    assert run(program) == ""


def test_a_module_is_loaded_when_it_is_asked_for_and_a_name_asked_for_once() -> None:
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


def test_a_module_of_a_package_that_bears_an_old_name_loads_nothing_else() -> None:
    """Packages with the name of a module of 0.1 answer for its classes, and only for these."""
    program = (
        "import sys\n"
        "from nabi.data._series import _windows\n"
        "print(sorted(name for name in sys.modules if name.startswith('nabi.data._series.')))\n"
        "from nabi.data._series import NumberSeries\n"
        "print(NumberSeries.__module__)\n"
    )
    assert run(program).splitlines() == ["['nabi.data._series._windows']", "nabi.data._series._numbers"]
