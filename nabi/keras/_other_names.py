"""Modules with more than one name: `nabi.keras.layers` and `nabi.tf1.keras.layers` are `nabi.layers`."""

import sys
from collections.abc import Collection
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["OtherNames"]

_KERAS = "nabi.keras"
_TF_KERAS = "nabi.tf1.keras"


class OtherNames:
    """Finds the modules of `nabi.keras` and `nabi.tf1.keras`.

    Args:
        modules: what `nabi.keras` contains.
    """

    def __init__(self, modules: Collection[str]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find the module that another name stands for; None if it stands for none."""
        own = self._own_name(name)
        if own is None or find_spec(own) is None:
            return None
        return ModuleSpec(name, _Loader(own))  # type: ignore[arg-type]

    def _own_name(self, name: str) -> str | None:
        """Return `nabi.layers` for `nabi.keras.layers`."""
        if name == _TF_KERAS:
            return _KERAS
        for prefix in (f"{_KERAS}.", f"{_TF_KERAS}."):
            rest = name.removeprefix(prefix)
            if rest != name and rest.partition(".")[0] in self._modules:
                return f"nabi.{rest}"
        return None


class _Loader:
    def __init__(self, own_name: str) -> None:
        self._own_name = own_name

    def create_module(self, spec: ModuleSpec) -> None:
        """Use the default, an empty module, which is put aside at once."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the real module in the place of the empty one; Python returns what stands there."""
        sys.modules[module.__name__] = import_module(self._own_name)
