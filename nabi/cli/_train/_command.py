"""`nabi train`: a network from one's own data; the options say of which kind it is."""

from enum import Enum

import typer

from nabi.cli._outputs import Overwrite
from nabi.cli._train import (
    _captions as _train_captions,
    _classifier as _train_text,
    _music as _train_music,
    _options as options,
    _pairs as _train_pairs,
    _writer as _train_writer,
)
from nabi.cli._train._form import Form, Said, columns_of
from nabi.errors import ArgumentError

__all__ = ["FORMS", "train"]

FORMS = (
    _train_text.FORM,
    _train_pairs.FORM,
    _train_captions.FORM,
    _train_writer.FORM,
    _train_music.FORM,
)
"""All kinds. The first that is meant by what the command line says is trained, so those that options ask for
come before those that are known by the file."""


def train(
    context: typer.Context,
    file: options.File = None,
    text: options.Text = None,
    label: options.Label = None,
    aspect: options.Aspect = None,
    label_separator: options.LabelSeparator = None,
    validation: options.Validation = None,
    test: options.Test = None,
    encoding: options.Encoding = "utf-8",
    separator: options.Separator = None,
    quotes: options.Quotes = True,
    unit: options.Unit = options.UnitChoice.AUTO,
    maxlen: options.Maxlen = None,
    truncating: options.Truncating = options.TruncatingChoice.POST,
    vocabulary_size: options.VocabularySize = None,
    balanced: options.Balanced = False,
    lines: options.Lines = False,
    window: options.Window = None,
    layers: options.Layers = None,
    tied: options.Tied = False,
    weight_drop: options.WeightDrop = None,
    captions: options.Captions = None,
    image: options.Image = None,
    caption: options.Caption = None,
    image_size: options.ImageSize = None,
    label_folders: options.LabelFolders = None,
    steps_per_beat: options.StepsPerBeat = None,
    transpose: options.Transpose = None,
    output: options.Output = options.OutputChoice.CHORDS,
    source: options.Source = None,
    target: options.Target = None,
    attention: options.Attention = None,
    input_feeding: options.InputFeeding = False,
    label_smoothing: options.LabelSmoothing = None,
    cell: options.Cell = None,
    units: options.Units = None,
    embedding_size: options.EmbeddingSize = None,
    bidirectional: options.Bidirectional = True,
    pooling: options.Pooling = options.PoolingChoice.MAX,
    dropout: options.Dropout = None,
    epochs: options.Epochs = None,
    patience: options.Patience = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    out: options.Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a network on your own data, say how good it is on rows held out, and save one model file.

    The options say what the data is: --text and --label mean a table of texts and labels, --source and
    --target one of translations, or of questions and answers, --captions a folder of pictures. Without them
    a .txt file is a text to learn writing from, and a folder with MIDI files is music to learn composing
    from; for anything else the forms are listed.

    What is not given is chosen from the data. Training stops early; Ctrl-C ends it after the current batch,
    and what has been learnt is saved (status 130).
    """
    said = {
        name: value.value if isinstance(value, Enum) else value
        for name, value in locals().items()
        if name != "context"
    }
    form = next((form for form in FORMS if file is not None and form.is_meant(said)), None)
    if form is None:
        _list_forms(said)
        raise typer.Exit(2)
    _refuse(context, form, said)
    form.train(said)


def _refuse(context: typer.Context, form: Form, said: Said) -> None:
    """Refuse options that were given and mean nothing for a kind of data."""
    for name in sorted(set(said) - form.options):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ArgumentError(f"--{name.replace('_', '-')}: it means nothing for {form.name}")


def _list_forms(said: Said) -> None:
    typer.echo("nabi train learns from:", err=True)
    for form in FORMS:
        typer.echo(f"\n  {form.name}\n    {form.usage}\n    {form.what}", err=True)
    if said["file"] is not None:
        typer.echo(f"\n{columns_of(said)}", err=True)
    typer.echo("\nnabi train --help has all options.", err=True)
