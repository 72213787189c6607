"""Options of `nabi train` for the kinds of data whose systems have no `Settings` class yet.

It goes when the last of them has one. Each is what Typer needs to know of it, under the name of its argument.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from nabi.cli._train._given import Given

__all__ = ["options"]


class UnitChoice(StrEnum):
    """What texts are cut into."""

    AUTO = "auto"
    WORDS = "words"
    CHARACTERS = "characters"
    PIECES = "pieces"


class OutputChoice(StrEnum):
    """What a model of notes says of the keys of a frame."""

    CHORDS = "chords"
    KEYS = "keys"


class PoolingChoice(StrEnum):
    """What is taken of the outputs of all steps."""

    MAX = "max"
    MEAN = "mean"
    LAST = "last"


class AttentionChoice(StrEnum):
    """How a decoder looks at what the encoder has read."""

    LUONG = "luong"
    BAHDANAU = "bahdanau"
    NONE = "none"


class TruncatingChoice(StrEnum):
    """What is cut off a text that is too long."""

    POST = "post"
    PRE = "pre"


_TABLE, _NETWORK, _TRAINING = "Table of texts and labels", "Network", "Training"
_TEXT = "Text to write on from"
_MUSIC = "Folder of MIDI files"
_PAIRS = "Pairs of texts"

Text = Annotated[
    str | None, typer.Option(help="Column of the texts.", metavar="COLUMN", rich_help_panel=_TABLE)
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        help="Column of the labels; given more than once, columns of 0 and 1.",
        metavar="COLUMN",
        rich_help_panel=_TABLE,
    ),
]
Aspect = Annotated[
    str | None,
    typer.Option(
        help="Column that says what a text is asked about.", metavar="COLUMN", rich_help_panel=_TABLE
    ),
]
LabelSeparator = Annotated[
    str | None,
    typer.Option(help="Between several labels in one column.", metavar="TEXT", rich_help_panel=_TABLE),
]
Unit = Annotated[
    UnitChoice,
    typer.Option(help="What texts are cut into; auto: words or pieces.", rich_help_panel=_TABLE),
]
Maxlen = Annotated[
    int | None,
    typer.Option(
        help="Tokens of a text that are read.", min=4, show_default="by the texts", rich_help_panel=_TABLE
    ),
]
Truncating = Annotated[
    TruncatingChoice,
    typer.Option(help="What is cut off a longer text: its end or its beginning.", rich_help_panel=_TABLE),
]
VocabularySize = Annotated[
    int | None,
    typer.Option(
        help="Codes at most.",
        min=5,
        show_default="20,000 words, or 8,000 pieces",
        rich_help_panel=_TABLE,
    ),
]
Balanced = Annotated[
    bool,
    typer.Option(
        "--balanced", help="Let rare labels count as much as frequent ones.", rich_help_panel=_TABLE
    ),
]
Lines = Annotated[
    bool, typer.Option("--lines", help="Whether each line is a text of its own.", rich_help_panel=_TEXT)
]
Window = Annotated[
    int | None,
    typer.Option(
        help="Characters, words or frames of music through which gradients flow back.",
        min=1,
        show_default="128, of music 256",
        rich_help_panel=_TRAINING,
    ),
]
Layers = Annotated[
    int | None,
    typer.Option(
        help="Recurrent layers on top of each other.", min=1, show_default="1", rich_help_panel=_NETWORK
    ),
]
Tied = Annotated[
    bool,
    typer.Option("--tied", help="Let the last layer have the embedding's weights.", rich_help_panel=_TEXT),
]
WeightDrop = Annotated[
    float | None,
    typer.Option(
        help="Share of recurrent weights left out in training.",
        min=0.0,
        max=0.99,
        rich_help_panel=_NETWORK,
    ),
]
LabelFolders = Annotated[
    bool | None,
    typer.Option(
        "--label-folders/--no-labels",
        help="Whether the folder in which a MIDI file lies is its label.",
        show_default="where all lie in some",
        rich_help_panel=_MUSIC,
    ),
]
StepsPerBeat = Annotated[
    int | None,
    typer.Option(
        help="Frames of a crotchet (quarter note).",
        min=1,
        max=96,
        show_default="1, 2 or 4, by the files",
        rich_help_panel=_MUSIC,
    ),
]
Transpose = Annotated[
    int | None,
    typer.Option(
        help="Move pieces by up to so many semitones in training.",
        min=0,
        max=11,
        show_default="0",
        rich_help_panel=_MUSIC,
    ),
]
Output = Annotated[
    OutputChoice,
    typer.Option(
        help="Whether each key of a chord knows of those below it (chords) or not (keys).",
        rich_help_panel=_MUSIC,
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        help="Column of what is translated or asked: name, or number from 0 where there is no header.",
        metavar="COLUMN",
        rich_help_panel=_PAIRS,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        help="Column of what is to be said, likewise.",
        metavar="COLUMN",
        rich_help_panel=_PAIRS,
    ),
]
Attention = Annotated[
    AttentionChoice | None,
    typer.Option(help="How the decoder looks at the source.", show_default="luong", rich_help_panel=_PAIRS),
]
InputFeeding = Annotated[
    bool,
    typer.Option(
        "--input-feeding",
        help="Let the decoder read what it looked at before; slower.",
        rich_help_panel=_PAIRS,
    ),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(
        help="Share of a target's probability given to all other codes.",
        min=0.0,
        max=0.99,
        rich_help_panel=_PAIRS,
    ),
]
Units = Annotated[
    int | None, typer.Option(help="Width of the cell's states.", min=1, rich_help_panel=_NETWORK)
]
EmbeddingSize = Annotated[
    int | None, typer.Option(help="Width of the vector of a token.", min=1, rich_help_panel=_NETWORK)
]
Bidirectional = Annotated[
    bool,
    typer.Option(
        "--bidirectional/--one-direction",
        help="Whether texts are read backwards too.",
        rich_help_panel=_NETWORK,
    ),
]
Pooling = Annotated[
    PoolingChoice,
    typer.Option(help="What is taken of the outputs of all steps.", rich_help_panel=_NETWORK),
]
Dropout = Annotated[
    float | None,
    typer.Option(help="Share of features left out in training.", min=0.0, max=0.99, rich_help_panel=_NETWORK),
]
Epochs = Annotated[
    int | None,
    typer.Option(help="At most.", min=1, show_default="by the texts", rich_help_panel=_TRAINING),
]
Patience = Annotated[
    int | None,
    typer.Option(
        help="Epochs without a lower validation loss before the end.", min=1, rich_help_panel=_TRAINING
    ),
]
BatchSize = Annotated[int | None, typer.Option(help="Texts per step.", min=1, rich_help_panel=_TRAINING)]
LearningRate = Annotated[float | None, typer.Option(help="Of Adam.", min=0.0, rich_help_panel=_TRAINING)]
Seed = Annotated[int, typer.Option(help="Of everything random.", min=0, rich_help_panel=_TRAINING)]

# In the order of the help.
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "text": (Text, None),
    "label": (Label, None),
    "aspect": (Aspect, None),
    "label_separator": (LabelSeparator, None),
    "unit": (Unit, UnitChoice.AUTO),
    "maxlen": (Maxlen, None),
    "truncating": (Truncating, TruncatingChoice.POST),
    "vocabulary_size": (VocabularySize, None),
    "balanced": (Balanced, False),
    "lines": (Lines, False),
    "window": (Window, None),
    "layers": (Layers, None),
    "tied": (Tied, False),
    "weight_drop": (WeightDrop, None),
    "label_folders": (LabelFolders, None),
    "steps_per_beat": (StepsPerBeat, None),
    "transpose": (Transpose, None),
    "output": (Output, OutputChoice.CHORDS),
    "source": (Source, None),
    "target": (Target, None),
    "attention": (Attention, None),
    "input_feeding": (InputFeeding, False),
    "label_smoothing": (LabelSmoothing, None),
    "units": (Units, None),
    "embedding_size": (EmbeddingSize, None),
    "bidirectional": (Bidirectional, True),
    "pooling": (Pooling, PoolingChoice.MAX),
    "dropout": (Dropout, None),
    "epochs": (Epochs, None),
    "patience": (Patience, None),
    "batch_size": (BatchSize, None),
    "learning_rate": (LearningRate, None),
    "seed": (Seed, 0),
}


def options(forms: Sequence[Any]) -> dict[str, Any]:
    """Return the options of the forms that are made by hand."""
    wanted: set[str] = set().union(*(form.options for form in forms if form.settings is None))
    return {name: Given(*one) for name, one in _OPTIONS.items() if name in wanted}
