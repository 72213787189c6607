"""A weight that is stored in fewer bits and is a float32 tensor to everybody else.

The fast ways know it and read what is stored. To any other operation of torch it is the float32 tensor that
its numbers stand for, made for that operation; so all that runs with a weight runs with a small one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.small_weights._kinds import dtype_of

__all__ = ["SmallWeight", "Stored", "are_all_small", "are_small", "as_dense", "shrink", "small_parameter"]

_LARGEST = 127
"""Of an int8 weight, in both directions."""

_aten = torch.ops.aten


class Stored:
    """What a weight and its transposed views share.

    Attributes:
        kind: `"int8"`, `"bfloat16"` or `"float16"`.
        values: the stored numbers, of the shape of the weight.
        scales: for int8, the factor of each output, float32; None for others.
        axis: the axis of the outputs.
        prepared: what those who run with it have made of it; they look at `version`.
    """

    __slots__ = ("_writes", "axis", "kind", "prepared", "scales", "values")

    def __init__(self, kind: str, values: Tensor, scales: Tensor | None, axis: int) -> None:
        self.kind, self.values, self.scales, self.axis = kind, values, scales, axis
        self.prepared: dict[Any, Any] = {}
        self._writes = 0

    @property
    def version(self) -> tuple[int, int, int]:
        """Changes when the numbers are written to."""
        # While torch dispatches an operation, it does not count what is written.
        scales = 0 if self.scales is None else self.scales._version
        return self._writes, self.values._version, scales

    def dense(self) -> Tensor:
        """Return the numbers that it stands for, as float32."""
        return self.lines(self.values, None)

    def lines(self, values: Tensor, places: Tensor | None) -> Tensor:
        """Return the numbers of stored values: all of them, or those of the lines at some places."""
        found = values.to(torch.float32)
        if self.scales is None:
            return found
        if places is None:
            return found * _along(self.scales, self.values.dim(), self.axis)
        return found * (self.scales[places].unsqueeze(-1) if self.axis == 0 else self.scales)

    def copy(self, device: Any = None) -> "Stored":
        """Return a copy, on another device if one is given."""
        scales = None if self.scales is None else self.scales.to(device, copy=True)
        return Stored(self.kind, self.values.to(device, copy=True), scales, self.axis)

    def write(self, values: Tensor) -> None:
        """Take over the numbers of a tensor."""
        if isinstance(values, SmallWeight) and values.stored.kind == self.kind and not values.is_turned:
            new = values.stored
        else:
            new = _shrunk(as_dense(values).to(torch.float32), self.kind, self.axis, "values")
        self._writes += 1
        self.values.copy_(new.values)
        if self.scales is not None and new.scales is not None:
            self.scales.copy_(new.scales)


class SmallWeight(Tensor):
    """A matrix or kernel of float32 weights, as int8 with a scale for each output, bfloat16 or float16.

    It is not trained, and no operation changes it but `copy_`.
    """

    stored: Stored
    is_turned: bool

    @staticmethod
    def __new__(cls, stored: Stored, is_turned: bool = False) -> Self:
        """Return the weight, or its transpose."""
        values = stored.values.t() if is_turned else stored.values
        found: Self = Tensor._make_wrapper_subclass(
            cls, values.shape, strides=values.stride(), dtype=torch.float32, device=values.device
        )
        found.stored, found.is_turned = stored, is_turned
        return found

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation: on what is stored if there is a way, else on the float32 tensor."""
        special = _SPECIAL.get(func)
        if special is not None and not any(isinstance(a, SmallWeight) and a.is_converted for a in args):
            found = special(*args, **(kwargs or {}))
            if found is not NotImplemented:
                return found
        if func._schema.is_mutable and args and isinstance(args[0], SmallWeight):
            raise ArgumentError(
                f"weights: expected operations that read {args[0].stored.kind} weights, or copy_(), "
                f"got {func._schema.name.removeprefix('aten::')}()"
            )
        dense = torch.utils._pytree.tree_map_only(SmallWeight, as_dense, (tuple(args), dict(kwargs or {})))
        return func(*dense[0], **dense[1])

    @property
    def is_converted(self) -> bool:
        """Whether its module was given another dtype or device, where it counts as an ordinary tensor.

        `Module.to` leaves the object as it is and changes what torch takes it for.
        """
        return self.dtype is not torch.float32 or self.device != self.stored.values.device

    @property
    def T(self) -> Tensor:  # type: ignore[override]  # noqa: N802
        """The transpose, always the same one."""
        if self.is_converted:
            return as_dense(self).t()
        key = "turned", not self.is_turned
        made = self.stored.prepared.get(key)
        if made is None:
            made = self.stored.prepared[key] = SmallWeight(self.stored, not self.is_turned)
        return made

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Refuse to be trained.

        Raises:
            ArgumentError: if gradients are asked for.
        """
        if requires_grad:
            raise ArgumentError(
                f"weights: expected float32 weights to train, got {self.stored.kind}: train the model first, "
                "then quantize it"
            )
        return self

    def numpy(self, *, force: bool = False) -> Any:
        """Return the float32 numbers as an array."""
        return as_dense(self).numpy(force=force)

    def tolist(self) -> Any:
        """Return the float32 numbers as lists."""
        return as_dense(self).tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"SmallWeight({self.stored.kind}, shape={tuple(self.shape)})"

    def __deepcopy__(self, memo: dict[int, Any]) -> "SmallWeight":
        if id(self) not in memo:
            copied = as_dense(self) if self.is_converted else SmallWeight(self.stored.copy(), self.is_turned)
            memo[id(self)] = _like(self, copied)
        return memo[id(self)]  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        stored = self.stored
        is_parameter = isinstance(self, torch.nn.Parameter)
        if self.is_converted:
            parts: tuple[Any, ...] = as_dense(self).__reduce_ex__(protocol)
            return parts
        return _again, (stored.kind, stored.values, stored.scales, stored.axis, self.is_turned, is_parameter)


def _again(
    kind: str, values: Tensor, scales: Tensor | None, axis: int, is_turned: bool, is_parameter: bool
) -> SmallWeight:
    """Return what a pickle holds."""
    made = SmallWeight(Stored(kind, values, scales, axis), is_turned)
    return small_parameter(made) if is_parameter else made


def _like(one: SmallWeight, made: Tensor) -> Any:
    return small_parameter(made) if isinstance(one, torch.nn.Parameter) else made


def small_parameter(weight: Tensor) -> Any:
    """Return a weight as a parameter of a module, which is not trained."""
    return torch.nn.Parameter(weight, requires_grad=False)


def are_small(tensors: Sequence[Tensor]) -> bool:
    """Tell whether any of some tensors is a small weight."""
    return SmallWeight in map(type, tensors)


def are_all_small(tensors: Sequence[Tensor]) -> bool:
    """Tell whether all matrices among some tensors are small weights."""
    matrices = [tensor for tensor in tensors if tensor.dim() > 1]
    return all(isinstance(one, SmallWeight) and not one.is_converted for one in matrices)


def as_dense(tensor: Tensor) -> Tensor:
    """Return a small weight as an ordinary tensor, any other as it is."""
    if not isinstance(tensor, SmallWeight):
        return tensor
    found = tensor.stored.dense().to(tensor.device, tensor.dtype)
    return found.t() if tensor.is_turned else found


def shrink(values: Tensor, kind: str, axis: int, name: str = "weights") -> SmallWeight:
    """Return a matrix, or the kernel of a convolution, as a small weight.

    An int8 weight is a whole number from -127 to 127 times the scale of its output, which is the largest
    weight of that output, without a sign, divided by 127.

    Args:
        values: `[outputs, inputs]`, `[inputs, outputs]`, or a kernel with more axes; float32.
        kind: a name of `KINDS`.
        axis: the axis of the outputs; of a table, that of its lines.
        name: of the weight in messages.

    Raises:
        ArgumentError: if values are not float32, not finite, or too large for float16.

    >>> shrink(torch.tensor([[0.5, -1.0]]), "int8", axis=0)
    SmallWeight(int8, shape=(1, 2))
    """
    return SmallWeight(_shrunk(values.detach(), kind, axis, name))


def _shrunk(values: Tensor, kind: str, axis: int, name: str) -> Stored:
    if values.dtype is not torch.float32:
        raise ArgumentError(f"{name}: expected float32 weights, got {values.dtype}")
    if not values.is_meta and not bool(values.isfinite().all()):
        raise ArgumentError(f"{name}: expected finite weights, got NaN or infinity")
    if kind != "int8":
        made = values.to(dtype_of(kind), copy=True).contiguous()
        if not values.is_meta and not bool(made.isfinite().all()):
            raise ArgumentError(
                f"{name}: expected weights that {kind} can hold, got {values.abs().max():.3g}"
            )
        return Stored(kind, made, None, axis)
    others = [other for other in range(values.dim()) if other != axis]
    largest = values.abs().amax(others) if values.numel() else values.new_zeros(values.shape[axis])
    scales = largest / _LARGEST
    factors = _along(torch.where(scales > 0, scales, 1.0), values.dim(), axis)
    whole = (values / factors).round().clamp(-_LARGEST, _LARGEST)
    return Stored(kind, whole.to(torch.int8).contiguous(), scales.contiguous(), axis)


def _along(scales: Tensor, rank: int, axis: int) -> Tensor:
    """Return the scales of outputs so that they multiply a weight of so many axes along one of them."""
    return scales.reshape([-1 if other == axis else 1 for other in range(rank)])


# Operations that have a way of their own --------------------------------------------------------------------


def _same(weight: SmallWeight, *_: Any) -> Any:
    return SmallWeight(weight.stored, weight.is_turned)


def _cloned(weight: SmallWeight, **_: Any) -> Any:
    return SmallWeight(weight.stored.copy(), weight.is_turned)


def _turned(weight: SmallWeight) -> Any:
    return SmallWeight(weight.stored, not weight.is_turned)


def _transposed(weight: SmallWeight, one: int, other: int) -> Any:
    if weight.dim() != 2:
        return NotImplemented
    return _turned(weight) if one % 2 != other % 2 else _same(weight)


def _moved(weight: SmallWeight, dtype: Any = None, device: Any = None, **_: Any) -> Any:
    if dtype not in (None, torch.float32):
        return NotImplemented
    return SmallWeight(weight.stored.copy(device), weight.is_turned)


def _written(target: Any, source: Tensor, *_: Any) -> Any:
    if not isinstance(target, SmallWeight):
        return NotImplemented
    target.stored.write(as_dense(source).t() if target.is_turned else source)
    return target


def _looked_up(table: Any, places: Tensor, *_: Any) -> Any:
    if not isinstance(table, SmallWeight) or table.is_turned:
        return NotImplemented
    stored = table.stored
    return stored.lines(torch.embedding(stored.values, places), places)


_SPECIAL: dict[Any, Callable[..., Any]] = {
    _aten.detach.default: _same,
    _aten.alias.default: _same,
    _aten.clone.default: _cloned,
    _aten.t.default: _turned,
    _aten.transpose.int: _transposed,
    _aten._to_copy.default: _moved,
    _aten.copy_.default: _written,
    _aten.embedding.default: _looked_up,
}
