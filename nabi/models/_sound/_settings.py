"""What systems that listen can be told."""

from dataclasses import dataclass

from nabi.models._sequences._settings import SequenceSettings
from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import Option, choice, flag, rate, real, setting, whole, wholes

__all__ = ["SoundSettings", "SpeechSettings"]

_PANEL = "Recordings"


@dataclass(frozen=True)
class SoundSettings(SequenceSettings):
    """The settings of a `SoundClassifier`, which says what each means."""

    units: int = shared.units(96)
    bidirectional: bool = setting(
        False,
        flag(),
        "whether each layer reads in both directions. Only a network that reads in one direction can stream.",
        Option("Network", shown="one direction", names="--bidirectional/--one-direction"),
    )
    convolutions: tuple[int, ...] | None = setting(
        (64, 64),
        wholes(optional=True),
        "channels of each convolution over time before the recurrent layers, or None for no convolutions.",
    )
    stride: int = setting(
        2, whole(), "steps by which each convolution moves on; 2 halves the number of steps."
    )
    normalization: str = setting(
        "batch",
        choice("layer", "batch"),
        'after each convolution: "layer", of the features of each step, or "batch", of each feature over all '
        "steps of a batch, which keeps how loud a step is.",
    )
    sample_rate: int | None = setting(
        None,
        whole(optional=True),
        "samples per second that the network hears; that of the recordings by default. Others are resampled.",
        Option(_PANEL, "Samples per second; others are resampled.", shown="most recordings'"),
    )
    mels: int = setting(40, whole(2), "bands of the log-mel features.")
    deltas: bool = setting(False, flag(), "whether the slope of each band over time is added.")
    warp: float = setting(
        0.1,
        real(least=0, most=0.5),
        "by how much voices are changed in training: frequencies are moved by a factor of up to exp(warp), "
        "as by a longer or shorter vocal tract.",
        Option(_PANEL, "How much voices are changed in training; 0 for not at all."),
    )
    noise: float = setting(
        0.3,
        rate(),
        "share of the recordings that get noise in training.",
        Option(_PANEL, "Share of the recordings that get noise in training."),
    )
    # Masks and filters were chosen on speakers who were held out: docs/sound.md has the figures.
    masks: int = setting(0, whole(0), "groups of bands, and of frames, that are left out in training.")
    speed: bool = setting(True, flag(), "whether recordings become faster and slower in training, by 15 %.")
    filters: float = setting(
        1.0,
        real(least=0, most=3),
        "how much louder some frequencies become than others in training, as by another microphone, room or "
        "voice: the standard deviation of the logarithm of the power, in waves along the frequencies.",
    )
    dropout: float = shared.dropout(
        0.3,
        "share of the features left out in training: of what the recurrent layers read, and of the outputs "
        "of every layer.",
    )
    batch_size: int = shared.batch_size(32, "recordings per step of training.")
    learning_rate: float = shared.learning_rate(
        4e-3, "of AdamW, at its highest; it falls to nearly nothing until the end."
    )


@dataclass(frozen=True)
class SpeechSettings(SoundSettings):
    """The settings of a `SpeechRecognizer`, which says what each means."""

    unit: str = shared.unit(
        "words",
        'what texts are cut into: "words", or "characters" where words are too many to learn each.',
        "words",
        "characters",
    )
    joined: int = setting(
        1,
        whole(),
        "recordings are joined in training, anew in every epoch, to strings of up to so many of one speaker, "
        "with pauses and noise; 1 leaves them as they are.",
        Option(_PANEL, "Join up to this many recordings to a string, anew in every epoch.", shown="1"),
    )
    dropout: float = shared.dropout(
        0.1,
        "share of the features left out in training: of what the recurrent layers read, and of the outputs "
        "of every layer.",
    )
    batch_size: int = shared.batch_size(8, "recordings, or strings of them, per step of training.")
    beam: int = setting(
        8, whole(), "beginnings that the search for the most probable text follows; 1 is greedy."
    )
