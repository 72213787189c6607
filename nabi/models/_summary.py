"""The table that `summary` prints."""

import io
from collections.abc import Sequence
from typing import Any

from nabi.layers import Layer, kind_of_weights
from nabi.small_weights import SmallWeight

__all__ = ["summary_lines"]


def summary_lines(
    model: Layer,
    layers: Sequence[Layer],
    shapes: Sequence[Any],
    connections: Sequence[str] | None,
    line_length: int | None = None,
) -> list[str]:
    """The table of a model's layers, as lines.

    Args:
        model: whose weights are counted.
        layers: the rows.
        shapes: the output shape of each layer, None where it is not known.
        connections: what each layer is called on, None where it is the one above.
        line_length: width of the table.
    """
    # Rich is slow to import, and most programs print no summary.
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer (class)", overflow="fold")
    table.add_column("output shape", overflow="fold")
    table.add_column("parameters", justify="right", no_wrap=True)
    if connections is not None:
        table.add_column("called on", overflow="fold")
    table.add_column("as a sum", overflow="fold")
    for number, (layer, shape) in enumerate(zip(layers, shapes, strict=True)):
        table.add_row(
            f"{layer.name} ({type(layer).__name__})",
            "?" if shape is None else str(shape),
            f"{layer.count_params():,}" if layer.built else "?",
            *([] if connections is None else [connections[number]]),
            layer.parameter_sum() if layer.built else "",
        )
    text = io.StringIO()
    console = Console(file=text, width=line_length or 100, color_system=None, legacy_windows=False)
    console.print(f"Model {model.name!r}", highlight=False, markup=False)
    console.print(table)
    lines = [line.rstrip() for line in text.getvalue().rstrip().splitlines()]
    return [*lines, *_totals(model, layers)]


def _totals(model: Layer, layers: Sequence[Layer]) -> list[str]:
    if not all(layer.built for layer in layers):
        return ["Parameters: unknown until the input shape is known; call build(input_shape) or fit"]
    trained = sum(weight.numel() for weight in model.trainable_weights)
    total = sum(weight.numel() for weight in model.weights)
    counts = [f"{layer.count_params():,}" for layer in layers if _counts(layer)]
    total_sum = f" ({' + '.join(counts)})" if len(counts) > 1 else ""
    kind = kind_of_weights(model)
    return [
        f"Total parameters: {total:,}{total_sum}",
        *([] if kind is None else [f"Stored as {kind}: {_stored(model):,}"]),
        f"Trainable: {trained:,}",
        f"Not trainable: {total - trained:,}",
    ]


def _stored(model: Layer) -> int:
    """Return the number of weights that are stored in fewer bits."""
    return sum(weight.numel() for weight in model.weights if isinstance(weight, SmallWeight))


def _counts(layer: Layer) -> bool:
    return layer.count_params() > 0
