"""The `nabi` command and its error handling."""

import inspect
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

import nabi
from nabi._lazy import loaded_when_asked
from nabi.cli._language import chosen, read, translate_command
from nabi.errors import NabiError, TableWarning

__all__ = ["app", "main"]

_WRONG_INPUT, _STOPPED = 2, 130  # exit codes of the shell for wrong usage and for Ctrl-C
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


def _show_error(message: str, language: str) -> None:
    """Print an error in the user's language, or in English if its catalogue lacks it."""
    if language != "en":
        message = read(language).translate(message) or message
    typer.secho("nabi: ", err=True, nl=False, fg="red", bold=True)
    typer.echo(message, err=True)


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments (by default the process's) and exit.

    Exit status: 0 for success, 2 for wrong input (with one line on stderr), 130 after `Ctrl-C`.
    """
    for stream in (sys.stdout, sys.stderr):
        # Print a question mark for characters that the terminal cannot show, instead of a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    language = chosen()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", TableWarning)
            given = sys.argv[1:] if arguments is None else list(arguments)
            called = given[:1] if given and given[0] in _COMMANDS else _COMMANDS
            made = app(list(called))
            if language == "en":
                made(args=given, prog_name="nabi")
            else:
                _run_in(language, typer.main.get_command(made), given)
    except NabiError as problem:
        _show_error(" ".join(str(problem).split()), language)
        sys.exit(_WRONG_INPUT)
    except KeyboardInterrupt:
        sys.exit(_STOPPED)
