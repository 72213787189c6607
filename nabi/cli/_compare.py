"""`nabi compare`: several cells, trained alike on a task."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._outputs import Overwrite, Results, Said, with_files
from nabi.cli._terminal import make_console
from nabi.cli._texts import HEADER_HELP, STANDARD_INPUT

__all__ = ["compare"]

_STOPPED = 130
_DATA = "Tasks of a file"


def _file(said: Said) -> Path | None:
    """Return the file of the task; None for a task that is drawn."""
    from nabi.comparison import is_file

    return Path(said["task"]) if is_file(said["task"]) else None


def _results(said: Said) -> Results:
    """Return the folder of the results, which an earlier comparison may have written."""
    file, out = _file(said), said["out"]
    name = said["task"] if file is None else "input" if file == STANDARD_INPUT else file.stem
    usual = Path("runs") / f"compare-{name}"
    return Results(usual if out is None else out, '"written_by": "nabi compare"')


@with_files(reads={"--task": _file}, writes={"--out": _results})
def compare(
    cells: Annotated[
        list[str],
        typer.Argument(
            help="Names from `nabi list`, wrapped ones such as zoneout(gru), or FILE.py:Class, with commas "
            "or spaces between them; `all` for the whole catalogue. lstm+chrono is an LSTM whose forget gate "
            "starts for memories as long as the sequences.",
            metavar="CELLS...",
        ),
    ],
    task: Annotated[
        str,
        typer.Option(
            help="What they learn: adding, copy, parity, recall, pixels, characters; or FILE: a text or a "
            "folder of texts for its characters, a table of texts with labels, series with labels (.ts); - "
            "is standard input.",
            metavar="NAME|FILE",
        ),
    ] = "adding",
    units: Annotated[int, typer.Option(help="Units of every cell.", min=1)] = 32,
    steps: Annotated[
        int | None,
        typer.Option(help="Steps of training.", min=1, show_default="1500, or no end with --minutes"),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Minutes of training of each cell, at most.", metavar="NUMBER")
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            help="Length of the sequences: steps; of copy the blanks in between, of recall the pairs.",
            show_default="the task's",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Sequences in a step.", min=1)] = 32,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of all cells.")] = 5e-3,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Give each cell the best learning rate of .001, .003, .01 and .03 instead, each tried for "
            "a third of the training.",
        ),
    ] = False,
    seeds: Annotated[
        int, typer.Option(help="Trainings of each cell; the table has medians and ranges.", min=1)
    ] = 1,
    text: Annotated[
        str | None, typer.Option(help="Column of the texts.", metavar="COLUMN", rich_help_panel=_DATA)
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of the labels.", metavar="COLUMN", rich_help_panel=_DATA)
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of the file.", rich_help_panel=_DATA)] = "utf-8",
    separator: Annotated[
        str | None,
        typer.Option(
            help="Column separator.", metavar="CHARACTER", show_default="detected", rich_help_panel=_DATA
        ),
    ] = None,
    quotes: Annotated[
        bool, typer.Option(help="Whether fields of a .csv file can be quoted.", rich_help_panel=_DATA)
    ] = True,
    header: Annotated[bool, typer.Option(help=HEADER_HELP, rich_help_panel=_DATA)] = True,
    memory: Annotated[
        bool, typer.Option(help="Whether to measure memory, which takes seconds for each cell.")
    ] = True,
    threads: Annotated[int, typer.Option(help="Threads that compute.", min=1)] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results.", show_default="runs/compare-TASK", metavar="DIR"),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Keep the trainings in the folder, and do those that are missing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Train several cells alike on a task, and print a table: figures, parameters, time and memory.

    All cells have the same data in the same batches, the same optimizer and the same number of steps. The
    figure is measured on sequences that were not trained on, and stands beside a baseline that needs no
    memory. The folder gets result.json, table.csv and learning.png, a picture of learning against time.

    Ctrl-C ends the comparison; the trainings that were complete are kept (exit status 130), and the same
    command with --resume goes on.
    """

    from nabi.cli._cell import find_class
    from nabi.comparison import as_contenders, compare as compare_cells, find_task

    contenders = as_contenders(cells, find_class, "CELLS")
    folder = _results({"task": task, "out": out}).folder
    found = compare_cells(
        contenders,
        find_task(
            task,
            length=length,
            text=text,
            label=label,
            encoding=encoding,
            separator=separator,
            quoted=quotes,
            header=header,
        ),
        units=units,
        steps=steps,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        tune=tune,
        seeds=seeds,
        memory=memory,
        threads=threads,
        out=folder,
        resume=resume,
        console=make_console(stderr=as_json),
    )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False))
    else:
        console = make_console()
        console.print()
        console.print(found.table())
        console.print(
            f"\n{'Stopped; --resume goes on' if found.interrupted else 'Done'}; table, figures and picture "
            f"are in {folder}",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
    if found.interrupted:
        raise typer.Exit(_STOPPED)
