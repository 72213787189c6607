"""The options of `nabi train`: those of all kinds of data together.

What is a setting of a system becomes an option as its `Settings` class says it: help, bounds, names, panel
and default. What says where the data lies stands in the form of its kind, or here where several have it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, fields
from enum import Enum, StrEnum
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from nabi.cli._outputs import Overwrite
from nabi.cli._texts import HEADER_HELP
from nabi.cli._train._form import Form
from nabi.cli._train._given import Given, given

__all__ = ["TABLE", "option_names", "parameters"]

TABLE = "Table of texts and labels"
"""The panel of what tables of any kind are read by."""
_TRAINING, _NETWORK = "Training", "Network"


class Lines(StrEnum):
    """As what epochs are printed for programs."""

    JSON = "json"


_FILE = typer.Argument(
    help="The data: a file, a folder, or - for standard input.", metavar="FILE", show_default=False
)
_FIRST = {"file": Given(Annotated[Path | None, _FILE])}
# Of several kinds; each form says whether it has them.
_SHARED = {
    "validation": given(
        Path,
        help="Table of validation rows, used for early stopping.",
        show_default="a tenth of FILE",
        panel=TABLE,
    ),
    "test": given(
        Path, help="Table of test rows to report on.", show_default="a tenth of FILE", panel=TABLE
    ),
    "target": given(
        str,
        help="Column to forecast, or several with commas; with --text, --id or --sequence, the column of "
        "numbers to estimate; for pairs, the target column by name or number.",
        metavar="COLUMN",
        show_default="found in the file",
    ),
    "time": given(
        str,
        help="Column of times, which orders the steps; for a forecast also year,month,day,hour.",
        metavar="COLUMN",
        show_default="found in the file; the order of the rows for series with labels",
    ),
    "group": given(
        str,
        help="Column that names the series of a row; for series with labels, whose values are held out as a "
        "whole, such as speakers.",
        metavar="COLUMN",
    ),
    "encoding": given(str, default="utf-8", help="Text encoding of the files."),
    "separator": given(
        str, help="Column separator.", show_default="detected", metavar="CHARACTER", panel=TABLE
    ),
    "quotes": given(
        bool,
        default=True,
        help="Whether fields of a .csv file may be quoted; otherwise quotes are ordinary characters.",
        panel=TABLE,
    ),
    "header": given(bool, default=True, help=HEADER_HELP, panel=TABLE),
}  # fmt: skip
_LAST = {
    "cell": given(
        list[str],
        help="A name from `nabi list`, or FILE.py:Class; repeat it to compare cells.",
        metavar="CELL",
        show_default="lstm",
        panel=_NETWORK,
    ),
    "threads": given(
        int, help="Number of CPU threads.", min=1, show_default="torch's default", panel=_TRAINING
    ),
    "minutes": given(
        float,
        help="Fit the training into this many minutes: as many epochs as there is time for, and an end by "
        "the clock that keeps the best weights.",
        metavar="NUMBER",
        show_default="as long as it takes",
        panel=_TRAINING,
    ),
    "log_dir": given(
        Path,
        help="Folder for the figures of every epoch: metrics.csv; if TensorBoard is installed, its files.",
        metavar="FOLDER",
        panel=_TRAINING,
    ),
    "log": given(
        Lines,
        help="Print a line of JSON for every epoch on standard output, all else on standard error.",
        panel=_TRAINING,
    ),
    "as_json": given(
        bool,
        "--json",
        default=False,
        help="Print the result as JSON on standard output, all else on standard error.",
        panel=_TRAINING,
    ),
    "out": given(
        Path,
        help="Model file; figures (.json) and a picture (.png) are written next to it.",
        show_default="the name of FILE with .nabi; needed for standard input",
        metavar="MODEL.nabi",
    ),
    "overwrite": Given(Overwrite, False),
}


def parameters(forms: Sequence[Form]) -> Iterator[Parameter]:
    """Yield the parameters of the command: the options of all kinds of data, each once."""
    found: dict[str, Given] = dict(_FIRST)
    for form in forms:
        for name, one in form.data.items():
            found.setdefault(name, one)
        for name, one in _SHARED.items():
            if name in form.options:
                found.setdefault(name, one)
        for offered in _offered(form):
            found.setdefault(offered.name, _of_setting(offered.name, forms))
    for name, one in {**found, **_LAST}.items():
        yield Parameter(name, Parameter.KEYWORD_ONLY, default=one.default, annotation=one.annotation)


def option_names(settings: Any) -> list[str]:
    """Return the settings that the command line offers, by name."""
    return [one.name for one in fields(settings) if one.metadata["option"] is not None]


def _offered(form: Form) -> list["Field[Any]"]:
    return [one for one in fields(form.settings) if one.metadata["option"] is not None]


def _of_setting(name: str, forms: Sequence[Form]) -> Given:
    """The option of a setting: what one of the systems that have it takes is right here.

    A system whose bounds are closer refuses the rest itself.
    """
    of_form = {form.short: one for form in forms for one in _offered(form) if one.name == name}
    told = [one.metadata["option"] for one in of_form.values()]
    checks = [one.metadata["check"] for one in of_form.values()]
    option, check = told[0], checks[0]
    kind: Any = check.kind
    bounds: dict[str, Any] = {}
    choices = [str(one or "none") for each in checks for one in each.choices]
    if choices:
        kind = _names(name, dict.fromkeys(choices))
    elif kind in (int, float):
        least, most = ([getattr(each, end) for each in checks] for end in ("least", "most"))
        bounds["min"] = None if None in least else kind(min(least))
        bounds["max"] = None if None in most else kind(max(most))
    elif kind is str:
        bounds["metavar"] = "TEXT"
    names = (option.names,) if option.names else (f"--{name.replace('_', '-')}",) if kind is bool else ()
    defaults = {short: _default(one) for short, one in of_form.items()}
    shown = next((one.shown for one in told if one.shown is not None), None) or _in_words(defaults, kind)
    help = option.help or next(iter(of_form.values())).metadata["help"]
    return given(kind, *names, panel=option.panel, help=help, show_default=shown or False, **bounds)


def _names(name: str, choices: Iterable[str]) -> Any:
    make: Any = Enum
    return make(name, [(one, one) for one in choices], type=str)


def _default(one: "Field[Any]") -> Any:
    own = one.metadata["option"].default
    return one.default if own is None else own


def _in_words(defaults: Mapping[str, Any], kind: Any) -> str:
    """Say of each kind of data what its default is, or once where all have the same."""
    known = {short: value for short, value in defaults.items() if value is not None and kind is not bool}
    if len(known) == len(defaults) and len(set(known.values())) == 1:
        return str(next(iter(known.values())))
    return ", ".join(f"{value} for {short}" for short, value in known.items())
