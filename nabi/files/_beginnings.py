"""What a file is by its first bytes."""

__all__ = ["begins_as_safetensors"]


def begins_as_safetensors(start: bytes, size: int) -> bool:
    """Return whether a file of a size begins as safetensors do: a length, and JSON of that length.

    >>> begins_as_safetensors(b"\\x02\\0\\0\\0\\0\\0\\0\\0{}", 10)
    True
    """
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8
