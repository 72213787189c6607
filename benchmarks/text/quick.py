"""A small part of the real data, in the same layout, for a smoke test."""

import csv
import itertools
import json
import lzma
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["make_small"]

ROWS = 200  # of each part
STORIES = 900  # enough for several topics with the required 15 stories
TABLES = ("imdb.csv.xz", "nsmc_sample.csv.xz")
POSTS = tuple(
    f"covid_fake_news_{part}.csv"
    for part in ("Constraint_Train", "Constraint_Val", "english_test_with_labels")
)
REUTERS = "reuters21578.jsonl.xz"


def make_small(source: Path, target: Path, rows: int = ROWS, stories: int = STORIES) -> None:
    """Write the first rows of each data set in the folder `source` into the folder `target`.

    Raises:
        SystemExit: if the data do not exist.
    """
    missing = [name for name in (*TABLES, *POSTS, REUTERS) if not (source / "text" / name).is_file()]
    if missing:
        raise SystemExit(f"--quick needs the files in the folder NABI_DATA; there is no {missing[0]}")
    (target / "text").mkdir(parents=True, exist_ok=True)
    limit = csv.field_size_limit(sys.maxsize)  # that of the whole process
    try:
        for name in (*TABLES, *POSTS):
            with read(source / "text" / name) as file, write(target / "text" / name) as small:
                csv.writer(small, lineterminator="\n").writerows(first_rows(csv.reader(file), rows))
    finally:
        csv.field_size_limit(limit)
    with read(source / "text" / REUTERS) as file, write(target / "text" / REUTERS) as small:
        labelled = (line for line in file if json.loads(line)["topics"])
        small.writelines(itertools.islice(labelled, stories))


def first_rows(rows: Iterator[list[str]], most: int) -> Iterator[list[str]]:
    """Yield the header and some rows of each part; a table without the column `split` is one part."""
    header = next(rows)
    yield header
    column = header.index("split") if "split" in header else None
    parts = 1 if column is None else 2
    taken = Counter[str]()
    for row in rows:
        part = "" if column is None else row[column]
        taken[part] += 1
        if taken[part] <= most:
            yield row
        elif sum(count >= most for count in taken.values()) == parts:
            return


def read(path: Path) -> IO[str]:
    opened: IO[str] = (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8", newline="")
    return opened


def write(path: Path) -> IO[str]:
    opened: IO[str] = (lzma.open if path.suffix == ".xz" else open)(path, "wt", encoding="utf-8", newline="")
    return opened
