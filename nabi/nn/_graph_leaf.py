"""Modules that `torch.fx.symbolic_trace` leaves whole, as it does torch's own."""

from typing import Any, NoReturn

from torch import Tensor, nn
from torch.fx import Proxy

from nabi.errors import ArgumentError

__all__ = ["is_proxy", "leaf", "refuse_script"]


def is_proxy(value: Any) -> bool:
    """Whether a value, or one of a list of values, stands for one in a trace of `torch.fx`."""
    if type(value) is Tensor:
        return False
    return isinstance(value, Proxy) or (isinstance(value, list | tuple) and any(map(is_proxy, value)))


def leaf(module: nn.Module, *arguments: Any, **named: Any) -> Any:
    """Write a call of a module into the trace of its arguments; returns what stands for the result.

    The tracer decides by the name of a module's class whether to look into it, and knows torch's own only.

    Raises:
        ArgumentError: the module itself was given to be traced; it has no parts.
    """
    found: list[Proxy] = []
    _collect([*arguments, *named.values()], found)
    tracer: Any = found[0].tracer
    path = tracer.path_of_module(module)
    if not path:
        name = type(module).__name__
        raise ArgumentError(
            f"torch.fx: a module that holds {name} can be traced, {name} alone not; put it into one, for "
            f"instance torch.nn.Sequential({name}(...))"
        )
    given = {name: value for name, value in named.items() if value is not None}
    while arguments and arguments[-1] is None:
        arguments = arguments[:-1]
    return tracer.create_proxy("call_module", path, arguments, given)


def refuse_script(module: nn.Module) -> NoReturn:
    """Say that `torch.jit.script`, which compiles the source of a module, cannot compile this one.

    Raises:
        ArgumentError: always.
    """
    raise ArgumentError(
        f"torch.jit.script: it cannot compile {type(module).__name__}; use torch.jit.trace or torch.export"
    )


def _collect(value: Any, found: list[Proxy]) -> None:
    if isinstance(value, Proxy):
        found.append(value)
    elif isinstance(value, list | tuple):
        for each in value:
            _collect(each, found)
