"""Names of a package that are loaded when they are first asked for, so that importing it is quick."""

import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["loaded_when_asked"]


def loaded_when_asked(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package (PEP 562).

    `names` says for each module what the package takes from it. The package's own public modules are
    loaded when they are asked for as well. Type checkers read neither: beside the call stand the same
    imports under `if TYPE_CHECKING:`.
    """
    module_of = {name: module for module, taken in names.items() for name in taken}

    def load(name: str) -> Any:
        if name in module_of:
            value = getattr(import_module(module_of[name]), name)
            setattr(sys.modules[package], name, value)  # asked for once only
            return value
        if name in _public_modules(package):
            return import_module(f"{package}.{name}")
        raise AttributeError(
            f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules[package]
        )

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of, *_public_modules(package)})

    return load, list_names


def _public_modules(package: str) -> list[str]:
    found = (module.name for module in pkgutil.iter_modules(sys.modules[package].__path__))
    return [name for name in found if not name.startswith("_")]
