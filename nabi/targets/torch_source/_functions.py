"""The source of Python functions that a cell names: for initial values, and for derived matrices.

A function is written as it stands in its file, without annotations and without its docstring, together with
the functions and numbers of its module that it reads.
"""

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Collection
from types import FunctionType, ModuleType
from typing import Any

from nabi.ir.derived import skew_exponential

__all__ = ["Functions", "NoSourceError"]


class NoSourceError(Exception):
    """A function cannot be written: it has no source, or reads what is not torch, math or a number."""


class Functions:
    """Collects the functions that a module needs, each under a name of its own.

    Args:
        taken: names that functions cannot have; theirs are added.
        class_name: another one.

    Attributes:
        sources: their sources by name, in an order in which they can be defined.
    """

    def __init__(self, taken: dict[str, None], class_name: str) -> None:
        self.sources: dict[str, str] = {}
        self._taken, self._class_name = taken, class_name
        self._names: dict[Any, str] = {}

    def free(self, name: str, avoided: Collection[str] = ()) -> str:
        """Return a name that is not taken yet, this one or one that begins with it, and take it."""
        words = (f"{name}{n or ''}" for n in range(len(self._taken) + len(avoided) + 2))
        found = next(
            one for one in words if one not in self._taken and one != self._class_name and one not in avoided
        )
        self._taken[found] = None
        return found

    def add(self, function: Callable[..., Any], name: str, avoided: Collection[str] = ()) -> str:
        """Take in a function, and return the name by which it is called.

        Raises:
            NoSourceError: it cannot be written.
        """
        if not isinstance(function, FunctionType) or function.__closure__:
            raise NoSourceError
        if function in self._names:
            return self._names[function]
        tree = _definition(_PLAIN.get(function, function))
        return self._add(function, tree, function.__globals__, name, avoided)

    def add_method(self, method: Any, name: str) -> str:
        """Take in a method, with the fields of its object as numbers, or tuples of them.

        Raises:
            NoSourceError: it cannot be written.
        """
        key = (type(method.__self__), repr(method.__self__))
        if key in self._names:
            return self._names[key]
        function = method.__func__
        tree = _definition(function)
        tree.args.args = tree.args.args[1:]
        tree = _WithFields(method.__self__).visit(tree)
        return self._add(key, tree, function.__globals__, name)

    def _add(
        self,
        key: Any,
        tree: ast.FunctionDef,
        known: dict[str, Any],
        name: str,
        avoided: Collection[str] = (),
    ) -> str:
        own = self.free(name, avoided)
        tree.name, self._names[key] = own, own
        read = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name)}
        local = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and _is_set(one)}
        local |= {one.arg for one in ast.walk(tree) if isinstance(one, ast.arg)}
        new: dict[str, ast.expr] = {}
        for word in sorted(read - local - {"torch", "math"}):
            value = known.get(word)
            if value is None or isinstance(value, ModuleType):
                if (value is None and word in dir(__builtins__)) or word in _BUILTINS:
                    continue
                raise NoSourceError
            if isinstance(value, FunctionType):
                called = self.add(value, word.strip("_"), local)
                if called in local:  # taken in for another function that has no variable of this name
                    raise NoSourceError
                new[word] = ast.Name(called)
            elif isinstance(value, int | float):
                new[word] = ast.Constant(value)
            elif getattr(math, word, None) is value:
                new[word] = ast.Attribute(ast.Name("math"), word)
            else:
                raise NoSourceError
        self.sources[own] = ast.unparse(ast.fix_missing_locations(_Renamed(new).visit(tree)))
        return own


def _skew_exponential(v: Any) -> Any:
    import torch

    return torch.linalg.matrix_exp(v - v.mT)


# What nabi computes in a way of its own, as torch alone says it.
_PLAIN: dict[Any, Any] = {skew_exponential: _skew_exponential}

_BUILTINS = frozenset({"len", "max", "min", "range", "sum", "abs", "float", "int", "zip", "enumerate"})


def _is_set(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _definition(function: FunctionType) -> ast.FunctionDef:
    """Return the definition of a function without annotations, docstring and its import of torch."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        raise NoSourceError from None
    if not isinstance(tree, ast.FunctionDef) or tree.decorator_list:
        raise NoSourceError
    tree.returns = None
    arguments = tree.args
    for one in (*arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if one is not None:
            one.annotation = None
    imports = (ast.Import, ast.ImportFrom)
    body = [one for one in tree.body if not (isinstance(one, imports) or _is_text(one))]
    if any(isinstance(one, ast.Import) and [n.name for n in one.names] != ["torch"] for one in tree.body):
        raise NoSourceError
    tree.body = body
    return tree


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class _WithFields(ast.NodeTransformer):
    """Puts the values of an object's fields in the place of `self.field`."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            value = getattr(self._owner, node.attr, None)
            of_numbers = value if isinstance(value, tuple) else (value,)
            if not all(isinstance(one, int | float) for one in of_numbers):
                raise NoSourceError
            return ast.Constant(value)
        return self.generic_visit(node)


class _Renamed(ast.NodeTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, new: dict[str, ast.expr]) -> None:
        self._new = new

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._new.get(node.id, node)
