"""Runs a drawn program by its definition, on the eager kernel and natively, and compares all results."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nabi.targets.eager import run_definition, step_function

from ..targets.llvm.sweep import Data, Results, eager, native
from .drawing import Drawn

# Errors relative to the largest result, or to what a change of the last digits of all inputs does.
_ROUNDING = {torch.float64: 1e-11, torch.float32: 3e-5}
_LAST_DIGITS = {torch.float64: 1e-14, torch.float32: 6e-6}
_CHANGE = {torch.float64: 1e-9, torch.float32: 3e-6}
_LARGEST = 1e4


@dataclass
class Outcome:
    """What came of a comparison.

    Attributes:
        problem: what differs, or nothing.
        skipped: why nothing was compared, or nothing.
    """

    problem: str = ""
    skipped: str = ""


def compare(
    drawn: Drawn,
    *,
    inference: bool = False,
    single: bool = False,
    numeric: bool = False,
    native_too: bool = True,
) -> Outcome:
    """Compare the three.

    Args:
        drawn: the program.
        inference: without gradients too, which is other code.
        single: in float32 too.
        numeric: the definition with numeric differentiation too, where the step is smooth.
        native_too: native code, not only the eager kernel.
    """
    data = Data.draw(drawn.cell(), drawn.features, drawn.setting, drawn.seed)
    truth = definition(data)
    found = truth.all().values()
    if not all(value.isfinite().all() and value.abs().max() < _LARGEST for value in found if value.numel()):
        return Outcome(skipped="not finite or large")
    change = sensitivity(data, truth, torch.float64)
    if not change < 1e6:
        return Outcome(skipped="a small change of the input changes everything")
    with uninitialised_memory_is_nan(), warnings.catch_warnings():
        warnings.simplefilter("error")
        runs: list[tuple[str, Any, torch.dtype]] = [
            ("the eager kernel", eager(data, inference=inference), torch.float64),
        ]
        if native_too:
            runs.append(("native code", native(data, torch.float64, inference), torch.float64))
        # Rounding to float32 makes more of a change, and a comparison may come out otherwise.
        rough = sensitivity(data, truth, torch.float32) if single else 0.0
        # Numbers that only float32 has no place for are zeros there, which a comparison tells apart.
        if (
            single
            and rough < 1e3
            and agrees(definition(data, dtype=torch.float32), truth, torch.float32, rough)
        ):
            runs.append(("native code in float32", native(data, torch.float32, False), torch.float32))
            runs.append(("the eager kernel in float32", eager(data, torch.float32, False), torch.float32))
    for name, results, dtype in runs:
        allowed = _allowed(dtype, change if dtype == torch.float64 else rough)
        for kind in ("outputs", "gradients", *(["inference"] if results.inference else [])):
            wanted = getattr(truth, kind if kind != "inference" else "outputs")
            problem = difference(getattr(results, kind), wanted, allowed)
            if problem:
                return Outcome(f"{name}: {kind}: {problem}")
    if numeric and drawn.is_smooth:
        return Outcome(numeric_difference(data))
    return Outcome()


def agrees(found: Results, truth: Results, dtype: torch.dtype, change: float) -> bool:
    """Tell whether results in a data type are those in float64, within its rounding."""
    allowed = _allowed(dtype, change)
    return not any(
        difference(getattr(found, kind), getattr(truth, kind), allowed) for kind in ("outputs", "gradients")
    )


def _allowed(dtype: torch.dtype, change: float) -> float:
    return _ROUNDING[dtype] + _LAST_DIGITS[dtype] * change


def difference(found: dict[str, Tensor], wanted: dict[str, Tensor], allowed: float) -> str:
    """Say what differs by more than is allowed, relative to the largest result of its kind."""
    if found.keys() != wanted.keys():
        return f"{sorted(found)} in the place of {sorted(wanted)}"
    largest = max([1.0, *(float(v.abs().max()) for v in wanted.values() if v.numel())])
    for name, value in wanted.items():
        if found[name].shape != value.shape:
            return f"{name} has shape {tuple(found[name].shape)}, expected {tuple(value.shape)}"
        if value.numel():
            error = float((found[name].double() - value).abs().max())
            if not error <= allowed * largest:
                return f"{name} differs by {error:.2g} of {largest:.2g} ({allowed:.1g} allowed)"
    return ""


def definition(data: Data, factor: float = 0.0, seed: int = 0, dtype: torch.dtype = torch.float64) -> Results:
    """Run the definition; with a factor every input is changed by about that much of itself."""
    generator = torch.Generator().manual_seed(seed)

    def leaf(value: Tensor) -> Tensor:
        noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        return (value * (1 + factor * noise)).to(dtype).requires_grad_()

    program, setting = data.program, data.setting
    # Padding holds NaN for the others; autograd would multiply it by zero.
    x = leaf(torch.nan_to_num(data.x))
    batch, steps, _ = x.shape
    weights = [leaf(weight) for weight in data.weights]
    states = [leaf(state) for state in data.states] if data.states is not None else None
    start = states or [x.new_zeros(batch, width) for width in program.state_widths]
    run = step_function(program)
    options = dict(data.options)
    lengths, mask = options.pop("lengths", None), options.pop("mask", None)
    if lengths is not None:
        mask = torch.arange(steps) < lengths[:, None]

    def step(t: int, entering: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        noises = [noise.to(dtype) for noise in data.noise]
        drawn = [n[:, t] if spec.per_step else n for spec, n in zip(program.noises, noises, strict=True)]
        return run(x[:, t], entering, weights, drawn)

    every = tuple(range(len(start))) if setting.all_states else (0,)
    kept, finals = run_definition(
        step, steps, tuple(start), mask=mask, resets=options.get("resets"), reverse=options["reverse"],
        truncate=options["truncate"], keep=every,
    )  # fmt: skip
    names = program.state_names
    stacked = [torch.stack(values, 1) for values in kept]
    outputs = {"output": stacked[0]} | {f"final {n}": f for n, f in zip(names, finals, strict=True)}
    outputs |= {f"every {names[i]}": stacked[i] for i in every[1:]}
    g = torch.Generator().manual_seed(1)
    cotangents = [torch.randn(v.shape, generator=g, dtype=torch.float64).to(dtype) for v in outputs.values()]
    sources = {"x": x} | {f"initial {i}": s for i, s in enumerate(states or ())}
    sources |= {f.name: w for f, w in zip(program.families, weights, strict=True)}
    # The second term is zero, and lets results that depend on nothing have a derivative.
    loss = sum((value * c).sum() for value, c in zip(outputs.values(), cotangents, strict=True))
    loss = loss + sum(0.0 * source.sum() for source in sources.values())
    gradients = torch.autograd.grad(loss, list(sources.values()), allow_unused=True, materialize_grads=True)
    return Results(
        {n: v.detach() for n, v in outputs.items()},
        {f"gradient of {n}": v for n, v in zip(sources, gradients, strict=True)},
    )


def sensitivity(data: Data, truth: Results, dtype: torch.dtype) -> float:
    """How many times the change of all inputs, relative, the largest relative change of a result is.

    Where a step compares two numbers that differ by rounding alone, or divides by almost nothing, it is huge.
    """
    factor, worst = _CHANGE[dtype], 0.0
    for seed in (1, 2):
        changed = definition(data, factor, seed)
        for kind in ("outputs", "gradients"):
            wanted, found = getattr(truth, kind), getattr(changed, kind)
            largest = max([1.0, *(float(v.abs().max()) for v in wanted.values() if v.numel())])
            for name, value in wanted.items():
                if value.numel():
                    change = float((found[name] - value).abs().max()) / largest / factor
                    worst = max(worst, change if change == change else float("inf"))
    return worst


def numeric_difference(data: Data) -> str:
    """Compare the derivative of the definition along one random direction with a difference quotient."""
    from dataclasses import replace

    truth = definition(data)
    generator = torch.Generator().manual_seed(5)
    given = {"x": torch.nan_to_num(data.x)}
    given |= {f"initial {i}": s for i, s in enumerate(data.states or ())}
    given |= {f.name: w for f, w in zip(data.program.families, data.weights, strict=True)}
    directions = {n: torch.randn(v.shape, generator=generator, dtype=v.dtype) for n, v in given.items()}
    slope = sum(float((truth.gradients[f"gradient of {n}"] * d).sum()) for n, d in directions.items())
    values = []
    for sign in (1, -1):
        moved = {n: v + sign * 1e-5 * directions[n] for n, v in given.items()}
        count = len(data.states or ())
        states = [moved[f"initial {i}"] for i in range(count)] if data.states is not None else None
        weights = [moved[f.name] for f in data.program.families]
        outputs = definition(replace(data, x=moved["x"], states=states, weights=weights)).outputs
        g = torch.Generator().manual_seed(1)
        values.append(
            sum(
                float((v * torch.randn(v.shape, generator=g, dtype=torch.float64)).sum())
                for v in outputs.values()
            )
        )
    quotient = (values[0] - values[1]) / 2e-5
    if data.setting.truncate is not None or data.setting.resets:
        return ""  # gradients are cut there, difference quotients are not
    off = abs(quotient - slope)
    return (
        "" if off <= 1e-5 * max(1.0, abs(slope), abs(values[0])) else f"numeric slope {quotient}, not {slope}"
    )


class uninitialised_memory_is_nan:
    """Lets torch fill all memory that it hands out with NaN, so that a result that nothing wrote shows."""

    def __enter__(self) -> None:
        self.before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True)

    def __exit__(self, *_: object) -> None:
        torch.use_deterministic_algorithms(self.before)
