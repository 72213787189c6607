"""What a language model can be told."""

from dataclasses import dataclass

from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import AdamWSettings, rate, setting

__all__ = ["LanguageSettings"]


@dataclass(frozen=True)
class LanguageSettings(AdamWSettings):
    """The settings of a `LanguageModel`, which says what each means; `epochs` None is chosen by `fit`."""

    cell: str = shared.cell("lstm")
    units: int = shared.units(512)
    layers: int = shared.layers()
    unit: str = shared.unit(
        "characters",
        'what is read and written: "characters", "words", or "pieces" of words.',
        "characters",
        "words",
        "pieces",
    )
    vocabulary_size: int = shared.vocabulary_size(20_000, "codes at most; rarer words are unknown.")
    minimum_count: int = shared.minimum_count("how often a word must be in the text to be known.")
    lowercase: bool = shared.lowercase(False)
    embedding_size: int = shared.embedding_size(128)
    tied: bool = shared.tied(False)
    embedding_dropout: float = setting(
        0.0, rate(), "share of the codes that are left out of a window wherever they occur."
    )
    input_dropout: float = setting(
        0.0, rate(), "share of the features of embedded codes left out, the same at all steps of a window."
    )
    dropout: float = shared.dropout(0.2, "share of the outputs of each recurrent layer left out, likewise.")
    weight_drop: float = shared.weight_drop()
    batch_size: int = shared.batch_size(32, "streams; fewer where the text is too short for so many windows.")
    window: int = shared.window(128, "codes through which gradients flow back.")
    epochs: int | None = shared.epochs(
        None, "times that the text is read; chosen from its length by default."
    )
    patience: int | None = shared.patience()
    learning_rate: float = shared.learning_rate(3e-3)
    schedule: str = shared.schedule()
    warmup: int = shared.warmup()
    clipnorm: float = shared.clipnorm()
    weight_decay: float = shared.weight_decay()
    seed: int = shared.seed()
