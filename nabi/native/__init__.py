"""Generating, caching and calling nabi's machine code. This room knows nothing about cells or networks."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.native import (
        addresses,
        bound,
        kernel_function,
        kernel_list,
        memory,
        operations,
        store,
        threads,
        vectors,
    )
    from nabi.native._code._cache import compiled
    from nabi.native._code._coefficients import COEFFICIENTS, Coefficients
    from nabi.native._code._compiler import Library, emit_assembly, emit_object
    from nabi.native._code._machine import OTHER_MACHINES, WEB_ASSEMBLY, Machine, NativeError, host
    from nabi.native._code._objects import section_sizes, undefined_symbols
    from nabi.native._code._web_assembly import link_web_assembly
    from nabi.native._fallback import (
        DTYPES,
        are_ordinary,
        are_readable,
        can_read,
        give_up,
        has_failed,
        has_lost_memory,
        is_available,
        is_watched,
        made_natively,
        plain_addresses,
        runs_native,
        runs_now,
    )
    from nabi.native._likeness import Likeness, likeness
else:
    # Commands that compute nothing do not import torch.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.native._code._cache": ["compiled"],
            "nabi.native._code._coefficients": ["COEFFICIENTS", "Coefficients"],
            "nabi.native._code._compiler": ["Library", "emit_assembly", "emit_object"],
            "nabi.native._fallback": [
                "DTYPES",
                "are_ordinary",
                "are_readable",
                "can_read",
                "give_up",
                "has_failed",
                "has_lost_memory",
                "is_available",
                "is_watched",
                "made_natively",
                "plain_addresses",
                "runs_native",
                "runs_now",
            ],
            "nabi.native._likeness": ["Likeness", "likeness"],
            "nabi.native._code._machine": [
                "Machine",
                "NativeError",
                "OTHER_MACHINES",
                "WEB_ASSEMBLY",
                "host",
            ],
            "nabi.native._code._objects": ["section_sizes", "undefined_symbols"],
            "nabi.native._code._web_assembly": ["link_web_assembly"],
        },
    )

__all__ = [
    "COEFFICIENTS",
    "DTYPES",
    "OTHER_MACHINES",
    "WEB_ASSEMBLY",
    "Coefficients",
    "Library",
    "Likeness",
    "Machine",
    "NativeError",
    "addresses",
    "are_ordinary",
    "are_readable",
    "bound",
    "can_read",
    "compiled",
    "emit_assembly",
    "emit_object",
    "give_up",
    "has_failed",
    "has_lost_memory",
    "host",
    "is_available",
    "is_watched",
    "kernel_function",
    "kernel_list",
    "likeness",
    "link_web_assembly",
    "made_natively",
    "memory",
    "operations",
    "plain_addresses",
    "runs_native",
    "runs_now",
    "section_sizes",
    "store",
    "threads",
    "undefined_symbols",
    "vectors",
]
