"""`nabi train`: a network from one's own data; the options say of which kind it is."""

from collections.abc import Mapping
from enum import Enum
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import typer

from nabi import _checks
from nabi.cli._outputs import with_files
from nabi.cli._texts import STANDARD_INPUT
from nabi.cli._train._captions import CaptionsForm
from nabi.cli._train._classifier import LabelsForm
from nabi.cli._train._clips import ClipsForm
from nabi.cli._train._dna import DNAForm
from nabi.cli._train._dna_numbers import DNANumbersForm
from nabi.cli._train._forecast import ForecastForm
from nabi.cli._train._form import Form, Said, columns_of
from nabi.cli._train._logs import Logs, log_files
from nabi.cli._train._music import MusicForm
from nabi.cli._train._numbers import NumbersForm
from nabi.cli._train._options import parameters
from nabi.cli._train._pairs import PairsForm
from nabi.cli._train._series import SeriesForm
from nabi.cli._train._series_numbers import SeriesNumbersForm
from nabi.cli._train._sound import SoundForm, SpeechForm
from nabi.cli._train._tags import TagsForm
from nabi.cli._train._writer import WriterForm
from nabi.cli._uses import refuse_model
from nabi.cli._workers import on_workers
from nabi.errors import ArgumentError

__all__ = ["FORMS", "train"]

FORMS: tuple[Form, ...] = (
    DNANumbersForm(),
    DNAForm(),
    SeriesNumbersForm(),
    SeriesForm(),
    TagsForm(),
    ForecastForm(),
    NumbersForm(),
    LabelsForm(),
    PairsForm(),
    CaptionsForm(),
    ClipsForm(),
    SpeechForm(),
    SoundForm(),
    WriterForm(),
    MusicForm(),
)
"""All kinds. The first that is meant by what the command line says is trained, so those that options ask for
come before those that are known by the file."""


_STOPPED = 130


def _plain(options: Said) -> Said:
    """Return the options without Typer's types."""
    return {name: one.value if isinstance(one, Enum) else one for name, one in options.items()}


def _meant(said: Said) -> Form | None:
    """Return the kind of data that is meant; None if none is."""
    return next((form for form in FORMS if said["file"] is not None and form.is_meant(said)), None)


def _read(options: Said) -> Mapping[str, Path | None]:
    """Return what is learnt from, by what messages call it."""
    said = _plain(options)
    form = _meant(said)
    return {"FILE": said["file"]} if form is None else form.inputs(said)


def _written(options: Said) -> Mapping[str, list[Path]]:
    """Return the files that are written."""
    said = _plain(options)
    form = _meant(said)
    return {} if form is None else {"--out": form.outputs(said), "--log-dir": log_files(said)}


@on_workers
@with_files(reads=_read, writes=_written)
def train(context: typer.Context, **options: Any) -> None:
    """Train a network on your own data, evaluate it on held-out data and save it to one model file.

    The options say what the data is: --text and --label mean a table of texts and labels, --text and --target
    one of texts and numbers such as ratings; --time and --target observations to forecast; --id with --label
    or --target a table of series with labels or numbers, as is a .ts file; --source and --target a table of
    translations, or of questions and answers; --captions a folder of images; --frames a folder of clips;
    --label-from recordings, sequences of DNA, or a folder of texts for each label; --sequence with --target
    a table of DNA with numbers; --tag sentences with a tag
    for every token, as a .conll or .conllu file is. Without these, a .txt file or a folder of texts is a text
    to learn to generate, and a folder of MIDI files is music to learn to compose. For anything else, the
    supported kinds of data are listed.

    An existing model is replaced only with --overwrite, or by the training that was interrupted and goes on.

    Defaults are chosen from the data. After every epoch the held-out part is looked at, and the weights of
    the best epoch are kept; --patience says when to stop early. After the first steps the command says how
    long training takes; --minutes fits it into a time.

    Ctrl-C ends it after the current batch and saves what has been learned (exit status 130); so does SIGTERM.
    Where training was interrupted, the same command goes on.

    Started by torchrun in several processes, they train one model together, each on its rows of every batch:
    torchrun --nproc-per-node 4 -m nabi train ...
    """
    said = _plain(options)
    refuse_model(said["file"])
    form = _meant(said)
    if form is None:
        _list_forms(said)
        raise typer.Exit(2)
    _refuse(context, form, said)
    if said["file"] == STANDARD_INPUT:
        _refuse_for_workers()
    if said["minutes"] is not None:
        _checks.real("minutes", said["minutes"], above=0)
    logs = Logs(said)
    with logs.speaking():
        trained = form.train(said, logs)
    if trained is not None:
        logs.tell(trained)
        if trained.interrupted:
            raise typer.Exit(_STOPPED)


# Typer reads the options from here.
_context = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
train.__signature__ = Signature([_context, *parameters(FORMS)])  # type: ignore[attr-defined]


def _refuse(context: typer.Context, form: Form, said: Said) -> None:
    """Refuse options that were given and mean nothing for a kind of data."""
    for name in sorted(set(said) - form.options):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ArgumentError(f"--{name.replace('_', '-')}: it means nothing for {form.name}")


def _refuse_for_workers() -> None:
    """Refuse standard input where several processes train: only one of them would get it."""
    from nabi.training import find_workers

    if find_workers() is not None:
        raise ArgumentError("FILE: expected a file that every worker can read, got standard input")


def _list_forms(said: Said) -> None:
    typer.echo("nabi train learns from:", err=True)
    for form in FORMS:
        typer.echo(f"\n  {form.name}\n    {form.usage}\n    {form.what}", err=True)
    if said["file"] is not None:
        typer.echo(f"\n{columns_of(said)}", err=True)
    typer.echo("\nnabi train --help has all options.", err=True)
