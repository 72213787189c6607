"""What a clip classifier can be told."""

from dataclasses import dataclass

from nabi.errors import ArgumentError
from nabi.models._sequences._settings import SequenceSettings
from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import Option, flag, rate, setting, whole, wholes

__all__ = ["ClipSettings"]

_PANEL = "Clips"


@dataclass(frozen=True)
class ClipSettings(SequenceSettings):
    """The settings of a `ClipClassifier`, which says what each means."""

    bidirectional: bool = setting(
        False,
        flag(),
        "whether each layer reads in both directions. Only a network that reads in one direction can stream.",
        Option("Network", shown="bidirectional", names="--bidirectional/--one-direction"),
    )
    image_size: int = setting(
        48,
        whole(8),
        "height and width in pixels to which frames are resized.",
        Option("Images with captions", "Images and frames are resized to this height and width, in pixels."),
    )
    most_frames: int = setting(
        64,
        whole(2),
        "frames of a clip at most; of a longer one so many are kept, evenly spaced.",
        Option(_PANEL, "Frames per clip at most; longer clips are thinned evenly."),
    )
    channels: tuple[int, ...] = setting(
        (16, 32, 32), wholes(), "of each convolution over a frame; each halves height and width."
    )
    features: int = setting(64, whole(), "width of the vector that a frame becomes.")
    shift: float = setting(
        0.1,
        rate(),
        "share of height and width by which a whole clip is moved at random in training, in each direction.",
    )
    colour: float = setting(
        0.2, rate(), "by how much brightness and contrast of a whole clip are changed at random in training."
    )
    batch_size: int = shared.batch_size(16, "clips per step of training.")

    def check_together(self) -> None:
        """Refuse frames that are too small for so many convolutions."""
        if self.image_size < 2 ** len(self.channels):
            raise ArgumentError(
                f"image_size: expected at least {2 ** len(self.channels)} for {len(self.channels)} "
                f"convolutions, each of which halves it, got {self.image_size}"
            )
