"""Runs PyTorch's own module database against nabi's drop-ins and prints what happened as JSON.

A program of its own, because importing torch's test utilities changes global switches of torch. Every
sample is built with torch's class and with nabi's, given the same weights, and compared in outputs and
gradients; torch's own reference function (a batch of one against no batch) is applied to nabi's module; every
error input must raise what torch's list says.
"""

import copy
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch

import nabi.nn

CLASSES = {
    torch.nn.RNN: nabi.nn.RNN,
    torch.nn.LSTM: nabi.nn.LSTM,
    torch.nn.GRU: nabi.nn.GRU,
    torch.nn.RNNCell: nabi.nn.RNNCell,
    torch.nn.LSTMCell: nabi.nn.LSTMCell,
    torch.nn.GRUCell: nabi.nn.GRUCell,
}


def leaves(value: Any) -> list[torch.Tensor]:
    """Return the tensors of nested tuples, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [leaf for part in value if part is not None for leaf in leaves(part)]


def run(module: torch.nn.Module, inputs: Any, dtype: torch.dtype) -> list[torch.Tensor]:
    """Return outputs, and the gradients of a random weighing of them by inputs and parameters."""
    module = copy.deepcopy(module).to(dtype)
    arguments = [convert(argument, dtype) for argument in inputs.args]
    sources = leaves(arguments) + list(module.parameters())
    outputs = leaves(module(*arguments, **inputs.kwargs))
    generator = torch.Generator().manual_seed(1)
    weights = [torch.rand(out.shape, generator=generator) for out in outputs]
    loss = sum((out * weight).sum() for out, weight in zip(outputs, weights, strict=True))
    return outputs + list(torch.autograd.grad(loss, sources))


def convert(value: Any, dtype: torch.dtype) -> Any:
    """Return copies of nested tensors in another dtype, as leaves that require gradients."""
    if isinstance(value, torch.Tensor):
        return value.detach().to(dtype).requires_grad_()
    return tuple(convert(part, dtype) for part in value)


def distance(left: list[torch.Tensor], right: list[torch.Tensor]) -> list[float]:
    """Return the largest difference of each pair of tensors."""
    return [float((a - b).abs().max()) for a, b in zip(left, right, strict=True)]


def compare(ours: torch.nn.Module, theirs: torch.nn.Module, inputs: Any, dtype: torch.dtype) -> str:
    """Say where the numbers differ: by 1e-10 in float64; in float32 by 3e-6 or twice torch's own error."""
    found, expected = run(ours, inputs, dtype), run(theirs, inputs, dtype)
    if [(a.shape, a.dtype) for a in found] != [(b.shape, b.dtype) for b in expected]:
        return "shapes or dtypes differ from torch's"
    truth = run(theirs, inputs, torch.float64)
    # A gradient can be a small rest of large summands: it is measured by the largest of them all.
    largest = max(1.0, *(float(value.abs().max()) for value in truth))
    least = largest * (3e-6 if dtype == torch.float32 else 1e-10)
    limits = [max(least, 2 * error) for error in distance(expected, truth)]
    errors = distance(found, truth)
    wrong = [pair for pair in zip(errors, limits, strict=True) if not pair[0] <= pair[1]]
    return f"numbers differ from torch's: {wrong}" if wrong else ""


def check_sample(cls: type, sample: Any, dtype: torch.dtype, training: bool) -> str:
    """Return what is wrong with one sample, or nothing."""
    made, inputs = sample.constructor_input, sample.forward_input
    theirs = cls(*made.args, **made.kwargs).to(dtype).train(training)
    ours = CLASSES[cls](*made.args, **made.kwargs).to(dtype).train(training)
    if repr(ours) != repr(theirs):
        return f"repr {ours!r} instead of {theirs!r}"
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    problem = compare(ours, theirs, inputs, dtype)
    if problem or sample.reference_fn is None:
        return problem
    # torch's reference: the same module on a batch of one.
    alone, batch = (
        leaves(ours(*inputs.args, **inputs.kwargs)),
        leaves(sample.reference_fn(ours, *inputs.args)),
    )
    same = all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(alone, batch, strict=True))
    return "" if same else "differs from the reference function"


def check_error(cls: type, error: Any) -> str:
    """Return what is wrong with one error input, or nothing."""
    made, given = error.module_error_input.constructor_input, error.module_error_input.forward_input
    try:
        module = CLASSES[cls](*made.args, **made.kwargs)
        if given is not None and error.error_on.name == "FORWARD_ERROR":
            module.to(given.args[0].dtype) if "dtype" not in made.kwargs else module
            module(*given.args, **given.kwargs)
    except Exception as exception:
        if not isinstance(exception, error.error_type):
            return f"raised {exception!r} instead of {error.error_type.__name__}"
        return (
            ""
            if re.search(error.error_regex, str(exception))
            else f"message {exception} lacks {error.error_regex}"
        )
    return f"raised nothing instead of {error.error_type.__name__}"


def cases() -> Iterator[tuple[str, str]]:
    """Yield the name of every case and what is wrong with it."""
    from torch.testing._internal.common_modules import module_db

    for info in module_db:
        if info.module_cls not in CLASSES:
            continue
        for dtype in (torch.float32, torch.float64):
            for training in (False, True):
                arguments = {"device": "cpu", "dtype": dtype, "requires_grad": True, "training": training}
                label = f"{info.name} {dtype} {'train' if training else 'eval'}"
                for index, sample in enumerate(info.module_inputs_func(info, **arguments)):
                    yield (
                        f"{label} sample {index}",
                        attempt(check_sample, info.module_cls, sample, dtype, training),
                    )
                if not training:
                    for index, error in enumerate(info.module_error_inputs_func(info, **arguments)):
                        yield f"{label} error {index}", attempt(check_error, info.module_cls, error)


def attempt(check: Any, *arguments: Any) -> str:
    """Return what a check says; an exception is a failure too."""
    try:
        return check(*arguments)
    except Exception as exception:
        return f"raised {exception!r}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    results = dict(cases())
    failures = {name: problem for name, problem in results.items() if problem}
    counts: dict[str, int] = {}
    for name in results:
        counts[name.split()[0]] = counts.get(name.split()[0], 0) + 1
    print(json.dumps({"total": len(results), "failures": failures, "per_module": counts}))
