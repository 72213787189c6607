"""One option of `nabi train`."""

from typing import Annotated, Any, NamedTuple

import typer

__all__ = ["Given", "given", "listed"]


class Given(NamedTuple):
    """An option: what Typer needs to know of it, and its value where nothing is said."""

    annotation: Any
    default: Any = None


def given(kind: Any, *names: str, default: Any = None, panel: str | None = None, **told: Any) -> Given:
    """Return an option of a kind of data; `told` goes to `typer.Option`."""
    wanted = kind if default is not None else kind | None
    return Given(Annotated[wanted, typer.Option(*names, rich_help_panel=panel, **told)], default)


def listed(said: str | None) -> list[str]:
    """Return names that are separated by commas."""
    return [name for part in (said or "").split(",") if (name := part.strip())]
