"""ONNX: the messages that its files are made of, and traced cells written as their nodes.

A cell whose equations are those of ONNX's RNN, LSTM or GRU becomes that operator; any other becomes a Scan
over its equations in a function of the model. `write_layer` does both, for one direction or two.
"""

from nabi.targets.onnx._layer import Direction, write_layer
from nabi.targets.onnx._messages import (
    Attribute,
    Dimension,
    Function,
    Graph,
    Model,
    Node,
    OperatorSet,
    StringEntry,
    Tensor,
    ValueInfo,
    decoded,
    encoded,
)
from nabi.targets.onnx._operations import write_activation
from nabi.targets.onnx._recognise import Gate, Operator, recognise
from nabi.targets.onnx._scan import DOMAIN, added_function
from nabi.targets.onnx._scope import OPSETS, GraphScope, Scope, element_type, tensor

__all__ = [
    "DOMAIN",
    "OPSETS",
    "Attribute",
    "Dimension",
    "Direction",
    "Function",
    "Gate",
    "Graph",
    "GraphScope",
    "Model",
    "Node",
    "Operator",
    "OperatorSet",
    "Scope",
    "StringEntry",
    "Tensor",
    "ValueInfo",
    "added_function",
    "decoded",
    "element_type",
    "encoded",
    "recognise",
    "tensor",
    "write_activation",
    "write_layer",
]
