"""ONNX: the messages that its files are made of."""

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

__all__ = [
    "Attribute",
    "Dimension",
    "Function",
    "Graph",
    "Model",
    "Node",
    "OperatorSet",
    "StringEntry",
    "Tensor",
    "ValueInfo",
    "decoded",
    "encoded",
]
