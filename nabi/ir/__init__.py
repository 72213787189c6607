"""The small language into which cells are traced: operations, tracing, derivative, plan, verification."""

from nabi.ir import derived, functions, initial
from nabi.ir._cell import Cell, find_program
from nabi.ir._elementwise import elementwise
from nabi.ir._graph._axis_operations import axis_words
from nabi.ir._graph._nodes import LEAVES, Family, Input, Node, Noise, Parameter, Trace, apply, needed
from nabi.ir._graph._operation import Operation
from nabi.ir._graph._operations import OPERATIONS, operation
from nabi.ir._program import Lowered, Program
from nabi.ir._shown_values import value_names
from nabi.ir._traced._derivative import Derivative, differentiate
from nabi.ir._traced._equations import (
    LATEX,
    TEXT,
    Style,
    equations,
    named_nodes,
    parameter_symbol,
    sum_terms,
    symbol,
)
from nabi.ir._traced._lowering import Made
from nabi.ir._traced._plan import Plan, Product, join_slices, make_plan
from nabi.ir._traced._verify import verify, verify_nodes

__all__ = [
    "LATEX",
    "LEAVES",
    "OPERATIONS",
    "TEXT",
    "Cell",
    "Derivative",
    "Family",
    "Input",
    "Lowered",
    "Made",
    "Node",
    "Noise",
    "Operation",
    "Parameter",
    "Plan",
    "Product",
    "Program",
    "Style",
    "Trace",
    "apply",
    "axis_words",
    "derived",
    "differentiate",
    "elementwise",
    "equations",
    "find_program",
    "functions",
    "initial",
    "join_slices",
    "make_plan",
    "named_nodes",
    "needed",
    "operation",
    "parameter_symbol",
    "sum_terms",
    "symbol",
    "value_names",
    "verify",
    "verify_nodes",
]
