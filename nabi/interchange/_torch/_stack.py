"""Recurrent layers made from nothing but weights: all but the activation is in their names and shapes."""

import os
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, FileFormatError, NabiError
from nabi.interchange._torch._reading import read_weights_file
from nabi.nn import GRU, LSTM, ElmanRNN, GRUCell, LSTMCell, RNNCell

__all__ = ["read_torch_stack"]

_NAME = re.compile(
    r"(?P<kind>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(?:_l(?P<layer>\d+)(?P<back>_reverse)?)?$"
)
# Rows of a weight for each unit.
_KINDS = {1: "RNN", 3: "GRU", 4: "LSTM"}
_MOST_LAYERS = 1000


@public
def read_torch_stack(
    source: str | os.PathLike[str] | Mapping[str, Any],
    name: str | None = None,
    *,
    batch_first: bool = True,
    nonlinearity: str = "tanh",
) -> nn.Module:
    """Make a recurrent module from the weights of one of torch's, without the program that they come from.

    The cell follows from the rows of the weights (one for each unit: RNN; three: GRU; four: LSTM), the
    number of layers, the directions, the sizes, biases and projection from names and shapes. Weights without
    the number of a layer are those of an `RNNCell`, `GRUCell` or `LSTMCell`.

    Args:
        source: a `.pt`, `.pth` or `.safetensors` file, or a `state_dict`.
        name: of the recurrent module, such as `encoder.rnn`; may be left out if there is only one.
        batch_first: whether input is `[B, T, D]` or `[T, B, D]`, which weights do not say.
        nonlinearity: of an RNN, `tanh` or `relu`, which weights do not say.

    Returns:
        `nabi.nn.LSTM`, `GRU`, `RNN`, or one of the cells, in evaluation mode, with weights of its own.

    Raises:
        MissingFileError: there is no such file.
        FileFormatError: the file is damaged or of a kind that is not read; or weights do not fit together.
        ArgumentError: there is no recurrent module, or several and no `name`; the message lists them. Or a
            `state_dict` has weights that do not fit together.

    Example:
        >>> import torch
        >>> from nabi.interchange import read_torch_stack
        >>> weights = torch.nn.GRU(3, 5, num_layers=2, bidirectional=True).state_dict()
        >>> read_torch_stack(weights)
        GRU(3, 5, num_layers=2, batch_first=True, bidirectional=True)
    """
    _checks.choice("nonlinearity", nonlinearity, ("tanh", "relu"))
    if isinstance(source, Mapping):
        tensors, said = dict(source), "source"
        wrong: type[NabiError] = ArgumentError
    else:
        found = read_weights_file(source)
        tensors, said, wrong = dict(found.tensors), f"path: {found.path}", FileFormatError
    groups = _groups(tensors)
    if name is None:
        if len(groups) != 1:
            have = f"it has several: {', '.join(map(repr, sorted(groups)))}" if groups else "it has none"
            raise ArgumentError(f"name: expected the name of a recurrent module in {said}; {have}")
        (name,) = groups
    if name not in groups:
        have = ", ".join(map(repr, sorted(groups))) or "none"
        raise ArgumentError(f"name: expected a recurrent module of {said}, got {name!r}; there are: {have}")
    try:
        return _make(groups[name], f"{name}." if name else "", batch_first, nonlinearity)
    except _MisfitError as problem:
        raise wrong(f"{said}: {problem}") from None


class _MisfitError(Exception):
    """Weights do not fit together."""


Weights = dict[tuple[int | None, bool], dict[str, Tensor]]


def _groups(tensors: Mapping[str, Any]) -> dict[str, Weights]:
    """Sort recurrent weights by module, and by layer (None for a cell) and direction."""
    found: dict[str, Weights] = {}
    for full, tensor in tensors.items():
        match = _NAME.search(full) if isinstance(full, str) and isinstance(tensor, Tensor) else None
        if match is None or (match.start() and full[match.start() - 1] != "."):
            continue
        layer = None if match["layer"] is None else int(match["layer"][:6])
        place = found.setdefault(full[: max(match.start() - 1, 0)], {})
        place.setdefault((layer, match["back"] is not None), {})[match["kind"]] = tensor
    return found


def _make(weights: Weights, prefix: str, batch_first: bool, nonlinearity: str) -> nn.Module:
    numbers = [layer for layer, _ in weights if layer is not None]
    if len(numbers) < len(weights) and numbers:
        raise _MisfitError(f"{prefix}weight_ih: expected a cell or layers, got both")
    count = max(numbers, default=-1) + 1
    directions = 2 if any(back for _, back in weights) else 1
    places: list[tuple[int | None, bool]] = [(None, False)]
    if count:
        if count > _MOST_LAYERS:
            raise _MisfitError(f"{prefix}weight_ih_l{count - 1}: expected at most {_MOST_LAYERS} layers")
        places = [(layer, bool(back)) for layer in range(count) for back in range(directions)]
    first = weights.get(places[0], {})
    suffixes = [_suffix(*place) for place in places]
    for place, suffix in zip(places, suffixes, strict=True):
        for kind in first.keys() | {"weight_ih", "weight_hh"}:
            if kind not in weights.get(place, {}):
                raise _MisfitError(f"{prefix}{kind}{suffix}: expected a tensor, got none")
        for kind in weights[place].keys() - first.keys():
            raise _MisfitError(f"{prefix}{kind}{suffix}: expected none, as in the first layer, got a tensor")
    one = prefix + "weight_hh" + suffixes[0]
    if any(tensor.dim() != (1 if kind.startswith("bias") else 2) for kind, tensor in first.items()):
        raise _MisfitError(f"{one}: expected matrices and vectors of biases, got other shapes")
    if ("bias_ih" in first) != ("bias_hh" in first):
        raise _MisfitError(f"{one}: expected two biases or none, got one")
    units = first["weight_hr"].shape[1] if "weight_hr" in first else first["weight_hh"].shape[1]
    rows, inputs = first["weight_ih"].shape
    mode = _KINDS.get(rows // units) if units and inputs and rows % units == 0 else None
    if mode is None:
        raise _MisfitError(
            f"{one}: expected one row for each unit (RNN), three (GRU) or four (LSTM), got {rows} rows for "
            f"{units} units"
        )
    if "weight_hr" in first and (mode != "LSTM" or not count):
        raise _MisfitError(f"{prefix}weight_hr{suffixes[0]}: expected a projection in layers of an LSTM only")
    options: dict[str, Any] = {"bias": "bias_ih" in first, "device": "meta"}
    if mode == "RNN":
        options["nonlinearity"] = nonlinearity
    if count:
        kinds: dict[str, Any] = {"RNN": ElmanRNN, "GRU": GRU, "LSTM": LSTM}
        options |= {"num_layers": count, "bidirectional": directions == 2, "batch_first": batch_first}
        if "weight_hr" in first:
            options["proj_size"] = _projection(first, prefix + "weight_hr" + suffixes[0])
    else:
        kinds = {"RNN": RNNCell, "GRU": GRUCell, "LSTM": LSTMCell}
    module: nn.Module = kinds[mode](inputs, units, **options)
    flat = {
        kind + suffix: weights[place][kind]
        for place, suffix in zip(places, suffixes, strict=True)
        for kind in first
    }
    _fill(module, flat, prefix)
    return module.eval()


def _suffix(layer: int | None, back: bool) -> str:
    return "" if layer is None else f"_l{layer}" + ("_reverse" if back else "")


def _projection(first: Mapping[str, Tensor], name: str) -> int:
    width, units = first["weight_hr"].shape
    if not 0 < width < units:
        raise _MisfitError(f"{name}: expected fewer rows than columns, got shape {(width, units)}")
    return width


def _fill(module: nn.Module, flat: Mapping[str, Tensor], prefix: str) -> None:
    """Give a module on the meta device its weights, all of the type of the first."""
    dtype = next(iter(flat.values())).dtype
    for name, expected in list(module.named_parameters()):
        tensor = flat[name]
        if tensor.shape != expected.shape:
            raise _MisfitError(
                f"{prefix}{name}: expected shape {tuple(expected.shape)}, got {tuple(tensor.shape)}"
            )
        if not tensor.is_floating_point() or tensor.dtype is not dtype:
            raise _MisfitError(
                f"{prefix}{name}: expected {dtype}, real numbers like the others, got {tensor.dtype}"
            )
        setattr(module, name, nn.Parameter(tensor.detach().to("cpu", copy=True).contiguous()))
