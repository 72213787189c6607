"""Watching a module for numbers that are not finite, in its outputs, its equations and its gradients."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nabi import layers
from nabi._public import public
from nabi._shown import short
from nabi._tree import leaves
from nabi.errors import ArgumentError, NabiError, NotFiniteError
from nabi.training._finite._recurrent import named_results, recurrent

__all__ = ["check_finite", "first_not_finite"]

_CALLS = 16
"""Of a recurrent layer, how many calls without a gradient are remembered, to name the step of one later."""


@public
@contextmanager
def check_finite(module: nn.Module) -> Iterator[None]:
    """Raise an error as soon as something in a module becomes NaN or infinite, and say what it is.

    In the `with` block, each call of the module or of a part of it is checked: the weights, what goes in, and
    what comes out. A recurrent layer over a cell runs a second time, with the values of all of its equations,
    so the error names the first step at which something is not finite, the row of the batch, and the
    quantity. Where a loss goes backward in the block, gradients are checked too; for a weight of a recurrent
    layer the error names the step at which, on the way back, the gradient stops to be finite. Steps and rows
    count from 0; steps that a mask or lengths leave out may hold anything.

    Training in the block takes some three times as long, more with states that are matrices. `fit` does the
    same for one batch by itself when a loss is not finite.

    Args:
        module: a layer or model of `nabi.layers` and `nabi.models`, or any torch module with layers in it.

    Raises:
        NotFiniteError: in the block. Also for a quantity that a cell makes infinite on purpose.
        ArgumentError: `module` is no module.

    Example:
        >>> import torch, nabi.cells, nabi.nn
        >>> from nabi.errors import NotFiniteError
        >>> from nabi.explain import check_finite
        >>> rnn = nabi.nn.RNN(nabi.cells.SimpleRNN(1, activation="exponential"), input_size=1)
        >>> for weight in rnn.parameters():
        ...     _ = torch.nn.init.ones_(weight)
        >>> try:
        ...     with check_finite(rnn):
        ...         rnn(torch.zeros(1, 9, 1))
        ... except NotFiniteError as error:
        ...     print(error)
        SimpleRNN: step 3, row 0: h is inf (h_t = exp(W_xh x_t + W_hh h_{t-1} + b_h))
    """
    if not isinstance(module, nn.Module):
        raise ArgumentError(f"module: expected a layer or another torch module, got {short(module)}")
    with ExitStack() as stack:
        for path, part in module.named_modules():
            watch = _Watch(part, path)
            for handle in (
                part.register_forward_pre_hook(watch.before, with_kwargs=True),
                part.register_forward_hook(watch.after, with_kwargs=True),
            ):
                stack.callback(handle.remove)
            for name, weight in part.named_parameters(recurse=False):
                if weight.requires_grad:
                    stack.callback(weight.register_hook(watch.of_weight(name)).remove)
        yield


def first_not_finite(model: nn.Module, run: Callable[[], object]) -> str:
    """Run a training step once more, and say what in it is not finite first; nothing if all is finite.

    Random numbers and states are afterwards as they were. Drawn masks are others than in the step before.

    Args:
        model: what is trained.
        run: computes its outputs or its loss, or goes backward.
    """
    extra = _extra(model)
    # What the user's own code says when it is called once more is no matter of this message.
    try:
        with torch.random.fork_rng(devices=[]), check_finite(model):
            run()
    except NotFiniteError as problem:
        return str(problem)
    except (NabiError, RuntimeError, TypeError, ValueError):
        return ""
    finally:
        _set_extra(model, extra)
    return ""


class _Call(NamedTuple):
    """A call of a recurrent layer.

    Attributes:
        inputs, keywords: its arguments.
        random, extra: the random numbers and the states of the layer before it.
        passed: the gradients of its results that have come back so far, by the number of the result.
    """

    inputs: tuple[Any, ...]
    keywords: dict[str, Any]
    random: Tensor
    extra: dict[str, Tensor]
    passed: dict[int, Tensor]


class _Watch:
    """Looks at the calls of one module.

    Args:
        module: the module.
        path: where it is in the module that is checked, for those that have no name.
    """

    def __init__(self, module: nn.Module, path: str) -> None:
        self._module, self._path = module, path
        self._begun: list[tuple[Tensor, dict[str, Tensor]]] = []
        self._calls: list[_Call] = []  # of a recurrent layer that a gradient may go back through

    def before(self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Keep what is random, for the second run of a recurrent layer; look at the weights."""
        for name, weight in module.named_parameters(recurse=False):
            if not _is_finite(weight):
                raise NotFiniteError(f"{self._name()}: the weight {name} is {_kind(weight)}")
        # What a gradient has gone back through is done with; a loop that only predicts keeps a few calls.
        self._calls = [call for call in self._calls if not call.passed][-_CALLS:]
        self._begun.append((torch.random.get_rng_state(), _extra(module)))

    def after(self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], out: Any) -> None:
        """Look at the equations of a recurrent layer, and at the results of any."""
        random, extra = self._begun.pop()
        found = recurrent(module)
        if found is not None:
            with _as_before(module, random, extra):
                problem = found.problem(inputs, keywords)
            if problem:
                raise NotFiniteError(self._name() + problem)
        results = {
            number: (name, value)
            for number, (name, value) in enumerate(named_results(out))
            if isinstance(value, Tensor) and value.is_floating_point()
        }
        for _, value in results.values():
            if found is None and not _is_finite(value):
                raise NotFiniteError(self._name() + self._of_output(value, inputs))
        call = _Call(inputs, keywords, random, extra, {})
        for number, (name, value) in results.items():
            if value.requires_grad:
                value.register_hook(self._of_gradient(call, number, name))
        if found is not None and any(value.requires_grad for _, value in results.values()):
            self._calls.append(call)

    def of_weight(self, name: str) -> Any:
        """Return a function that looks at the gradient of a weight."""

        def look(gradient: Tensor | None) -> None:
            if gradient is not None and not _is_finite(gradient):
                raise NotFiniteError(
                    f"{self._name()}: the gradient of {name} is {_kind(gradient)}{self._where_it_begins()}"
                )

        return look

    def _of_gradient(self, call: "_Call", number: int, name: str) -> Any:
        """Return a function that looks at the gradient of a result of a call."""

        def look(gradient: Tensor | None) -> None:
            if gradient is None:
                return
            if not _is_finite(gradient):
                raise NotFiniteError(
                    f"{self._name()}: the gradient of its {name} is {_kind(gradient)}{_place(gradient)}"
                )
            call.passed[number] = gradient

        return look

    def _where_it_begins(self) -> str:
        """Return the step of a recurrent layer at which its gradient stops to be finite, on the way back."""
        found = recurrent(self._module)
        if found is None:
            return ""
        for call in reversed(self._calls):
            with _as_before(self._module, call.random, call.extra):
                step = found.gradient_step(call.inputs, call.keywords, call.passed)
            if step is not None:
                return f"; going back, the first step is {step}"
        return ""

    def _of_output(self, value: Tensor, inputs: tuple[Any, ...]) -> str:
        for given in leaves(inputs):
            if isinstance(given, Tensor) and given.is_floating_point() and not _is_finite(given):
                return f": the input is {_kind(given)}{_place(given)}"
        return f": the output is {_kind(value)}{_place(value)}"

    def _name(self) -> str:
        kind = type(self._module).__name__
        if isinstance(self._module, layers.Layer):
            return f"{kind} {self._module.name!r}"
        cell = recurrent(self._module)
        kind = kind if cell is None else type(cell.programs[0].cell).__name__
        return f"{kind} {self._path!r}" if self._path else kind


@contextmanager
def _as_before(module: nn.Module, random: Tensor, extra: dict[str, Tensor]) -> Iterator[None]:
    """Call a module with random numbers and states of an earlier call; nothing of it stays."""
    now = _extra(module)
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(random)
        _set_extra(module, extra)
        try:
            yield
        finally:
            _set_extra(module, now)


def _is_finite(value: Tensor) -> bool:
    return bool(value.detach().isfinite().all())


def _kind(value: Tensor) -> str:
    value = value.detach()
    return str(value[~value.isfinite()][0].item())


def _place(value: Tensor) -> str:
    """Return the place of the first number that is not finite, `, at [row, ...]`."""
    if not value.dim():
        return ""
    return f" at {(~value.detach().isfinite()).nonzero()[0].tolist()}"


def _extra(module: nn.Module) -> dict[str, Tensor]:
    if not isinstance(module, layers.Layer):
        return {}
    return {name: value.clone() for name, value in module.get_extra().items()}


def _set_extra(module: nn.Module, extra: dict[str, Tensor]) -> None:
    if isinstance(module, layers.Layer):
        module.set_extra(extra)
