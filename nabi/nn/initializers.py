"""Initial weights, by the names and with the distributions of Keras.

Every initializer is called with a shape in Keras' layout, `(in, out)` for a matrix and
`(width, in, out)` for a convolution, and returns a tensor. Without a `seed` the numbers come from
torch's global generator, so `torch.manual_seed` makes them reproducible; with one, every call
returns the same numbers.

>>> import torch
>>> _ = torch.manual_seed(0)
>>> weights = get("glorot_uniform")((10, 30))
>>> weights.shape, bool(weights.abs().max() <= (6 / 40) ** 0.5)
(torch.Size([10, 30]), True)
>>> get("ones")((2,))
tensor([1., 1.])
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi import _checks
from nabi._configured import Configured
from nabi._dtypes import as_dtype, is_half
from nabi._named import find, to_config
from nabi._public import public
from nabi.errors import ArgumentError, ShapeError
from nabi.nn._constant_values import as_constant, config_of

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "deserialize",
    "get",
    "serialize",
]

# The standard deviation of a standard normal distribution cut off at two standard deviations.
_TRUNCATED_DEVIATION = 0.87962566103423978


class Initializer(Configured):
    """Base class: a callable `(shape, dtype=None) -> Tensor` with a `get_config()`."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of `shape`; `dtype` defaults to torch's default."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype=None)")


class Constant(Initializer):
    """Every element is `value`, default 0; or the weight is an array, such as vectors learnt elsewhere.

    As in Keras, an array is repeated along axes that it has not, so one of `(out,)` gives every row of
    `(in, out)`. Raises `ShapeError` where it does not fit.

    >>> Constant([[1.0, 2.0], [3.0, 4.0]])((2, 2))
    tensor([[1., 2.],
            [3., 4.]])
    """

    @public
    def __init__(self, value: Any = 0.0) -> None:
        self.value = as_constant(value)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of `shape` filled with the value or values."""
        value = torch.as_tensor(self.value, dtype=as_dtype(dtype))
        try:
            return value.broadcast_to(tuple(shape)).clone(memory_format=torch.contiguous_format)
        except RuntimeError:
            raise ShapeError(
                f"shape: values of shape {tuple(value.shape)} for a weight of shape {tuple(shape)}"
            ) from None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same initializer again."""
        return {"value": config_of(self.value)}

    def __hash__(self) -> int:
        return hash((type(self), str(self.get_config())))

    def __repr__(self) -> str:
        if isinstance(self.value, float):
            return f"Constant(value={self.value})"
        return f"Constant(value=<array of shape {tuple(self.value.shape)}>)"


class Zeros(Initializer):
    """Every element is 0."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of `shape` filled with 0."""
        return torch.zeros(tuple(shape), dtype=as_dtype(dtype))


class Ones(Initializer):
    """Every element is 1."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of `shape` filled with 1."""
        return torch.ones(tuple(shape), dtype=as_dtype(dtype))


class Identity(Initializer):
    """The identity matrix times `gain`; `ShapeError` unless the shape has two axes."""

    @public
    def __init__(self, gain: float = 1.0) -> None:
        self.gain = _checks.real("gain", gain)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return `gain` on the diagonal of a matrix of `shape`."""
        if len(shape) != 2:
            raise ShapeError(f"shape: the identity initializer needs a matrix (2 axes); got {tuple(shape)}")
        return self.gain * torch.eye(*shape, dtype=as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same initializer again."""
        return {"gain": self.gain}


class _Random(Initializer):
    @public
    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else _checks.seed("seed", seed, negative=True, otherwise=" or None")

    def _generator(self) -> torch.Generator | None:
        return None if self.seed is None else torch.Generator().manual_seed(self.seed)

    def _uniform(self, shape: Sequence[int], dtype: torch.dtype, low: float, high: float) -> Tensor:
        return _space(shape, dtype).uniform_(low, high, generator=self._generator()).to(dtype)

    def _normal(self, shape: Sequence[int], dtype: torch.dtype, mean: float, deviation: float) -> Tensor:
        return _space(shape, dtype).normal_(mean, deviation, generator=self._generator()).to(dtype)

    def _truncated(self, shape: Sequence[int], dtype: torch.dtype, mean: float, deviation: float) -> Tensor:
        if not deviation:
            return torch.full(tuple(shape), mean, dtype=dtype)
        return torch.nn.init.trunc_normal_(
            _space(shape, dtype),
            mean,
            deviation,
            mean - 2 * deviation,
            mean + 2 * deviation,
            generator=self._generator(),
        ).to(dtype)


def _space(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Room for random numbers; those of 16 bits are drawn with 32 and rounded, which every system can do."""
    if not dtype.is_floating_point:
        raise ArgumentError(f"dtype: expected one of floating-point numbers for random weights, got {dtype}")
    return torch.empty(tuple(shape), dtype=torch.float32 if is_half(dtype) else dtype)


class RandomNormal(_Random):
    """Normal distribution."""

    @public
    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = _checks.real("mean", mean)
        self.stddev = _checks.real("stddev", stddev, least=0)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of `shape` with normal numbers."""
        return self._normal(shape, as_dtype(dtype), self.mean, self.stddev)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same initializer again."""
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normal distribution whose numbers are all within two standard deviations of the mean."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of `shape` with truncated normal numbers."""
        return self._truncated(shape, as_dtype(dtype), self.mean, self.stddev)


class RandomUniform(_Random):
    """Uniform distribution between `minval` and `maxval`."""

    @public
    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = _checks.real("minval", minval), _checks.real("maxval", maxval)
        if self.minval > self.maxval:
            raise ArgumentError(f"minval: expected at most maxval={self.maxval}, got {self.minval}")

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of `shape` with uniform numbers."""
        return self._uniform(shape, as_dtype(dtype), self.minval, self.maxval)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same initializer again."""
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class VarianceScaling(_Random):
    """Numbers whose variance is `scale` over the number of inputs, outputs, or their mean.

    `mode` is `"fan_in"`, `"fan_out"` or `"fan_avg"`; `distribution` is `"truncated_normal"`,
    `"untruncated_normal"` or `"uniform"`. Source: He et al. 2015, https://arxiv.org/abs/1502.01852.
    """

    @public
    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        self.scale = _checks.real("scale", scale, above=0)
        self.mode = _checks.choice("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        if isinstance(distribution, str) and distribution == "normal":
            distribution = "truncated_normal"
        known = ("truncated_normal", "untruncated_normal", "uniform")
        self.distribution = _checks.choice("distribution", distribution, known)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of `shape` with scaled random numbers."""
        fan_in, fan_out = _fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        dtype = as_dtype(dtype)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return self._uniform(shape, dtype, -limit, limit)
        if self.distribution == "truncated_normal":
            return self._truncated(shape, dtype, 0.0, math.sqrt(variance) / _TRUNCATED_DEVIATION)
        return self._normal(shape, dtype, 0.0, math.sqrt(variance))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same initializer again."""
        if type(self) is not VarianceScaling:
            return {"seed": self.seed}
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


class GlorotUniform(VarianceScaling):
    """Uniform in ±sqrt(6 / (in + out)). Source: Glorot and Bengio 2010."""

    @public
    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed)


class GlorotNormal(VarianceScaling):
    """Truncated normal, variance 2 / (in + out). Source: Glorot and Bengio 2010."""

    @public
    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed)


class HeUniform(VarianceScaling):
    """Uniform in ±sqrt(6 / in). Source: He et al. 2015."""

    @public
    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "uniform", seed)


class HeNormal(VarianceScaling):
    """Truncated normal, variance 2 / in. Source: He et al. 2015."""

    @public
    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal", seed)


class LecunUniform(VarianceScaling):
    """Uniform in ±sqrt(3 / in). Source: LeCun et al. 1998."""

    @public
    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "uniform", seed)


class LecunNormal(VarianceScaling):
    """Truncated normal, variance 1 / in. Source: LeCun et al. 1998."""

    @public
    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed)


class Orthogonal(_Random):
    """A matrix with orthonormal rows or columns (whichever are fewer), times `gain`.

    Axes before the last are taken together. `ShapeError` for fewer than two axes.
    Source: Saxe et al. 2014, https://arxiv.org/abs/1312.6120.
    """

    @public
    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = _checks.real("gain", gain)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return an orthogonal matrix in `shape`."""
        if len(shape) < 2:
            raise ShapeError(f"shape: the orthogonal initializer needs two axes or more; got {tuple(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        dtype = as_dtype(dtype)
        if rows * columns == 0:
            return torch.empty(tuple(shape), dtype=dtype)
        # LAPACK has no numbers of 16 bits.
        precise = torch.float32 if is_half(dtype) else dtype
        matrix = self._normal((max(rows, columns), min(rows, columns)), precise, 0.0, 1.0)
        orthonormal, triangle = torch.linalg.qr(matrix)
        # The signs make the result uniform over all orthogonal matrices (Mezzadri 2007).
        orthonormal = orthonormal * torch.sign(torch.diagonal(triangle))
        orthonormal = orthonormal if rows >= columns else orthonormal.T
        # Row by row: a fused optimizer assumes that its state, also one from a file, lies as the weight does.
        weights: Tensor = self.gain * orthonormal.reshape(tuple(shape))
        return weights.to(dtype).contiguous()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same initializer again."""
        return {"gain": self.gain, "seed": self.seed}


def _fans(shape: Sequence[int]) -> tuple[int, int]:
    """Count the inputs and outputs of a weight in Keras' layout."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


_KNOWN: dict[str, type[Initializer]] = {
    kind.__name__: kind
    for kind in (
        Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform, Identity, LecunNormal, LecunUniform,
        Ones, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, Zeros,
    )
}  # fmt: skip
_ALIASES = {
    "normal": "RandomNormal",
    "one": "Ones",
    "uniform": "RandomUniform",
    "zero": "Zeros",
    "xavier_uniform": "GlorotUniform",
    "xavier_normal": "GlorotNormal",
}


def get(identifier: object, argument: str = "initializer") -> Callable[..., Any]:
    """Return the initializer for a name, class, callable, array of values, or config dictionary.

    Raises `UnknownNameError` (with the nearest right name) or `ArgumentError`, both naming `argument`.

    >>> get("orthogonal")
    Orthogonal(gain=1.0, seed=None)
    >>> get({"class_name": "Constant", "config": {"value": 2}})
    Constant(value=2.0)
    """
    if isinstance(identifier, np.ndarray | Tensor):
        return Constant(identifier)
    found = find(argument, identifier, _KNOWN, _ALIASES)
    if found is None:
        raise ArgumentError(f"{argument}: expected an initializer, got None")
    if not callable(found):  # a class of the user's own without __call__
        raise ArgumentError(f"{argument}: {found!r} cannot be called with a shape")
    return found


def serialize(initializer: object) -> dict[str, Any] | None:
    """Describe an initializer as `{"class_name", "config"}`; `ArgumentError` where it has no config."""
    return to_config("initializer", initializer)


def deserialize(config: dict[str, Any]) -> Callable[..., Any]:
    """Make the initializer that `serialize` described."""
    return get(config)
