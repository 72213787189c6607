"""What a captioner can be told."""

from dataclasses import dataclass

from nabi.errors import ArgumentError
from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import AdamWSettings, Option, choice, rate, setting, whole, wholes

__all__ = ["CaptionSettings"]


@dataclass(frozen=True)
class CaptionSettings(AdamWSettings):
    """The settings of a `Captioner`, which says what each means; `epochs` None is chosen by `fit`."""

    cell: str = shared.cell("gru")
    units: int = shared.units(128)
    layers: int = shared.layers()
    image_size: int = setting(
        48,
        whole(8),
        "to which pictures are made larger or smaller, height and width in pixels.",
        Option(
            "Images with captions",
            "Images and frames are resized to this height and width, in pixels.",
        ),
    )
    channels: tuple[int, ...] = setting((16, 32, 64, 64), wholes(), "of each convolution.")
    attention: str | None = setting(
        "bahdanau",
        choice(*shared.ATTENTIONS, None),
        '"bahdanau", which learns sooner where to look, "luong", or None: then the decoder has the summary '
        "alone.",
    )
    unit: str = shared.unit(
        "words",
        'what captions are cut into: "words", "characters", or "pieces" of words.',
        "words",
        "characters",
        "pieces",
    )
    vocabulary_size: int = shared.vocabulary_size(10_000, "codes at most; rarer words are unknown.")
    minimum_count: int = shared.minimum_count()
    lowercase: bool = shared.lowercase(True)
    embedding_size: int = shared.embedding_size(64)
    dropout: float = shared.dropout(
        0.1,
        "share of the features left out in training: of embedded codes, of the outputs of every layer, and "
        "of what is read out.",
    )
    word_dropout: float = setting(
        0.2,
        rate(),
        "share of the words left out of what a batch reads, wherever they occur, so that the next ones are "
        "looked for in the picture and not guessed from them.",
    )
    batch_size: int = shared.batch_size(32, "captions per step of training.")
    epochs: int | None = shared.epochs(
        None, "times that everything is gone through; chosen from its number by default."
    )
    patience: int | None = shared.patience()
    learning_rate: float = shared.learning_rate(
        4e-3, "of AdamW, at its highest; it falls to nearly nothing until the end."
    )
    warmup: int = shared.warmup()
    clipnorm: float = shared.clipnorm()
    weight_decay: float = shared.weight_decay()
    seed: int = shared.seed()

    def check_together(self) -> None:
        """Refuse a picture that is too small for so many convolutions."""
        halved = len(self.channels) - 1
        if self.image_size < 2**halved:
            raise ArgumentError(
                f"image_size: {self.image_size} is too small for {halved + 1} convolutions, each but the "
                f"last of which halves it; expected {2**halved} at least"
            )
