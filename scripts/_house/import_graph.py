"""Who imports whom in a package, read from its source: circles, upward imports, private doors.

Nothing is imported to find out. Imports inside functions, under TYPE_CHECKING and in lazy tables count like
all others. A name taken from a package counts as an import of the file that defines it: `from nabi.ir import
Cell` leads to `nabi/ir/_cell.py`, whether `nabi/ir/__init__.py` hands the name on at once or when it is asked
for. So a package's public list joins no files that do not need each other.

`scripts/house` prints what is found here, and tests/test_architecture.py holds the package to it.
"""

import ast
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "nabi"

# From the roof to the ground. A room imports from the rooms after it in this list, and from the ground floor:
# the modules that stand beside the rooms.
HOUSE = (
    "cli",
    "serving",
    "interchange",
    "shipping",
    "tf1",
    "comparison",
    "recipes",
    "explain",
    "models",
    "decoding",
    "training",
    "layers",
    "nn",
    "data",
    "scan",
    "targets",
    "kernels",
    "small_weights",
    "native",
    "cells",
    "drawing",
    "files",
    "ir",
)

# When an import is run.
LOAD, CALL, TYPING = "at load", "when called", "for types only"


@dataclass(frozen=True)
class Import:
    """One name in an import: `from nabi.ir import Cell` in line 7 of a file."""

    importer: str  # nabi.cells._gru
    line: int
    module: str  # nabi.ir, as it is written
    name: str | None  # Cell; None for `import nabi.ir`
    when: str
    target: str  # nabi.ir._cell: the module that defines the name

    @property
    def written(self) -> str:
        """What is imported, as the importing file spells it."""
        return self.module if self.name is None else f"{self.module}.{self.name}"


@dataclass
class _Source:
    """What one file says: its imports, and the names that it hands on."""

    named: list[tuple[int, str, str | None, str]] = field(default_factory=list)
    handed_on: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> module, name there


class _Reader(ast.NodeVisitor):
    """Collects the imports of one file, with the moment at which each is run."""

    def __init__(self, module: str, is_package: bool) -> None:
        self.source = _Source()
        self._module = module
        self._package = module.split(".") if is_package else module.split(".")[:-1]
        self._when = LOAD

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.source.named.append((node.lineno, alias.name, None, self._when))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            base = self._package[: len(self._package) - node.level + 1]
            module = ".".join([*base, node.module] if node.module else base)
        for alias in node.names:
            self._take(node.lineno, module, alias.name, alias.asname or alias.name, self._when)

    def visit_Call(self, node: ast.Call) -> None:
        """Read `table(__name__, {"module": ["name"]})` and `import_module("module")`."""
        match node.args:
            case [ast.Name(id="__name__"), ast.Dict(keys=keys, values=values)]:
                for key, names in zip(keys, values, strict=True):
                    self._read_row(key, names)
            case [ast.Constant(value=str(module))] if "import_module" in ast.unparse(node.func):
                self.source.named.append((node.lineno, module, None, self._when))
        self.generic_visit(node)

    def _read_row(self, key: ast.expr | None, names: ast.expr) -> None:
        """Read what a lazy table takes from one module."""
        match key, names:
            case ast.Constant(value=str(module)), ast.List(elts=elements) | ast.Tuple(elts=elements):
                for element in elements:
                    if isinstance(element, ast.Constant) and isinstance(element.value, str):
                        self._take(element.lineno, module, element.value, element.value, CALL)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self._visit_during(TYPING, node.body)
            self._visit_during(self._when, node.orelse)
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        self._visit_during(TYPING if self._when == TYPING else CALL, list(ast.iter_child_nodes(node)))

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815
    visit_Lambda = visit_FunctionDef  # noqa: N815

    def _visit_during(self, when: str, nodes: Sequence[ast.AST]) -> None:
        before, self._when = self._when, when
        for node in nodes:
            self.visit(node)
        self._when = before

    def _take(self, line: int, module: str, name: str, here: str, when: str) -> None:
        self.source.named.append((line, module, name, when))
        if self._when != CALL:  # an import in a function gives the module no name
            self.source.handed_on[here] = (module, name)


class ImportGraph:
    """The imports of all files of a package.

    Args:
        package: its folder.
        house: its rooms, from the roof to the ground.
    """

    def __init__(self, package: Path = PACKAGE, house: Sequence[str] = HOUSE) -> None:
        self.package = package
        self.house = tuple(house)
        self.files = {self._name(path): path for path in sorted(package.rglob("*.py"))}
        self._sources: dict[str, _Source] = {}
        for module, path in self.files.items():
            reader = _Reader(module, path.name == "__init__.py")
            reader.visit(ast.parse(path.read_text(encoding="utf-8")))
            self._sources[module] = reader.source

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self.package).with_suffix("").parts
        return ".".join((self.package.name, *(parts[:-1] if parts[-1] == "__init__" else parts)))

    def place(self, found: Import) -> str:
        """Where an import stands: `nabi/cells/_gru.py:7`."""
        return f"{self.files[found.importer].relative_to(self.package.parent)}:{found.line}"

    def room(self, module: str) -> str | None:
        """The room that a module is in; None for the doors and the ground floor, which stand outside."""
        parts = module.split(".")
        return parts[1] if len(parts) > 1 and parts[1] in self.house else None

    def defined_in(self, module: str, name: str) -> str:
        """The module that defines a name which another one has, followed through those that hand it on."""
        seen: set[tuple[str, str]] = set()
        while (module, name) not in seen:
            seen.add((module, name))
            if f"{module}.{name}" in self.files:
                return f"{module}.{name}"
            if module not in self._sources or name not in self._sources[module].handed_on:
                return module
            further, name_there = self._sources[module].handed_on[name]
            if further.split(".")[0] != self.package.name:
                return module  # made from what another library has: this module's own
            module, name = further, name_there
        return module

    @cached_property
    def imports(self) -> list[Import]:
        """Every import of a module of the package, in the order of the files."""
        return [
            Import(importer, line, module, name, when, target)
            for importer, source in self._sources.items()
            for line, module, name, when in source.named
            if module.split(".")[0] == self.package.name
            if (target := module if name is None else self.defined_in(module, name)) in self.files
        ]

    def upward(self) -> list[Import]:
        """Imports that lead to a room above the importing one."""
        found = []
        for one in self.imports:
            room, other = self.room(one.importer), self.room(one.target)
            if room and other and self.house.index(other) < self.house.index(room):
                found.append(one)
        return found

    def private(self) -> list[Import]:
        """Imports that name a private module of another room, one for each such module that a file names.

        Within a room any file may import any other. The ground floor is private to the package, not to a
        room.
        """
        found: dict[tuple[str, str], Import] = {}
        for one in self.imports:
            other = self.room(one.written)
            if other and other != self.room(one.importer):
                for module in (one.module, one.written):
                    if any(part.startswith("_") for part in module.split(".")[2:]):
                        found.setdefault((one.importer, module), one)
                        break
        return list(found.values())

    def circles(self) -> list[list[str]]:
        """Groups of files that all lead to each other, by themselves or through the others; one circle each.

        They are the strongly connected components of more than one file, so files that are joined in several
        ways are one circle. `within` lists its imports.
        """
        return _knots(self.imports)

    def within(self, circle: Sequence[str]) -> list[Import]:
        """The imports between the files of a circle."""
        return [one for one in self.imports if {one.importer, one.target} <= set(circle)]

    def closed_by(self, circle: Sequence[str]) -> str:
        """When the imports run that close a circle: types aside, functions aside, is there still one?"""
        inside = self.within(circle)
        if _knots([one for one in inside if one.when == LOAD]):
            return LOAD
        return CALL if _knots([one for one in inside if one.when != TYPING]) else TYPING

    def lines(self) -> dict[str, int]:
        """Lines of each file."""
        return {name: len(path.read_text("utf-8").splitlines()) for name, path in self.files.items()}


def _knots(imports: Sequence[Import]) -> list[list[str]]:
    """Groups of modules of which each leads to each, in the order of their names."""
    edges: dict[str, set[str]] = defaultdict(set)
    for one in imports:
        if one.target != one.importer:
            edges[one.importer].add(one.target)
    reached = {module: _reachable(module, edges) for module in sorted(edges)}
    knots = []
    placed: set[str] = set()
    for module, others in reached.items():
        if module in others and module not in placed:
            knots.append(sorted(other for other in others if module in reached.get(other, ())))
            placed.update(knots[-1])
    return knots


def _reachable(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    """The modules to which a module leads; itself only if there is a way back."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for target in edges.get(waiting.pop(), set()) - found:
            found.add(target)
            waiting.append(target)
    return found
