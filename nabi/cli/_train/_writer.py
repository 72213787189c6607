"""`nabi train` on a text: a model that writes on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from nabi.cli._texts import STANDARD_INPUT
from nabi.cli._train._folders import holds_texts
from nabi.cli._train._form import Said
from nabi.cli._train._given import given
from nabi.cli._train._system import Figures, SystemForm
from nabi.models import LanguageSettings

__all__ = ["WriterForm"]

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_SAMPLE = {"characters": 300, "words": 60, "pieces": 100}


class WriterForm(SystemForm):
    """A text to generate from."""

    name, short = "a text to generate from", "writing"
    usage = "nabi train FILE.txt, or nabi train FOLDER"
    what = (
        "FILE: .txt, .md or source text, also compressed, or - for standard input; FOLDER: such files, also "
        "as .zip; with --lines, each line is a separate text"
    )
    settings, model, learnt = LanguageSettings, "LanguageModel", "a text is"
    shared = frozenset({"encoding"})
    data: ClassVar = {
        "lines": given(
            bool,
            "--lines",
            default=False,
            help="Treat each line as a separate text.",
            panel="Text generation",
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether the file is a text by its name, standard input, or a folder of texts."""
        from nabi.data import TEXT_ENDINGS, is_typescript

        file: Path = said["file"]
        if file == STANDARD_INPUT or holds_texts(file) or is_typescript(file):
            return True
        name = file.name.lower()
        for suffix in _COMPRESSED:
            name = name.removesuffix(suffix)
        return name.endswith(TEXT_ENDINGS) and not file.is_dir()

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the text."""
        return {"the text": said["file"]}

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Return the file: the model reads it, and holds its end out."""
        return model, said["file"]

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the text."""
        return model.fit(data, lines=said["lines"], encoding=said["encoding"], **how)

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return where the text was."""
        return {"file": str(data)}

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Let the model write."""
        settings = model.settings
        sample = "".join(model.write(length=_SAMPLE[settings.unit], seed=settings.seed))
        return f"\n\nIt writes:\n\n{sample}", {}
