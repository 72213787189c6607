"""What there is to know about a model that was read from another program's file."""

from dataclasses import dataclass

__all__ = ["Imported"]


@dataclass(frozen=True)
class Imported:
    """Where a model comes from, and how it differs from the file.

    Args:
        producer: the program that wrote the file, with its version.
        opset: the version of ONNX's operators in the file.
        batch_axes: for each input and output of the file, which of its axes is the batch; it comes first in
            nabi. None where the file has no axis for it, because it computes one sample.
        notes: what else is different, in sentences.
    """

    producer: str
    opset: int
    batch_axes: dict[str, int | None]
    notes: tuple[str, ...]
