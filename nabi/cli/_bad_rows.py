"""Rows and files that cannot be read: each is named on standard error, and the others go on."""

import typer

from nabi.errors import FileFormatError, NabiError

__all__ = ["BadRows"]

_NAMED = 20


class BadRows:
    """Counts what a command cannot read, and names the first of it.

    Args:
        what: they are, in messages: "rows", "images".
        result: what they go without: "result", "caption".
        total: how many there are of all, where it is known: a single one is an error at once.
    """

    def __init__(self, what: str = "rows", result: str = "result", total: int | None = None) -> None:
        self._what, self._result, self._total = what, result, total
        self._first, self._count = "", 0

    def add(self, problem: NabiError | str) -> str:
        """Name one of them on standard error, and return what is wrong with it.

        Raises:
            NabiError: the problem, if there is nothing else.
        """
        if self._total == 1 and isinstance(problem, NabiError):
            raise problem
        said = " ".join(str(problem).split()).removeprefix("path: ")
        self._first = self._first or said
        self._count += 1
        if self._count <= _NAMED:
            _warn(said)
        elif self._count == _NAMED + 1:
            _warn("further ones are only counted")
        return said

    def end(self, total: int) -> None:
        """Say how many there were of all.

        Raises:
            FileFormatError: if there was nothing else.
        """
        if not self._count:
            return
        if self._count == total:
            raise FileFormatError(f"none of the {total:,} {self._what} can be read: {self._first}")
        _warn(f"{self._count:,} of {total:,} {self._what} could not be read and have no {self._result}")


def _warn(text: str) -> None:
    typer.secho("nabi: ", err=True, nl=False, fg="yellow", bold=True)
    typer.echo(text, err=True)
