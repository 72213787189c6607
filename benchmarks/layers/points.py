"""The measured points: cells, shapes, kinds of work, and the peers for each."""

from dataclasses import dataclass
from typing import Any

__all__ = [
    "BUSY_SHAPES",
    "CELLS",
    "KINDS",
    "LARGE",
    "PAIR",
    "PEAK_OPERATIONS",
    "PEERS",
    "SHAPES",
    "Point",
    "Task",
    "choose",
    "grid",
    "runs",
]

Task = dict[str, Any]  # a request to prepare work, as JSON

# Number of matrix products in a step, each of [B, D] with [D, H] and of [B, H] with [H, H].
CELLS = {"simple-rnn": 1, "lstm": 4, "gru": 3}
# B sequences, T steps, D inputs, H units.
SHAPES = [
    (32, 50, 8, 32),
    (64, 100, 128, 256),
    (32, 64, 512, 1024),
    (1, 100, 128, 128),
    (256, 20, 64, 64),
    # A pair: a width that fills every vector, and one of the usual language models, which doesn't.
    (32, 35, 640, 640),
    (32, 35, 650, 650),
]
PAIR = (SHAPES[5], SHAPES[6])
BUSY_SHAPES = [SHAPES[0], SHAPES[3], SHAPES[4], SHAPES[1]]
"""Small and middle sizes, measured again beside a process that computes."""
KINDS = ("inference", "training")
LARGE = 256
"""From this many units on, arithmetic dominates overhead, and the share of the peak is reported."""
PEAK_OPERATIONS = 2_000_000_000
"""Floating-point operations of each thread in one call of the peak kernel, a few milliseconds."""

PEERS = {
    "torch": "torch.nn",
    "torch-tuned": "torch.nn, allocator tuned",
    "jax": "JAX scan",
    "keras-jax": "Keras on JAX",
    "keras-tensorflow": "Keras on TensorFlow",
    "onnx": "ONNX Runtime",
    # Only under a cap on instructions, which makes JAX do without these kernels: what they would be worth.
    "jax-ynnpack": "JAX scan with YNNPACK",
}


@dataclass(frozen=True)
class Point:
    """One cell, shape and kind of work."""

    cell: str
    shape: tuple[int, int, int, int]
    kind: str

    @property
    def name(self) -> str:
        return f"{self.cell}/{self.kind}/{'x'.join(map(str, self.shape))}"

    @property
    def operations(self) -> int:
        """Floating-point operations of the matrix products.

        Training has three times those of inference: for the outputs, the input and state gradients, and the
        weight gradients.
        """
        batch, time, inputs, units = self.shape
        forward = 2 * CELLS[self.cell] * units * (inputs + units) * batch * time
        return forward * (3 if self.kind == "training" else 1)

    @property
    def is_large(self) -> bool:
        return self.shape[3] >= LARGE

    def task(self) -> Task:
        return {"subject": "layer", "cell": self.cell, "shape": self.shape, "kind": self.kind}


def runs(peer: str, kind: str, isa: str = "native") -> bool:
    """Return whether a peer does this work.

    All do, except ONNX Runtime for training, and JAX with YNNPACK unless instructions are capped.
    """
    return kind == "inference" if peer == "onnx" else peer != "jax-ynnpack" or isa != "native"


def choose(parts: list[str] | None = None, *, quick: bool = False) -> list[Point]:
    """Return the points whose name contains one of `parts` (all by default), small shapes if `quick`."""
    points = grid([SHAPES[0], SHAPES[3]] if quick else SHAPES)
    return [point for point in points if not parts or any(part in point.name for part in parts)]


def grid(shapes: list[tuple[int, int, int, int]]) -> list[Point]:
    """Return the points of every cell and kind of work at these sizes."""
    return [Point(cell, shape, kind) for cell in CELLS for kind in KINDS for shape in shapes]
