"""Native code for CPUs from a program's equations, written as LLVM and compiled on the user's machine.

Compiled objects are kept on the disk: `cache_folder`, `cache_entries`, `cache_bound` and `clear_cache` are
what `nabi cache` shows. `listing` is the code to read, for `nabi show`. Importing this package loads no
llvmlite; whatever writes, compiles or runs code does.
"""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked
from nabi.native import OTHER_MACHINES
from nabi.native.store import (
    Entry as CacheEntry,
    bound as cache_bound,
    clear as clear_cache,
    entries as cache_entries,
    folder as cache_folder,
)

if TYPE_CHECKING:
    from nabi.targets.llvm._listing import listing
else:
    __getattr__, __dir__ = loaded_when_asked(__name__, {"nabi.targets.llvm._listing": ["listing"]})

__all__ = [
    "OTHER_MACHINES",
    "CacheEntry",
    "cache_bound",
    "cache_entries",
    "cache_folder",
    "clear_cache",
    "listing",
]
