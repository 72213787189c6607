"""The house stands: imports go down only, and `import nabi` loads nothing heavy."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .forked import Forked, forking

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nabi"
# Beside what measures the house, so that both know the same rooms.
sys.path.append(str(ROOT / "scripts" / "_house"))

from import_graph import HOUSE, LOAD, TYPING, Import, ImportGraph  # noqa: E402

# Names that users know from Keras, made of several modules: doors into the rooms, not rooms of their own.
DOOR_PACKAGES = {"datasets", "keras", "optimizers", "preprocessing", "utils"}

# Neighbours on one floor: both know only ir/.
STRANGERS = [("targets", "cells"), ("cells", "targets")]

HEAVY = [
    "matplotlib", "torchmetrics", "typer", "rich", "mido", "tokenizers", "duckdb", "keras", "pandas",
    "sacrebleu",
]  # fmt: skip

# What most networks do not use: it is loaded by those that do.
ONLY_FOR_SOME = [
    *HEAVY, "llvmlite", "nabi.data", "nabi.datasets", "nabi.decoding", "nabi.explain", "nabi.recipes",
    "nabi.tf1", "nabi.targets.latex", "nabi.targets.picture", "nabi.models._captioner._model",
    "nabi.models._language._model", "nabi.models._notes._model", "nabi.models._classifier._model",
    "nabi.models._translator._model",
]  # fmt: skip


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str | None:
    """The room that a file is in; None for the doors and __init__, which stand outside the rooms."""
    first = path.relative_to(PACKAGE).parts[0]
    return first if first in HOUSE else None


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of every nabi module that a file names in an import, also inside functions."""
    package = ["nabi", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                module = ".".join([*base, node.module] if node.module else base)
            else:
                module = node.module or ""
            # `from nabi import scan` names the room in the alias.
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of every import; one through a door counts for the rooms behind the door."""
    for line, module in imported_modules(path):
        parts = module.split(".")
        if parts[0] == "nabi" and len(parts) > 1 and parts[1] in HOUSE:
            yield line, parts[1]
        elif parts[0] == "nabi":
            yield from ((line, room) for room in rooms_behind(parts[1] if len(parts) > 1 else ""))


@cache
def rooms_behind(door: str) -> frozenset[str]:
    """The rooms that nabi.callbacks and its like lead to; for `nabi` itself, those of nabi/__init__."""
    module, package = PACKAGE / f"{door}.py", PACKAGE / door
    if door and module.exists():
        files = [module]
    elif door and package.is_dir():
        files = sorted(package.rglob("*.py"))
    else:
        files = [PACKAGE / "__init__.py"]
    rooms = set()
    for file in files:
        for _, name in imported_modules(file):
            parts = name.split(".")
            if parts[0] != "nabi" or len(parts) < 2 or parts[1] in {door, "errors"}:
                continue
            if parts[1] in HOUSE:
                rooms.add(parts[1])
            elif (PACKAGE / f"{parts[1]}.py").exists() or (PACKAGE / parts[1]).is_dir():
                rooms |= rooms_behind(parts[1])
    return frozenset(rooms)


def violations(path: Path) -> list[str]:
    room = room_of(path)
    if room is None:
        return []
    found = []
    for line, other in imported_rooms(path):
        upwards = HOUSE.index(other) < HOUSE.index(room)
        if upwards or (room, other) in STRANGERS:
            found.append(f"{path.relative_to(PACKAGE.parent)}:{line}: {room} imports {other}")
    return found


def test_every_room_is_in_the_list() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(HOUSE) | DOOR_PACKAGES


def test_imports_go_down_the_house() -> None:
    assert [violation for path in modules() for violation in violations(path)] == []


def test_an_import_that_goes_up_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in HOUSE:
        (tmp_path / room).mkdir()
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "callbacks.py").write_text("from nabi.training._callbacks._base import Callback\n")
    (tmp_path / "utils.py").write_text("from nabi.callbacks import Callback\nfrom nabi.ir import Node\n")
    wrong = tmp_path / "cells" / "_wrong.py"
    wrong.write_text(
        "from nabi.scan import scan\nfrom nabi import targets\nimport nabi.ir\nfrom ..cli import main\n"
        "from nabi import errors\nfrom nabi import utils\n"
        "def late():\n    from nabi.layers._layer._base import Layer\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    rooms_behind.cache_clear()
    found = [text.rsplit(" ", 1)[1] for text in violations(wrong)]
    rooms_behind.cache_clear()
    assert found == ["scan", "targets", "cli", "training", "layers"]


@pytest.fixture
def made_up(tmp_path: Path) -> ImportGraph:
    """A package of two rooms and a ground floor, with one fault of each kind."""
    files = {
        "__init__.py": [],
        "_ground.py": [],
        "upper/__init__.py": [
            'load = table(__name__, {"made.upper._late": ["late"], "made.lower": ["given"]})'
        ],
        "upper/_early.py": ["from made.upper import late", "class Early: ..."],
        "upper/_late.py": ["if TYPE_CHECKING:", "    from made.upper._early import Early", "late = 1"],
        "upper/_user.py": [
            "from made import _ground",
            "from made.lower import given",
            "from made.upper import given",
        ],
        "upper/_thief.py": [
            "import made.lower.public",
            "from ..lower import _inner",
            "from made.lower._inner import given, other",
            "def late():",
            "    from made.lower.public._deep import deep",
        ],
        "lower/__init__.py": [
            "from made.lower._inner import given",
            "from made.lower._friend import friend",
        ],
        "lower/_inner.py": ["given = other = 1"],
        "lower/_friend.py": [
            "from made.lower import given",
            "from made.lower.public._deep import deep",
            "friend = 1",
        ],
        "lower/_climber.py": ["from made.upper import late"],
        "lower/public/__init__.py": [],
        "lower/public/_deep.py": ["deep = 1"],
    }
    for name, lines in files.items():
        path = tmp_path / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines))
    return ImportGraph(tmp_path / "made", ["upper", "lower"])


def test_a_circle_through_types_and_a_lazy_table_is_seen(made_up: ImportGraph) -> None:
    """The lists of packages, which hand names on, make no circles of their own."""
    circle = ["made.upper._early", "made.upper._late"]
    assert made_up.circles() == [circle]
    assert made_up.closed_by(circle) == TYPING
    assert [(made_up.place(one), one.written, one.target, one.when) for one in made_up.within(circle)] == [
        ("made/upper/_early.py:1", "made.upper.late", "made.upper._late", LOAD),
        ("made/upper/_late.py:2", "made.upper._early.Early", "made.upper._early", TYPING),
    ]


def test_a_private_import_is_seen_once_for_each_module(made_up: ImportGraph) -> None:
    assert places(made_up, made_up.private()) == [
        "made/upper/_thief.py:2: made.lower._inner",
        "made/upper/_thief.py:5: made.lower.public._deep.deep",
    ]


def test_an_import_of_a_lazy_name_that_goes_up_is_seen(made_up: ImportGraph) -> None:
    assert places(made_up, made_up.upward()) == ["made/lower/_climber.py:1: made.upper.late"]


@pytest.fixture(scope="module")
def graph() -> ImportGraph:
    return ImportGraph()


# What is not yet as the rules below say. Whoever mends one takes it out of the list: an entry that is not
# needed any more fails as well.
PRIVATE_IMPORTS: dict[str, list[str]] = {}
CIRCLES: list[list[str]] = []


def test_no_room_imports_another_rooms_private_modules(graph: ImportGraph) -> None:
    """A room takes from another what stands in the list of its package, or in a public module."""
    found: dict[str, list[str]] = {}
    for one in graph.private():
        if graph.room(one.importer):  # doors are made of what the rooms hold
            found.setdefault(one.importer, []).append(one.target)
    assert {importer: sorted(targets) for importer, targets in found.items()} == PRIVATE_IMPORTS


def test_no_circle_of_imports_among_files(graph: ImportGraph) -> None:
    """Imports in functions and for types included: of two files one can be read without the other."""
    assert graph.circles() == CIRCLES


def test_the_house_is_measured() -> None:
    command = [sys.executable, ROOT / "scripts" / "_house", "--static", "--json"]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert figures["files"] == len(modules())
    assert sum(room["files"] for room in figures["rooms"].values()) == len(modules())


def test_a_batch_is_followed_through_the_house() -> None:
    """It refuses to count if the batch is not trained without autograd."""
    flow = "one training batch, without autograd"
    command = [sys.executable, ROOT / "scripts" / "_house" / "flows.py", flow]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(run.stdout.splitlines()[-1])
    assert figures["calls"] > figures["moves"] > figures["moves_between_rooms"] > 0
    assert figures["moves"] >= figures["modules"] - 1 > 0


def places(graph: ImportGraph, imports: list[Import]) -> list[str]:
    return [f"{graph.place(one)}: {one.written}" for one in imports]


def telling(program: str) -> str:
    """The program that also says which modules it loads, beside those that were there before."""
    return f"import sys\nbefore = set(sys.modules)\n{program}\nprint(*set(sys.modules) - before)\n"


def loaded_by(program: str) -> set[str]:
    """The modules that a program loads in a process of its own, where nothing is loaded yet."""
    command = [sys.executable, "-c", telling(program)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


@pytest.fixture(scope="module")
def with_torch() -> Iterator[Forked]:
    """Runs programs in processes that have torch and what else nabi cannot do without."""
    with forking("torch, numpy, safetensors") as forked:
        yield forked


def new_modules(with_torch: Forked, program: str) -> set[str]:
    """The modules that a program loads beside torch."""
    run = with_torch.run(telling(program))
    assert run.returncode == 0, run.stderr.decode()
    return set(run.stdout.decode().splitlines()[-1].split())


def among(loaded: set[str], unwanted: list[str]) -> list[str]:
    """Those of the unwanted modules and packages of which something is loaded."""
    return [
        name for name in unwanted if any(module == name or module.startswith(f"{name}.") for module in loaded)
    ]


# Below all rooms: what every one of them may import.
GROUND = ["_checks", "_kinds", "_public", "_shown", "errors"]


@pytest.mark.parametrize("name", GROUND)
def test_the_ground_floor_needs_no_room(name: str) -> None:
    """Checks and errors load neither NumPy nor torch: the equations and the command line use them too."""
    own = {f"nabi.{one}" for one in GROUND}
    for _, module in imported_modules(PACKAGE / f"{name}.py"):
        if module.split(".")[0] == "nabi":
            assert module in own or module.rpartition(".")[0] in own
    assert among(loaded_by(f"import nabi.{name}"), ["torch", "numpy"]) == []


def hand_made_checks(path: Path) -> Iterator[int]:
    """Lines that say `isinstance(x, bool) or not isinstance(x, int)`: a check that `_checks` makes."""
    text = path.read_text(encoding="utf-8")
    if ", bool)" not in text:  # which spares parsing most files
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.BoolOp):
            told = [ast.unparse(value) for value in node.values]
            bools = any(text.startswith("isinstance(") and text.endswith(", bool)") for text in told)
            if bools and any(text.startswith("not isinstance(") and ", int" in text for text in told):
                yield node.lineno


# What is read from a file is JSON, whose numbers are Python's own.
READS_JSON = {"files/_model_file.py", "models/_graph_config.py"}


def test_numbers_are_checked_in_one_place() -> None:
    """So that no argument refuses a number of NumPy's, or takes True for 1."""
    found = {str(path.relative_to(PACKAGE)): list(hand_made_checks(path)) for path in modules()}
    assert {name: lines for name, lines in found.items() if lines and name not in READS_JSON} == {}


def test_a_check_made_by_hand_is_seen(tmp_path: Path) -> None:
    made = tmp_path / "made.py"
    made.write_text("if x is None:\n    ...\nif isinstance(x, bool) or not isinstance(x, int):\n    ...\n")
    assert list(hand_made_checks(made)) == [3]


def test_import_nabi_loads_nothing() -> None:
    """Not even torch: what a program uses is loaded when it is asked for."""
    loaded = loaded_by("import nabi")
    assert {name for name in loaded if name.startswith("nabi")} == {
        "nabi",
        "nabi._operator",
        "nabi._lazy",
        "nabi._version",
    }
    assert not loaded & {"torch", "numpy"}


def test_all_of_nabi_loads_nothing_heavy(with_torch: Forked) -> None:
    """Torch loads a few of these itself at times; what counts is what nabi adds to torch."""
    program = "import nabi\nassert all(hasattr(nabi, name) for name in nabi.__all__)"
    assert among(new_modules(with_torch, program), HEAVY) == []


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [
        ("nabi.nn.LSTM(2, 3)", ["nabi.layers", *ONLY_FOR_SOME]),
        (
            "nabi.Sequential([nabi.layers.LSTM(2), nabi.layers.Dense(1)]).compile('adam', 'mse')",
            ONLY_FOR_SOME,
        ),
        ("nabi.TextClassifier", ["nabi.decoding", "nabi.datasets", "nabi.models._translator._model"]),
    ],
    ids=["module", "model", "classifier"],
)
def test_a_program_loads_what_it_uses(with_torch: Forked, program: str, unwanted: list[str]) -> None:
    assert among(new_modules(with_torch, f"import nabi\n{program}"), unwanted) == []


def test_commands_that_compute_nothing_need_no_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that they answer at once: torch alone takes most of a second to load."""
    monkeypatch.setenv("NABI_CACHE_DIR", str(tmp_path))
    commands = [
        "--help", "train --help", "train there-is-none.csv", "list", "cache", "show lstm",
        "show gru --as latex",
    ]  # fmt: skip
    program = (
        "from contextlib import suppress\n"
        "from nabi.cli import main\n"
        f"for command in {commands}:\n"
        "    with suppress(SystemExit): main(command.split())"
    )
    assert among(loaded_by(program), ["torch", "nabi.layers"]) == []
