"""The recipes by name."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nabi import _checks
from nabi.errors import ArgumentError, MissingFileError, unknown_name

if TYPE_CHECKING:
    from rich.console import Console

    from nabi.recipes._run._run import Result, Run

__all__ = ["Choice", "Recipe", "get", "names"]


@dataclass(frozen=True)
class Choice:
    """An option of a recipe with a fixed set of values."""

    name: str
    what: str
    values: tuple[str, ...]
    """The first is the default."""
    epochs: Mapping[str, int] = field(default_factory=dict)
    """Default number of epochs for a value, if it differs from the recipe's."""


@dataclass(frozen=True)
class Recipe:
    """A complete system: `run` trains it and writes the results into a folder.

    The recipe itself is the function `main(run)` of the module `nabi.recipes.<name>` (`fake_news` for
    `fake-news`), written to be read top to bottom.

    >>> import tempfile
    >>> get("hello").run(tempfile.mkdtemp(), epochs=1).figures["parameters"]
    194
    """

    name: str
    summary: str
    epochs: int
    """Default number of epochs."""
    threads: int | None = 1
    """Number of torch threads; None for torch's default. Networks this small run slower on several threads,
    and many times slower when other programs use the processor."""
    reads_data: bool = False
    """Whether it needs data files that do not come with nabi."""
    choices: tuple[Choice, ...] = ()

    def run(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        seed: int = 0,
        epochs: int | None = None,
        data: str | os.PathLike[str] | None = None,
        choices: Mapping[str, str] | None = None,
        console: "Console | None" = None,
    ) -> "Result":
        """Train, show results, and write the model, `result.json` and pictures into the folder `out`.

        Args:
            out: the folder, by default `runs/<name>`, followed by choices that are not the default; files of
                an earlier run are overwritten.
            seed: of everything random.
            epochs: how long to train; the recipe's default if None.
            data: the file or folder with the recipe's data; by default as for `nabi.datasets`.
            choices: values for some of the recipe's `choices`, by name.
            console: where to show progress and results; nothing is shown by default.

        Returns the result. After `Ctrl-C` during training, the batch is completed, the results so far are
        written, and `interrupted` is True.

        Raises `OutputError` before any training if the folder cannot be written, `MissingFileError` if the
        data do not exist, `ArgumentError` for a negative seed, fewer epochs than one, data for a recipe that
        reads none, or a choice that the recipe does not have; `UnknownNameError` for an unknown value.
        """
        from nabi.recipes._run._run import Run
        from nabi.recipes._run._run_folder import RunFolder
        from nabi.training import on_threads

        seed = _checks.seed("seed", seed)
        if epochs is not None:
            epochs = _checks.whole("epochs", epochs, otherwise=" or None")
        if data is not None and not self.reads_data:
            raise ArgumentError(f"data: expected none for the recipe {self.name}, got {os.fspath(data)}")
        chosen = self._chosen(choices or {})
        folder = RunFolder(self.usual_folder(chosen) if out is None else out)
        place = None if data is None else _checks.path("data", data)
        if epochs is None:
            own = [choice.epochs.get(chosen[choice.name]) for choice in self.choices]
            epochs = next((number for number in own if number is not None), self.epochs)
        run = Run(self.name, folder, seed, epochs, console, place, chosen)
        module = import_module(f"nabi.recipes.{self.name.replace('-', '_')}")
        main = cast("Callable[[Run], None]", module.main)
        with on_threads(self.threads):
            try:
                main(run)
            except MissingFileError:
                folder.remove_if_new()
                raise
        return run.finish()

    def usual_folder(self, choices: Mapping[str, str] | None = None) -> Path:
        """Return the folder of the results unless another is given: `runs/<name>`, with unusual choices."""
        chosen = self._chosen(choices or {})
        others = [chosen[choice.name] for choice in self.choices if chosen[choice.name] != choice.values[0]]
        return Path("runs") / "-".join([self.name, *others])

    def _chosen(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the value of every choice."""
        values = {choice.name: choice.values for choice in self.choices}
        for name, value in given.items():
            if name not in values:
                raise ArgumentError(f"{name}: expected a choice of the recipe {self.name}, got {value!r}")
            if value not in values[name]:
                raise unknown_name(name, value, values[name])
        return {name: given.get(name, known[0]) for name, known in values.items()}


_SPEAKERS = Choice("speakers", "Whether the speakers of the test were heard.", ("known", "unknown"))

_RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("hello", "spells 'hello' letter by letter from an h (many to many)", 300),
        Recipe("numbers", "continues 0.0, 0.1, 0.2, 0.3 with 0.4 (many to one)", 1000),
        Recipe("song", "learns the song 나비야 and sings it; an MLP cannot", 2000),
        Recipe("reuters", "classifies newswire stories into 46 topics", 30, None, True),
        Recipe("imdb", "classifies film reviews with a CNN and an LSTM", 10, None, True),
        Recipe("shakespeare", "reads Shakespeare and writes on, character by character", 20, None, True),
        Recipe("captions", "captions images of shapes in combinations it has never seen", 6),
        Recipe("moving-shapes", "says which way a shape moves, which no single frame shows", 15),
        Recipe("chorales", "learns Bach's chorales, chord by chord, and composes", 100, 1, True),
        Recipe(
            "translate",
            "translates English into German or Korean, with attention",
            12,
            None,
            True,
            (
                Choice("pair", "The languages.", ("en-de", "en-ko"), {"en-ko": 30}),
                Choice("attention", "The kind of attention.", ("luong", "bahdanau", "none")),
            ),
        ),
        Recipe("vowels", "tells nine speakers apart by two vowels, in series of 12 channels", 40, 1, True),
        Recipe("airline", "forecasts airline passengers, and says whether a network helps", 150, 1, True),
        Recipe("temperatures", "forecasts a week of minimum temperatures from every day", 100, 1, True),
        Recipe("sunspots", "forecasts a year of sunspots, whose cycle has no fixed length", 150, 1, True),
        Recipe("pollution", "forecasts fine dust in Beijing from gaps and the weather", 60, 1, True),
        Recipe(
            "digits", "tells spoken digits apart, also of speakers never heard", 28, 1, True, (_SPEAKERS,)
        ),
        Recipe(
            "digit-strings",
            "writes down strings of spoken digits, without alignment (CTC)",
            30,
            1,
            True,
            (_SPEAKERS,),
        ),
        Recipe("fake-news", "classifies posts about COVID-19 as real or fake", 20, None, True),
        Recipe("promoters", "tells promoters from other DNA, and writes new ones", 40, 1, True),
        Recipe("splice", "classifies splice junctions, and labels every base", 10, 1, True),
        Recipe(
            "genes",
            "labels every base of made DNA, and says how far from the optimum it is",
            8,
            choices=(Choice("model", "What makes the sequences.", ("genes", "islands")),),
        ),
    )
}


def get(name: str) -> Recipe:
    """Return the recipe of that name; raise `UnknownNameError` if there is none."""
    if name not in _RECIPES:
        raise unknown_name("recipe", name, _RECIPES)
    return _RECIPES[name]


def names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(_RECIPES)
