"""Native code against the eager target over a seeded sweep: outputs, final states and all gradients.

Each cell runs in one data type in plain settings and in the other in rich ones, since compiling takes most of
the time; `NABI_TEST_AGREEMENT=all` runs all pairs.
"""

import dataclasses
import os
import random
import warnings
from typing import Any

import pytest
import torch

from nabi import cells
from nabi.cells import Cell
from nabi.native import NativeError, _fallback
from nabi.native._code import _cache
from nabi.scan import scan
from nabi.targets import _run
from nabi.targets.llvm._binder import _bound
from tests.cells.sampling import CLASSIC

from .sweep import CELLS, Calls, Data, Setting, eager, native, worst

pytestmark = pytest.mark.rotates(days=3)

WIDTHS = ((7, 4), (33, 9), (1, 2))
"""Units and inputs: each pair is compiled anew, so few of them."""

# Sizes, lengths, direction and initial states are arguments of a kernel; resets, truncation, all states,
# the layout of the weights and a small batch are different code.
PLAIN = [
    Setting(batch=3, steps=15, valid="lengths"),
    Setting(batch=1, steps=63, reverse=True, initial=False),
    Setting(batch=3, steps=1),
    Setting(batch=3, steps=63, valid="mask", reverse=True),
]
RICH = [
    Setting(9, 15, "lengths", resets=True, truncate=4, all_states=True, side_by_side=False),
    Setting(9, 63, "mask", resets=True, truncate=10, all_states=True, side_by_side=False, reverse=True),
    Setting(9, 1, "all", resets=True, truncate=1, all_states=True, side_by_side=False, initial=False),
]


ALLOWED = [(torch.float64, 1e-10, 1e-10), (torch.float32, 1e-6, 1e-5)]
"""Errors of outputs and of gradients in each data type."""


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.delenv("NABI_NATIVE", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("settings", [PLAIN, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("number", range(len(CELLS)), ids=lambda n: f"{n}-{type(CELLS[n]).__name__}")
def test_agreement_over_the_sweep(number: int, settings: list[Setting]) -> None:
    units, features = WIDTHS[(number + (settings is RICH)) % len(WIDTHS)]
    cell = dataclasses.replace(CELLS[number], units=units)
    everything = os.environ.get("NABI_TEST_AGREEMENT") == "all"
    allowed = ALLOWED if everything else [ALLOWED[(number + (settings is RICH)) % 2]]
    for seed, setting in enumerate(settings):
        data = Data.draw(cell, features, setting, seed)
        truth = eager(data)
        assert all(value.isfinite().all() for value in truth.all().values())
        for dtype, of_outputs, of_gradients in allowed:
            found = native(data, dtype)
            outputs, inference = worst(found.outputs, truth.outputs), worst(found.inference, truth.inference)
            assert max(outputs, inference)[0] <= of_outputs, (cell, setting, dtype, outputs, inference)
            gradients = worst(found.gradients, truth.gradients)
            assert gradients[0] <= of_gradients, (cell, setting, dtype, gradients)


def test_the_sweep_covers_every_axis() -> None:
    settings = PLAIN + RICH
    assert {s.batch for s in settings} == {1, 3, 9}
    assert {s.steps for s in settings} == {1, 15, 63}
    assert {s.valid for s in settings} == {"all", "lengths", "mask"}
    for axis in ("resets", "reverse", "initial", "all_states", "side_by_side"):
        assert {getattr(s, axis) for s in settings} == {False, True}
    assert {type(cell) for cell in CELLS} >= {cells.get(name) for name in CLASSIC}
    drawn = [Data.draw(CELLS[0], 4, s, seed) for each in (PLAIN, RICH) for seed, s in enumerate(each)]
    assert any(0 in data.options["lengths"] for data in drawn if "lengths" in data.options)


@pytest.mark.parametrize("setting", [Setting(3, 0), Setting(0, 5), Setting(9, 0, resets=True)], ids=str)
def test_nothing_to_compute(setting: Setting) -> None:
    data = Data.draw(cells.LSTM(7), 4, setting)
    truth = eager(data)
    found = native(data, torch.float64)
    for name, value in truth.all().items():
        assert torch.equal(found.all()[name], value), name


@pytest.mark.parametrize("batch", [3, 9])
def test_sequences_that_are_all_empty(batch: int) -> None:
    data = Data.draw(cells.GRU(7), 4, Setting(batch, 5, "lengths"))
    data.options["lengths"] = torch.zeros(batch, dtype=torch.int64)
    data.x.fill_(torch.nan)
    truth, found = eager(data), native(data, torch.float64)
    for name, value in truth.all().items():
        assert torch.equal(found.all()[name], value), name
    assert torch.equal(found.outputs["final h"], data.states[0])  # type: ignore[index]


def test_gradients_of_some_arguments_only() -> None:
    """Whatever is asked for, alone: the same as when all is."""
    data = Data.draw(cells.LSTM(7), 4, Setting(3, 15, "lengths"))
    everything = native(data, torch.float64).gradients
    leaves = {"x": data.x} | {f"initial {i}": s for i, s in enumerate(data.states or ())}
    leaves |= {f.name: w for f, w in zip(data.program.families, data.weights, strict=True)}
    generator = torch.Generator().manual_seed(1)
    shapes = [(3, 15, 7), (3, 7), (3, 7)]
    cotangents = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    for name, value in leaves.items():
        own = {n: v.clone().requires_grad_(n == name) for n, v in leaves.items()}
        given = list(own.values())
        output, finals, _ = scan(data.program, given[0], given[1:3], given[3:], **data.options)
        (gradient,) = torch.autograd.grad([output, *finals], own[name], cotangents)
        torch.testing.assert_close(gradient, everything[f"gradient of {name}"], rtol=1e-12, atol=1e-12)
        assert gradient.shape == value.shape


def test_outputs_that_are_not_used_have_no_gradient_to_give() -> None:
    """Final states alone, one state of all alone: the others' cotangents are missing, not zero tensors."""
    for pick in ("output", "final h", "final c", "every c"):
        data = Data.draw(cells.PeepholeLSTM(7), 4, Setting(3, 15, "lengths", all_states=True))
        found = []
        for setting in ("", "0"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("NABI_NATIVE", setting)
                x = data.x.clone().requires_grad_()
                weights = [w.clone().requires_grad_() for w in data.weights]
                output, finals, every = scan(
                    data.program, x, data.states, weights, return_all_states=True, **data.options
                )
                assert every is not None
                named = {"output": output, "final h": finals[0], "final c": finals[1], "every c": every[1]}
                found.append(torch.autograd.grad(named[pick].square().sum(), [x, *weights]))
        for one, two in zip(*found, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)


# What native code does not do goes to the eager target, and is right there.


def tensors(dtype: torch.dtype = torch.float64) -> tuple[Any, Any, Any]:
    data = Data.draw(cells.LSTM(7), 4, Setting(3, 6))
    return data.program, data.x.to(dtype), [w.to(dtype) for w in data.weights]


@pytest.fixture
def calls(monkeypatch):
    return Calls(monkeypatch)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_small_data_types(dtype, calls):
    program, x, weights = tensors(dtype)
    assert not _run.is_native(program, (x, *weights))
    output = scan(program, x, None, weights)[0]
    assert output.dtype == dtype
    assert calls.forward == 0
    exact = scan(program, x.double(), None, [w.double() for w in weights])[0]
    torch.testing.assert_close(output.double(), exact, rtol=0.05, atol=0.02)


def test_tensors_without_data(calls):
    program, x, weights = tensors()
    output = scan(program, x.to("meta"), None, [w.to("meta") for w in weights])[0]
    assert output.is_meta
    assert output.shape == (3, 6, 7)
    with torch._subclasses.FakeTensorMode() as mode:
        fakes = [mode.from_tensor(value) for value in (x, *weights)]
        assert scan(program, fakes[0], None, fakes[1:])[0].shape == (3, 6, 7)
    assert calls.forward == 0


def test_vmap_and_forward_mode(calls):
    program, x, weights = tensors()

    def run(x):
        return scan(program, x, None, weights)[0]

    expected = run(x)
    assert calls.forward == 1
    stack = torch.stack([x, 2 * x])
    torch.testing.assert_close(torch.func.vmap(run)(stack)[0], expected)
    value, change = torch.func.jvp(run, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(value, expected)
    step = 1e-6
    torch.testing.assert_close(change, (run(x + step) - run(x - step)) / (2 * step), rtol=1e-6, atol=1e-7)


def test_a_derivative_of_the_derivative():
    program, x, weights = tensors()
    found = []
    for setting in ("", "0"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NABI_NATIVE", setting)
            x = x.detach().requires_grad_()
            output = scan(program, x, None, weights)[0]
            (first,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
            found.append((first.detach(), *torch.autograd.grad(first.square().sum(), x)))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)


class Unlucky(Cell):
    """A cell of this test's own, so that its failure is nobody else's."""

    def step(self, x, h):
        return self.affine("h", x, h)


def test_a_program_that_cannot_be_compiled_is_said_once(monkeypatch):
    def fail(*_: object) -> bytes:
        raise NativeError("module: LLVM finds it wrong")

    monkeypatch.setattr(_fallback, "_failed", set())
    monkeypatch.setattr(_cache, "emit_object", fail)
    monkeypatch.setattr(_cache, "_key", lambda *_: None)
    program = Unlucky(random.Random(0).randint(5, 9)).program(4)
    x = torch.randn(3, 5, 4)
    weights = [torch.randn(f.shape).requires_grad_() for f in program.families]
    with pytest.warns(RuntimeWarning, match="no native code for Unlucky, it runs slower: module"):
        first = scan(program, x, None, weights)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = scan(program, x, None, weights)[0]
        second.sum().backward()
    assert torch.equal(first, second)
    assert not _run.is_native(program, (x,))
    monkeypatch.setenv("NABI_NATIVE", "0")
    torch.testing.assert_close(first, scan(program, x, None, weights)[0])


def test_a_backward_pass_that_cannot_be_compiled(monkeypatch):
    """The forward pass ran natively; its gradients come from the eager target all the same."""
    monkeypatch.setattr(_fallback, "_failed", set())
    data = Data.draw(Unlucky(3), 4, Setting(3, 6))
    truth = eager(data).gradients

    def fail(*_: object) -> Any:
        raise NativeError("module: LLVM finds it wrong")

    monkeypatch.setattr(_bound, "backward_kernel", fail)
    with pytest.warns(RuntimeWarning, match="no native code for Unlucky"):
        found = data.run(torch.float64).gradients
    for name, value in truth.items():
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10)
