"""The node tests of ONNX's specification, from the package `onnx`, for a few operators only."""

import warnings
from importlib import import_module
from typing import Any

from onnx.backend.test.case import node

__all__ = ["node_tests"]


def node_tests(*operators: str) -> list[Any]:
    """Return the cases whose first node is one of these operators.

    The package makes the cases of an operator when its module is loaded, with numbers from NumPy's seed 0;
    `collect_testcases` would make those of all operators, which takes seconds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some overflow
        for name in operators:
            import_module(f"{node.__name__}.{name.lower()}")
    every = {case.name: case for case in node._NodeTestCases}
    return [case for case in every.values() if case.model.graph.node[0].op_type in operators]
