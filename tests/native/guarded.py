"""Native code at odd sizes on guarded memory: `python -m tests.native.guarded`, with NABI_GUARD set.

`test_guard.py` runs four parts of it in processes of their own, since a fault ends the process; `--part 0` is
one of them, and without it everything is run, which takes many minutes. Each check compares with
torch, the eager kernel or the definition: what was read too early is NaN, and so is noticed.
"""

import argparse
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional

import nabi.nn
from nabi import cells
from nabi.cells import Cell
from nabi.ir.functions import greater, tanh
from nabi.kernels import (
    AdamOptions,
    RMSpropOptions,
    SGDOptions,
    adam_steps,
    rmsprop_steps,
    sgd_steps,
    small_dropout,
    small_embedding,
)
from nabi.layers import GRU, LSTM, Dense, Dropout
from nabi.models import Sequential
from nabi.native import _guard, threads as _threads
from nabi.scan import Options, PreparedStep, TrainingPass, step
from nabi.targets import draw_kept, eager, pooled_convolution, small_dense, small_loss
from nabi.training._step._step import Chain
from nabi.utils import set_random_seed

from ..targets.llvm.sweep import CELLS, Data, Setting, worst

SIZES = ((1, 5), (7, 1), (33, 17))  # units and inputs
DTYPES = (torch.float32, torch.float64)
SETTINGS = (
    Setting(3, 15, "lengths"),
    Setting(1, 1, side_by_side=False),
    Setting(7, 15, "mask", resets=True, truncate=4, all_states=True),
    Setting(7, 63, "all", reverse=True, initial=False, side_by_side=False),
    Setting(0, 15),
    Setting(1, 63, "lengths", reverse=True, all_states=True),
    Setting(3, 1, "mask", resets=True, side_by_side=False),
    Setting(1, 15, "mask", truncate=1),
    Setting(3, 0),
    Setting(1, 7, side_by_side=False, all_states=True),
)


class HardGate(Cell):
    """A product whose derivative is zero: nothing flows back to its weights."""

    def step(self, x, h):
        gate = greater(self.affine("g", x, h), 0.0)
        return gate * h + (1 - gate) * tanh(self.affine("c", x, h))


class OnlyHard(Cell):
    """Nothing flows back at all."""

    def step(self, x, h):
        return greater(self.affine("g", x, h), 0.0)


class HardInput(Cell):
    """The input matters, and its gradient is zero."""

    def step(self, x, h):
        return 0.5 * h + greater(self.linear("g", "w", x), 0.0)


class Through(Cell):
    """A state that stays as it is."""

    states = ("h", "c")

    def step(self, x, h, c):
        return tanh(self.affine("g", x, h)), c


class Keep(Cell):
    """Nothing is computed."""

    def step(self, x, h):
        return h


class Swap(Cell):
    """A state that becomes the other's old value."""

    states = ("h", "c")

    def step(self, x, h, c):
        return c, tanh(self.affine("g", x, h))


class Twins(Cell):
    """Two states that are one value."""

    states = ("h", "c")

    def step(self, x, h, c):
        new = tanh(self.affine("g", x, h) + c)
        return new, new


class Deaf(Cell):
    """An input that no equation reads."""

    def step(self, x, h):
        return tanh(self.linear("g", "w", h))


class Forgetful(Cell):
    """A state that no equation reads."""

    def step(self, x, h):
        return tanh(self.linear("g", "w", x))


ODD = (HardGate, OnlyHard, HardInput, Through, Keep, Swap, Twins, Deaf, Forgetful)


def near(found: Tensor | None, expected: Tensor | None, what: Any) -> None:
    """Fail where a value is not what it should be, within rounding."""
    assert (found is None) == (expected is None), what
    if found is None or expected is None:
        return
    assert found.shape == expected.shape, (what, found.shape, expected.shape)
    # A normalisation of few numbers magnifies what rounding did to them.
    rounding = 5e-4 if found.dtype is torch.float32 else 1e-11
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    error = (found.double() - expected.double()).abs()
    assert bool((error <= rounding * scale).all()), (what, found, expected)


def both(run: Callable[[], Any]) -> tuple[Any, Any]:
    """Run natively and on torch."""
    torch.manual_seed(1)
    found = run()
    os.environ["NABI_NATIVE"] = "0"
    try:
        torch.manual_seed(1)
        return found, run()
    finally:
        del os.environ["NABI_NATIVE"]


def some(cases: list[Any], number: int, part: int | None, count: int = 1) -> list[Any]:
    """All cases, or some of a part of the tests: others for each thing that is tested, and for each part."""
    if part is None:
        return cases
    start = (2 * number + part) * count * 7
    return [cases[(start + 5 * i) % len(cases)] for i in range(count)]


def check_cells(part: int | None) -> Iterator[str]:
    """All cells, over time in all ways, forward and backward."""
    for number, cell in enumerate(CELLS):
        if part is not None and number % 4 != part:
            continue
        cases = some(list(itertools.product(SIZES, SETTINGS, DTYPES)), number, part)
        for (units, inputs), setting, dtype in cases:
            data = Data.draw(dataclasses.replace(cell, units=units), inputs, setting, seed=number)
            found, expected = both(lambda data=data, dtype=dtype: data.run(dtype))
            for kind in ("outputs", "inference", "gradients"):
                error = worst(getattr(found, kind), getattr(expected, kind))
                assert error[0] <= (1e-4 if dtype is torch.float32 else 1e-10), (cell, setting, kind, error)
            yield f"{type(cell).__name__} {units} {inputs}"


def check_odd_cells(part: int | None) -> Iterator[str]:
    """Cells with outputs that no equation computes: against the definition, step by step."""
    for number, kind in enumerate(ODD):
        ways = list(itertools.product(SIZES, (False, True), ("full", "all states")))
        for (units, inputs), turned, native_way in some(ways, number, part):
            program = kind(units).program(inputs, training=True)
            batch, steps = (3, 5) if turned else (7, 4)
            torch.manual_seed(number)
            weights = [torch.randn(f.shape, dtype=torch.float64) / 3 for f in program.families]
            if turned:
                weights = [w.t().contiguous().t() if w.dim() == 2 else w for w in weights]
            x = torch.randn(batch, steps, inputs, dtype=torch.float64)
            states = [torch.randn(batch, w, dtype=torch.float64) for w in program.state_widths]
            leaves = [one.requires_grad_() for one in (x, *states, *weights)]
            output, finals, _ = nabi.scan.scan(
                program, x, states, weights, return_all_states=native_way != "full"
            )
            definition, now, rows = eager.step_function(program), tuple(states), []
            for t in range(steps):
                now = definition(x[:, t], now, tuple(weights), ())
                rows.append(now[0])
            near(output, torch.stack(rows, 1), (kind, "output"))
            cotangents = [torch.randn_like(one) for one in (output, *finals)]
            of_native = torch.autograd.grad(
                [output, *finals], leaves, cotangents, allow_unused=True, materialize_grads=True
            )
            expected = [torch.stack(rows, 1), *now]
            pairs = [(e, c) for e, c in zip(expected, cotangents, strict=True) if e.requires_grad]
            of_definition = torch.autograd.grad(
                [e for e, _ in pairs], leaves, [c for _, c in pairs],
                allow_unused=True, materialize_grads=True,
            )  # fmt: skip
            for one, other in zip((*finals, *of_native), (*now, *of_definition), strict=True):
                near(one, other, kind)
            yield kind.__name__


def check_modules(part: int | None) -> Iterator[str]:
    """Stacks, both directions, packed sequences, and recomputation."""
    made = [
        lambda u, i, d: nabi.nn.LSTM(i, u, num_layers=2, bidirectional=True, dtype=d),
        lambda u, i, d: nabi.nn.LSTM(i, u, proj_size=max(u // 2, 1), dtype=d) if u > 1 else None,
        lambda u, i, d: nabi.nn.GRU(i, u, bidirectional=True, bias=False, dtype=d),
        lambda u, i, d: nabi.nn.RNN(cells.GRU2014(u), i, 2, bidirectional=True, dtype=d),
        lambda u, i, d: nabi.nn.RNN(cells.LayerNormLSTM(u), i, recompute=4, dtype=d),
        lambda u, i, d: nabi.nn.RNN(cells.GatedDeltaNet(u), i, recompute=4, dtype=d),
        lambda u, i, d: nabi.nn.RNN(cells.M2RNN(u, keys=3), i, dtype=d),
    ]
    for number, make in enumerate(made):
        if part is not None and number % 2 != part:  # parts 2 and 3 have prepared passes instead
            continue
        pairs = list(itertools.product(SIZES, DTYPES))
        for (units, inputs), dtype in some(pairs, number, part):
            module: Any = make(units, inputs, dtype)
            if module is None:
                continue
            for batch, packed in ((1, False), (3, True), (7, False)):
                x = torch.randn(15, batch, inputs, dtype=dtype)
                batch_first = isinstance(module, nabi.nn.RNN) and not isinstance(module, nn.Module)
                x = x.transpose(0, 1).contiguous() if getattr(module, "batch_first", batch_first) else x

                def run(module: Any = module, x: Tensor = x, packed: bool = packed) -> list[Tensor | None]:
                    leaf = x.clone().requires_grad_()
                    module.zero_grad()
                    given: Any = leaf
                    if packed:
                        first = bool(getattr(module, "batch_first", False))
                        given = nn.utils.rnn.pack_padded_sequence(leaf, torch.tensor([15, 7, 1]), first)
                    output, state = module(given)
                    output = output.data if packed else output
                    states = state if isinstance(state, (tuple, list)) else [state]
                    flat = [s for one in states for s in (one if isinstance(one, (tuple, list)) else [one])]
                    total = output.sum() + sum((s.square().sum() for s in flat), output.new_zeros(()))
                    total.backward()
                    return [output.detach(), *[s.detach() for s in flat], leaf.grad,
                            *[p.grad.clone() for p in module.parameters()]]  # fmt: skip

                found, expected = both(run)
                for one, other in zip(found, expected, strict=True):
                    near(one, other, module)
                yield type(module).__name__


def check_prepared(part: int | None) -> Iterator[str]:
    """Passes of a training that is prepared, and steps that are."""
    for number, cell in enumerate([cells.LSTM(1), cells.GRU(1), cells.GRU2014(1), cells.PeepholeLSTM(1)]):
        if part is not None and number % 2 != part - 2:
            continue
        pairs = list(itertools.product(SIZES, DTYPES))
        for (units, inputs), dtype in some(pairs, number, part):
            program = dataclasses.replace(cell, units=units).program(inputs, training=True)
            weights = [torch.randn(f.shape, dtype=dtype) / 3 for f in program.families]
            for batch, options in (
                (1, Options()),
                (3, Options(reverse=True)),
                (7, Options(only_finals=True)),
            ):
                x = torch.randn(3, batch, 15, inputs, dtype=dtype)
                # Under a mask all sequences start from the same states.
                states = [torch.randn(1, w, dtype=dtype).repeat(batch, 1) for w in program.state_widths]
                masks = [None, torch.rand(batch, 15) < 0.5, torch.rand(batch, 15) < 0.3]
                given = torch.randn(batch, 15, units, dtype=dtype)
                final = torch.randn(batch, units, dtype=dtype)

                def run(
                    program: Any = program, options: Any = options, x: Any = x, states: Any = states,
                    weights: Any = weights, given: Any = given, final: Any = final, masks: Any = masks,
                ) -> list[Tensor | None]:  # fmt: skip
                    made = TrainingPass(program, options, x[0], states, weights, (True,) * len(weights))
                    found: list[Tensor | None] = []
                    for one, mask in zip(x, masks, strict=True):
                        kept, finals = made.forward(one, states, mask)
                        # What lay in the thread's memory lies elsewhere now.
                        nabi.nn.LSTM(3, 5, dtype=one.dtype)(one.new_ones(9 * (1 + len(found)), 40, 3))
                        others = (None,) * (len(finals) - 1)
                        cotangents = (given,) if kept else ()
                        dx, families = made.backward(cotangents, (final, *others), True)
                        # The next step writes over all of it.
                        found += [f if f is None else f.clone() for f in (*kept, *finals, dx, *families)]
                    return found

                found, expected = both(run)
                for one, other in zip(found, expected, strict=True):
                    near(one, other, (cell, options))
                yield f"prepared {type(cell).__name__}"
            prepared = PreparedStep(program, weights)
            for batch in (0, 1, 3, 7, 33):
                one = torch.randn(batch, inputs, dtype=dtype)
                now = [torch.randn(batch, w, dtype=dtype) for w in program.state_widths]
                for _ in range(2):
                    expected = step(program, one, now, weights)
                    now = list(prepared(one, now))
                    for new, other in zip(now, expected, strict=True):
                        near(new, other, cell)
            yield f"step {type(cell).__name__}"


def check_adam(part: int | None) -> Iterator[str]:
    """Steps of Adam beside torch's."""
    for dtype, decay, decoupled in itertools.product(DTYPES, (0.0, 0.1), (False, True)):
        weights = [torch.randn(n, dtype=dtype) for n in (1, 7, 33 * 17, 16, 15)]
        expected = [nn.Parameter(weight.clone()) for weight in weights]
        kind = torch.optim.AdamW if decoupled else torch.optim.Adam
        optimizer = kind(expected, lr=0.01, weight_decay=decay)
        means, squares = ([torch.zeros_like(w) for w in weights] for _ in range(2))
        counters = [torch.zeros(()) for _ in weights]
        steps = adam_steps(weights, means, squares, counters)
        assert steps is not None
        for _ in range(3):
            gradients = [torch.randn_like(weight) for weight in weights]
            for weight, gradient in zip(expected, gradients, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()
            steps.step(weights, gradients, AdamOptions(0.01, (0.9, 0.999), 1e-8, decay, decoupled))
        for one, other in zip(weights, expected, strict=True):
            near(one, other.detach(), "Adam")
        yield "Adam"


def check_small(part: int | None) -> Iterator[str]:
    """Dense layers, losses and dropout."""
    functions = {"linear": lambda x: x, "relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
    for (units, inputs), rows, (name, function), dtype in itertools.product(
        SIZES, (1, 7, 33), functions.items(), DTYPES
    ):
        x, kernel, bias, given = (
            torch.randn(shape, dtype=dtype)
            for shape in ((rows, inputs), (inputs, units), (units,), (rows, units))
        )
        leaves = [one.clone().requires_grad_() for one in (x, kernel, bias)]
        y = function(leaves[0] @ leaves[1] + leaves[2])
        y.backward(given)
        for with_bias in (True, False):
            layer = small_dense(kernel, bias if with_bias else None, name, rows)
            assert layer is not None
            for need_input in (True, False):
                found = layer.forward(x)
                dx = layer.backward(given, need_input)
                if with_bias:
                    near(found, y.detach(), name)
                    near(layer.kernel_gradient, leaves[1].grad, name)
                    near(layer.bias_gradient, leaves[2].grad, name)
                    near(dx, leaves[0].grad if need_input else None, name)
        yield f"dense {name}"
    for kind, shape, dtype in itertools.product(
        ("softmax_crossentropy", "sigmoid_crossentropy", "squared_error"),
        ((1, 1), (3, 17), (7, 5, 33)),
        DTYPES,
    ):
        outputs, y = torch.randn(shape, dtype=dtype), torch.rand(shape, dtype=dtype)
        leaf, loss = outputs.clone().requires_grad_(), small_loss(kind, outputs)
        assert loss is not None
        if kind == "softmax_crossentropy":
            value = -(y * leaf.log_softmax(-1)).sum(-1).mean()
        elif kind == "sigmoid_crossentropy":
            value = functional.binary_cross_entropy_with_logits(leaf, y)
        else:
            value = functional.mse_loss(leaf, y)
        value.backward()
        found, gradient = loss(y, outputs)
        assert abs(found - float(value)) < 1e-5 * max(1.0, abs(found)), kind
        near(gradient, leaf.grad, kind)
        yield kind
    for count, dtype in itertools.product((0, 1, 7, 63, 64, 65, 33 * 17), DTYPES):
        x = torch.rand(count, dtype=dtype) + 1
        kept = draw_kept(x, 0.4, None)
        found = kept.times(x)
        near(found, torch.where(found == 0, found, x / 0.6), "dropout")
        yield "dropout"


def check_pooled(part: int | None) -> Iterator[str]:
    """Back through max pooling into a convolution."""
    for (size, width), filters, batch, steps, stride, dilation in itertools.product(
        ((1, 5), (2, 17), (3, 1)), (1, 7), (1, 3), (15, 63), (1, 2), (1, 2)
    ):
        dtype = DTYPES[(size + filters) % 2]
        x = torch.randn(batch, steps, width, dtype=dtype, requires_grad=True)
        kernel = torch.randn(size, width, filters, dtype=dtype, requires_grad=True)
        convolved = functional.conv1d(
            x.transpose(1, 2), kernel.permute(2, 1, 0), stride=stride, dilation=dilation
        )
        largest, places = functional.max_pool1d(convolved, 2, return_indices=True)
        given = torch.randn_like(largest)
        largest.backward(given)
        native = pooled_convolution(kernel.detach(), stride, dilation)
        assert native is not None
        of_windows, of_places = given.transpose(1, 2), places.transpose(1, 2)
        near(native.kernel_gradient(x.detach(), of_windows, of_places), kernel.grad, "pooled convolution")
        near(native.input_gradient(steps, of_windows, of_places), x.grad, "pooled convolution")
        yield "pooled convolution"


def check_fixed(part: int | None) -> Iterator[str]:
    """Embeddings and dropout with results in the same memory every time."""
    for dtype, width in itertools.product(DTYPES, (1, 16, 21)):
        weight = torch.randn(9, width, dtype=dtype)
        embedding = small_embedding(weight, 5)
        assert embedding is not None
        for _ in range(2):
            numbers = torch.randint(0, 9, (5,))
            cotangent = torch.randn(5, width, dtype=dtype)
            near(embedding.forward(numbers), weight[numbers], "embedding")
            embedding.backward(cotangent)
            expected = torch.zeros_like(weight).index_add_(0, numbers, cotangent)
            near(embedding.gradient, expected, "embedding")
        yield "embedding"
        x = torch.randn(5, width, dtype=dtype)
        dropout = small_dropout(x, 0.4)
        assert dropout is not None
        y = dropout.forward(x, torch.tensor(7))
        kept = y != 0
        near(y, torch.where(kept, x / 0.6, 0.0), "dropout")
        near(dropout.backward(x), y, "dropout")
        yield "dropout"


def check_descent(part: int | None) -> Iterator[str]:
    """Steps of SGD and RMSprop beside torch's."""
    for dtype, momentum, centered in itertools.product(DTYPES, (0.0, 0.9), (False, True)):
        weights = [torch.randn(n, dtype=dtype) for n in (1, 7, 33 * 17, 16, 15)]
        others = [weight.clone() for weight in weights]
        expected = [[nn.Parameter(weight.clone()) for weight in weights] for _ in range(2)]
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.SGD(expected[0], 0.01, momentum, nesterov=centered and momentum > 0),
            torch.optim.RMSprop(expected[1], 0.01, 0.9, momentum=momentum, centered=centered),
        ]
        zeros = [[torch.zeros_like(w) for w in weights] for _ in range(4)]
        counters = [torch.zeros(()) for _ in weights]
        steps = sgd_steps(weights, zeros[0])
        both = rmsprop_steps(others, *zeros[1:], counters)
        assert steps is not None
        assert both is not None
        for _ in range(3):
            gradients = [torch.randn_like(weight) for weight in weights]
            for own, optimizer in zip(expected, optimizers, strict=True):
                for weight, gradient in zip(own, gradients, strict=True):
                    weight.grad = gradient.clone()
                optimizer.step()
            steps.step(weights, gradients, SGDOptions(0.01, momentum, nesterov=centered))
            both.step(others, gradients, RMSpropOptions(0.01, 0.9, 1e-8, momentum, centered))
        for found, own in zip((weights, others), expected, strict=True):
            for one, other in zip(found, own, strict=True):
                near(one, other.detach(), "SGD and RMSprop")
        yield "SGD and RMSprop"


def check_flat_steps(part: int | None) -> Iterator[str]:
    """Steps that are taken down, with states that go from batch to batch, beside their parts."""
    x, y = torch.randn(70, 3, 2), torch.randn(70, 2)

    def trained(stateful: bool, batch: int) -> Sequential:
        set_random_seed(0)
        kind = LSTM if stateful else GRU
        first = kind(5, batch_input_shape=(batch if stateful else None, 3, 2), stateful=stateful)
        model = Sequential([first, Dropout(0.5), Dense(3, "tanh"), Dense(2)])
        model.compile("adam", "mse")
        for _ in range(2):
            model.fit(x, y, batch, 2, shuffle=False, verbose=0)
        return model

    for number, (stateful, batch) in enumerate(((True, 1), (False, 3))):
        if part is not None and number != part // 2:
            continue
        found = trained(stateful, batch)
        assert torch.get_num_threads() > 1 or any(found.compiled.spare[0].flat.values())
        with mock.patch.object(Chain, "shall_be_flat", return_value=False):
            expected = trained(stateful, batch)
        for one, other in zip(found.weights, expected.weights, strict=True):
            near(one.detach(), other.detach(), "flat step")
        yield "flat step"


CHECKS = (
    check_cells, check_odd_cells, check_modules, check_prepared, check_adam, check_small, check_pooled,
    check_flat_steps, check_descent, check_fixed,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    takes = "a part that takes some seconds; by default everything is run"
    parser.add_argument("--part", type=int, choices=range(4), help=takes)
    part = parser.parse_args().part
    assert _guard.MODE in ("end", "begin"), "set NABI_GUARD"
    count = 0
    for threads in (1, 2) if part is None else (1,):
        torch.set_num_threads(threads)
        if threads > 1:
            _threads._WORTH_A_SECOND = 0.0  # else so little work is done by one
        for check in CHECKS:
            count += sum(1 for _ in check(part))
    print(f"{count} checks, guard pages at the {_guard.MODE}")


if __name__ == "__main__":
    main()
