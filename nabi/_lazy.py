"""Lazy loading of a package's names, and the errors for missing ones."""

import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = ["loaded_when_asked", "names_missing"]


def loaded_when_asked(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package (PEP 562).

    `names` lists for each module the names that the package exports from it. The package's own public modules
    are loaded lazily too. Type checkers read neither: next to the call are the same imports under
    `if TYPE_CHECKING:`.
    """
    module_of = {name: module for module, taken in names.items() for name in taken}

    def load(name: str) -> Any:
        if name in module_of:
            value = getattr(import_module(module_of[name]), name)
            setattr(sys.modules[package], name, value)  # loaded only once
            return value
        if name.startswith("_"):  # asked for by the dozen where objects are inspected, and never meant
            raise _missing(package, name, (), sys._getframe(1))
        if name in _public_modules(package):
            return import_module(f"{package}.{name}")
        raise _missing(package, name, list_names(), sys._getframe(1))

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of, *_public_modules(package)})

    return load, list_names


def names_missing(module: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a fully loaded module; for missing names it says what to write instead."""

    def refuse(name: str) -> Any:
        raise _missing(module, name, list(vars(sys.modules[module])), sys._getframe(1))

    return refuse


def _public_modules(package: str) -> list[str]:
    found = (module.name for module in pkgutil.iter_modules(sys.modules[package].__path__))
    return [name for name in found if not name.startswith("_")]


def _missing(module: str, name: str, known: Sequence[str], asking: FrameType) -> Exception:
    """Build the error for a missing name, with a hint if there is one."""
    said = _said_of(module, name, known)
    if said and _imports(asking):
        # Python replaces an AttributeError in `from module import name` by its own ImportError and loses the
        # message.
        return ImportError(f"cannot import name {name!r} from {module!r}{said}", name=module)
    message = f"module {module!r} has no attribute {name!r}{said}"
    if not said:
        return AttributeError(message, name=name, obj=sys.modules[module])
    from nabi.errors import MissingNameError

    return MissingNameError(message, name=name)


def _said_of(module: str, name: str, known: Sequence[str]) -> str:
    """Return the hint at the end of the message for a missing name."""
    if name.startswith("_"):
        return ""
    from nabi._keras_names import family_hint, hint, nearest

    found = hint(module, name)
    if found is not None:
        return f": {found}"
    meant = nearest(name, [one for one in known if not one.startswith("_")])
    if meant is not None:
        return f"; did you mean {meant!r}?"
    found = family_hint(module, name)
    return "" if found is None else f": {found}"


def _imports(frame: FrameType) -> bool:
    """Tell whether the frame is executing `from module import name`."""
    import opcode

    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == opcode.opmap["IMPORT_FROM"]


class _MissingModules:
    """Finds modules named in old pickles, and gives hints for Keras modules that nabi lacks.

    It is called last, when no other finder has found the module.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> "ModuleSpec | None":
        """Find a moved module; raise `ModuleNotFoundError` with a hint for a Keras module."""
        module, _, last = name.rpartition(".")
        if not module.startswith("nabi") or not _is_import(sys._getframe(1)):
            return None  # code that only tests whether the module exists must find none
        if last.startswith("_"):
            from nabi import _old_places

            return _old_places.find_spec(name)
        from nabi._keras_names import family_hint, hint

        found = hint(module, last) or family_hint(module, last)
        if found is not None:
            raise ModuleNotFoundError(f"No module named {name!r}: {found}", name=name)
        return None


def _is_import(frame: FrameType | None) -> bool:
    for _ in range(3):
        if frame is None:
            return False
        if frame.f_code.co_name == "_find_and_load_unlocked":
            return True
        frame = frame.f_back
    return False


sys.meta_path.append(_MissingModules)
