"""Values as JSON that every reader takes."""

import json
import math
import os
from typing import Any

__all__ = ["strict_json"]


def strict_json(value: Any) -> str:
    """Return a value as JSON in one line. NaN and infinity, which JSON does not know, become null.

    Args:
        value: of numbers, texts, lists, tuples and dictionaries; paths become text.

    >>> strict_json({"loss": float("nan"), "words": ["나비야"]})
    '{"loss": null, "words": ["나비야"]}'
    """
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=os.fspath)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
