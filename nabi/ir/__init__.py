"""The small language into which cells are traced: operations, tracing, derivative, plan, verification."""

from nabi.ir import functions
from nabi.ir._cell import Cell, find_program
from nabi.ir._graph._nodes import LEAVES, Family, Input, Node, Noise, Parameter, Trace, apply, needed
from nabi.ir._graph._operations import OPERATIONS, Operation, operation
from nabi.ir._program import Program
from nabi.ir._traced._derivative import Derivative, differentiate
from nabi.ir._traced._equations import LATEX, TEXT, Style, equations, named_nodes, symbol
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
    "differentiate",
    "equations",
    "find_program",
    "functions",
    "join_slices",
    "make_plan",
    "named_nodes",
    "needed",
    "operation",
    "symbol",
    "verify",
    "verify_nodes",
]
