"""One drawn program after the other: compared, and made smaller when it fails."""

from .comparing import Outcome, compare
from .drawing import Drawn, draw_program
from .shrinking import shrink

__all__ = ["check", "failure_of", "run_one"]


def check(drawn: Drawn) -> Outcome:
    """Compare a program; an exception is a problem too."""
    try:
        return compare(drawn, single=drawn.seed % 4 == 0, numeric=drawn.seed % 5 == 0)
    except Exception as problem:
        return Outcome(f"{type(problem).__name__}: {problem}")


def run_one(seed: int) -> Outcome:
    """Draw the program of a seed and compare it."""
    return check(draw_program(seed))


def failure_of(seed: int) -> str:
    """Return the smallest program that fails as that of a seed does, and how."""
    drawn = draw_program(seed)
    kind = check(drawn).problem.partition(":")[0]
    small = shrink(drawn, lambda smaller: check(smaller).problem.partition(":")[0] == kind)
    return f"{small}\n{check(small).problem}"
