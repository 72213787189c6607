"""Settings of a system: each with its default, its check and what it means, said once.

From a `Settings` class come the checks, what a file holds of it, the constructor of the system and the part
of its docstring that explains the arguments, and the options of `nabi train`. It loads neither NumPy nor
torch, so that the command line can say what its options are before they would be there.
"""

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass, field, fields
from inspect import Parameter
from typing import Any, ClassVar, Self, get_type_hints

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.models._task._described import Described

__all__ = [
    "AdamWSettings",
    "Check",
    "Option",
    "Settings",
    "anything",
    "choice",
    "flag",
    "rate",
    "real",
    "seed_number",
    "setting",
    "text",
    "whole",
    "wholes",
]

_WIDTH = 110  # of a line of a docstring


@dataclass(frozen=True)
class Check:
    """Which values a setting may have."""

    kind: type
    """Of a value on the command line: int, float, bool or str."""
    made: Callable[[str, Any], Any]
    """Returns the value as Python's own, or raises an `ArgumentError` that begins with the name."""
    least: float | None = None
    most: float | None = None
    choices: tuple[str | None, ...] = ()
    accepts: Any = None
    """The annotation of the constructor's argument, where it is wider than that of the setting."""


@dataclass(frozen=True)
class Option:
    """How `nabi train` offers a setting.

    Attributes:
        panel: under which its help stands.
        help: what it means; the help of the setting by default.
        shown: its default in words; by default those of the settings themselves.
        default: what the command line takes where nothing is said, if it is not the default of the setting.
        names: such as "--bidirectional/--one-direction"; a flag is otherwise an option without a contrary.
    """

    panel: str = "Network"
    help: str | None = None
    shown: str | None = None
    default: Any = None
    names: str | None = None


def setting(default: Any, check: Check, help: str, option: Option | None = None) -> Any:
    """Return a field of a `Settings` class.

    Args:
        default: where nothing is said.
        check: which values are right.
        help: what it means, as it stands in the docstring of the system: a part of a sentence, with a stop.
        option: how the command line offers it; None where it doesn't.
    """
    return field(default=default, metadata={"check": check, "help": help, "option": option})


# Checks -----------------------------------------------------------------------------------------------------


def whole(least: int = 1, most: int | None = None, *, optional: bool = False) -> Check:
    """A whole number in these bounds, or None where that is right too."""
    otherwise = " or None" if optional else ""

    def made(name: str, value: Any) -> int:
        return _checks.whole(name, value, least, most, otherwise=otherwise)

    return Check(int, _or_none(made) if optional else made, least, most)


def rate(*, optional: bool = False) -> Check:
    """A share of at least 0 and below 1."""
    return Check(float, _or_none(_checks.rate) if optional else _checks.rate, 0.0, 0.99)


def real(
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    optional: bool = False,
    what: str = "number",
) -> Check:
    """A finite number in these bounds; `what` is its name in messages."""
    otherwise = " or None" if optional else ""

    def made(name: str, value: Any) -> float:
        return _checks.real(name, value, least=least, above=above, most=most, otherwise=otherwise, what=what)

    return Check(float, _or_none(made) if optional else made, least if least is not None else above, most)


def flag() -> Check:
    """True or False."""
    return Check(bool, _checks.flag)


def seed_number() -> Check:
    """The seed of a generator."""
    return Check(int, _checks.seed, 0)


def choice(*known: str | None) -> Check:
    """One of these names; None among them means that there may be none."""
    names = tuple(name for name in known if name is not None)

    def made(name: str, value: Any) -> str:
        return _checks.choice(name, value, names)

    return Check(str, _or_none(made) if None in known else made, choices=known)


def text(hint: str, *, optional: bool = False) -> Check:
    """A text that is not empty; `hint` stands in the message: "such as ';'"."""
    otherwise = " or None" if optional else ""

    def made(name: str, value: Any) -> str:
        if not (isinstance(value, str) and value):
            raise ArgumentError(f"{name}: expected text {hint}{otherwise}, got {_checks.short(value)}")
        return value

    return Check(str, _or_none(made) if optional else made)


def wholes(least: int = 1, *, optional: bool = False, empty: bool = False) -> Check:
    """A list of whole numbers, kept as a tuple; None or an empty one where that is right too."""
    otherwise = " or None" if optional else ""

    def made(name: str, value: Any) -> tuple[int, ...]:
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        if not (listed or getattr(value, "ndim", 0) == 1) or not (empty or len(value)):
            raise ArgumentError(
                f"{name}: expected a list of whole numbers of at least {least}{otherwise}, "
                f"got {_checks.short(value)}"
            )
        return tuple(_checks.whole(f"{name}[{place}]", one, least) for place, one in enumerate(value))

    accepts = Sequence[int] | None if optional else Sequence[int]
    return Check(int, _or_none(made) if optional else made, least, accepts=accepts)


def anything() -> Check:
    """What is checked elsewhere."""
    return Check(str, lambda name, value: value)


def _or_none(made: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else made(name, value)


# Classes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings(Described):
    """Base of what a system can be told; the fields of a subclass are made with `setting`.

    The first field is `cell`, the name of the cell for people.
    """

    _called: ClassVar[str] = "settings"

    def __post_init__(self) -> None:
        for one in fields(self):
            value = check_of(one).made(one.name, getattr(self, one.name))
            object.__setattr__(self, one.name, value)
        self.check_together()

    def check_together(self) -> None:
        """Refuse settings that do not go together; each by itself is right.

        Raises:
            ArgumentError: for such settings.
        """

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Yield what a constructor takes by keyword: everything but the cell."""
        hints = get_type_hints(cls)
        for one in fields(cls):
            if one.name != "cell":
                annotation = check_of(one).accepts or hints[one.name]
                yield Parameter(one.name, Parameter.KEYWORD_ONLY, default=one.default, annotation=annotation)

    @classmethod
    def explained(cls, indent: str) -> str:
        """Return the lines of the `Args:` of a docstring, with this indent."""
        lines = [f"{indent}Args:"]
        for one in fields(cls):
            lines += textwrap.wrap(
                f"{one.name}: {one.metadata['help']}",
                _WIDTH,
                initial_indent=f"{indent}    ",
                subsequent_indent=f"{indent}        ",
                break_on_hyphens=False,
                break_long_words=False,
            )
        return "\n".join(lines)


def check_of(one: "Field[Any]") -> Check:
    """Return the check of a field."""
    check: Check = one.metadata["check"]
    return check


@dataclass(frozen=True)
class AdamWSettings(Settings):
    """Settings of a system that trains with AdamW, as `ResumableTraining` does.

    A subclass has the fields `epochs`, `learning_rate`, `warmup`, `clipnorm`, `weight_decay` and `seed`; it
    may have `schedule`, which is "cosine" otherwise, and `patience`.
    """

    @classmethod
    def from_dict(cls, described: Any) -> Self:
        """Make the settings that `to_dict` described, also those of nabi 0.1, which had no patience.

        Raises:
            ArgumentError: for something else.
        """
        if isinstance(described, dict) and any(one.name == "patience" for one in fields(cls)):
            described = {"patience": None} | described
        return super().from_dict(described)

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step of training, counted from 0, of so many.

        It rises over the first `warmup` steps, or the first tenth of few; with the schedule "cosine" it then
        falls along half a cosine to a fiftieth.
        """
        told: Any = self
        rising = max(min(told.warmup, steps // 10), 1)
        now: float = told.learning_rate * min(1.0, (step + 1) / rising)
        if getattr(self, "schedule", "cosine") == "cosine":
            now *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1.0)))
        return now
