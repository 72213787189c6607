"""What the tests of native code share: a mark for those that run it, and what code for any machine calls."""

import pytest

from nabi.native import Machine
from nabi.native._code._compiler import emit_object
from nabi.native._code._machine import why_not
from nabi.native._code._objects import undefined_symbols

__all__ = ["called_by", "needs_native"]

needs_native = pytest.mark.skipif(why_not() is not None, reason=f"no native code here: {why_not()}")


def called_by(module: str, machine: Machine) -> frozenset[str]:
    """Compile a module for a machine; what it needs from elsewhere."""
    return undefined_symbols(emit_object(module, machine))
