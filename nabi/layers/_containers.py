"""Lists, dictionaries and tuples of layers as attributes: their contents belong to the layer.

The attribute stays a list, a dictionary or a tuple. A module of the same name holds the contents for torch;
it is updated whenever the list or dictionary changes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

__all__ = ["Held", "holder_for"]


class Held(torch.nn.Module):
    """The modules in a container, registered for torch."""

    container: Any

    def look_again(self) -> None:
        """Register the current contents of the container."""
        if "container" not in vars(self):
            return  # a copy in progress; its modules are copied too
        self._modules.clear()
        for name, module in _named(self.container):
            while name in self._modules:
                name += "_"
            self._modules[name] = module


def holder_for(value: Any, *, also_empty: bool) -> tuple[Any, Held] | None:
    """Return a watched replacement for a container with modules, and the holder of the modules.

    Args:
        value: the assigned value.
        also_empty: whether lists and dictionaries without modules are watched too, as modules may be added.

    Returns None for any other value.
    """
    if not isinstance(value, list | dict | tuple):
        return None
    if not (_has_modules(value) or (also_empty and type(value) in (list, dict))):
        return None
    held = Held()
    held.container = watched = _watched(value, held)
    held.look_again()
    return watched, held


def _has_modules(value: Any) -> bool:
    if isinstance(value, torch.nn.Module):
        return True
    if isinstance(value, dict):
        return any(map(_has_modules, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_modules, value))


def _named(container: Any, prefix: str = "") -> Iterator[tuple[str, torch.nn.Module]]:
    pairs = container.items() if isinstance(container, dict) else enumerate(container)
    for key, value in pairs:
        # torch reads a dot as access to a submodule.
        name = prefix + str(key).replace(".", "_")
        if isinstance(value, torch.nn.Module):
            yield name, value
        elif isinstance(value, list | dict | tuple):
            yield from _named(value, f"{name}_")


def _watched(value: Any, held: Held) -> Any:
    """Return the container, recursively replaced by one that reports its changes."""
    if type(value) in (list, WatchedList):
        made: Any = WatchedList(_watched(one, held) for one in value)
    elif type(value) in (dict, WatchedDict):
        made = WatchedDict((key, _watched(one, held)) for key, one in value.items())
    elif type(value) is tuple:
        return tuple(_watched(one, held) for one in value)
    else:
        return value
    made.held = held
    return made


def _noticed(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        result = method(self, *arguments, **keywords)
        if self.held is not None:
            for place, value in list(self.items() if isinstance(self, dict) else enumerate(self)):
                if type(value) in (list, dict):
                    (dict if isinstance(self, dict) else list).__setitem__(
                        self, place, _watched(value, self.held)
                    )
            self.held.look_again()
        return result

    call.__name__, call.__doc__ = method.__name__, method.__doc__
    return call


class WatchedList(list[Any]):
    """A list that reports its changes."""

    held: Held | None = None


class WatchedDict(dict[Any, Any]):
    """A dictionary that reports its changes."""

    held: Held | None = None


_IN_BOTH = ("__delitem__", "__setitem__", "clear", "pop")
_IN_LISTS = ("__iadd__", "__imul__", "append", "extend", "insert", "remove", "reverse", "sort")
_IN_DICTIONARIES = ("__ior__", "popitem", "setdefault", "update")
for _name in (*_IN_BOTH, *_IN_LISTS):
    setattr(WatchedList, _name, _noticed(getattr(list, _name)))
for _name in (*_IN_BOTH, *_IN_DICTIONARIES):
    setattr(WatchedDict, _name, _noticed(getattr(dict, _name)))
