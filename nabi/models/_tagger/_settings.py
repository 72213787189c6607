"""What a tagger can be told."""

from dataclasses import dataclass

from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import AdamWSettings, Option, flag, real, setting, whole

__all__ = ["TaggerSettings"]

_PANEL = "Tags of tokens"


@dataclass(frozen=True)
class TaggerSettings(AdamWSettings):
    """The settings of a `Tagger`, which says what each means; `epochs` None is chosen by `fit`."""

    cell: str = shared.cell("gru")
    units: int = shared.units(100)
    layers: int = shared.layers()
    bidirectional: bool = setting(
        True,
        flag(),
        "whether each layer reads in both directions.",
        Option("Network", shown="bidirectional", names="--bidirectional/--one-direction"),
    )
    embedding_size: int = shared.embedding_size(100, "width of the vector of a word.")
    characters: int = setting(
        50,
        whole(0),
        "features of each token that a convolution finds in its characters, which tell unknown words apart; "
        "0 for none.",
        Option(_PANEL, "Features that are found in the characters of each token; 0 for none."),
    )
    character_size: int = setting(32, whole(), "width of the vector of a character.")
    vocabulary_size: int = shared.vocabulary_size(
        50_000, "how many words are known at most, the most frequent ones; also two reserved codes.", 3
    )
    minimum_count: int = shared.minimum_count()
    lowercase: bool = shared.lowercase(True)
    hidden_words: float = setting(
        0.25,
        real(least=0),
        "how readily words are taken for unknown in training: one that was seen n times with the probability "
        "hidden_words / (hidden_words + n).",
    )
    dropout: float = shared.dropout(
        0.4,
        "share of the features left out in training: of what each recurrent layer reads, and of its output.",
    )
    batch_size: int = shared.batch_size(16, "sentences per step of training.")
    epochs: int | None = shared.epochs(
        None, "passes over the training data; chosen from the number of sentences by default."
    )
    patience: int | None = shared.patience(
        "epochs without a better validation (of the F1 of spans, or the accuracy of plain tags) before "
        "training ends; None for all epochs, since the learning rate falls until the last. The best weights "
        "are kept in any case."
    )
    learning_rate: float = shared.learning_rate(
        8e-3, "of AdamW, at its highest; it falls to nearly nothing until the end."
    )
    warmup: int = shared.warmup()
    clipnorm: float = shared.clipnorm()
    weight_decay: float = shared.weight_decay()
    seed: int = shared.seed()
