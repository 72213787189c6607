"""Makes a program that fails smaller, as long as it still fails."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from .drawing import Argument, Drawn

__all__ = ["shrink"]


def shrink(drawn: Drawn, fails: Callable[[Drawn], bool], attempts: int = 400) -> Drawn:
    """Return the smallest program found that `fails`, trying at most so many."""
    while True:
        for smaller in _smaller(drawn):
            attempts -= 1
            if attempts < 0:
                return drawn
            if fails(smaller):
                drawn = smaller
                break
        else:
            return drawn


def _smaller(drawn: Drawn) -> Iterator[Drawn]:
    """Yield programs that are a little smaller, those that leave out most first."""
    setting = drawn.setting
    if drawn.rates != (0.0, 0.0):
        yield replace(drawn, rates=(0.0, 0.0))
    simpler = {
        "valid": "all", "resets": False, "reverse": False, "truncate": None, "all_states": False,
        "side_by_side": True, "initial": True,
    }  # fmt: skip
    for name, value in simpler.items():
        if getattr(setting, name) != value:
            yield replace(drawn, setting=replace(setting, **{name: value}))
    for name in ("steps", "batch"):
        for value in range(1, getattr(setting, name)):
            yield replace(drawn, setting=replace(setting, **{name: value}))
    used = {a for line in drawn.lines for a in line.arguments} | set(drawn.returns)
    for place in reversed(range(len(drawn.lines))):
        line = drawn.lines[place]
        rest = drawn.lines[:place] + drawn.lines[place + 1 :]
        if line.name not in used:
            yield replace(drawn, lines=rest)
            continue
        for other in _replacements(drawn, place):
            lines = tuple(each.renamed(line.name, other) for each in rest)
            returns = tuple(other if name == line.name else name for name in drawn.returns)
            if all(isinstance(name, str) for name in returns):
                yield replace(drawn, lines=lines, returns=returns)  # type: ignore[arg-type]
    for place in range(1, len(drawn.states)):
        if drawn.states[place][0] not in used - {drawn.returns[place]}:
            yield replace(
                drawn,
                states=drawn.states[:place] + drawn.states[place + 1 :],
                returns=drawn.returns[:place] + drawn.returns[place + 1 :],
            )


def _replacements(drawn: Drawn, place: int) -> Iterator[Argument]:
    """Yield what may stand in the place of a line's value: earlier values of its width."""
    line = drawn.lines[place]
    widths: dict[str, int | None] = {"x": drawn.features, **dict(drawn.states)}
    widths.update({each.name: each.width for each in drawn.lines[:place]})
    for name, width in widths.items():
        if width == line.width:
            yield name
    if line.width is None:
        yield 0.5
