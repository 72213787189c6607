"""Which files are to be predicted, where their results go, and which of these are there already."""

import glob
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from nabi.cli._predictors._predictor import Said
from nabi.errors import ArgumentError

__all__ = ["RECORD", "Engine", "Plan", "is_of_many", "matching", "results_of"]

RECORD = "predict.json"
"""In the folder of results: which model and options they are of."""

_SHAPING = ("text", "aspect", "top", "threshold", "encoding", "separator", "quotes")
_SHAPING_IF_NOT = {"header": True, "as_json": False}
"""Those that are written down only where they are something else."""
_AS_CSV = (".csv", ".tsv", ".txt", ".text")


class Engine(StrEnum):
    """What runs the processes."""

    PROCESSES = "processes"
    RAY = "ray"


def is_of_many(said: Said) -> bool:
    """Whether a command line asks for many files."""
    return said.get("engine") is not None or _is_pattern(said.get("file"))


def _is_pattern(file: Path | None) -> bool:
    return file is not None and glob.has_magic(str(file)) and not file.exists()


def matching(file: Path | None) -> list[Path]:
    """Return the files that a pattern matches, in order; a pattern that matches nothing stays as it is."""
    if file is None or not _is_pattern(file):
        return [] if file is None else [file]
    found = [Path(one) for one in sorted(glob.glob(str(file), recursive=True))]
    return [one for one in found if one.is_file()] or [file]


def results_of(said: Said) -> list[Path]:
    """Return the files that a command line with many files writes or may write."""
    out: Path | None = said.get("out")
    if out is None:
        return []
    record = out / RECORD
    if _read(record):
        return [record]  # the plan says which of the results are kept
    return [record, *(_result(out, file, said) for file in matching(said.get("file")))]


def _result(out: Path, file: Path, said: Said) -> Path:
    """Return where the result of a file goes: CSV for CSV and lines of text, JSON lines for the others."""
    name = file.name
    for packed in (".gz", ".bz2", ".xz", ".zst"):
        name = name.removesuffix(packed)
    path = Path(name)
    as_csv = path.suffix.lower() in _AS_CSV and not said.get("as_json")
    return out / f"{path.stem}{'.csv' if as_csv else '.jsonl'}"


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        tasks: for each file without a result, the command line of `nabi predict` for it alone.
        kept: how many have one.
        record: where it is said what the results are of, and what is said there.
    """

    tasks: tuple[Said, ...]
    kept: int
    record: tuple[Path, Mapping[str, Any]]

    @classmethod
    def of(cls, said: Said) -> "Plan":
        """Look at the files and the results.

        A result is there if it is no older than its file; it is complete, as it got its name at its end.

        Raises:
            ArgumentError: without `--file` or `--out`, with texts, for two files with one result, and for a
                folder with results of another model or of other options.
        """
        if said["texts"] or said["file"] is None or str(said["file"]) == "-":
            raise ArgumentError("--file: expected a file, or a pattern such as 'reviews/*.csv'")
        out: Path | None = said["out"]
        if out is None:
            raise ArgumentError("--out: expected a folder, as there is a result for each file, got nothing")
        if out.exists() and not out.is_dir():
            raise ArgumentError(f"--out: expected a folder, as there is a result for each file, got {out}")
        files = matching(said["file"])
        results = [_result(out, file, said) for file in files]
        _check_names(files, results)
        now = {"written_by": "nabi predict", "model": _digest(said["model"])}
        now |= {name: said[name] for name in _SHAPING}
        now |= {name: said[name] for name, usual in _SHAPING_IF_NOT.items() if said.get(name, usual) != usual}
        before = _read(out / RECORD)
        if before and before != now and not said["overwrite"]:
            raise ArgumentError(
                f"--out: {out} has results of another model or of other options; choose another folder, or "
                "pass --overwrite"
            )
        keep = before == now and not said["overwrite"]
        left = [
            {**said, "file": file, "out": result, "engine": None, "workers": None}
            for file, result in zip(files, results, strict=True)
            if not (keep and result.exists() and result.stat().st_mtime_ns >= file.stat().st_mtime_ns)
        ]
        return cls(tuple(left), len(files) - len(left), (out / RECORD, now))

    def begin(self) -> None:
        """Say in the folder what the results will be of."""
        from nabi.files import write_atomically

        path, content = self.record
        for task in self.tasks:
            task["out"].unlink(missing_ok=True)  # of an earlier model: not to be taken for one of this
        with write_atomically(path, "w") as file:
            json.dump(content, file, indent=2, ensure_ascii=False)
            file.write("\n")


def _check_names(files: Sequence[Path], results: Sequence[Path]) -> None:
    seen: dict[Path, Path] = {}
    for file, result in zip(files, results, strict=True):
        if result in seen:
            raise ArgumentError(
                f"--file: the results of {seen[result]} and {file} would both be {result}; predict for them "
                "one after the other, with a folder each"
            )
        seen[result] = file


def _digest(model: Path) -> str:
    with model.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(record: Path) -> dict[str, Any]:
    """Return what a record says; nothing if it is none."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    own = isinstance(found, dict) and found.get("written_by") == "nabi predict" and "model" in found
    return found if own else {}
