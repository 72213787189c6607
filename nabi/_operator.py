"""`torch.ops.nabi.scan`: registered as soon as torch and nabi are loaded, implemented when it is called.

A saved graph (from `torch.export`, `torch.jit` or an AOTInductor package) names the operator and is loaded by
code that does not use nabi otherwise. So `import nabi` must be enough, before or after torch, and it still
must load neither torch nor any part of nabi.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["register", "register_with_torch"]

_ARGUMENTS = (
    "Tensor x, Tensor[] states, Tensor[]? families, Tensor[]? noises, Tensor? mask, Tensor? resets, "
    "Tensor? batch_sizes, str program, bool reverse, int? truncate, bool all_states"
)
_OPERATORS = {
    "scan": (f"({_ARGUMENTS}) -> Tensor[]", "forward", "first"),
    "scan_backward": (f"(Tensor[] cotangents, {_ARGUMENTS}) -> Tensor[]", "backward", "second"),
}

_library: Any = None


def register() -> None:
    """Register the operators with torch; later calls do nothing."""
    global _library
    if _library is not None:
        return
    import torch

    _library = torch.library.Library("nabi", "DEF")
    for name, (schema, run, order) in _OPERATORS.items():
        _library.define(name + schema)
        _library.impl(name, _later(run), "CompositeExplicitAutograd")
        torch.library.register_fake(f"nabi::{name}", _later(f"{run}_shapes"), lib=_library)
        torch.library.register_autograd(
            f"nabi::{name}",
            _later(f"{order}_derivative"),
            setup_context=_later(f"{order}_setup"),
            lib=_library,
        )


def register_with_torch() -> None:
    """Register now if torch is loaded, otherwise as soon as it is."""
    if hasattr(sys.modules.get("torch"), "library"):
        register()
    elif "torch" not in sys.modules:
        sys.meta_path.insert(0, _WhenTorchIsLoaded())


def _later(function: str) -> Any:
    def call(*arguments: Any, **named: Any) -> Any:
        from nabi.scan import _library as library

        return getattr(library, function)(*arguments, **named)

    return call


class _WhenTorchIsLoaded:
    """A finder that finds nothing: it waits for the import of torch, then removes itself."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> "ModuleSpec | None":
        if fullname != "torch":
            return None
        from importlib.util import find_spec

        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: "ModuleType") -> None:
            load(module)
            register()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
