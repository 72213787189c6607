"""A program with its weights, ready to take one step after the other."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.native import give_up
from nabi.targets import eager
from nabi.targets._run import is_native, name_of

__all__ = ["Step", "prepare_step"]

# Takes input [B, D] and states [B, width], gives the new states.
Step = Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, ...]]


def prepare_step(program: Program, families: Sequence[Tensor]) -> Step:
    """Return a function that takes one step, with these weights, which must not change.

    Args:
        program: the program, without random inputs.
        families: weights in the order of `program.families`.

    What the function is given must have the type, the device and the widths of the weights: it looks at
    nothing.
    """
    if is_native(program, families):
        from nabi.native import NativeError
        from nabi.targets.llvm._prepared_step import NativeStep

        try:
            return NativeStep(program, families)
        except NativeError as problem:
            give_up(program.key, name_of(program), problem)
    definition = eager.step_function(program)
    weights = tuple(families)

    def step(x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return definition(x, tuple(states), weights, ())

    return step
