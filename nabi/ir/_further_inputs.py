"""What a step reads beside `x`: its keyword arguments, and what a cell says of them."""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from nabi.errors import CellError
from nabi.ir._graph._nodes import Node, Trace
from nabi.ir._graph._numbers import is_number
from nabi.ir._states import check_width

__all__ = ["ReadingInputs", "further_inputs", "named_by_step"]


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

    def step_inputs(self) -> dict[str, Any]:
        """Return the further inputs of the step by name, with what each is where it is not given.

        That is a number, or `inspect.Parameter.empty` for an input that must be given. A cell that is made
        from another reads what that one reads, too.

        Example:
            >>> from nabi.cells import CfC, Zoneout
            >>> Zoneout(CfC(4)).step_inputs()
            {'delta': 1.0}
        """
        return _named(type(self))

    @property
    def inputs_to_give(self) -> tuple[str, ...]:
        """The names of the further inputs that have no default: `needed_inputs` of this very cell."""
        return _without_default(self.step_inputs())

    @classmethod
    def needed_inputs(cls) -> tuple[str, ...]:
        """Return the names of the further inputs that must be given: those without a default.

        Example:
            >>> from nabi.cells import EALSTM
            >>> EALSTM.needed_inputs()
            ('static',)
        """
        return _without_default(_named(cls))

    @classmethod
    def known_inputs(cls) -> tuple[str, ...]:
        """Return the names of all further inputs of the step.

        Example:
            >>> from nabi.cells import CfC
            >>> CfC.known_inputs()
            ('delta',)
        """
        return tuple(_named(cls))

    @classmethod
    def needed_settings(cls, units: int, input_size: int) -> dict[str, Any]:
        """Return values of the settings that have no default, for pictures and pages of any cell."""
        return {}


def _named(kind: type[ReadingInputs]) -> dict[str, Any]:
    arguments = inspect.signature(kind.step).parameters.values()
    return {one.name: one.default for one in arguments if one.kind is inspect.Parameter.KEYWORD_ONLY}


def _without_default(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    empty = inspect.Parameter.empty
    # Positions are counted, not given.
    return tuple(name for name, default in inputs.items() if default is empty and name != "position")


def named_by_step(cell: ReadingInputs, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the further inputs of a cell that its own step names."""
    named = _named(type(cell))
    return {name: value for name, value in inputs.items() if name in named}


def further_inputs(cell: ReadingInputs, trace: Trace, input_size: int) -> dict[str, Node]:
    """Return the leaves of the inputs that a step takes as keyword arguments."""
    found: dict[str, Node] = {}
    where = type(cell).__name__
    for name, default in cell.step_inputs().items():
        if name in (*cell.states, "x", cell.output):
            raise CellError(
                f"{where}: {name}: expected another name for an input than x and those of states and output"
            )
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
