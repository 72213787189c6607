"""Settings that every system on sequences of vectors has, and those of systems that label them."""

from dataclasses import dataclass

from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import AdamWSettings, Option, choice, flag, rate, setting, whole, wholes

__all__ = ["SequenceNetworkSettings", "SequenceSettings"]


@dataclass(frozen=True)
class SequenceNetworkSettings(AdamWSettings):
    """Settings of the network and of its training; a system changes defaults and adds its own.

    `epochs` None is chosen by `fit` from the number of sequences.
    """

    cell: str = shared.cell("gru")
    units: int = shared.units(64)
    layers: int = shared.layers()
    bidirectional: bool = setting(
        True,
        flag(),
        "whether each layer reads in both directions. Only a network that reads in one direction can stream.",
        Option("Network", shown="bidirectional", names="--bidirectional/--one-direction"),
    )
    convolutions: tuple[int, ...] | None = setting(
        None,
        wholes(optional=True),
        "channels of each convolution over time before the recurrent layers, or None for no convolutions.",
    )
    kernel: int = setting(5, whole(), "steps that each convolution reads.")
    stride: int = setting(
        1, whole(), "steps by which each convolution moves on; 2 halves the number of steps."
    )
    normalization: str = setting(
        "layer",
        choice("layer", "batch"),
        'after each convolution: "layer", of the features of each step, or "batch", of each feature over all '
        "steps of a batch, which keeps how strong a step is.",
    )
    networks: int = setting(1, whole(), "networks that are trained side by side; what they say is averaged.")
    dropout: float = shared.dropout(
        0.2,
        "share of the features left out in training: of what the recurrent layers read, and of the outputs "
        "of every layer.",
    )
    batch_size: int = shared.batch_size(32, "sequences per step of training.")
    epochs: int | None = shared.epochs(
        None, "passes over the training data; chosen from the number of sequences by default."
    )
    patience: int | None = shared.patience()
    learning_rate: float = shared.learning_rate(
        4e-3, "of AdamW, at its highest; it falls to nearly nothing until the end."
    )
    warmup: int = shared.warmup()
    clipnorm: float = shared.clipnorm()
    weight_decay: float = shared.weight_decay()
    seed: int = shared.seed()


@dataclass(frozen=True)
class SequenceSettings(SequenceNetworkSettings):
    """Settings of systems that label sequences, or their steps."""

    with_linear: str = setting(
        "no",
        choice("auto", "yes", "no"),
        "whether probabilities are the mean of those of the networks and of a logistic regression that "
        'stands beside them: "yes", "no", or "auto": where that lowers the cross-entropy on sequences held '
        "out, and the networks read in both directions.",
    )
    linear_share: float = setting(0.5, rate(), "share of the logistic regression in that mean.")
    class_weight: str | None = setting(
        None, choice("balanced", None), '"balanced" makes rare classes count as much as frequent ones.'
    )
