"""The `nabi` command and its error handling."""

import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

import nabi
from nabi.cli._bench import bench
from nabi.cli._cache import cache
from nabi.cli._caption import caption
from nabi.cli._compose import compose
from nabi.cli._evaluate import evaluate
from nabi.cli._explain import explain
from nabi.cli._forecast import forecast
from nabi.cli._list import list_all
from nabi.cli._predict import predict
from nabi.cli._recognise import recognise
from nabi.cli._run import run
from nabi.cli._show import show
from nabi.cli._train._command import train
from nabi.cli._translate import translate
from nabi.cli._watch import watch
from nabi.cli._write import next_words, write
from nabi.errors import NabiError, TableWarning

__all__ = ["main"]

_WRONG_INPUT, _STOPPED = 2, 130  # exit codes of the shell for wrong usage and for Ctrl-C

_app = typer.Typer(
    name="nabi",
    help="Recurrent neural networks from their equations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nabi {nabi.__version__}")
        raise typer.Exit


@_app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Recurrent neural networks from their equations."""


def _add(name: str, command: Callable[..., None]) -> None:
    """Add a command whose help is its docstring, without line breaks in paragraphs, which Typer keeps."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    _app.command(name, help="\n\n".join(one.replace("\n", " ") for one in paragraphs))(command)


_add("run", run)
_add("train", train)
_add("predict", predict)
_add("evaluate", evaluate)
_add("explain", explain)
_add("write", write)
_add("next", next_words)
_add("caption", caption)
_add("recognise", recognise)
_add("translate", translate)
_add("compose", compose)
_add("forecast", forecast)
_add("watch", watch)
_add("list", list_all)
_add("show", show)
_add("bench", bench)
_add("cache", cache)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning without its source line."""
    typer.secho("nabi: ", err=True, nl=False, fg="yellow", bold=True)
    typer.echo(" ".join(str(message).split()), err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments (by default the process's) and exit.

    Exit status: 0 for success, 2 for wrong input (with one line on stderr), 130 after `Ctrl-C`.
    """
    for stream in (sys.stdout, sys.stderr):
        # Print a question mark for characters that the terminal cannot show, instead of a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", TableWarning)
            _app(args=None if arguments is None else list(arguments), prog_name="nabi")
    except NabiError as problem:
        typer.secho("nabi: ", err=True, nl=False, fg="red", bold=True)
        typer.echo(" ".join(str(problem).split()), err=True)
        sys.exit(_WRONG_INPUT)
    except KeyboardInterrupt:
        sys.exit(_STOPPED)
