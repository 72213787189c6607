"""Labels for every base: a second file of texts of the same length, or intervals in a BED file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nabi.data._dna._records import read_records
from nabi.data._text_files import TextFile, check_file
from nabi.errors import ArgumentError, FileFormatError, unknown_name

__all__ = ["check_length", "read_base_labels"]

_BED = (".bed",)
_NOT_INTERVALS = ("#", "track", "browser")


def read_base_labels(
    path: Path, names: Sequence[str], lengths: Sequence[int], outside: str, encoding: str
) -> list[list[str]]:
    """Return the label of every base of the sequences with these names.

    Args:
        path: a BED file (`.bed`, also compressed), whose fourth column is the label, or a file in the layout
            of FASTA with one character for each base.
        names: of the sequences, each once.
        lengths: of the sequences.
        outside: the label of bases that no interval covers.
        encoding: of the file.

    Raises:
        FileFormatError: with the line, for labels that do not fit the sequences.
    """
    repeated = next((name for name, count in Counter(names).items() if count > 1), None)
    if repeated is not None:
        raise ArgumentError(
            f"base_labels: expected sequences with different names, got {repeated!r} several times"
        )
    place = {name: number for number, name in enumerate(names)}
    if any(suffix.lower() in _BED for suffix in path.suffixes[-2:]):
        return _intervals(path, place, lengths, outside, encoding)
    return _texts(path, place, lengths, encoding)


def check_length(where: str, labels: int, bases: int) -> None:
    """Raise `FileFormatError` unless there is a label for every base."""
    if labels != bases:
        raise FileFormatError(f"{where}: expected {bases} labels, one for each base, got {labels}")


def _texts(path: Path, place: dict[str, int], lengths: Sequence[int], encoding: str) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for record in read_records(path, encoding):
        number = place.get(record.name)
        if number is None:
            continue  # of a sequence that was skipped, or that is in another file
        check_length(f"path: {record.place}", len(record.text), lengths[number])
        found[number] = list(record.text)
    for name, number in place.items():
        if number not in found:
            raise FileFormatError(f"path: {path} has no labels for the sequence {name!r}")
    return [found[number] for number in range(len(place))]


def _intervals(
    path: Path, place: dict[str, int], lengths: Sequence[int], outside: str, encoding: str
) -> list[list[str]]:
    check_file(path)
    file = TextFile(path, encoding)
    free = None
    found: list[list[str | None]] = [[free] * length for length in lengths]
    for number, line in enumerate(file.lines(), 1):
        if not line.strip() or line.startswith(_NOT_INTERVALS):
            continue
        fields = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
        if len(fields) < 4 or not fields[3].strip():
            raise file.wrong(number, f"expected name, start, end and label, got {line.strip()[:60]!r}")
        name, label = fields[0].strip(), fields[3].strip()
        if name not in place:
            raise file.wrong(number, str(unknown_name("the sequence", name, place)))
        try:
            start, end = int(fields[1]), int(fields[2])
        except ValueError:
            raise file.wrong(
                number, f"expected start and end as whole numbers, got {fields[1]!r} and {fields[2]!r}"
            ) from None
        labels = found[place[name]]
        if not 0 <= start < end <= len(labels):
            raise file.wrong(
                number,
                f"expected an interval within the {len(labels)} bases of {name}, counted from 0 and without "
                f"its end, got {start} to {end}",
            )
        covered = next((at for at in range(start, end) if labels[at] not in (free, label)), None)
        if covered is not None:
            raise file.wrong(
                number, f"base {covered} of {name} is {labels[covered]!r} already; got {label!r} for it"
            )
        labels[start:end] = [label] * (end - start)
    return [[outside if label is free else label for label in labels] for labels in found]
