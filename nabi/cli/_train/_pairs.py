"""`nabi train` on pairs of texts: a model that translates, or answers."""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import typer

from nabi.cli._texts import Reading
from nabi.cli._train._form import Said, columns_of
from nabi.cli._train._given import given
from nabi.cli._train._system import Figures, SystemForm
from nabi.errors import ArgumentError
from nabi.models import TranslatorSettings

__all__ = ["PairsForm"]

_PANEL = "Pairs of texts"
_SHARE, _MOST = 0.1, 1000  # of the pairs for validation and for the test, each, and how many at most
_BEAM = 5
_SHARE_OF_SINGLE_WORDS = 0.9  # of the sources, from which on they are read letter by letter
_SAMPLES = 5
_TRIED = 100  # references that say how long translations are


class _Parts(NamedTuple):
    """Sources and targets to learn from, to stop by, and to report on."""

    training: tuple[list[str], list[str]]
    validation: tuple[list[str], list[str]]
    test: tuple[list[str], list[str]]
    notes: list[str]
    """What was left out."""


class PairsForm(SystemForm):
    """Pairs of texts."""

    name, short = "pairs of texts: sentences and translations, questions and answers", "pairs"
    usage = "nabi train FILE --source COLUMN --target COLUMN"
    what = "FILE: a table as above; with --no-header, columns are numbers from 0"
    settings, model, learnt = TranslatorSettings, "Translator", "pairs are"
    shared = frozenset({"target", "validation", "test", "encoding", "separator", "quotes", "header"})
    data: ClassVar = {
        "source": given(
            str,
            help="Source column: its name, or its number from 0 if there is no header.",
            metavar="COLUMN",
            panel=_PANEL,
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether a column of sources or of targets is named."""
        return said["source"] is not None or said["target"] is not None

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the tables."""
        return {"the data": said["file"], "--validation": said["validation"], "--test": said["test"]}

    def read(self, said: Said, model: Any) -> tuple[Any, _Parts]:
        """Read the pairs; hold out a tenth each for validation and test unless these are given."""
        parts = _read(said, model.settings.seed)
        for note in parts.notes:
            typer.echo(f"note: {note}")
        sizes = [len(part[0]) for part in parts[:3]]
        typer.echo("{:,} pairs to train on, {:,} to stop by, {:,} to test on".format(*sizes))
        if said["unit"] in (None, "auto"):
            unit, why = _choose_unit(parts.training[0], model.settings.unit)
            typer.echo(f"unit {unit} ({why})")
            model = self.make(said, unit=unit)
        return model, parts

    def fit(self, said: Said, model: Any, data: _Parts, how: Mapping[str, Any]) -> Any:
        """Train on the pairs."""
        return model.fit(*data.training, validation=data.validation, **how)

    def figures(self, said: Said, model: Any, data: _Parts) -> Figures:
        """Return where the pairs were, and what was left out."""
        source, target = _column(said["source"]), _column(said["target"])
        return {"file": str(said["file"]), "source": source, "target": target, "notes": data.notes}

    def try_out_takes(self, said: Said, data: _Parts) -> Callable[[Any], float]:
        """Return what tries some translations, as long as they are to be."""
        from nabi.training import time_of

        def translate_some(model: Any) -> float:
            sources, references = data.test
            few = model.target_vocabulary.encode(references[:_TRIED])
            # One that learns still knows no end; translations that are written together end with the longest.
            longest = max(map(len, few))
            return time_of(lambda some: model.translate(some, beam=_BEAM, maxlen=longest), sources)

        return translate_some

    def try_out(
        self, said: Said, model: Any, data: _Parts, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Translate the test part, and compare with what is right there."""
        from nabi.recipes import score

        sources, references = data.test
        written = [found.text for found in model.translate(sources, beam=_BEAM)]
        scores = score(written, references)
        rows = list(zip(sources, references, written, strict=True))
        # Not the first ones: tables are often sorted by length.
        samples = random.Random(model.settings.seed).sample(rows, min(_SAMPLES, len(rows)))
        lines = [f"\ntest, {len(rows):,} pairs, beam {_BEAM}:\n{scores}\n"]
        lines += [f"{source}\n  says:     {text}\n  expected: {right}" for source, right, text in samples]
        names = ("source", "reference", "said")
        return "\n".join(lines), {
            "test": {"pairs": len(rows), "beam": _BEAM, **scores.to_dict()},
            "samples": [dict(zip(names, row, strict=True)) for row in samples],
        }


def _choose_unit(sources: Sequence[str], usual: str) -> tuple[str, str]:
    """Choose what pairs are cut into, and say why.

    Single words and numbers are read letter by letter, as what they are made of is all that repeats: numbers
    to words, words to how they are spoken.
    """
    share = sum(len(source.split()) < 2 for source in sources) / len(sources)
    why = f"{share:.0%} of the sources are a single word or number"
    return ("characters" if share >= _SHARE_OF_SINGLE_WORDS else usual), why


def _column(said: str) -> int | str:
    """A number says the place of a column, anything else its name."""
    return int(said) if said.isdecimal() else said


def _read(said: Said, seed: int) -> _Parts:
    from nabi.data import apart, random_order, read_pairs

    for name, other in (("source", "target"), ("target", "source")):
        if said[name] is None:
            raise ArgumentError(
                f"--{name}: expected the name or number of a column beside --{other}, got none; "
                f"{columns_of(said)}"
            )
    columns = _column(said["source"]), _column(said["target"])
    table = Reading.of(said).options()
    notes, found = [], []
    for path in (said["file"], said["validation"], said["test"]):
        pairs = None if path is None else read_pairs(path, *columns, **table)
        if pairs is not None and pairs.note:
            notes.append(f"{path}: {pairs.note}")
        found.append(None if pairs is None else (pairs.sources, pairs.targets))
    training, validation, test = found
    assert training is not None
    wanted = [one is None for one in (validation, test)]
    count = len(training[0])
    share = max(min(_SHARE, _MOST / count), 1 / count)
    *held_out, kept = apart(training, [share] * sum(wanted), random_order(seed), targets_too=False)
    if not all(part[0] for part in (*held_out, kept)):
        raise ArgumentError(
            f"{said['file']}: {count:,} pairs with too few different sources, of which some are to be held "
            "out; name tables of others with --validation and --test"
        )
    parts = iter(held_out)
    return _Parts(kept, validation or next(parts), test or next(parts), notes)
