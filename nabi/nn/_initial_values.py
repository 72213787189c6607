"""Initial values of the weights of any cell: torch's, Keras' or the paper's, and what the cell declares."""

import math

import torch
from torch import Tensor
from torch.nn import init

from nabi.ir import Family

__all__ = ["INITIALIZERS", "set_initial_values"]

INITIALIZERS = ("keras", "paper", "torch")


@torch.no_grad()
def set_initial_values(tensor: Tensor, family: Family, units: int, initializer: str) -> None:
    """Fill one family of weights in place.

    `torch` draws everything from the uniform distribution on ±1/√units. `keras` draws what reads the
    input from Glorot's uniform distribution and what reads a state as an orthogonal matrix; biases are
    zero, that of a gate called `f` (the forget gate) is one. `paper` is for cells that declare values: what
    they leave open is drawn as by `keras`, and no bias is one unless they say so. Gains are one in all.

    Args:
        tensor: the weights, of the family's shape.
        family: says what the weights read and how their rows are divided among the gates.
        units: units of the cell.
        initializer: `torch`, `keras` or `paper`.
    """
    if family.role == "parameter":
        init.zeros_(tensor)  # each of them has a declared value, which is set after this
    elif family.role == "gain":
        init.ones_(tensor)
    elif initializer == "torch":
        bound = 1 / math.sqrt(units)
        init.uniform_(tensor, -bound, bound)
    elif family.role == "bias":
        init.zeros_(tensor)
        if "f" in family.gates and initializer == "keras":
            init.ones_(tensor[family.rows("f")])
    elif tensor.dim() == 2 and family.role == "recurrent":
        init.orthogonal_(tensor)
    elif tensor.dim() == 2:
        init.xavier_uniform_(tensor)
    else:
        # A diagonal; as Keras does for a vector, the units count as inputs and as outputs.
        bound = math.sqrt(6 / (2 * units))
        init.uniform_(tensor, -bound, bound)
