"""`nabi evaluate` for models that write: texts, translations, captions, music, what is spoken."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from nabi.cli._bad_rows import BadRows
from nabi.cli._figures import give_figures
from nabi.cli._load import load_with_cells
from nabi.cli._predictors._predictor import Said
from nabi.cli._terminal import make_console
from nabi.cli._texts import Reading
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import Captioner, LanguageModel, NoteModel, SpeechRecognizer, Translator

__all__ = ["WRITERS"]

_ALWAYS = frozenset({"model", "file", "out", "as_json", "overwrite", "cell", "threads"})
_TABLE = frozenset({"encoding", "separator", "quotes", "header"})


class _Measured(NamedTuple):
    """Figures as JSON can hold them, and as they are shown: a text, or what rich can print."""

    content: dict[str, Any]
    shown: Any


class _Writer(ABC):
    """A model that writes something, compared with what is right.

    Args:
        kind: of its model files.
        model: the name of its class in `nabi.models`.
        what: it is of, in messages.
        options: of `nabi evaluate` that it knows beside those of all models.
    """

    def __init__(self, kind: str, model: str, what: str, options: frozenset[str]) -> None:
        self.kind, self.model, self.what = kind, model, what
        self.evaluate_options = _ALWAYS | options

    @abstractmethod
    def measure(self, model: Any, said: Said) -> _Measured:
        """Return how good the model is on the file."""

    def evaluate(self, said: Said) -> None:
        """Show the figures of a model, and write them."""
        from nabi.training import on_threads

        model = load_with_cells(self.model, said["model"], said["cell"] or ())
        with on_threads(said["threads"]):
            content, shown = self.measure(model, said)

        def show() -> None:
            if isinstance(shown, str):
                typer.echo(shown)
            else:
                make_console().print(shown)

        give_figures("evaluate", {"file": str(said["file"]), **content}, said["out"], said["as_json"], show)


class _LanguageModels(_Writer):
    def measure(self, model: "LanguageModel", said: Said) -> _Measured:
        """Foresee a text."""
        found = model.measure(said["file"], lines=said["lines"], encoding=said["encoding"])
        content = {
            **found.to_dict(),
            "perplexity": found.perplexity,
            "bits_per_character": found.bits_per_character,
        }
        return _Measured(content, str(found))


class _Translators(_Writer):
    def measure(self, model: "Translator", said: Said) -> _Measured:
        """Translate the sources of a table, and compare with its targets."""
        import math

        from nabi.data import read_pairs
        from nabi.recipes import score

        reading = Reading.of(said).options()
        source, target = _pair_of_columns(said, reading)
        pairs = read_pairs(said["file"], source, target, **reading, wrong_rows="keep")
        _name_bad(f"{pairs.path}, ", pairs.wrong, len(pairs) + len(pairs.left_out) + len(pairs.wrong))
        if pairs.left_out:
            typer.echo(f"nabi: {pairs.note}", err=True)
        written = [one.text for one in model.translate(pairs.sources, beam=said["beam"])]
        scores = score(written, pairs.targets)
        nats = model.evaluate(pairs.sources, pairs.targets)
        shown = (
            f"{len(pairs):,} pairs, beam {said['beam']}\n{scores}\n{nats:.4f} nats per token of the targets, "
            f"perplexity {math.exp(nats):,.2f}"
        )
        figures = {"nats": nats, "perplexity": math.exp(nats)}
        left_out = len(pairs.left_out) + len(pairs.wrong)
        content = {"pairs": len(pairs), "left_out": left_out, "beam": said["beam"]}
        return _Measured({**content, **scores.to_dict(), **figures}, shown)


class _Captioners(_Writer):
    def measure(self, model: "Captioner", said: Said) -> _Measured:
        """Caption the pictures of a table, and compare with its captions in the model's spelling."""
        from nabi.data import read_captioned_images
        from nabi.recipes import score

        read = read_captioned_images(
            _folder(said),
            said["file"],
            size=model.settings.image_size,
            image=said["image"],
            caption=said["caption"],
            **Reading.of(said).options(),
        )
        _name_bad("", read.skipped, len(read.captions) + len(read.skipped))
        written = [one.text for one in model.caption(read.images, beam=said["beam"])]
        scores = score(written, model.spelled(read.captions))
        content = {"captions": len(written), "left_out": len(read.skipped), "beam": said["beam"]}
        return _Measured(
            {**content, **scores.to_dict()}, f"{len(written):,} captions, beam {said['beam']}\n{scores}"
        )


class _NoteModels(_Writer):
    def measure(self, model: "NoteModel", said: Said) -> _Measured:
        """Foresee the frames of MIDI files: of a folder, or of one file."""
        import math

        from nabi.data import Piece, read_midi_folder, read_midi_frames

        file, steps = said["file"], model.settings.steps_per_beat or 1
        if file.is_dir():
            folder = read_midi_folder(file, steps, labels=bool(model.labels))
            pieces: Sequence[Any] = folder.pieces
            _name_bad("", [why for _, why in folder.skipped], len(pieces) + len(folder.skipped))
        else:
            # The folder's name is the label, as in training.
            label = file.resolve().parent.name if model.labels else None
            pieces = [Piece(read_midi_frames(file, steps).frames, label)]
        frames = sum(len(piece.frames) for piece in pieces)
        nats = model.evaluate(pieces)
        content = {"pieces": len(pieces), "frames": frames, "nats": nats, "bits": nats / math.log(2)}
        shown = (
            f"{nats:.4f} nats per frame ({nats / math.log(2):.4f} bits)\n"
            f"{len(pieces):,} pieces, {frames:,} frames"
        )
        return _Measured(content, shown)


class _Recognizers(_Writer):
    def measure(self, model: "SpeechRecognizer", said: Said) -> _Measured:
        """Write down the recordings of a table, and compare with its texts."""
        from nabi.data import read_recordings

        recordings = read_recordings(_folder(said), said["file"], rate=model.rate)
        _name_bad("", recordings.skipped, len(recordings) + len(recordings.skipped))
        report = model.evaluate(recordings)
        return _Measured(report.to_dict(), report)


def _folder(said: Said) -> Path:
    """Return the folder of the files that a table names: where the table is, if none is given."""
    folder: Path | None = said["folder"]
    file: Path = said["file"]
    return file.parent if folder is None else folder


def _pair_of_columns(said: Said, reading: dict[str, Any]) -> tuple[int | str, int | str]:
    """Return the columns of sources and targets; those of a table that has no others."""
    from nabi.data import table_columns

    source, target = said["source"], said["target"]
    if source is not None and target is not None:
        both = [int(one) if one.isdecimal() else one for one in (source, target)]
        return both[0], both[1]
    names = table_columns(said["file"], **reading)
    if source is None and target is None and len(names) == 2:
        return names[0], names[1]
    missing = "--target" if source is not None else "--source"
    raise ArgumentError(
        f"{missing}: expected the name of a column, or its number without a header, got none; {said['file']} "
        f"has {', '.join(names)}"
    )


def _name_bad(before: str, wrong: Sequence[str], total: int) -> None:
    bad = BadRows("rows", "part in the figures")
    for one in wrong:
        bad.add(before + one)
    bad.end(total)


WRITERS = (
    _LanguageModels("language model", "LanguageModel", "texts", frozenset({"lines", "encoding"})),
    _Translators("translator", "Translator", "pairs of texts", _TABLE | {"source", "target", "beam"}),
    _Captioners("captioner", "Captioner", "captions", _TABLE | {"image", "caption", "folder", "beam"}),
    _NoteModels("note model", "NoteModel", "music", frozenset()),
    _Recognizers("speech recognizer", "SpeechRecognizer", "speech", frozenset({"folder"})),
)
"""One for each kind of model that writes."""
