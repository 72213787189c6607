"""Generating, caching and calling nabi's machine code. This room knows nothing about cells or networks."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.native import addresses, kernel_function, memory, operations, store, threads, vectors
    from nabi.native._cache import compiled
    from nabi.native._compiler import Library, emit_assembly
    from nabi.native._fallback import (
        DTYPES,
        can_read,
        give_up,
        has_failed,
        is_available,
        made_natively,
        runs_native,
    )
    from nabi.native._machine import OTHER_MACHINES, Machine, NativeError, host
    from nabi.native._torch_modes import (
        PLAIN,
        are_ordinary,
        has_lost_memory,
        has_memory,
        is_ordinary,
        is_watched,
    )
else:
    # Commands that compute nothing do not import torch.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.native._cache": ["compiled"],
            "nabi.native._compiler": ["Library", "emit_assembly"],
            "nabi.native._fallback": [
                "DTYPES",
                "can_read",
                "give_up",
                "has_failed",
                "is_available",
                "made_natively",
                "runs_native",
            ],
            "nabi.native._machine": ["Machine", "NativeError", "OTHER_MACHINES", "host"],
            "nabi.native._torch_modes": [
                "PLAIN",
                "are_ordinary",
                "has_lost_memory",
                "has_memory",
                "is_ordinary",
                "is_watched",
            ],
        },
    )

__all__ = [
    "DTYPES",
    "OTHER_MACHINES",
    "PLAIN",
    "Library",
    "Machine",
    "NativeError",
    "addresses",
    "are_ordinary",
    "can_read",
    "compiled",
    "emit_assembly",
    "give_up",
    "has_failed",
    "has_lost_memory",
    "has_memory",
    "host",
    "is_available",
    "is_ordinary",
    "is_watched",
    "kernel_function",
    "made_natively",
    "memory",
    "operations",
    "runs_native",
    "store",
    "threads",
    "vectors",
]
