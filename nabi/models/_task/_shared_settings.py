"""Settings that several systems have: the same check and meaning, each with the default of its system."""

from typing import Any

from nabi.models._task._settings import (
    Option,
    anything,
    choice,
    flag,
    rate,
    real,
    seed_number,
    setting,
    whole,
)

__all__ = [
    "ATTENTIONS",
    "SCHEDULES",
    "batch_size",
    "cell",
    "clipnorm",
    "dropout",
    "embedding_size",
    "epochs",
    "layers",
    "learning_rate",
    "loss_of_numbers",
    "lowercase",
    "minimum_count",
    "patience",
    "schedule",
    "seed",
    "tied",
    "unit",
    "units",
    "vocabulary_size",
    "warmup",
    "weight_decay",
    "weight_drop",
    "window",
]

ATTENTIONS = ("luong", "bahdanau")
"""How a decoder can look at its memory; see `nabi.models._networks`."""
SCHEDULES = ("cosine", "constant")
"""What the learning rate does after it has risen."""

# The panels of `nabi train --help`.
_TABLE, _NETWORK, _TRAINING = "Table of texts and labels", "Network", "Training"
_TEXT = "Text generation"


def loss_of_numbers() -> Any:
    """What is made small where numbers are learnt."""
    return setting(
        "mse",
        choice("mse", "huber"),
        'what is made small in training: the mean squared error ("mse"), or "huber", for which a few numbers '
        "that are far off count less. Both are of standardized numbers.",
        Option(_TRAINING, "Loss of numbers: mse, or huber, for which a few far-off numbers count less."),
    )


def cell(default: str, help: str = "a name of `nabi.cells.names()`, a class of a cell, or a cell.") -> Any:
    """The cell, by its name."""
    return setting(default, anything(), help)


def units(default: int | None, help: str = "width of the cell's states.") -> Any:
    """The width of the states; None where the data may decide."""
    option = Option(_NETWORK, "Number of units of the cell.")
    return setting(default, whole(optional=default is None), help, option)


def layers(help: str = "recurrent layers on top of each other.") -> Any:
    """How many layers there are."""
    option = Option(_NETWORK, "Number of stacked recurrent layers.")
    return setting(1, whole(), help, option)


def unit(default: str, help: str, *known: str) -> Any:
    """What texts are cut into."""
    option = Option(_TABLE, "Text units; auto chooses them from the data.")
    return setting(default, choice(*known), help, option)


def vocabulary_size(default: int | None, help: str, least: int = 5) -> Any:
    """How many codes there are at most; None where the data decides."""
    option = Option(_TABLE, "Maximum vocabulary size.", "20,000 words, or 8,000 pieces")
    return setting(default, whole(least, optional=default is None), help, option)


def minimum_count(help: str = "how often a word must have been seen to be known.") -> Any:
    """What is known of the words."""
    return setting(1, whole(), help)


def lowercase(default: bool) -> Any:
    """Whether letters have two sizes."""
    return setting(default, flag(), "whether large and small letters are the same.")


def embedding_size(default: int | None, help: str = "width of the vector of a code.") -> Any:
    """The width of embedded codes; None where the data may decide."""
    option = Option(_NETWORK, "Size of the token embedding.")
    return setting(default, whole(optional=default is None), help, option)


def tied(default: bool, help: str = "whether the last layer's weights are the embedding.") -> Any:
    """Whether the last layer has weights of its own; the option is that of a text to write on from."""
    option = Option(_TEXT, "Share the weights of the embedding and the last layer.")
    return setting(default, flag(), help, None if default else option)


def dropout(default: float | None, help: str) -> Any:
    """The usual dropout; None where the system decides."""
    option = Option(_NETWORK, "Dropout rate.")
    return setting(default, rate(optional=default is None), help, option)


def weight_drop(
    help: str = "share of the weights between a state and the next left out for a window.",
) -> Any:
    """Dropout of recurrent weights."""
    option = Option(_NETWORK, "Dropout rate of the recurrent weights.")
    return setting(0.0, rate(), help, option)


def batch_size(default: int | None, help: str) -> Any:
    """What a step of training sees; None where the data decides."""
    option = Option(_TRAINING, "Batch size.")
    return setting(default, whole(optional=default is None), help, option)


def window(default: int, help: str) -> Any:
    """How far gradients flow back."""
    told = "Length of truncated backpropagation, in characters, words or frames of music."
    return setting(default, whole(), help, Option(_TRAINING, told, "128, of music 256"))


def epochs(default: int | None, help: str) -> Any:
    """How often everything is gone through; None where the data decides."""
    option = Option(_TRAINING, "Maximum number of epochs.", "chosen from the data")
    return setting(default, whole(optional=default is None), help, option)


def patience(
    help: str = "epochs without a lower validation loss before training ends; None for all epochs, since the "
    "learning rate falls until the last. The best weights are kept in any case.",
) -> Any:
    """When training ends early."""
    option = Option(
        _TRAINING, "Stop after this many epochs without a lower validation loss.", "3 for labels, else never"
    )
    return setting(None, whole(optional=True), help, option)


def learning_rate(default: float | None, help: str = "of AdamW, at its highest.") -> Any:
    """The learning rate; None where the system decides."""
    option = Option(_TRAINING, "Learning rate.")
    return setting(default, real(above=0, optional=default is None), help, option)


def schedule() -> Any:
    """What the learning rate does over time."""
    help = '"cosine", the rate falls to nearly nothing until the end of the training; or "constant".'
    return setting("cosine", choice(*SCHEDULES), help)


def warmup(default: int = 100) -> Any:
    """How long the learning rate rises."""
    help = "steps of training over which the rate rises, but no more than a tenth of all."
    return setting(default, whole(0), help)


def clipnorm() -> Any:
    """The largest gradient."""
    return setting(1.0, real(above=0), "the gradient of all weights together is scaled down to this norm.")


def weight_decay() -> Any:
    """The decay of the weights."""
    return setting(0.01, real(least=0), "of AdamW.")


def seed() -> Any:
    """The seed."""
    help = "of everything random. The same seed gives the same result."
    return setting(0, seed_number(), help, Option(_TRAINING, "Random seed."))
