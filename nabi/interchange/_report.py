"""What came of loading weights from another program's file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

__all__ = ["LoadReport"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LoadReport:
    """What came of loading a file of weights; `print(report)` shows it as a table.

    Attributes:
        path: of the file; of a TensorFlow checkpoint, that of its index.
        loaded: names in the file by the names in the model that got their values.
        left_over: names in the file that the model does not have: further layers, counters.
        missing: names in the model that the file does not have.
        optimizer: names in the file that are an optimizer's, such as Adam's moments; they are not loaded.
        other_shapes: for names in the model whose shape differs, the shape there and that in the file.
        other_types: the same for types of numbers; whole and complex numbers do not become real ones.
        inside: where in a checkpoint the weights were, such as `state_dict`; empty if they are all it holds.
        removed: what stood in front of the file's names and was taken away, such as `module.`
        added: what stands in front of the model's names only, and was added.

    Example:
        >>> import nabi.tf1 as tf
        >>> from nabi.interchange import load_tensorflow_weights
        >>> cell = tf.nn.rnn_cell.GRUCell(3)
        >>> print(load_tensorflow_weights(cell, "tests/interchange/tensorflow/files/gru"))
        tests/interchange/tensorflow/files/gru.index: 4 loaded
          gru_cell/gates/kernel      loaded from rnn/gru_cell/gates/kernel
          gru_cell/gates/bias        loaded from rnn/gru_cell/gates/bias
          gru_cell/candidate/kernel  loaded from rnn/gru_cell/candidate/kernel
          gru_cell/candidate/bias    loaded from rnn/gru_cell/candidate/bias
    """

    path: Path
    loaded: Mapping[str, str]
    left_over: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    optimizer: tuple[str, ...] = ()
    other_shapes: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)
    other_types: Mapping[str, tuple[torch.dtype, torch.dtype]] = field(default_factory=dict)
    inside: str = ""
    removed: str = ""
    added: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether all weights of the model got values, and nothing but an optimizer's tensors was left."""
        return not (self.missing or self.left_over or self.other_shapes or self.other_types)

    def __str__(self) -> str:
        return self._text(with_loaded=True)

    def misfits(self) -> str:
        """Return the report without what was loaded."""
        return self._text(with_loaded=False)

    def _text(self, with_loaded: bool) -> str:
        lines = [f"{self.path}: {len(self.loaded)} loaded"]
        if self.inside:
            lines.append(f"the weights were under {self.inside!r}")
        if self.removed:
            lines.append(f"{self.removed!r} was taken from the front of the file's names")
        if self.added:
            lines.append(f"{self.added!r} was put in front of the file's names")
        if self.optimizer:
            lines.append(f"{len(self.optimizer)} of an optimizer ignored")
        rows = [(own, self._origin(own, there)) for own, there in self.loaded.items()] if with_loaded else []
        for what, others in (("shape", self.other_shapes), ("type", self.other_types)):
            rows += [
                (name, f"{what} {own} in the model, {there} in the file")
                for name, (own, there) in others.items()
            ]
        rows += [(name, "not in the file") for name in self.missing]
        rows += [(name, "not in the model") for name in self.left_over]
        width = max((len(name) for name, _ in rows), default=0)
        return "\n".join([*lines, *(f"  {name:<{width}}  {what}" for name, what in rows)])

    def _origin(self, own: str, there: str) -> str:
        """Name the origin where it does not follow from the lines above the table."""
        follows = own == self.added + there.removeprefix(self.removed)
        return "loaded" if follows else f"loaded from {there}"
