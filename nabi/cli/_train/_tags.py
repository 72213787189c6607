"""`nabi train` on sentences whose tokens have tags: CoNLL files, CoNLL-U, or tables with lists."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import typer

from nabi.cli._train._form import Said
from nabi.cli._train._given import given
from nabi.cli._train._outputs import draw_confusion
from nabi.cli._train._system import Figures, SystemForm
from nabi.models import TaggerSettings

__all__ = ["TagsForm"]

_PANEL = "Tags of tokens"
_SHARE = 0.1  # of the sentences for validation and for the test, each
_PARTS = {"validation": "to stop by", "test": "to test on"}


class TagsForm(SystemForm):
    """Sentences with a tag for every token: names, phrases, parts of speech."""

    name, short = "sentences whose tokens have tags: names, parts of speech", "tags"
    usage = "nabi train FILE.conll, FILE.conllu, or FILE --tag COLUMN"
    what = (
        "FILE: a token in each line with its tag in the last column and a blank line between sentences "
        "(CoNLL-2003), CoNLL-U, or with --tag JSON lines or Parquet with lists of tokens and tags"
    )
    settings, model, learnt = TaggerSettings, "Tagger", "tags are"
    beside = ((".png", "the confusion matrix"),)
    shared = frozenset({"validation", "test", "encoding", "separator"})
    data: ClassVar = {
        "tag": given(
            str,
            help="Column of the tags: its number from 0, -1 for the last; its name in CoNLL-U and tables.",
            metavar="COLUMN",
            show_default="the last; UPOS in CoNLL-U",
            panel=_PANEL,
        ),
        "token": given(
            str,
            help="Column of the tokens.",
            metavar="COLUMN",
            show_default="the first; FORM in CoNLL-U, tokens in tables",
            panel=_PANEL,
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether a column of tags or tokens is named, or the file is a CoNLL file by its name."""
        from nabi.data import is_conll_file

        return said["tag"] is not None or said["token"] is not None or is_conll_file(said["file"])

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the files."""
        return {"the sentences": said["file"], "--validation": said["validation"], "--test": said["test"]}

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Read the sentences, and say how many there are and what their tags are."""
        from nabi.data import read_tagged, scheme_of

        reading = {name: said[name] for name in ("token", "tag", "encoding", "separator")}
        parts = {
            name: read_tagged(said[name], **reading) for name in ("file", *_PARTS) if said[name] is not None
        }
        scheme = scheme_of([row for one in parts.values() for row in one.tags or ()])
        tags = {tag for one in parts.values() for row in one.tags or () for tag in row}
        told = f"{len(tags):,} different tags" if scheme is None else f"spans written as {scheme}"
        sizes = [f"{len(parts['file']):,} sentences"]
        sizes += [f"{len(parts[name]):,} {what}" for name, what in _PARTS.items() if name in parts]
        typer.echo(f"{', '.join(sizes)}; {told}")
        return model, parts

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the sentences; a tenth each is held out for validation and test unless these are given."""
        given = {name: data[name] for name in _PARTS if name in data}
        return model.fit(data["file"], **given, validation_share=_SHARE, test_share=_SHARE, **how)

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return the files, and what was read of them."""
        told = ("validation", "test", "tag", "token")
        return {"file": str(said["file"]), **{name: said[name] and str(said[name]) for name in told}}

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Draw the confusion matrix."""
        draw_confusion(model, beside[0])
        return "", {}
