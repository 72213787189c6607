"""The lectures' systems, one file each: data, model, training, results.

>>> "song" in names()
True
>>> get("song").epochs
2000
"""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.recipes._registry import Choice, Recipe, get, names
    from nabi.recipes._results._translation_scores import score as score
    from nabi.recipes._run._run import Result, Run
    from nabi.recipes._run._run_folder import RunFolder
else:
    # Running a recipe needs torch; listing the names does not.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.recipes._registry": ["Choice", "Recipe", "get", "names"],
            "nabi.recipes._results._translation_scores": ["score"],
            "nabi.recipes._run._run": ["Result", "Run"],
            "nabi.recipes._run._run_folder": ["RunFolder"],
        },
    )

__all__ = ["Choice", "Recipe", "Result", "Run", "RunFolder", "get", "names"]
