"""The public list of every package and door is sorted and is exactly what the module exports."""

import ast
import importlib
import re
import types
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nabi"


def public_modules() -> list[str]:
    """Packages and doors at any depth whose names, parents included, have no leading underscore."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if not any(part.startswith("_") for part in parts):
            names.append(".".join(parts))
    return names


def place(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Order of the linter's rule for such lists: CONSTANTS, Classes, the rest; numbers by value."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2
    return kind, [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", name)]


def lists() -> list[str]:
    """What says what is public: every package, and every door."""
    return [
        name
        for name in public_modules()
        if name.count(".") < 2 or (PACKAGE.parent.joinpath(*name.split("."), "__init__.py")).exists()
    ]


def handed_to_other_rooms(path: Path) -> set[str]:
    """What `from module import name as name` brings up on purpose, though it is not for users."""
    imports = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    return {alias.name for node in imports for alias in node.names if alias.asname == alias.name}


@pytest.mark.parametrize("name", lists())
def test_every_package_and_door_has_a_list(name: str) -> None:
    """So that nothing becomes public by accident."""
    assert hasattr(importlib.import_module(name), "__all__"), f"{name} has no __all__"


@pytest.mark.parametrize("name", public_modules())
def test_list_is_sorted_and_complete(name: str) -> None:
    module = importlib.import_module(name)
    listed = list(getattr(module, "__all__", []))
    assert listed == sorted(listed, key=place), f"{name}.__all__ is not sorted"
    assert len(set(listed)) == len(listed), f"{name}.__all__ names something twice"
    assert [member for member in listed if not hasattr(module, member)] == []
    if Path(str(module.__file__)).name == "__init__.py":
        # A package's __init__ is its public list: what else it brings up from inside the package would be
        # public by accident. What it works with from elsewhere is no member, nor is that in a plain module.
        exported = {
            member
            for member, value in vars(module).items()
            if not member.startswith("_")
            and not isinstance(value, types.ModuleType)
            and str(getattr(value, "__module__", "")).startswith(f"{name}.")
        }
        exported -= handed_to_other_rooms(Path(str(module.__file__)))
        unlisted = exported - set(listed)
        assert unlisted == set(), f"{name} exports {sorted(unlisted)} without listing them"
