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
    """Something that a recipe can do in several ways."""

    name: str
    what: str
    values: tuple[str, ...]
    """The first is what it does unless told otherwise."""
    epochs: Mapping[str, int] = field(default_factory=dict)
    """How many a recipe trains with a value, where that is not the recipe's own number."""


@dataclass(frozen=True)
class Recipe:
    """A system that learns something: `run` does all of it and writes a folder.

    The recipe itself is the function `main(run)` of the module `nabi.recipes.<name>` (`fake_news` for
    `fake-news`), to be read top to bottom.

    >>> import tempfile
    >>> get("hello").run(tempfile.mkdtemp(), epochs=1).figures["parameters"]
    194
    """

    name: str
    summary: str
    epochs: int
    """How many it trains unless told otherwise."""
    threads: int | None = 1
    """How many torch may use; None for as many as it wants. Networks as small as these run slower when shared
    out, and many times slower when another program wants the processor as well."""
    reads_data: bool = False
    """Whether it needs files of data that do not come with nabi."""
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
        """Train, show, and write model, `result.json` and pictures into the folder `out`.

        Args:
            out: the folder, `runs/<name>` by default, with what was chosen in its name where that is not the
                default; files of an earlier run in it are replaced.
            seed: of everything random.
            epochs: how long to train; the recipe's own number by default.
            data: the file or folder with the recipe's data; by default where `nabi.datasets` looks.
            choices: for some of the recipe's `choices`, one of its values by its name.
            console: where to show progress and figures; nothing is shown by default.

        Returns the figures. After a `Ctrl-C` during training the batch is finished, what there is gets
        written, and `interrupted` is True.

        Raises `OutputError` before any training if the folder cannot be written, `MissingFileError` if the
        data are not there, `ArgumentError` for a negative seed, fewer epochs than one, data for a recipe that
        reads none, or a choice that the recipe does not have; `UnknownNameError` for another value of one.
        """
        from nabi.recipes._run._run import Run
        from nabi.recipes._run._run_folder import RunFolder
        from nabi.training import on_threads

        seed = _checks.seed("seed", seed)
        if epochs is not None:
            epochs = _checks.whole("epochs", epochs, otherwise=" or None")
        if data is not None and not self.reads_data:
            raise ArgumentError(f"data: {os.fspath(data)} was given, the recipe {self.name} reads no data")
        chosen = self._chosen(choices or {})
        others = [chosen[choice.name] for choice in self.choices if chosen[choice.name] != choice.values[0]]
        folder = RunFolder(Path("runs") / "-".join([self.name, *others]) if out is None else out)
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

    def _chosen(self, given: Mapping[str, str]) -> dict[str, str]:
        """The value of every choice."""
        values = {choice.name: choice.values for choice in self.choices}
        for name, value in given.items():
            if name not in values:
                raise ArgumentError(f"{name}: {value!r} was given, the recipe {self.name} has no such choice")
            if value not in values[name]:
                raise unknown_name(name, value, values[name])
        return {name: given.get(name, known[0]) for name, known in values.items()}


_RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("hello", "spells 'hello' letter by letter from an h (many to many)", 300),
        Recipe("numbers", "continues 0.0, 0.1, 0.2, 0.3 with 0.4 (many to one)", 1000),
        Recipe("song", "learns the song 나비야 and sings it, beside an MLP that cannot", 2000),
        Recipe("reuters", "tells the topic of a newswire story, one of 46", 30, None, True),
        Recipe("imdb", "tells whether a film review is positive, by a CNN and an LSTM", 10, None, True),
        Recipe("shakespeare", "reads Shakespeare and writes on, character by character", 20, None, True),
        Recipe("captions", "says what is in pictures of shapes that it has never seen together", 6),
        Recipe("chorales", "hears Bach's chorales, chord by chord, and composes", 100, 1, True),
        Recipe(
            "translate",
            "translates English into German or Korean, looking where it is in the sentence",
            12,
            None,
            True,
            (
                Choice("pair", "The languages.", ("en-de", "en-ko"), {"en-ko": 30}),
                Choice("attention", "How it looks at the sentence.", ("luong", "bahdanau", "none")),
            ),
        ),
        Recipe("fake-news", "tells whether a post about COVID-19 is real or fake", 20, None, True),
    )
}


def get(name: str) -> Recipe:
    """Return the recipe of that name; `UnknownNameError` if there is none."""
    if name not in _RECIPES:
        raise unknown_name("recipe", name, _RECIPES)
    return _RECIPES[name]


def names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(_RECIPES)
