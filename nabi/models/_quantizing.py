"""A model's weights in fewer bits, and what that changes: its size and its outputs."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nabi._dtypes import to_numpy
from nabi.layers import RNN, Conv1D, Conv2D, Embedding, quantize_layers
from nabi.small_weights import arrays_of, as_kind

__all__ = ["SmallWeightsReport", "quantize_model", "quantize_network"]

_SEQUENCES, _STEPS, _AROUND = 4, 64, 16
"""Random input where a model says nothing about them."""

_SEED = 20260


@dataclass(frozen=True)
class SmallWeightsReport:
    """What storing weights in fewer bits has changed.

    Attributes:
        weights: the kind of the weights: `"int8"`, `"bfloat16"` or `"float16"`.
        bytes_before, bytes_after: of all weights.
        error: the root mean square of the change of the outputs, divided by that of the outputs.
        measured_on: what the outputs were computed for.

    >>> print(SmallWeightsReport("int8", 1000, 254, 0.0042, "the given input"))
    int8: 254 bytes of weights instead of 1,000 (25.4 %); outputs change by 0.42 % (rms, on the given input)
    """

    weights: str
    bytes_before: int
    bytes_after: int
    error: float
    measured_on: str

    @property
    def share(self) -> float:
        """The size of the weights as a share of what it was."""
        return self.bytes_after / max(self.bytes_before, 1)

    def __str__(self) -> str:
        return (
            f"{self.weights}: {self.bytes_after:,} bytes of weights instead of {self.bytes_before:,} "
            f"({100 * self.share:.1f} %); outputs change by {100 * self.error:.2g} % "
            f"(rms, on {self.measured_on})"
        )


def quantize_model(model: Any, weights: str, x: Any) -> SmallWeightsReport:
    """Store the weights of a Keras-style model in fewer bits; see `Model.quantize`."""
    as_kind(weights)
    if x is not None:
        measured_on = "the given input"
    else:
        x, measured_on = _random_input(model), "random input"
    if x is None:
        return quantize_network(model, weights)
    with _states_kept(model):
        before = _flat(model.predict(x, verbose=0))
    report = _quantize(model, weights, measured_on)
    with _states_kept(model):
        after = _flat(model.predict(x, verbose=0))
    return _with_error(report, before, after)


def quantize_network(network: torch.nn.Module, weights: str) -> SmallWeightsReport:
    """Store the weights of any network in fewer bits.

    The change is measured on each recurrent layer and each convolution by itself, on random input; the report
    has the largest.
    """
    as_kind(weights)
    asked = [(one, outputs) for one in network.modules() if (outputs := _outputs_of(one)) is not None]
    before = [outputs(one) for one, outputs in asked]
    kinds = "recurrent layer and convolution" if any(o is _convolved for _, o in asked) else "recurrent layer"
    report = _quantize(network, weights, f"random input of each {kinds}")
    after = [outputs(one) for one, outputs in asked]
    found = [_with_error(report, one, two) for one, two in zip(before, after, strict=True)]
    return max(found, key=lambda one: one.error, default=report)


def _quantize(network: torch.nn.Module, weights: str, measured_on: str) -> SmallWeightsReport:
    before = _bytes_of(network)
    quantize_layers(network, weights)
    return SmallWeightsReport(weights, before, _bytes_of(network), 0.0, measured_on)


def _bytes_of(network: torch.nn.Module) -> int:
    parameters = {str(number): one for number, one in enumerate(network.parameters())}
    return sum(array.nbytes for array in arrays_of(parameters).values())


def _with_error(report: SmallWeightsReport, before: Any, after: Any) -> SmallWeightsReport:
    size = float(np.sqrt(np.mean(np.square(before)))) if before.size else 0.0
    change = float(np.sqrt(np.mean(np.square(after - before)))) if before.size else 0.0
    error = change / size if size else float(change > 0)
    return SmallWeightsReport(
        report.weights, report.bytes_before, report.bytes_after, error, report.measured_on
    )


def _flat(outputs: Any) -> Any:
    parts = outputs.values() if isinstance(outputs, dict) else outputs
    whole = [outputs] if isinstance(outputs, np.ndarray) else list(parts)
    return np.concatenate([np.asarray(one, dtype=np.float64).ravel() for one in whole])


def _random_input(model: Any) -> Tensor | None:
    """Return input as the model was built for; None if it does not say, or reads several."""
    if model._input is None or not model.built:
        return None
    shape, dtype = model._input
    sizes = [model.fixed_batch_size or _SEQUENCES]
    sizes += [_STEPS if size is None else size for size in shape[1:]]
    generator = torch.Generator().manual_seed(_SEED)
    tables = [one.input_dim for one in model.modules() if isinstance(one, Embedding)]
    if tables:
        return torch.randint(min(tables), sizes, generator=generator)
    kind = getattr(torch, dtype)
    values = torch.randn(sizes, generator=generator)
    return values.to(kind) if kind.is_floating_point else None


def _outputs_of(layer: Any) -> Callable[[Any], Any] | None:
    """Return what computes the outputs of a layer for random input; None for layers that are not measured."""
    if isinstance(layer, RNN):
        return _random_outputs if layer.equations and layer.built else None
    return _convolved if isinstance(layer, Conv1D | Conv2D | nn.Conv1d | nn.Conv2d) else None


def _convolved(layer: Any) -> Any:
    own = isinstance(layer, Conv1D | Conv2D)
    widths = layer.dilation_rate if own else layer.dilation
    sizes = [_AROUND + size * width for size, width in zip(layer.kernel_size, widths, strict=True)]
    features = layer.kernel.shape[-2] * layer.groups if own else layer.in_channels
    shape = (*sizes, features) if own else (features, *sizes)
    x = torch.randn(_SEQUENCES, *shape, generator=torch.Generator().manual_seed(_SEED))
    with torch.no_grad():
        return np.asarray(to_numpy(layer(x)), dtype=np.float64).ravel()


def _random_outputs(layer: Any) -> Any:
    program = layer.program()
    generator = torch.Generator().manual_seed(_SEED)
    x = torch.randn(_SEQUENCES, _STEPS, program.row_size, generator=generator)
    if len(program.inputs) > 1:
        return np.zeros(0)  # nobody knows what its other inputs are like
    with torch.no_grad():
        return np.asarray(to_numpy(layer.run(x, None)[0]), dtype=np.float64).ravel()


@contextlib.contextmanager
def _states_kept(model: Any) -> Iterator[None]:
    """Have states that layers keep from batch to batch, and random seeds, as they were before."""
    kept = {name: value.clone() for name, value in model.get_extra().items()}
    yield
    model.set_extra(kept)
