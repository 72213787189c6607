"""A model as the list of instructions that one step runs."""

from nabi.shipping._program._instructions import (
    Cumulative,
    Elementwise,
    Instruction,
    Lookup,
    Map,
    Move,
    Numbers,
    Product,
    Push,
    Reduction,
    Term,
    Value,
    reads_of,
    results_of,
)
from nabi.shipping._program._models import exported_program, identifier, left_out, step_program
from nabi.shipping._program._step_program import Pass, State, StepLayer, StepProgram

__all__ = [
    "Cumulative",
    "Elementwise",
    "Instruction",
    "Lookup",
    "Map",
    "Move",
    "Numbers",
    "Pass",
    "Product",
    "Push",
    "Reduction",
    "State",
    "StepLayer",
    "StepProgram",
    "Term",
    "Value",
    "exported_program",
    "identifier",
    "left_out",
    "reads_of",
    "results_of",
    "step_program",
]
