"""Native code for CPUs from a program's equations, written as LLVM and compiled on the user's machine.

Compiled objects are kept on the disk: `cache_folder`, `cache_entries`, `cache_bound` and `clear_cache` are
what `nabi cache` shows. `listing` is the code to read, for `nabi show`. Importing this package loads no
llvmlite; whatever writes, compiles or runs code does.
"""

from nabi.targets.llvm._listing import listing
from nabi.targets.llvm._machine import OTHER_MACHINES
from nabi.targets.llvm._store import Entry as CacheEntry
from nabi.targets.llvm._store import bound as cache_bound
from nabi.targets.llvm._store import clear as clear_cache
from nabi.targets.llvm._store import entries as cache_entries
from nabi.targets.llvm._store import folder as cache_folder

__all__ = [
    "OTHER_MACHINES",
    "CacheEntry",
    "cache_bound",
    "cache_entries",
    "cache_folder",
    "clear_cache",
    "listing",
]
