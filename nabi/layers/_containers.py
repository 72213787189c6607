"""Lists, dictionaries and tuples of layers as attributes: what is in them belongs to the layer that has them.

The attribute stays what it was, a list, a dictionary or a tuple. Beside it, a module under the same name
holds what is inside, for torch; it is brought up to date whenever the list or dictionary changes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

__all__ = ["Held", "holder_for"]


class Held(torch.nn.Module):
    """The modules in a container, for torch to find."""

    container: Any

    def look_again(self) -> None:
        """Take what is in the container now."""
        if "container" not in vars(self):
            return  # a copy that is being made; it gets its modules as copies too
        self._modules.clear()
        for name, module in _named(self.container):
            while name in self._modules:
                name += "_"
            self._modules[name] = module


def holder_for(value: Any, *, also_empty: bool) -> tuple[Any, Held] | None:
    """What an attribute should be instead of a container with modules in it, and what holds these.

    Args:
        value: what is assigned.
        also_empty: whether lists and dictionaries without modules are watched too: they may get some.

    None is returned for anything else.
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
        # A dot would be taken for a step into a module.
        name = prefix + str(key).replace(".", "_")
        if isinstance(value, torch.nn.Module):
            yield name, value
        elif isinstance(value, list | dict | tuple):
            yield from _named(value, f"{name}_")


def _watched(value: Any, held: Held) -> Any:
    """The same container, whose changes are noticed, as well as those of the containers in it."""
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
    """A list that says when it changes."""

    held: Held | None = None


class WatchedDict(dict[Any, Any]):
    """A dictionary that says when it changes."""

    held: Held | None = None


_IN_BOTH = ("__delitem__", "__setitem__", "clear", "pop")
_IN_LISTS = ("__iadd__", "__imul__", "append", "extend", "insert", "remove", "reverse", "sort")
_IN_DICTIONARIES = ("__ior__", "popitem", "setdefault", "update")
for _name in (*_IN_BOTH, *_IN_LISTS):
    setattr(WatchedList, _name, _noticed(getattr(list, _name)))
for _name in (*_IN_BOTH, *_IN_DICTIONARIES):
    setattr(WatchedDict, _name, _noticed(getattr(dict, _name)))
