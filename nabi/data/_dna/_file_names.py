"""What the name of a file says of its contents."""

from pathlib import Path

from nabi.data._text_files import COMPRESSED

__all__ = ["is_dna_file", "kind_of"]

_SUFFIXES = (".fasta", ".fa", ".fna", ".ffn", ".frn", ".fas", ".fastq", ".fq")


def is_dna_file(path: Path) -> bool:
    """Whether the name of a file, also compressed, is that of FASTA or FASTQ."""
    return kind_of(path) in _SUFFIXES


def kind_of(path: Path) -> str:
    """Return the suffix that says what is in a file."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""
