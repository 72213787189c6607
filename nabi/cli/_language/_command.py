"""The help of a command in another language."""

from functools import partial
from typing import Any

from nabi.cli._language._catalogue import Catalogue

__all__ = ["translate_command"]

# Of Typer's help; its constants are made to be changed.
_HEADINGS = (
    "ARGUMENTS_PANEL_TITLE", "OPTIONS_PANEL_TITLE", "COMMANDS_PANEL_TITLE", "ERRORS_PANEL_TITLE",
    "DEFAULT_STRING", "ENVVAR_STRING", "REQUIRED_LONG_STRING",
)  # fmt: skip
_USAGE = "Usage:"
# What a usage says of its command: its options, and its own commands.
_METAVARS = ("options_metavar", "subcommand_metavar")


def translate_command(command: Any, catalogue: Catalogue) -> None:
    """Translate the help of a command, of its options and of its commands, in place.

    Args:
        command: a command as `typer.main.get_command` makes it.
        catalogue: texts that it lacks stay English.
    """
    from typer import rich_utils

    for name in _HEADINGS:
        text = getattr(rich_utils, name)
        setattr(rich_utils, name, catalogue.texts.get(text, text))
    usage = catalogue.texts.get(_USAGE, _USAGE)
    coloured = rf"(?P<usage>{usage} )"
    if coloured not in rich_utils.OptionHighlighter.highlights:
        rich_utils.OptionHighlighter.highlights.append(coloured)
    _translate(command, catalogue, None)


def _translate(command: Any, catalogue: Catalogue, parent: Any) -> None:
    for one in (command, *command.params):
        text = getattr(one, "help", None)
        if text:
            one.help = catalogue.translate(text) or text
    for name in _METAVARS:
        text = getattr(command, name, None)
        if text in catalogue.texts:
            setattr(command, name, catalogue.texts[text])
    command.context_class = _with_usage(command.context_class, catalogue.texts.get(_USAGE, _USAGE))
    # The option of help itself is made when it is first asked for, with the names that the parent says.
    context = command.make_context(command.name, [], parent=parent, resilient_parsing=True)
    option = command.get_help_option(context)
    if option is not None and option.help:
        option.help = catalogue.translate(option.help) or option.help
    for inner in getattr(command, "commands", {}).values():
        _translate(inner, catalogue, context)


def _with_usage(context: Any, usage: str) -> Any:
    """Return a class of contexts whose help begins with another word than "Usage:"."""

    def formatter(**options: Any) -> Any:
        made = context.formatter_class(**options)
        made.write_usage = partial(made.write_usage, prefix=f"{usage} ")
        return made

    return type(context.__name__, (context,), {"formatter_class": staticmethod(formatter)})
