"""What a model of notes can be told."""

from dataclasses import dataclass
from typing import Any

from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import AdamWSettings, Check, Option, choice, rate, setting, whole

__all__ = ["NoteSettings"]

_PANEL = "Folder of MIDI files"


def _steps_per_beat(name: str, value: Any) -> int | None:
    # `nabi.data` loads NumPy, and the command line has no need of it to list its options.
    from nabi.data import check_steps

    return None if value is None else check_steps(value)


@dataclass(frozen=True)
class NoteSettings(AdamWSettings):
    """The settings of a `NoteModel`, which says what each means; `steps_per_beat` None is chosen by `fit`."""

    cell: str = shared.cell("lstm")
    units: int = shared.units(256)
    layers: int = shared.layers()
    embedding_size: int = shared.embedding_size(
        128, "width of the vector that a frame, and a label, becomes."
    )
    output: str = setting(
        "keys",
        choice("keys", "chords"),
        '"keys", a probability for each key by itself; or "chords", for each key one that depends on the '
        "keys below it that sound: such chords fit together better.",
        Option(
            _PANEL,
            "Model each key of a chord given the keys below it (chords), or independently (keys).",
            default="chords",
        ),
    )
    steps_per_beat: int | None = setting(
        None,
        Check(int, _steps_per_beat, 1, 96),
        "frames of a crotchet (quarter note). None: chosen from MIDI files, as `nabi.data.read_midi_folder` "
        "does it; 1 for pieces that are given as frames.",
        Option(_PANEL, "Frames per quarter note.", "1, 2 or 4, chosen from the files"),
    )
    transpose: int = setting(
        0,
        whole(0, 11),
        "in training every piece is moved up or down by up to so many semitones, drawn anew each time; what "
        "is measured never is.",
        Option(_PANEL, "Transpose pieces randomly by up to this many semitones in training."),
    )
    input_dropout: float = setting(
        0.0, rate(), "share of the features of frames left out, the same at all steps of a piece."
    )
    dropout: float = shared.dropout(0.3, "share of the outputs of each recurrent layer left out, likewise.")
    weight_drop: float = shared.weight_drop(
        "share of the weights between a state and the next left out for a batch."
    )
    batch_size: int = shared.batch_size(16, "pieces of a step of training.")
    window: int = shared.window(
        256,
        "frames of a piece that are read together in training; a longer piece is cut into several, elsewhere "
        "in each epoch.",
    )
    epochs: int = shared.epochs(100, "times that the pieces are read.")
    patience: int | None = shared.patience()
    learning_rate: float = shared.learning_rate(3e-3)
    schedule: str = shared.schedule()
    warmup: int = shared.warmup()
    clipnorm: float = shared.clipnorm()
    weight_decay: float = shared.weight_decay()
    seed: int = shared.seed()
