"""Train on each table of `tables.py` with nothing but defaults, and write the comparison into the docs.

    python -m benchmarks.verdicts                     everything; about ten minutes of a processor's time
    python -m benchmarks.verdicts --only titles rare  some of it
    python -m benchmarks.verdicts --write             only write the page from existing results

The data are read from the folder NABI_DATA. A table that has been trained on is not trained on again, so the
same command goes on after Ctrl-C.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.verdicts.tables import TABLES, write_tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "your-own-texts.md"
START, END = "<!-- verdicts: written by python -m benchmarks.verdicts -->", "<!-- verdicts: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES), metavar="NAME")
    parser.add_argument("--write", action="store_true", help="only write the page, train nothing")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "verdicts")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if not arguments.write:
        for name in arguments.only:
            if not (folder / f"{name}.json").exists():
                train(name, folder)
    results = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in TABLES
        if (folder / f"{name}.json").exists()
    }
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{START}\n\n{table_of(results)}\n\n{END}{after}", encoding="utf-8")


def train(name: str, folder: Path) -> None:
    """Run `nabi train` on one thread."""
    paths = write_tables(name, Path(os.environ["NABI_DATA"]), folder / "tables")
    command = [sys.executable, "-m", "nabi", "train", str(paths["train"]), *TABLES[name].options]
    command += ["--validation", str(paths["validation"]), "--test", str(paths["test"]), "--threads", "1"]
    print(f"== {name}", flush=True)
    subprocess.run([*command, "--out", str(folder / f"{name}.nabi"), "--overwrite"], cwd=ROOT, check=True)


def table_of(results: dict[str, dict[str, Any]]) -> str:
    """Return the table in Markdown: a row for each table of texts, the best figure of each in bold."""
    lines = [
        "| table | rows | labels | figure | network alone | simple model | both together |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for name, result in results.items():
        cell = result["cells"][result["best"]]
        report, rare = cell["report"], cell["decisions"]["rare"]
        simple, network = report["baselines"]
        kinds = ["macro_f1"] if rare else []
        kinds.insert(0, "micro_f1" if report["several"] else "accuracy")
        for number, kind in enumerate(kinds):
            figures = [network[kind], simple[kind], report[kind]]
            best = max(f"{figure:.3f}" for figure in figures)
            shown = [
                f"**{figure:.3f}**" if f"{figure:.3f}" == best else f"{figure:.3f}" for figure in figures
            ]
            first = [TABLES[name].what, f"{result['rows'][0]:,}", str(len(report["by_label"]))]
            called = kind.replace("_f1", " F1")
            lines.append(f"| {' | '.join([*(first if not number else ['', '', '']), called, *shown])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
