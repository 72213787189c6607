"""Inputs beside `x`: on every path the same as the definition, with gradients; wrong ones are refused."""

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from nabi.errors import ArgumentError, CellError, ShapeError, UnknownNameError
from nabi.ir import Cell, Program
from nabi.ir.functions import exp, sigmoid, tanh
from nabi.native import has_failed
from nabi.scan import Layout, Options, PreparedStep, scan, scan_packed, static_scan, step
from nabi.scan._inputs import check_extra, join_inputs, whole_rows
from nabi.targets import eager

from .conftest import through_definition, without_native_code

pytestmark = pytest.mark.rotates(days=2)

UNITS, FEATURES, STATIC = 5, 3, 4


class Everything(Cell):
    """Reads all kinds of inputs, in products and unit by unit, one of them only where it has no gradient."""

    static_size: int = STATIC
    mode_size: int = 2

    def step(
        self, x: Any, h: Any, *, delta: Any = 1.0, observed: Any, static: Any, position: Any, mode: Any
    ) -> Any:
        g = tanh(self.affine("g", x, h, static, observed))
        f = tanh(self.affine("f", x, h, delta))
        i = sigmoid(self.affine("i", static))
        s = sigmoid(delta * self.affine("t", x, h) + 0.1 * position)
        kept = (self.linear("m", "m", mode) > 0.2) * exp(-delta)
        return i * (g * (1 - s) + f * s) + 0.3 * kept * h


class ByFeature(Cell):
    """The gaps differ between features, and the cell draws masks, one of them on what is static."""

    static_size: int = STATIC

    def input_width(self, name: str, input_size: int) -> int | None:
        return input_size if name == "delta" else super().input_width(name, input_size)

    def step(self, x: Any, h: Any, *, delta: Any = 1.0, static: Any) -> Any:
        return tanh(self.affine("h", x, h, static, d=delta)) * self.keep("h", self.units, 0.7)


class Passing(Cell):
    """New states that are inputs themselves, one of a step and one of a sequence."""

    states = ("h", "s")
    static_size: int = STATIC

    def state_width(self, name: str) -> int:
        return self.static_size

    def step(self, x: Any, h: Any, s: Any, *, static: Any, other: Any) -> Any:
        return other * 2 + h, static

    def input_width(self, name: str, input_size: int) -> int | None:
        return self.static_size


EVERYTHING = Everything(UNITS).program(FEATURES)


def draw(program: Program, batch: int, time: int, dtype: Any = torch.float64, seed: int = 0) -> Any:
    """Input, states, weights and further inputs, all with gradients."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    extra = {}
    for one in program.inputs[1:]:
        if one.name != "position":
            lead = (batch,) if one.per_sequence else (batch, time)
            extra[one.name] = normal(*lead, *([] if one.width is None else [one.width]))
    x = normal(batch, time, FEATURES)
    states = [normal(batch, width) for width in program.state_widths]
    return x, states, [normal(*family.shape) for family in program.families], extra


def run(program: Program, data: Any, **options: Any) -> list[Tensor]:
    """Outputs, final states, and the gradients of everything under random cotangents."""
    x, states, weights, extra = data
    output, finals, every = scan(program, x, states, weights, extra=extra, **options)
    found = [output, *finals, *(every or ())]
    generator = torch.Generator().manual_seed(5)
    total = sum(
        (value * torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)).sum()
        for value in found
    )
    leaves = [x, *states, *weights, *extra.values()]
    gradients = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
    return [*found, *gradients]


def agree(one: list[Tensor], other: list[Tensor], allowed: float) -> None:
    for number, (a, b) in enumerate(zip(one, other, strict=True)):
        torch.testing.assert_close(a, b, rtol=allowed, atol=allowed, msg=lambda m, n=number: f"{n}: {m}")


WAYS = st.fixed_dictionaries(
    {},
    optional={
        "valid": st.sampled_from(["lengths", "mask"]),
        "resets": st.just(True),
        "reverse": st.booleans(),
        "truncate": st.integers(1, 4),
        "return_all_states": st.booleans(),
    },
)


def options_of(ways: dict[str, Any], batch: int, time: int, seed: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    options = {name: value for name, value in ways.items() if name not in ("valid", "resets")}
    if ways.get("valid") == "lengths":
        options["lengths"] = torch.randint(0, time + 1, (batch,), generator=generator)
    elif ways.get("valid") == "mask":
        options["mask"] = torch.rand(batch, time, generator=generator) < 0.6
    if ways.get("resets"):
        options["resets"] = torch.rand(batch, time, generator=generator) < 0.4
    return options


@settings(deadline=None, max_examples=25)
@given(
    ways=WAYS,
    batch=st.integers(1, 6),
    time=st.integers(0, 7),
    cell=st.sampled_from([Everything(UNITS), Passing(2)]),
    single=st.booleans(),
    seed=st.integers(0, 99),
)
def test_native_code_and_torch_agree_with_the_definition(
    ways: dict[str, Any], batch: int, time: int, cell: Cell, single: bool, seed: int
) -> None:
    program = cell.program(FEATURES)
    options = options_of(ways, batch, time, seed)
    truth_data = draw(program, batch, time, seed=seed)
    with through_definition():
        truth = run(program, truth_data, **options)
    dtype, allowed = (torch.float32, 2e-4) if single else (torch.float64, 1e-10)
    data = draw(program, batch, time, dtype, seed)
    found = run(program, data, **options)
    assert not has_failed(program.at_every_step.key)
    agree(found, [value.to(dtype) for value in truth], allowed)
    with without_native_code():
        agree(run(program, data, **options), [value.to(dtype) for value in truth], allowed)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_step_without_what_is_computed_once_is_the_whole_step(reverse: bool) -> None:
    """The rows with what is static in all of them, run through the equations as they were written."""
    x, states, weights, extra = draw(EVERYTHING, 3, 6)
    layout = Layout(None, None, None)
    rows = whole_rows(EVERYTHING, x, check_extra(EVERYTHING, extra, (3, 6), 3), layout, reverse)
    function, now = eager.step_function(EVERYTHING), tuple(states)
    outputs = []
    for t in reversed(range(6)) if reverse else range(6):
        now = function(rows[:, t], now, weights, ())
        outputs.append(now[0])
    output, _, _ = scan(EVERYTHING, x, states, weights, extra=extra, reverse=reverse)
    torch.testing.assert_close(output, torch.stack(outputs[::-1] if reverse else outputs, 1))


def test_products_with_what_is_static_are_no_part_of_the_step() -> None:
    step_program = EVERYTHING.at_every_step
    assert "W_static" in {family.name for family in EVERYTHING.families}
    assert "W_static" not in {family.name for family in step_program.families}
    assert [one.name for one in step_program.inputs] == [
        "x", "delta", "observed", "position", "mode", "sequence_0", "sequence_1",
    ]  # fmt: skip
    assert [node.width for node in EVERYTHING.sequence_values] == [UNITS, UNITS]
    lstm_like = ByFeature(UNITS)
    assert lstm_like.program(FEATURES).at_every_step is not lstm_like.program(FEATURES)


def test_masks_are_drawn_and_one_of_a_sequence_is_applied_once() -> None:
    cell = ByFeature(UNITS, dropout=0.4)
    program = cell.program(FEATURES, training=True)
    x, states, weights, extra = draw(program, 3, 5)
    noise = [
        torch.rand(3, 5, n.width, dtype=torch.float64) if n.per_step else torch.rand(3, n.width).double()
        for n in program.noises
    ]
    assert len(noise) == 4
    found = scan(program, x, states, weights, extra=extra, noise=noise)
    with through_definition():
        truth = scan(program, x, states, weights, extra=extra, noise=noise)
    torch.testing.assert_close(found[0], truth[0])
    now = tuple(states)
    for t in range(5):
        here = {"delta": extra["delta"][:, t], "static": extra["static"]}
        now = step(
            program, x[:, t], now, weights, [n[:, t] if n.dim() == 3 else n for n in noise], extra=here
        )
    torch.testing.assert_close(now[0], truth[1][0])


@pytest.mark.parametrize("reverse", [False, True])
def test_second_derivatives(reverse: bool) -> None:
    x, states, weights, extra = draw(EVERYTHING, 2, 3)
    names, values = zip(*extra.items(), strict=True)

    def outputs(*given: Tensor) -> Tensor:
        inputs = dict(zip(names, given[1:], strict=True))
        return scan(EVERYTHING, given[0], states, weights, extra=inputs, reverse=reverse)[0]

    assert torch.autograd.gradcheck(outputs, (x, *values))
    assert torch.autograd.gradgradcheck(outputs, (x, *values))


@settings(deadline=None, max_examples=25)
@given(data=st.data(), reverse=st.booleans(), batch=st.integers(1, 4), time=st.integers(1, 7))
def test_positions_count_valid_steps_since_a_reset(data: Any, reverse: bool, batch: int, time: int) -> None:
    flags = st.lists(st.lists(st.booleans(), min_size=time, max_size=time), min_size=batch, max_size=batch)
    mask, resets = torch.tensor(data.draw(flags)), torch.tensor(data.draw(flags))
    first = torch.tensor(data.draw(st.lists(st.integers(0, 9), min_size=batch, max_size=batch)))

    class Counts(Cell):
        def step(self, x: Any, h: Any, *, position: Any) -> Any:
            return position + 0 * h

    program = Counts(1).program(FEATURES)
    x = torch.zeros(batch, time, FEATURES)
    output, _, _ = scan(
        program, x, None, [], extra={"position": first}, mask=mask, resets=resets, reverse=reverse
    )
    for row in range(batch):
        count, begins = int(first[row]), False
        for t in reversed(range(time)) if reverse else range(time):
            if not mask[row, t]:
                continue
            if begins or (resets[row, t] and not reverse):
                count, begins = 0, False
            begins = bool(resets[row, t]) and reverse
            assert output[row, t, 0] == count
            count += 1


def test_a_sequence_can_be_split() -> None:
    x, states, weights, extra = draw(EVERYTHING, 3, 7)
    whole, finals, _ = scan(EVERYTHING, x, states, weights, extra=extra)
    parts, now = [], states
    for start, stop in ((0, 2), (2, 7)):
        part = {n: v[:, start:stop] if v.shape[1:2] == (7,) else v for n, v in extra.items()}
        part["position"] = torch.tensor(start)
        output, now, _ = scan(EVERYTHING, x[:, start:stop], now, weights, extra=part)
        parts.append(output)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    torch.testing.assert_close(now[0], finals[0])


def test_packed_data_and_single_steps() -> None:
    x, states, weights, extra = draw(EVERYTHING, 3, 4)
    lengths = [4, 2, 1]
    expected, finals, _ = scan(EVERYTHING, x, states, weights, extra=extra, lengths=lengths)
    sizes = torch.tensor([3, 2, 1, 1])

    def pack(values: Tensor) -> Tensor:
        return torch.cat([values[:size, t] for t, size in enumerate(sizes)])

    packed = {name: value if name == "static" else pack(value) for name, value in extra.items()}
    for reverse in (False, True):
        output, last, _ = scan_packed(
            EVERYTHING, pack(x), sizes, states, weights, extra=packed, reverse=reverse
        )
        expected, finals, _ = scan(
            EVERYTHING, x, states, weights, extra=extra, lengths=lengths, reverse=reverse
        )
        torch.testing.assert_close(output, pack(expected))
        torch.testing.assert_close(last[0], finals[0])
    outputs, last = static_scan(EVERYTHING, list(x.unbind(1)), states, weights, extra=extra)
    expected, finals, _ = scan(EVERYTHING, x, states, weights, extra=extra)
    torch.testing.assert_close(torch.stack(outputs, 1), expected)
    prepared, now = PreparedStep(EVERYTHING, weights), tuple(s.detach() for s in states)
    for t in range(4):
        here = {
            n: v[:, t].detach() if v.shape[1:2] == (4,) and n != "static" else v for n, v in extra.items()
        }
        now = prepared(x[:, t].detach(), now, {**here, "static": extra["static"].detach(), "position": t})
    torch.testing.assert_close(now[0], finals[0].detach())


def test_memory_is_saved_piece_by_piece() -> None:
    data = draw(EVERYTHING, 3, 7)
    agree(run(EVERYTHING, data, recompute=3), run(EVERYTHING, data), 1e-10)


def test_numbers_stand_for_all_steps_and_defaults_for_missing_ones() -> None:
    x, states, weights, extra = draw(EVERYTHING, 3, 4)
    del extra["delta"]
    default = scan(EVERYTHING, x, states, weights, extra=extra)[0]
    torch.testing.assert_close(scan(EVERYTHING, x, states, weights, extra={**extra, "delta": 1})[0], default)
    ones = torch.ones(3, 4, 1, dtype=torch.float32)  # of another type, with an axis for the one number
    torch.testing.assert_close(
        scan(EVERYTHING, x, states, weights, extra={**extra, "delta": ones})[0], default
    )
    seen = {**extra, "observed": torch.ones(3, 4, dtype=torch.bool)}
    more = {**extra, "observed": torch.ones(3, 4, FEATURES, dtype=torch.int64)}
    torch.testing.assert_close(
        scan(EVERYTHING, x, states, weights, extra=seen)[0],
        scan(EVERYTHING, x, states, weights, extra=more)[0],
    )


def test_nan_in_padding_stays_there() -> None:
    x, states, weights, extra = draw(EVERYTHING, 2, 4)
    truth = run(EVERYTHING, (x, states, weights, extra), lengths=[4, 2])
    spoilt = {}
    for name, value in extra.items():
        value = value.detach().clone()
        if name != "static":
            value[1, 2:] = torch.nan
        spoilt[name] = value.requires_grad_()
    agree(run(EVERYTHING, (x, states, weights, spoilt), lengths=[4, 2]), truth, 1e-10)
    with through_definition():
        agree(run(EVERYTHING, (x, states, weights, spoilt), lengths=[4, 2]), truth, 1e-10)


WRONG = [
    (
        {"observed": None},
        ArgumentError,
        r"observed: expected shape \(2, 4, 3\) .* got none; Everything reads",
    ),
    ({"static": None}, ArgumentError, r"static: expected shape \(2, 4\) \[batch, features\], got none"),
    ({"static": torch.zeros(2, 3)}, ShapeError, r"static: expected shape \(2, 4\) .* got shape \(2, 3\)"),
    ({"delta": torch.zeros(2, 3)}, ShapeError, r"delta: expected shape \(2, 4\) .* got shape \(2, 3\)"),
    ({"delta": "soon"}, ArgumentError, "delta: expected an array of numbers, got 'soon'"),
    ({"position": torch.zeros(3)}, ShapeError, "position: expected the number of the first step"),
    ({"dleta": 1.0}, UnknownNameError, "input of Everything: 'dleta' is not known; did you mean 'delta'"),
]


@pytest.mark.parametrize(("change", "kind", "message"), WRONG)
def test_wrong_inputs(change: dict[str, Any], kind: type[Exception], message: str) -> None:
    x, states, weights, extra = draw(EVERYTHING, 2, 4)
    with pytest.raises(kind, match=message):
        scan(EVERYTHING, x, states, weights, extra={**extra, **change})


def test_a_cell_that_reads_nothing_else_says_so() -> None:
    class Plain(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return tanh(self.affine("h", x, h))

    program = Plain(2).program(FEATURES)
    weights = [torch.zeros(family.shape) for family in program.families]
    with pytest.raises(
        ArgumentError, match="delta: expected nothing, since Plain reads x and its states only"
    ):
        scan(program, torch.zeros(1, 2, FEATURES), None, weights, extra={"delta": 1})


def test_a_single_step_must_know_its_number() -> None:
    x, states, weights, extra = draw(EVERYTHING, 2, 1)
    here = {name: value if name == "static" else value[:, 0] for name, value in extra.items()}
    with pytest.raises(ArgumentError, match="position: expected the number of this step"):
        step(EVERYTHING, x[:, 0], states, weights, extra=here)
    found = step(EVERYTHING, x[:, 0], states, weights, extra={**here, "position": 0})
    torch.testing.assert_close(found[0], scan(EVERYTHING, x, states, weights, extra=extra)[1][0])


def test_wrong_declarations() -> None:
    class Unknown(Cell):
        def step(self, x: Any, h: Any, *, other: Any) -> Any:
            return tanh(self.affine("h", x, h, other))

    class Taken(Cell):
        def step(self, x: Any, h: Any, **more: Any) -> Any:
            return h

    class State(Cell):
        states = ("h", "delta")

        def step(self, x: Any, h: Any, *, delta: Any) -> Any:
            return h, delta

    class Default(Cell):
        def step(self, x: Any, h: Any, *, delta: Any = "one") -> Any:
            return h * delta

    with pytest.raises(
        CellError, match="Unknown: other: expected its width; give the cell a setting other_size"
    ):
        Unknown(2).program(FEATURES)
    assert [one.name for one in Taken(2).program(FEATURES).inputs] == ["x"]
    with pytest.raises(CellError, match="State: delta: expected another name for an input"):
        State(2).program(FEATURES)
    with pytest.raises(CellError, match="Default: delta: expected a number as its default, got 'one'"):
        Default(2).program(FEATURES)


def test_copies_and_other_processes_find_both_programs() -> None:
    from nabi.cells import EALSTM
    from nabi.ir import find_program

    whole = EALSTM(4, static_size=2).program(3)
    for program in (whole, whole.at_every_step):
        assert pickle.loads(pickle.dumps(program)) is program
        assert copy.deepcopy(program) is program
        assert find_program(program.recipe) is program
    assert whole.recipe != whole.at_every_step.recipe
    assert Options().kept(whole) == (0,)
    # Each part of the weights goes where it is read.
    weights = [torch.zeros(family.shape) for family in whole.families]
    extra = check_extra(whole, {"static": torch.zeros(1, 2)}, (1, 2), 1)
    _, rows, own, _ = join_inputs(whole, torch.zeros(1, 2, 3), extra, weights, (), Layout(None, None, None))
    assert rows.shape == (1, 2, 7)
    assert [w.shape for w in own] == [family.shape for family in whole.at_every_step.families]


def test_a_cell_inside_a_cell_is_given_what_it_reads() -> None:
    from nabi.cells import CTRNN, EALSTM

    class Twice(Cell):
        states = ("h", "g", "c")

        def step(self, x: Any, h: Any, g: Any, c: Any, *, delta: Any, static: Any) -> Any:
            h = self.inner(CTRNN(self.units), x, h, name="slow", delta=delta)
            g, c = self.inner(EALSTM(self.units, static_size=2), h, g, c, name="fast", static=static)
            return h, g, c

        def input_width(self, name: str, input_size: int) -> int | None:
            return 2 if name == "static" else super().input_width(name, input_size)

    program = Twice(4).program(FEATURES)
    assert "W_fast_s" not in {family.name for family in program.at_every_step.families}
    x, states, weights, extra = draw(program, 2, 5)
    with through_definition():
        truth = run(program, (x, states, weights, extra))
    agree(run(program, (x, states, weights, extra)), truth, 1e-10)

    class Without(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return self.inner(EALSTM(self.units, static_size=2), x, h, h)[0]

    with pytest.raises(CellError, match=r"inner: EALSTM needs static="):
        Without(4).program(FEATURES)


def test_parameters_and_first_states_that_a_cell_declares() -> None:
    """What is computed once a call and what is computed once a sequence, in one step."""
    from nabi.ir import initial

    class Declares(Cell):
        static_size: int = 2

        def initial_state(self, name: str) -> Any:
            return initial.Learned(0.5)

        def step(self, x: Any, h: Any, *, delta: Any, static: Any) -> Any:
            rate = exp(self.parameter("rate", init=0.1))
            i = sigmoid(self.affine("i", s=static) * exp(self.parameter("scale", (), init=0.0)))
            return h * exp(-delta * rate) + i * tanh(self.affine("h", x, h))

    program = Declares(4).program(FEATURES)
    x, _, weights, extra = draw(program, 3, 6)
    resets = torch.rand(3, 6, generator=torch.Generator().manual_seed(0)) < 0.4
    for options in ({}, {"lengths": [6, 3, 0]}, {"resets": resets}, {"reverse": True, "resets": resets}):
        found = []
        for way in (False, True):
            with (
                through_definition()
                if way
                else without_native_code()
                if options
                else pytest.MonkeyPatch.context()
            ):
                output, finals, _ = scan(program, x, None, weights, extra=extra, **options)
                leaves = [x, *weights, *extra.values()]
                gradients = torch.autograd.grad(output.square().sum() + finals[0].sum(), leaves)
                found.append([output, *finals, *gradients])
        agree(*found, 1e-10)
        output, finals, _ = scan(program, x, None, weights, extra=extra, **options)
        agree([output, *finals], found[1][:2], 1e-10)
