"""`nabi cache`: the machine code stored on disk."""

import json
from typing import Annotated

import typer

from nabi.cli._terminal import make_console
from nabi.errors import OutputError

__all__ = ["cache"]


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Delete everything; code is recompiled when needed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is stored as JSON.")] = False,
) -> None:
    """Show the compiled cells stored on disk, or delete them.

    NABI_CACHE_DIR sets another folder, NABI_CACHE_SIZE another limit in MiB (0 disables the cache).
    """
    from nabi.targets import llvm

    if clear:
        try:
            count = llvm.clear_cache()
        except OSError as problem:
            raise OutputError(
                f"{llvm.cache_folder()}: cannot be cleared: {problem.strerror or problem}"
            ) from problem
        if as_json:
            typer.echo(json.dumps({"folder": str(llvm.cache_folder()), "deleted": count}, ensure_ascii=False))
        else:
            typer.echo(f"{_objects(count)} deleted from {llvm.cache_folder()}")
        return
    if as_json:
        _print_json()
    else:
        _show()


def _print_json() -> None:
    from datetime import UTC, datetime

    from nabi.targets import llvm

    entries = [
        {
            "compiled_from": entry.label,
            "bytes": entry.size,
            "last_used": datetime.fromtimestamp(entry.time, UTC).isoformat(),
        }
        for entry in llvm.cache_entries()
    ]
    held = {"folder": str(llvm.cache_folder()), "most_bytes": llvm.cache_bound(), "entries": entries}
    typer.echo(json.dumps(held, indent=2, ensure_ascii=False))


def _show() -> None:
    from rich.markup import escape
    from rich.table import Table

    from nabi.targets import llvm

    entries = llvm.cache_entries()
    console = make_console()
    console.print(f"folder  {escape(str(llvm.cache_folder()))}", soft_wrap=True, highlight=False)
    total = sum(entry.size for entry in entries)
    console.print(
        f"holds   {_objects(len(entries))}, {_size(total)} of at most {_size(llvm.cache_bound())}",
        highlight=False,
    )
    if not entries:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("compiled from", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("last used", no_wrap=True)
    for entry in entries:
        table.add_row(escape(entry.label), _size(entry.size), _moment(entry.time))
    console.print()
    console.print(table)


def _objects(count: int) -> str:
    return f"{count} compiled object{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB" if count >= 2**20 else f"{count / 2**10:,.1f} KiB"


def _moment(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
