"""The settings of a translator."""

from dataclasses import dataclass

from nabi.errors import ArgumentError
from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import AdamWSettings, Option, choice, flag, rate, real, setting, whole

__all__ = ["TranslatorSettings"]

_PAIRS, _TABLE, _TRAINING = "Pairs of texts", "Table of texts and labels", "Training"


@dataclass(frozen=True)
class TranslatorSettings(AdamWSettings):
    """The settings of a `Translator`, which documents each; `fit` chooses `epochs` if it is None."""

    cell: str = shared.cell(
        "gru", "of all layers: a name of `nabi.cells.names()`, a class of a cell, or a cell."
    )
    units: int = shared.units(256)
    layers: int = shared.layers("recurrent layers on top of each other, in the encoder and in the decoder.")
    bidirectional: bool = setting(
        True,
        flag(),
        "whether the encoder reads in both directions.",
        Option(
            "Network",
            "Read texts in both directions.",
            shown="bidirectional",
            names="--bidirectional/--one-direction",
        ),
    )
    attention: str | None = setting(
        "luong",
        choice(*shared.ATTENTIONS, None),
        '"luong", after each step of the decoder; "bahdanau", before it; None for none: all that the decoder '
        "knows of the source are the final states of the encoder.",
        Option(_PAIRS, "Attention of the decoder over the source.", shown="luong"),
    )
    input_feeding: bool = setting(
        False,
        flag(),
        'whether the decoder reads what it found at the step before, with "luong".',
        Option(_PAIRS, "Feed the previous attention vector to the decoder; slower."),
    )
    unit: str = setting(
        "subwords",
        choice("subwords", "words", "characters", "pieces"),
        'what is read and written: "subwords", "words", "characters" or "pieces"; see '
        "`nabi.data.Vocabulary`. Only subwords and characters know the spaces of a text.",
        Option(_TABLE, "Text units; auto chooses them from the data.", default="auto"),
    )
    vocabulary_size: int | None = shared.vocabulary_size(
        None,
        "codes at most, for the sources and for the targets each. By default 20,000 words or characters; of "
        "subwords or pieces 25 times the root of the number of pairs, from 300 to 8,000: of few pairs one "
        "learns more from parts of words that are there often.",
        least=6,
    )
    minimum_count: int = shared.minimum_count(
        "how often a word, character or subword must be there to be known."
    )
    lowercase: bool = shared.lowercase(False)
    maxlen: int | None = setting(
        200,
        whole(optional=True),
        "pairs with more codes on one side are not learnt from; None for no limit.",
    )
    embedding_size: int = shared.embedding_size(256)
    tied: bool = shared.tied(True, "whether the decoder's last layer has the weights of its embedding.")
    dropout: float = shared.dropout(
        0.3,
        "share of the features left out of embedded codes, of the outputs of every layer, and of what is "
        "read out, the same at all steps of a sentence.",
    )
    embedding_dropout: float = setting(
        0.0, rate(), "share of the codes left out of a batch wherever they occur."
    )
    label_smoothing: float = setting(
        0.1,
        rate(),
        "share of the probability that is spread over all codes in training.",
        Option(_PAIRS, "Label smoothing of the targets."),
    )
    scheduled_sampling: float = setting(
        0.0,
        real(least=0, most=1, what="probability"),
        "how probably a step in training reads what the decoder itself would have written instead of what is "
        "right. It rises evenly from 0 to this; training takes longer with it.",
    )
    batch_size: int = shared.batch_size(64, "pairs, of about the same length.")
    epochs: int | None = shared.epochs(
        None, "times that all pairs are read; by default 1,800 by the root of their number, from 5 to 300."
    )
    patience: int | None = shared.patience()
    averaging: float | None = setting(
        None,
        rate(optional=True),
        "of the weights over training, such as 0.999; None for none. It is the average that is validated and "
        "kept.",
    )
    learning_rate: float = shared.learning_rate(2e-3)
    schedule: str = shared.schedule()
    warmup: int = shared.warmup(400)
    clipnorm: float = shared.clipnorm()
    weight_decay: float = shared.weight_decay()
    seed: int = shared.seed()

    def check_together(self) -> None:
        """Refuse input feeding without the attention that it feeds from."""
        if self.input_feeding and self.attention != "luong":
            raise ArgumentError(
                f"input_feeding: expected attention='luong' beside it, got {self.attention!r}"
            )
