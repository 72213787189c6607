"""The `nabi` command and its error handling."""

import inspect
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

import nabi
from nabi._lazy import loaded_when_asked
from nabi.cli._language import chosen, read, translate_command
from nabi.cli._messages import in_words_of_options, option_names
from nabi.cli._terminal import LostOutputError, guarded_streams
from nabi.errors import NabiError, TableWarning

__all__ = ["app", "main"]

# Exit codes of the shell: for output that is lost, for wrong usage, and for Ctrl-C.
_LOST, _WRONG_INPUT, _STOPPED = 1, 2, 130
_WRONG_USAGE: Any = typer.BadParameter.__base__  # any problem with the arguments

# Loaded by the one that runs. All commands are only for help, completion and misspelt names.
_load, _ = loaded_when_asked(
    __name__,
    {
        "nabi.cli._bench": ["bench"],
        "nabi.cli._cache": ["cache"],
        "nabi.cli._caption": ["caption"],
        "nabi.cli._compare": ["compare"],
        "nabi.cli._compose": ["compose"],
        "nabi.cli._convert": ["convert"],
        "nabi.cli._evaluate": ["evaluate"],
        "nabi.cli._explain": ["explain"],
        "nabi.cli._export": ["export"],
        "nabi.cli._forecast": ["forecast"],
        "nabi.cli._list": ["list_all"],
        "nabi.cli._predict": ["predict"],
        "nabi.cli._quantize": ["quantize"],
        "nabi.cli._recognise": ["recognise"],
        "nabi.cli._run": ["run"],
        "nabi.cli._serve": ["serve"],
        "nabi.cli._show": ["show"],
        "nabi.cli._train._command": ["train"],
        "nabi.cli._translate": ["translate"],
        "nabi.cli._watch": ["watch"],
        "nabi.cli._write": ["next_words", "write"],
    },
)
# In the order of `nabi --help`; each with the name of its function.
_COMMANDS = {
    "run": "run",
    "train": "train",
    "predict": "predict",
    "evaluate": "evaluate",
    "explain": "explain",
    "write": "write",
    "next": "next_words",
    "caption": "caption",
    "recognise": "recognise",
    "translate": "translate",
    "compose": "compose",
    "forecast": "forecast",
    "watch": "watch",
    "serve": "serve",
    "export": "export",
    "quantize": "quantize",
    "list": "list_all",
    "show": "show",
    "convert": "convert",
    "bench": "bench",
    "compare": "compare",
    "cache": "cache",
}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nabi {nabi.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Recurrent neural networks from their equations."""


def app(names: Sequence[str] = tuple(_COMMANDS)) -> typer.Typer:
    """Make the application with these commands; without names, with all."""
    made = typer.Typer(
        name="nabi",
        help="Recurrent neural networks from their equations.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_options)
    for name in names:
        command = _load(_COMMANDS[name])
        # Its help is its docstring, without line breaks in paragraphs, which Typer keeps.
        paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
        made.command(name, help="\n\n".join(one.replace("\n", " ") for one in paragraphs))(command)
    return made


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning without its source line."""
    typer.secho("nabi: ", err=True, nl=False, fg="yellow", bold=True)
    typer.echo(" ".join(str(message).split()), err=True)


@contextmanager
def _ends_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: a training finishes its batch and is saved.

    It is what `kill`, a shutdown and a scheduler of jobs send. Whoever ignores it, or handles it, goes on.
    """

    def end(number: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, frame)
        else:
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _show_error(message: str, language: str) -> None:
    """Print an error in one line: in the user's language, or in English if its catalogue lacks it."""
    line = " ".join(message.split())
    if language != "en":
        line = read(language).translate(line) or line
    with suppress(OSError, ValueError):
        typer.secho("nabi: ", err=True, nl=False, fg="red", bold=True)
        typer.echo(line, err=True)


def _run_in(language: str, command: Any, arguments: Sequence[str]) -> NoReturn:
    """Run the command with its help and the messages about its arguments in another language."""
    translate_command(command, read(language))
    try:
        status = command(args=arguments, prog_name="nabi", standalone_mode=False)
    except _WRONG_USAGE as problem:
        if problem.ctx is not None and not arguments:
            typer.echo(problem.format_message())  # `nabi` alone: the message is its help
            sys.exit(_WRONG_INPUT)
        _show_error(problem.format_message(), language)
        if problem.ctx is not None:
            hint = f"{problem.ctx.command_path} --help"
            typer.echo(read(language).translate(f"See {hint}") or hint, err=True)
        sys.exit(_WRONG_INPUT)
    except typer.Abort:
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _in_own_words(message: str, given: Sequence[str]) -> str:
    """Return the message of an error with the names of options in place of those of arguments."""
    if not given or given[0] not in _COMMANDS:
        return message
    group: Any = typer.main.get_command(app(given[:1]))
    return in_words_of_options(message, option_names(group.commands[given[0]]), given[1:])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments (by default the process's) and exit.

    Exit status: 0 for success, 1 if standard output cannot be written, 2 for wrong input (both with one line
    on stderr), 130 after `Ctrl-C` and SIGTERM.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    called = given[:1] if given and given[0] in _COMMANDS else list(_COMMANDS)
    language = chosen()
    try:
        with guarded_streams(), _ends_as_ctrl_c(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", TableWarning)
            made = app(called)
            if language == "en":
                made(args=given, prog_name="nabi")
            else:
                _run_in(language, typer.main.get_command(made), given)
    except LostOutputError as problem:
        _show_error(str(problem), language)
        sys.exit(_LOST)
    except NabiError as problem:
        _show_error(_in_own_words(str(problem), given), language)
        sys.exit(_WRONG_INPUT)
    except KeyboardInterrupt:
        sys.exit(_STOPPED)
