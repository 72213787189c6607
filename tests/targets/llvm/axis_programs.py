"""Random cells with axes: states of heads × keys × values and of less, any operations that fit."""

import random
from typing import Any

from nabi.cells import Cell
from nabi.ir import Node
from nabi.ir.functions import (
    exp,
    flat,
    greater,
    join,
    largest,
    maximum,
    norm,
    outer,
    part,
    read,
    select,
    sigmoid,
    softmax,
    softplus,
    split,
    tanh,
    total,
    vector,
)

__all__ = ["RandomAxes"]


class RandomAxes(Cell):
    """A step drawn from a seed; every state stays within ±1 or so. Some multiply weights in their loop."""

    seed: int = 0
    heads: int = 2
    products: int = 0

    states = ("y", "S", "n", "m", "T")

    def state_shape(self, name: str) -> tuple[int, ...]:
        return self._axes()[name]

    def _axes(self) -> dict[str, tuple[int, ...]]:
        draw = random.Random(self.seed)
        keys, values = draw.choice([1, 2, 3, 4, 8]), draw.choice([1, 3, 4, 6, 16])
        h = self.heads
        shapes = {"S": (h, keys, values), "n": (h, keys), "m": (h,)}
        shapes["T"] = draw.choice([(h, keys, values), (h, values), (h, values, keys), (h * keys,)])
        shapes["y"] = draw.choice([(h, values), (h * values,), (h, keys, values)])
        return shapes

    def step(self, x: Any, y: Any, S: Any, n: Any, m: Any, T: Any) -> Any:
        draw = random.Random(self.seed + 1)
        axes = self._axes()
        h, keys, values = axes["S"]
        pool: list[Node] = [S, n, m, T]
        for number, shape in enumerate([(h, keys), (h, values), (h,), (h, keys)]):
            width = h * (shape[1] if len(shape) > 1 else 1)
            flat_value = self.affine(f"g{number}", units=width, bias=f"b{number}", **{f"x{number}": x})
            pool.append(split(flat_value, *shape))
        pool.append(split(self.gain("p", "p", h * keys), h, keys))
        pool.append(vector(*[0.5 + 0.25 * i for i in range(h)]))
        for _ in range(draw.randint(6, 16)):
            made = self._drawn(draw, pool)
            if made is not None and made.width is not None:
                pool.append(made)
        for _ in range(self.products):
            one, two = (flat(draw.choice(pool)) for _ in range(2))
            number, shape = len(pool), draw.choice([(h, keys), (h, values), (h, keys, values)])
            width = h * keys * (values if len(shape) > 2 else 1) if shape != (h, values) else h * values
            gates = {f"c{number}": one, f"d{number}": tanh(two)}
            made = tanh(self.affine(f"p{number}", units=width, bias=f"e{number}", **gates))
            pool.append(split(made * sigmoid(total(made, -1)), *shape))
            made = self._drawn(draw, pool)
            pool += [made] if made is not None and made.width is not None else []
        return tuple(self._fitted(draw, pool, axes[name], old) for name, old in zip(
            self.states, (None, S, n, m, T), strict=True
        ))  # fmt: skip

    def _drawn(self, draw: random.Random, pool: list[Node]) -> Node | None:
        a, b = draw.choice(pool), draw.choice(pool)
        kind = draw.randrange(13)
        rank = len(a.axes)
        if kind <= 3:
            shapes = a.axes, b.axes
            short, long = sorted(shapes, key=len)
            fits = all(one == two or 1 in (one, two) for one, two in zip(short, long, strict=False))
            if not fits or (len(short) == 1 and short != long[:1]):
                return None
            return [a + b, a - b, a * tanh(b), maximum(a, b)][kind]
        if kind == 4:
            return draw.choice([tanh, sigmoid, softplus])(a)
        if kind == 5:
            return exp(-abs(a))
        if kind == 6 and rank > 1:
            return draw.choice([total, largest])(a, draw.randrange(1, rank))
        if kind == 7 and rank > 1:
            return draw.choice([softmax, norm])(a, draw.randrange(1, rank))
        if kind == 8 and rank == 2 and len(b.axes) == 2:
            return outer(tanh(a), tanh(b))
        if kind == 9 and rank == 3:
            return next((read(a, q) for q in reversed(pool) if q.axes == a.axes[:-1]), None)
        if kind == 10 and rank > 1 and a.axes[-1] > 1:
            cut = draw.randrange(1, a.axes[-1])
            return join(part(a, cut, a.axes[-1]), part(a, 0, cut))
        if kind == 11:
            return select(greater(a, 0.0), a, 0.5 * a)
        return self.blocks("r", f"r{len(pool)}", a) if kind == 12 and rank > 1 else None

    def _fitted(self, draw: random.Random, pool: list[Node], axes: tuple[int, ...], old: Node | None) -> Node:
        """Return a value of a shape, made from the last that can be brought to it."""
        if old is not None and draw.random() < 0.15:
            return old
        found = [value for value in pool if value.axes == axes and value.has_rows]
        width = 1
        for size in axes:
            width *= size
        if not found:
            found = [value for value in pool if value.width == width and value.has_rows]
        value = split(flat(draw.choice(found[-3:])), *axes) if found else None
        if value is None:
            last = pool[-1]
            value = split(self.linear("z", f"z{len(pool)}", last, units=width), *axes)
        return 0.5 * tanh(value) + (0.3 * old if old is not None else 0.0)
