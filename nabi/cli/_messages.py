"""Error messages in the words of the command line: options in place of the arguments of Python."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["in_words_of_options", "option_names"]

# Arguments of the library that are options of other names.
_OTHER_NAMES = {"quoted": "quotes", "own_cells": "cell", "aspects": "aspect"}
_START = re.compile(r"(?P<names>[a-z][a-z_]*(?:, [a-z][a-z_]*)*)(?P<rest>(?:\[\d+\])?: )")
_ASSIGNED = re.compile(
    r"\b(?P<name>[a-z][a-z_]*)=(?:(?P<quote>['\"])(?P<text>.*?)(?P=quote)|(?P<word>\w[\w.-]*))?"
    r"(?: \(--[a-z-]+\))?"
)
_QUOTED = re.compile(r"'([^']*)'")


def option_names(command: Any) -> dict[str, str]:
    """Return what the command line calls each parameter of one of its commands: an option, or an argument.

    Args:
        command: click's command.
    """
    found = {}
    for one in command.params:
        is_option = one.param_type_name == "option"
        name = max(one.opts, key=len) if is_option else (one.metavar or one.name.upper()).strip("[].")
        found[one.name] = name
    return found


def in_words_of_options(message: str, names: Mapping[str, str], line: Sequence[str]) -> str:
    """Return a message with the names of options where it has those of arguments.

    Args:
        message: of an error: "separator: expected one character, got 'ab'".
        names: what the command line calls each parameter.
        line: the words of the command line, where an option is looked up whose value is quoted by a message
            that names no parameter.

    >>> names = {"separator": "--separator", "text": "--text", "quoted": "--quotes"}
    >>> in_words_of_options("separator: expected one character, got 'ab'", names, [])
    "--separator: expected one character, got 'ab'"
    >>> in_words_of_options("a.xyz: expected .csv; separator= reads any other name as CSV", names, [])
    'a.xyz: expected .csv; --separator reads any other name as CSV'
    >>> in_words_of_options("columns: 'x' is not known. Known are: y", names, ["--text", "x"])
    "--text: 'x' is not known. Known are: y"
    """
    known = {name: said for name, said in names.items() if said.startswith("--")}
    known |= {name: known[other] for name, other in _OTHER_NAMES.items() if other in known}
    start = _START.match(message)
    if start is not None:
        said = [names.get(name) or known.get(name) for name in start["names"].split(", ")]
        if said[1:] == [] and said[0] not in line and start["names"] == "columns":
            said = [None]  # those of a table, which other options name
        if all(said):
            message = f"{', '.join(map(str, said))}: {message[start.end() :]}"
        elif len(said) == 1:
            quoted = _QUOTED.search(message)
            option = None if quoted is None else _option_of(quoted[1], line)
            if option is not None:
                message = f"{option}: {message[start.end() :]}"
            elif start["names"] == "path":  # the message names it
                message = message[start.end() :]
    return _ASSIGNED.sub(lambda match: _as_option(match, known), message)


def _as_option(match: "re.Match[str]", known: Mapping[str, str]) -> str:
    option = known.get(match["name"])
    if option is None:
        return match[0]
    value = match["word"] if match["text"] is None else match["text"]
    return option if value is None else f"{option} {value}"


def _option_of(value: str, line: Sequence[str]) -> str | None:
    """Return the option that has a value, if one has it."""
    found = set(_options(value, line))
    return found.pop() if len(found) == 1 else None


def _options(value: str, line: Sequence[str]) -> Iterator[str]:
    for word, following in zip(line, [*line[1:], ""], strict=True):
        option, equals, own = word.partition("=")
        if option.startswith("--") and (own if equals else following) == value:
            yield option
