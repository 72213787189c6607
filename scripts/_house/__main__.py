"""Measure how the package is laid out: `scripts/house`.

Sizes, circles of imports and private doors are read from the source. How often a computation changes its
module is found by running it, which takes a minute; --static leaves that out.
"""

import argparse
import json
from collections import Counter
from typing import Any

import flows
from import_graph import ImportGraph
from rich.console import Console
from rich.table import Table

# A folder with more files is named in the table.
MANY_FILES = 12
WIDTH = 110


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="scripts/house", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--static", action="store_true", help="read the source only; run nothing")
    parser.add_argument(
        "--list", action="store_true", help="name every circle and every import that is counted"
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    given = parser.parse_args()
    figures = static_figures(ImportGraph())
    if not given.static:
        measured = dict(flows.measure())
        figures["flows"] = {name: measured[name] for name in flows.FLOWS}
    if given.json:
        print(json.dumps(figures, indent=2))
    else:
        width = max(Console().width, WIDTH)  # a file has no width, and names are to stand on one line
        show(figures, Console(width=width, highlight=False, soft_wrap=True), everything=given.list)


def static_figures(graph: ImportGraph) -> dict[str, Any]:
    """Return what the source tells."""
    lines = graph.lines()
    rooms: dict[str, dict[str, int]] = {}
    for name, count in lines.items():
        parts = graph.files[name].relative_to(graph.package).parts
        of_room = rooms.setdefault(
            parts[0] if len(parts) > 1 else "beside the rooms", {"files": 0, "lines": 0}
        )
        of_room["files"] += 1
        of_room["lines"] += count
    folders = Counter(str(path.parent.relative_to(graph.package.parent)) for path in graph.files.values())
    private = graph.private()
    return {
        "files": len(lines),
        "lines": sum(lines.values()),
        "rooms": dict(sorted(rooms.items(), key=lambda room: -room[1]["files"])),
        "largest_folder": dict(folders.most_common(1)),
        "folders_of_many_files": {
            folder: files for folder, files in folders.most_common() if files > MANY_FILES
        },
        "circles": [
            {
                "files": circle,
                "closed_by_imports": graph.closed_by(circle),
                "imports": [
                    f"{graph.place(one)}: {one.written} ({one.when})" for one in graph.within(circle)
                ],
            }
            for circle in graph.circles()
        ],
        "private_imports": [
            f"{graph.place(one)}: {one.written}" for one in private if graph.room(one.importer)
        ],
        "private_imports_of_doors": [
            f"{graph.place(one)}: {one.written}" for one in private if not graph.room(one.importer)
        ],
        "upward_imports": [f"{graph.place(one)}: {one.written}" for one in graph.upward()],
    }


def show(figures: dict[str, Any], console: Console, *, everything: bool) -> None:
    """Print the figures as tables; with `everything`, what is counted is named as well."""
    rooms = [(room, of["files"], of["lines"]) for room, of in figures["rooms"].items()]
    console.print(table(("room", "files", "lines"), [*rooms, ("in all", figures["files"], figures["lines"])]))
    largest = figures["largest_folder"] | figures["folders_of_many_files"]
    console.print(table((f"folders of more than {MANY_FILES} files", "files"), largest.items()))
    closed = Counter(circle["closed_by_imports"] for circle in figures["circles"])
    kinds = ", ".join(f"{count} {kind}" for kind, count in closed.most_common())
    counted = [
        (f"circles of imports{f' ({kinds})' if kinds else ''}", len(figures["circles"])),
        ("imports of another room's private modules", len(figures["private_imports"])),
        ("the same by what stands beside the rooms (doors)", len(figures["private_imports_of_doors"])),
        ("imports that go up the house", len(figures["upward_imports"])),
    ]
    console.print(table(("imports", "number"), counted))
    if "flows" in figures:
        rows = [(name, *of.values()) for name, of in figures["flows"].items()]
        heads = ("flow", "Python calls", "modules passed", "moves between modules", "between rooms")
        console.print(table(heads, rows))
    if everything:
        for circle in figures["circles"]:
            console.print(f"\ncircle of {len(circle['files'])} files, closed {circle['closed_by_imports']}:")
            console.print("\n".join(f"  {one}" for one in circle["imports"]))
        for kind in ("private_imports", "private_imports_of_doors", "upward_imports"):
            console.print(f"\n{kind.replace('_', ' ')}: {len(figures[kind])}")
            console.print("\n".join(f"  {one}" for one in figures[kind]))


def table(heads: tuple[str, ...], rows: Any) -> Table:
    """Build a table: names, then numbers."""
    made = Table()
    for number, head in enumerate(heads):
        made.add_column(head, justify="right" if number else "left", overflow="fold")
    for name, *values in rows:
        made.add_row(name, *(f"{value:,}" for value in values))
    return made


if __name__ == "__main__":
    main()
