"""What a step reads beside `x`: its keyword arguments, and what a cell says of them."""

import inspect
from typing import Any, ClassVar

from nabi.errors import CellError
from nabi.ir._graph._nodes import Node, Trace
from nabi.ir._graph._numbers import is_number
from nabi.ir._states import check_width

__all__ = ["ReadingInputs", "further_inputs"]


class ReadingInputs:
    """The methods by which a cell describes what it needs: inputs beside `x`, and settings."""

    states: ClassVar[tuple[str, ...]]
    output: ClassVar[str]
    sequence_inputs: ClassVar[tuple[str, ...]] = ("static",)
    """The further inputs that are given once for a sequence; the others come with every step."""

    def step(self, x: Node, *states: Any, **inputs: Any) -> Any:
        """Compute the new states from the input and the states; defined by each cell."""
        raise NotImplementedError

    def input_width(self, name: str, input_size: int) -> int | None:
        """Return the width of a further input of the step.

        Args:
            name: of the keyword argument of `step`.
            input_size: width of `x`.

        Returns:
            How many numbers a row has; None for one number that broadcasts over the units. The setting
            `NAME_size` of the cell if there is one; else None for `delta`, `time` and `position`, and the
            width of `x` for `observed`. Override it for others.

        Raises:
            CellError: nothing says how wide it is.
        """
        size = getattr(self, f"{name}_size", None)
        if size is not None:
            return int(size)
        if name in ("delta", "time", "position"):
            return None
        if name == "observed":
            return input_size
        raise CellError(
            f"{type(self).__name__}: {name}: expected its width; give the cell a setting {name}_size, or "
            "override input_width"
        )

    @classmethod
    def needed_inputs(cls) -> tuple[str, ...]:
        """Return the names of the further inputs that must be given: those without a default.

        Example:
            >>> from nabi.cells import EALSTM
            >>> EALSTM.needed_inputs()
            ('static',)
        """
        empty, only = inspect.Parameter.empty, inspect.Parameter.KEYWORD_ONLY
        arguments = inspect.signature(cls.step).parameters.values()
        named = [one.name for one in arguments if one.kind is only and one.default is empty]
        return tuple(name for name in named if name != "position")

    @classmethod
    def known_inputs(cls) -> tuple[str, ...]:
        """Return the names of all further inputs of the step.

        Example:
            >>> from nabi.cells import CfC
            >>> CfC.known_inputs()
            ('delta',)
        """
        arguments = inspect.signature(cls.step).parameters.values()
        return tuple(one.name for one in arguments if one.kind is inspect.Parameter.KEYWORD_ONLY)

    @classmethod
    def needed_settings(cls, units: int, input_size: int) -> dict[str, Any]:
        """Return values of the settings that have no default, for pictures and pages of any cell."""
        return {}


def further_inputs(cell: ReadingInputs, trace: Trace, input_size: int) -> dict[str, Node]:
    """Return the leaves of the inputs that a step takes as keyword arguments."""
    found: dict[str, Node] = {}
    where = type(cell).__name__
    for name, argument in inspect.signature(cell.step).parameters.items():
        if argument.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if name in (*cell.states, "x", cell.output):
            raise CellError(
                f"{where}: {name}: expected another name for an input than x and those of states and output"
            )
        default = argument.default
        if default is not inspect.Parameter.empty and not is_number(default):
            raise CellError(f"{where}: {name}: expected a number as its default, got {default!r}")
        width = cell.input_width(name, input_size)
        found[name] = trace.input(
            name,
            None if width is None else check_width(f"{where}: input_width({name!r})", width),
            per_sequence=name in cell.sequence_inputs,
            default=None if default is inspect.Parameter.empty else float(default),
            learns=name != "position",
        )
    return found
