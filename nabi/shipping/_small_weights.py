"""Weights of a step in fewer bits: what of a model is stored so, and how it lies among the float32 numbers.

A matrix is stored in fewer bits if its numbers come back exactly, as those of a quantized model do; others
(folded normalisation) stay float32.
"""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nabi.layers import kind_of_weights, quantize_layers
from nabi.shipping._memory import FOUR, FOURS, PackedProduct, Tiles, pack_product
from nabi.shipping._program import Numbers, Product
from nabi.small_weights import as_kind, shrink

__all__ = ["pack_small", "quantized", "small_table"]

_CLOSE = 1e-6
"""How far an int8 number may be from the one it came from, as a share of the largest of its row."""


def quantized(model: Any, weights: str | None) -> tuple[Any, str]:
    """Return a model whose weights are of a kind, and the kind; empty for float32.

    Args:
        model: a model, which is not changed.
        weights: the kind, or None for what the model has. With "float32", the weights of a quantized model
            are stored as the float32 numbers that they stand for.

    Raises:
        UnknownNameError: for another kind.
        ArgumentError: if the weights of the model are of another kind already, or cannot be stored so.
    """
    network = getattr(model, "network", model)
    present = kind_of_weights(network) if isinstance(network, torch.nn.Module) else None
    if weights == "float32":
        return model, ""
    if weights is None or weights == present:
        return model, present or ""
    kind = as_kind(weights)
    made = copy.deepcopy(model)
    quantize_layers(getattr(made, "network", made), kind)
    return made, kind


def pack_small(product: Product, lanes: int, most: int, kind: str, by_fours: bool = False) -> PackedProduct:
    """Pack the weights of a product in fewer bits, if all of them come back exactly; else as float32.

    Args:
        product, lanes, most: see `pack_product`.
        kind: of the weights.
        by_fours: whether int8 weights are for sums of four products of bytes.
    """
    packed = pack_product(product, lanes, most)
    factors = _factors(product, kind)
    if factors is None:
        return packed
    tiles = []
    for group in packed.tiles:
        step, columns = group.vectors * lanes, [term.matrix.shape[1] for term in product.terms]
        rows = _rows(product, lanes, group.first * lanes, group.count * step)
        scales = np.concatenate([factor[rows] * (rows >= 0) for factor in factors])
        scales = scales.reshape(len(factors), group.count, step).transpose(1, 0, 2).reshape(-1)
        numbers = group.numbers
        if kind == "int8":
            starts = np.cumsum([0, *columns]) * step
            whole = numbers.reshape(group.count, -1).copy()
            for place, own in enumerate(scales.reshape(group.count, len(factors), step).transpose(1, 0, 2)):
                part = whole[:, starts[place] : starts[place + 1]].reshape(group.count, -1, step)
                part = np.rint(part / np.where(own > 0, own, 1.0)[:, None])
                whole[:, starts[place] : starts[place + 1]] = part.reshape(group.count, -1)
            if by_fours:
                tiles.append(_by_fours(group, whole, scales, columns, step))
                continue
            numbers = whole.reshape(-1)
        stored = _as_numbers(_cast(numbers, kind))
        own_scales = scales.astype(np.float32) if kind == "int8" else None
        tiles.append(Tiles(group.first, group.count, group.vectors, stored, kind, own_scales))
    return PackedProduct(packed.bias, tuple(tiles))


def _factors(product: Product, kind: str) -> list[Numbers] | None:
    """Return the scales of the rows of each term; None if its numbers do not come back."""
    apart = [_stored(term.matrix, kind) for term in product.terms]
    found = [one[1] for one in apart if one is not None]
    if len(found) == len(apart):
        return found
    # The matrices of a convolution, one for each step of its window, have their scales together.
    whole = _stored(np.concatenate([term.matrix for term in product.terms], 1), kind)
    return None if whole is None else [whole[1]] * len(product.terms)


_MIDDLE_DIGIT = 128
"""What is added to the highest digit of a number so that it has no sign."""


def _by_fours(group: Tiles, whole: Numbers, scales: Numbers, columns: list[int], step: int) -> Tiles:
    """Return tiles of int8 weights by fours.

    Args:
        group: the tiles as float32.
        whole: their weights as whole numbers `[tile, term · column · unit]`.
        scales: `[tile][term][unit]`, flat.
        columns: of each term.
        step: units of a tile.
    """
    parts, starts, at = [], [], 0
    for count in columns:
        part = whole[:, at : at + count * step].reshape(group.count, count, step).astype(np.int8)
        at += count * step
        starts.append(part.sum(1, dtype=np.int32) * -_MIDDLE_DIGIT)
        padded = np.pad(part, ((0, 0), (0, -count % FOUR), (0, 0))).reshape(group.count, -1, FOUR, step)
        parts.append(padded.transpose(0, 1, 3, 2).reshape(group.count, -1))
    numbers = np.concatenate(parts, 1).reshape(-1)
    own = scales.astype(np.float32).reshape(group.count, len(columns), 1, step)
    begins = np.stack(starts, 1).astype(np.int32).view(np.float32).reshape(own.shape)
    factors = np.concatenate([own, begins], 2).reshape(-1)
    return Tiles(group.first, group.count, group.vectors, _as_numbers(numbers), FOURS, factors)


def small_table(table: Numbers, kind: str) -> tuple[Numbers, Numbers | None] | None:
    """Return the numbers of a table in fewer bits, and the scale of each line for int8; None if not exact."""
    found = _stored(table, kind)
    if found is None:
        return None
    values, scales = found
    return _as_numbers(values.reshape(-1)), scales if kind == "int8" else None


def _stored(matrix: Numbers, kind: str) -> tuple[npt.NDArray[Any], Numbers] | None:
    """Return a matrix in fewer bits with the scales of its rows; None if its numbers do not come back."""
    small = shrink(torch.from_numpy(np.ascontiguousarray(matrix, np.float32)), kind, 0).stored
    close = _CLOSE * np.abs(matrix).max(1, keepdims=True, initial=0.0) if kind == "int8" else 0.0
    if (np.abs(small.dense().numpy() - matrix) > close).any():
        return None
    values = small.values.view(torch.int16) if kind == "bfloat16" else small.values
    scales = np.ones(len(matrix), np.float32) if small.scales is None else small.scales.numpy()
    return values.numpy(), scales


def _rows(product: Product, lanes: int, first: int, count: int) -> npt.NDArray[np.int64]:
    """Return the row of each unit of some vectors; -1 behind a piece."""
    found, start = [], 0
    for width in product.result.pieces or (product.result.width,):
        found += [*range(start, start + width), *[-1] * (-width % lanes)]
        start += width
    return np.array(found[first : first + count], np.int64)


def _cast(numbers: Numbers, kind: str) -> npt.NDArray[Any]:
    if kind == "bfloat16":
        return (numbers.view(np.uint32) >> 16).astype(np.uint16)
    return numbers.astype(np.int8 if kind == "int8" else np.float16)


def _as_numbers(values: npt.NDArray[Any]) -> Numbers:
    """Return stored values as the float32 numbers with the same bytes."""
    content = np.ascontiguousarray(values).view(np.uint8).reshape(-1)
    return np.pad(content, (0, -len(content) % 4)).view(np.float32)
