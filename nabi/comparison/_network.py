"""The network that is trained for every cell: the cell between its input and a dense layer."""

from typing import Any

from nabi import layers
from nabi.comparison._contender import Contender
from nabi.comparison._task import Task
from nabi.models import Model, Sequential
from nabi.optimizers import Adam

__all__ = ["CLIP", "compile_network", "make_network"]

CLIP = 1.0
"""The norm that the gradient of each weight has at most, so that simple cells can be trained too."""


def make_network(contender: Contender, task: Task, units: int) -> Sequential:
    """Return the network of a cell; symbols are read as vectors as wide as the cell.

    Raises:
        NabiError: the cell cannot be run on the task; the message says why.
    """
    width = units if task.symbols else task.features
    cell = contender.cell(units, width)
    front: list[Any]
    if task.symbols:
        front = [
            layers.Input((None,), dtype="int64"),
            layers.Embedding(task.features, width, mask_zero=task.masked),
        ]
    else:
        front = [layers.Input((None, width)), *([layers.Masking()] if task.masked else [])]
    return Sequential(
        [
            *front,
            layers.RNN(
                cell,
                return_sequences=task.every_step,
                initial_values=contender.initial_values(cell, width, task.steps),
            ),
            layers.Dense(task.outputs, activation="softmax" if task.classes else None),
        ]
    )


def compile_network(network: Model, classes: bool, learning_rate: float) -> None:
    """Prepare a network, whose answers may be classes, for training with Adam."""
    loss = "sparse_categorical_crossentropy" if classes else "mse"
    network.compile(Adam(learning_rate), loss, clipnorm=CLIP)
