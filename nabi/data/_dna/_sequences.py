"""Sequences with their labels, from FASTA, FASTQ and tables."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nabi import _checks
from nabi._public import public
from nabi.data._dna._base_labels import check_length, read_base_labels
from nabi.data._dna._bases import misplaced_letter
from nabi.data._dna._file_names import is_dna_file, kind_of
from nabi.data._dna._records import Record, read_records
from nabi.data._tables._tables import TABLE_ENDINGS, read_table, table_columns
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, UnknownNameError, unknown_name

__all__ = ["DNASequences", "read_dna"]

_COLUMNS = ("sequence", "seq", "dna", "bases")
_NAMES = ("name", "id")
_LABELLED = re.compile(r"(?:^|\s)(?:label|class)=(\S+)")
_NUMBERED = re.compile(r"(?:^|\s)(?:number|value|target)=(\S+)")
_PLACES = ("header", "name", "folder")
_SHOWN = 5


class DNASequences(NamedTuple):
    """Sequences, what they are called, and their labels."""

    sequences: list[str]
    """Upper case letters: bases and IUPAC ambiguity codes; U has become T."""
    names: list[str]
    """The first word of the header; in a table the column "name" or "id", or else the number of the row."""
    labels: list[str] | None
    """The class of each sequence; None where none were asked for."""
    base_labels: list[list[str]] | None
    """For each sequence the label of every base; None where none were asked for."""
    places: list[str]
    """File and line of each sequence."""
    skipped: tuple[str, ...]
    """What is wrong with each sequence that was skipped."""
    numbers: list[Any] | None = None
    """What stands where the number of each sequence does, None where it is missing; None where none were
    asked for."""


class _Found(NamedTuple):
    """A sequence as it was read, with whatever may hold its label."""

    text: str
    name: str
    header: str
    file: Path
    place: str
    label: Any
    base_label: Any


@public
def read_dna(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    label_from: str | None = None,
    label_pattern: str | None = None,
    number_from: str | None = None,
    base_labels: str | os.PathLike[str] | None = None,
    outside: str = "none",
    sequence: str | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
) -> DNASequences:
    """Read DNA from FASTA, FASTQ or a table, with a label or number for each sequence, or a label for every
    base.

    Sequences may span several lines and may be in lower case; U counts as T. Files may be compressed, as
    `.fasta.gz`. Empty sequences are skipped and named in `skipped`.

    Args:
        paths: a file, a folder of FASTA and FASTQ files, or a list of files. `.csv`, `.tsv`, `.jsonl` and
            `.parquet` are read by `read_table`, other names as FASTA or FASTQ.
        label_from: where the class of a sequence stands: "header", "name" (of the file, without its
            suffixes), "folder" (the name of the file's folder), or a column of the table.
        label_pattern: a regular expression whose first group is the label in the header. By default
            `label=...` or `class=...`, or else the last word of the header.
        number_from: where the number of a sequence stands, like `label_from`; in the header by default
            `number=...`, `value=...` or `target=...`, or else the last word. None where there is nothing.
        base_labels: the labels of every base: a file in the layout of FASTA with one character per base, a
            BED file (name, start counted from 0, end, label), or a column of the table with one character per
            base.
        outside: the label of bases that no interval of the BED file covers.
        sequence: the column of sequences in a table; by default "sequence", "seq", "dna" or "bases".
        encoding, separator, quoted, header: as for `read_table`.

    Raises:
        MissingFileError: if a file does not exist.
        FileFormatError: for a letter that is no base, a header without a label, labels that do not fit the
            bases, and a damaged file, each with file and line.
        ArgumentError: for arguments that do not fit each other or the files, and if no sequence can be used.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "genes.fasta"
    >>> _ = path.write_text(">s1 lac promoter\\nTTGACA\\ntataat\\n>s2 label=other\\nACCNGA\\n")
    >>> found = read_dna(path, label_from="header")
    >>> found.sequences, found.labels
    (['TTGACATATAAT', 'ACCNGA'], ['promoter', 'other'])
    """
    files = _files(paths)
    tables = [file for file in files if kind_of(file) in TABLE_ENDINGS]
    if tables and len(files) > 1:
        raise ArgumentError(f"paths: expected FASTA and FASTQ files, or one table, got {len(files)} files")
    if label_from is not None and number_from is not None:
        raise ArgumentError(f"number_from: expected None beside label_from, got {number_from!r}")
    place, called = (label_from, "label_from") if number_from is None else (number_from, "number_from")
    pattern = _pattern(label_pattern, place)
    if tables:
        reading = {"encoding": encoding, "separator": separator, "quoted": quoted, "header": header}
        found = _of_table(tables[0], place, called, base_labels, sequence, reading)
    else:
        if place not in (*_PLACES, None):
            raise UnknownNameError(
                f"{called}: expected header, name or folder for FASTA and FASTQ, got {place!r}"
            )
        if sequence is not None:
            raise ArgumentError(f"sequence: expected None for FASTA and FASTQ, got {sequence!r}")
        found = [_of_record(record) for file in files for record in read_records(file, encoding)]
    kept = [one for one in found if one.text]
    skipped = tuple(f"{one.place}: the sequence {one.name!r} is empty" for one in found if not one.text)
    if not kept:
        raise ArgumentError(
            f"paths: none of {len(found)} sequences can be used: {'; '.join(skipped[:_SHOWN])}"
        )
    return DNASequences(
        [one.text for one in kept],
        [one.name for one in kept],
        None if label_from is None else [_label(one, label_from, pattern) for one in kept],
        None if base_labels is None else _labels_of_bases(kept, base_labels, outside, encoding, bool(tables)),
        [one.place for one in kept],
        skipped,
        None if number_from is None else [_value(one, number_from, pattern or _NUMBERED) for one in kept],
    )


# Files ------------------------------------------------------------------------------------------------------


def _files(paths: Any) -> list[Path]:
    if isinstance(paths, str | os.PathLike):
        place = _checks.path("paths", paths)
        if not place.is_dir():
            return [place]
        files = sorted(file for file in place.rglob("*") if file.is_file() and is_dna_file(file))
        if not files:
            raise MissingFileError(f"paths: there is no FASTA or FASTQ file in the folder {place}")
        return files
    if not isinstance(paths, Iterable) or not (listed := list(paths)):
        raise ArgumentError(
            f"paths: expected a file, a folder or a list of files, got {_checks.short(paths)}"
        )
    return [_checks.path(f"paths[{number}]", one) for number, one in enumerate(listed)]


def _of_record(record: Record) -> _Found:
    for line, text in record.lines:
        if wrong := misplaced_letter(text):
            raise record.file.wrong(line, f"{wrong} in the sequence {record.name!r}")
    text = _spelled(record.text)
    return _Found(text, record.name, record.header, record.file.path, record.place, None, None)


def _of_table(
    file: Path,
    label_from: str | None,
    called: str,
    base_labels: Any,
    sequence: str | None,
    reading: dict[str, Any],
) -> list[_Found]:
    """Return the rows of a table."""
    columns = table_columns(file, **reading)
    known = {column.lower(): column for column in columns}
    chosen = sequence or next((known[name] for name in _COLUMNS if name in known), None)
    if chosen is None:
        raise ArgumentError(
            f"sequence: expected the column of the sequences; {file} has {', '.join(columns)}"
        )
    labels = None if label_from in ("name", "folder") and label_from not in columns else label_from
    of_bases = str(base_labels) if base_labels is not None and str(base_labels) in columns else None
    for argument, column in (("sequence", chosen), (called, labels)):
        if column is not None and column not in columns:
            raise unknown_name(argument, column, columns)
    names = next((known[name] for name in _NAMES if name in known), None)
    wanted = list(dict.fromkeys(column for column in (chosen, labels, of_bases, names) if column is not None))
    table = read_table(file, wanted, **reading)
    found = []
    for row, given in enumerate(table[chosen]):
        place = f"{file}, row {row + table.first_row}"
        text = "".join(str(given or "").split())
        if wrong := misplaced_letter(text):
            raise FileFormatError(f"path: {place}: {wrong} in the column {chosen!r}")
        name = str(row + table.first_row) if names is None else str(table[names][row])
        label = None if labels is None else table[labels][row]
        of_base = None if of_bases is None else table[of_bases][row]
        found.append(_Found(_spelled(text), name, "", file, place, label, of_base))
    return found


def _spelled(text: str) -> str:
    return text.upper().replace("U", "T")


# Labels -----------------------------------------------------------------------------------------------------


def _pattern(given: Any, label_from: str | None) -> re.Pattern[str] | None:
    if given is None:
        return None
    if label_from != "header":
        raise ArgumentError(f"label_pattern: expected None unless label_from is 'header', got {given!r}")
    try:
        pattern = re.compile(given)
    except (re.error, TypeError) as problem:
        raise ArgumentError(
            f"label_pattern: expected a regular expression, got {_checks.short(given)} ({problem})"
        ) from None
    if not pattern.groups:
        raise ArgumentError(f"label_pattern: expected a group (in parentheses) for the label, got {given!r}")
    return pattern


def _label(one: _Found, label_from: str, pattern: re.Pattern[str] | None) -> str:
    """Return the class of a sequence."""
    value = _value(one, label_from, pattern or _LABELLED)
    label = "" if value is None else str(value)
    if not label:
        what = f"the header {one.header!r} has no label" if label_from == "header" else "the label is missing"
        raise FileFormatError(f"path: {one.place}: {what}")
    return label


def _value(one: _Found, place: str, pattern: re.Pattern[str]) -> Any:
    """Return what stands at a place that a sequence is labelled at, None where there is nothing."""
    if one.label is not None:
        return one.label.strip() if isinstance(one.label, str) else one.label
    if place == "name":
        return one.file.name.split(".")[0]
    if place == "folder":
        return one.file.resolve().parent.name
    return _of_header(one.header, pattern)


def _of_header(header: str, pattern: re.Pattern[str]) -> str | None:
    found = pattern.search(header)
    if found is not None:
        return (found[1] or "").strip() or None
    words = header.split()
    return words[-1] if pattern in (_LABELLED, _NUMBERED) and len(words) > 1 else None


def _labels_of_bases(
    kept: Sequence[_Found], base_labels: Any, outside: str, encoding: str, table: bool
) -> list[list[str]]:
    if table and kept[0].base_label is not None:
        labels = [list("".join(str(one.base_label or "").split())) for one in kept]
        for one, found in zip(kept, labels, strict=True):
            check_length(f"path: {one.place}", len(found), len(one.text))
        return labels
    path = _checks.path("base_labels", base_labels)
    if not isinstance(outside, str) or not outside:
        raise ArgumentError(f"outside: expected a label, got {_checks.short(outside)}")
    return read_base_labels(
        path, [one.name for one in kept], [len(one.text) for one in kept], outside, encoding
    )
