"""The equations behind a recurrent layer, for what writes them down elsewhere."""

from typing import Any

from nabi.errors import ArgumentError
from nabi.layers._recurrent._families import GRUCell, LSTMCell, SimpleRNNCell
from nabi.layers._recurrent._keras_cells import StackedRNNCells
from nabi.layers._recurrent._rnn import RNN

__all__ = ["stack_of_equations"]


def stack_of_equations(layer: Any) -> list[Any]:
    """Return the layers that have the equations and weights of a recurrent layer, one for each of a stack.

    Raises:
        ArgumentError: its call or its cell is torch code; the message says why, without the layer's name.

    >>> import nabi
    >>> layer = nabi.layers.LSTM(3)
    >>> stack_of_equations(layer) == [layer]
    True
    """
    if type(layer).call is not RNN.call:
        raise ArgumentError("its call is torch code of your own")
    if layer.equations is not None:
        return [layer]
    cell = layer.cell
    found = list(cell.cells) if isinstance(cell, StackedRNNCells) else [cell]
    known = (LSTMCell, GRUCell, SimpleRNNCell)
    if not all(getattr(one, "equations", None) is not None and type(one) in known for one in found):
        raise ArgumentError("its cell is torch code and not equations; write it as a cell of nabi.ir.Cell")
    return found
