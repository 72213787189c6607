"""What kind of data a folder, or a `.zip` file, holds."""

from pathlib import Path

from nabi.cli._train._form import Said

__all__ = ["holds_texts", "is_of_labelled_texts"]

_BY_FOLDER = "folder"  # what `--label-from` says where labels are the names of subfolders
# Files that other kinds learn from; a few texts beside them say something about them.
_OTHERS = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".mp4", ".avi", ".mov", ".mkv", ".wav", ".wave",
     ".flac", ".ogg", ".mp3", ".fa", ".fasta", ".fastq", ".fq", ".fna"}
)  # fmt: skip
_MUSIC = frozenset({".mid", ".midi"})


def holds_texts(file: Path) -> bool:
    """Return whether it is a folder or a `.zip` file of texts: no music, and mostly texts."""
    from nabi.data import FolderFiles
    from nabi.errors import NabiError

    if not file.is_dir() and not (file.suffix.lower() == ".zip" and file.is_file()):
        return False
    try:
        found = FolderFiles(file)
    except NabiError:
        return False  # whoever reads it says what is wrong with it
    if _MUSIC & found.others.keys():
        return False
    return len(found.names) > sum(count for ending, count in found.others.items() if ending in _OTHERS)


def is_of_labelled_texts(said: Said) -> bool:
    """Return whether the command line asks for names of folders as labels, and there are texts in them."""
    return said["label_from"] == _BY_FOLDER and holds_texts(said["file"])
