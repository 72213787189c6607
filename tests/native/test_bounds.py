"""What a native entry is given is looked at before its address is kept: sizes, types, order in memory."""

from typing import Any

import pytest
import torch

from nabi import cells
from nabi.errors import ArgumentError, NabiError, ShapeError
from nabi.kernels import AdamOptions, _row_layout, adam_steps
from nabi.kernels._code import _dropout
from nabi.native.addresses import expect
from nabi.scan import scan
from nabi.scan._layout import batch_rows
from nabi.targets import (
    pooled_convolution,
    prepare,
    prepare_step,
    run_backward,
    run_forward,
    small_dense,
    small_loss,
    spread,
)

from .machines import needs_native

pytestmark = needs_native

USUAL: dict[str, Any] = {
    "rate": 0.01, "betas": (0.9, 0.999), "epsilon": 1e-7, "decay": 0.0, "decoupled": False, "maximize": False,
}  # fmt: skip
BATCH, STEPS, INPUTS, UNITS = 3, 5, 4, 7


def test_what_a_kernel_relies_on_is_said_in_the_message() -> None:
    with pytest.raises(ShapeError, match=r"x: expected shape \(2, 3\), got \(5,\)"):
        expect("x", torch.ones(5), (2, 3), torch.float32)
    with pytest.raises(ArgumentError, match=r"x: expected torch.float32, got torch.float64"):
        expect("x", torch.ones(6, dtype=torch.float64), (2, 3), torch.float32)
    with pytest.raises(ArgumentError, match=r"x: expected a dense tensor on the CPU, got .* on meta"):
        expect("x", torch.ones(6, device="meta"), (2, 3), torch.float32)
    with pytest.raises(ArgumentError, match=r"x: expected a dense tensor .* got torch.sparse_coo"):
        expect("x", torch.ones(2, 3).to_sparse(), (2, 3), torch.float32)
    with pytest.raises(ArgumentError, match=r"x: expected a contiguous tensor, got strides \(1, 2\)"):
        expect("x", torch.ones(3, 2).t(), (2, 3), torch.float32)
    expect("x", torch.ones(3, 2), (2, 3), torch.float32)


@pytest.mark.parametrize("place", ["mean", "square", "counter"])
@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(1), torch.zeros(8), torch.zeros(7, dtype=torch.float64), torch.zeros(14)[::2]],
    ids=["short", "long", "double", "spread"],
)
def test_adam_refuses_moments_that_are_not_as_their_weight(place: str, wrong: torch.Tensor) -> None:
    weight = torch.zeros(7)
    given = {"mean": torch.zeros(7), "square": torch.zeros(7), "counter": torch.zeros(())}
    if place == "counter" and wrong.numel() == 1:
        wrong = torch.zeros(1, dtype=torch.float64)
    given[place] = wrong
    if wrong.dtype is torch.float64 and place != "counter":
        # Tensors of several types are torch's.
        assert adam_steps([weight], [given["mean"]], [given["square"]], [given["counter"]]) is None
        return
    with pytest.raises(NabiError, match=r"expected"):
        adam_steps([weight], [given["mean"]], [given["square"]], [given["counter"]])


@pytest.mark.parametrize("wrong", [torch.ones(6), torch.ones(14)[::2], torch.ones(7, dtype=torch.float64)])
def test_adam_refuses_gradients_that_are_not_as_their_weight(wrong: torch.Tensor) -> None:
    weight, mean, square, counter = torch.zeros(7), torch.zeros(7), torch.zeros(7), torch.zeros(())
    steps = adam_steps([weight], [mean], [square], [counter])
    assert steps is not None
    with pytest.raises(NabiError, match=r"gradient: expected"):
        steps.step([weight], [wrong], AdamOptions(**USUAL))
    assert not weight.any()
    right = torch.ones(7)
    assert steps.step([weight], [right], AdamOptions(**USUAL))
    # What lies where a right one lay is looked at after this.
    steps.forget_gradients()
    with pytest.raises(ShapeError):
        steps.step([weight], [right[:6]], AdamOptions(**USUAL))


@pytest.mark.parametrize("wrong", [torch.ones(2, 4), torch.ones(3, 8)[:, ::2], torch.ones(3, 4).double()])
def test_a_dense_layer_refuses_other_inputs(wrong: torch.Tensor) -> None:
    layer = small_dense(torch.ones(4, 4), torch.ones(4), "tanh", 3)
    assert layer is not None
    with pytest.raises(NabiError, match="x: expected"):
        layer.forward(wrong)
    layer.forward(torch.ones(3, 4))
    with pytest.raises(NabiError, match="cotangent: expected"):
        layer.backward(wrong, True)


@pytest.mark.parametrize("wrong", [torch.ones(2, 4), torch.ones(3, 8)[:, ::2], torch.ones(3, 4).double()])
def test_a_loss_refuses_others(wrong: torch.Tensor) -> None:
    loss = small_loss("squared_error", torch.ones(3, 4))
    assert loss is not None
    for pair in ((wrong, torch.ones(3, 4)), (torch.ones(3, 4), wrong)):
        with pytest.raises(NabiError, match="expected"):
            loss(*pair)


def test_a_dense_layer_refuses_a_bias_of_another_width() -> None:
    for bias in (torch.ones(3), torch.ones(8)[::2]):
        with pytest.raises(NabiError, match="bias: expected"):
            small_dense(torch.ones(4, 4), bias, "tanh", 3)


def test_dropout_refuses_bits_of_another_tensor() -> None:
    bits = _dropout.draw(64, 0.5, torch.tensor(1))
    with pytest.raises(ShapeError, match="bits: expected"):
        _dropout.thin(torch.ones(65), bits, 2.0)
    with pytest.raises(ArgumentError, match="x: expected"):
        _dropout.thin(torch.ones(64, dtype=torch.float16), bits, 2.0)


def test_pooled_convolution_refuses_what_does_not_fit() -> None:
    native = pooled_convolution(torch.ones(2, 4, 3), 1, 1)
    assert native is not None
    x, given, places = torch.ones(2, 9, 4), torch.ones(2, 4, 3), torch.zeros(2, 4, 3, dtype=torch.int64)
    native.kernel_gradient(x, given, places)
    for wrong in (
        (x[:, :, :3], given, places),
        (x[:1], given, places),
        (x, given.double(), places),
        (x, given, places[:1]),
        (x, given, places.int()),
    ):
        with pytest.raises(NabiError, match="expected"):
            native.kernel_gradient(*wrong)
    with pytest.raises(NabiError, match="expected"):
        native.input_gradient(9, given[:, :, :2], places[:, :, :2])


def test_layouts_refuse_what_would_lead_outside() -> None:
    device, code = torch.device("cpu"), _row_layout._make_ready()
    for lengths in ((6, 1), (-1, 2)):
        with pytest.raises(ArgumentError, match="lengths: expected"):
            _row_layout.rows_of_lengths(lengths, 5, False, device)
    for mask in (torch.ones(2, 5), torch.ones(5, dtype=torch.bool)):
        with pytest.raises(ArgumentError, match="mask: expected"):
            _row_layout.rows_of_mask(mask, False)
    rows = _row_layout.rows_of_lengths((5, 3), 5, False, device)
    assert rows is not None
    with pytest.raises(ShapeError, match="table: expected"):
        _row_layout.copy_to_rows(code, torch.ones(2, 6, 4), rows.table(10), rows.count)
    with pytest.raises(ShapeError, match="rows: expected 8"):
        spread(torch.ones(7, 4), rows, (2, 5), False)
    with pytest.raises(ShapeError, match="table: expected"):
        _row_layout.copy_from_rows(code, torch.ones(8, 4), rows.table(10), (2, 6), False)


def _given() -> dict[str, Any]:
    program = cells.LSTM(UNITS).program(INPUTS, training=True)
    device = torch.device("cpu")
    return {
        "program": program,
        "rows": batch_rows(BATCH, STEPS, mask=None, resets=None, reverse=False, truncate=None, device=device),
        "x": torch.randn(BATCH * STEPS, INPUTS),
        "initial": [torch.randn(BATCH, UNITS) for _ in range(2)],
        "families": [torch.randn(f.shape) for f in program.families],
    }


def _spoilt(given: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    x, initial, families = given["x"], given["initial"], given["families"]
    return [
        ("x", {**given, "x": x[:-1]}),
        ("x", {**given, "x": x[:, :-1]}),
        ("states", {**given, "initial": [initial[0], initial[1][:-1]]}),
        ("states", {**given, "initial": [initial[0][:, :-1], initial[1]]}),
        (given["program"].families[0].name, {**given, "families": [families[0][:-1], *families[1:]]}),
    ]


def test_runs_refuse_what_does_not_fit() -> None:
    given = _given()
    for name, wrong in _spoilt(given):
        with pytest.raises(NabiError, match=f"{name}: expected"):
            run_forward(
                wrong["program"], wrong["rows"], wrong["x"], tuple(wrong["initial"]), wrong["families"], (),
                keep=(0,), save=True,
            )  # fmt: skip
    program, rows, families = given["program"], given["rows"], given["families"]
    _, _, record = run_forward(
        program, rows, given["x"], tuple(given["initial"]), families, (), keep=(0,), save=True
    )
    right, final = torch.ones(BATCH * STEPS, UNITS), torch.ones(BATCH, UNITS)
    for states, finals, weights in (
        ((right[:-1], None), (None, None), families),
        ((right, None), (final[:-1], None), families),
        ((right.double(), None), (None, None), families),
        ((right, None), (None, None), [families[0][:-1], *families[1:]]),
    ):
        with pytest.raises(NabiError, match="expected"):
            run_backward(
                program, rows, record, weights, states, finals,
                need_input=True, need_families=(True,) * len(families),
            )  # fmt: skip


@pytest.mark.parametrize("batch", [1, 6])
def test_weights_without_memory_are_refused(batch: int) -> None:
    """As those of a sharded model are between two steps."""
    for options in ({}, {"lengths": [STEPS] * (batch - 1) + [1]}):
        program = cells.LSTM(UNITS).program(INPUTS)
        weights = [torch.randn(f.shape) for f in program.families]
        weights[0].untyped_storage().resize_(0)
        with pytest.raises(ArgumentError, match="weights: expected tensors with memory"):
            scan(program, torch.ones(batch, STEPS, INPUTS), None, weights, **options)


def test_negative_views_are_read_as_they_are() -> None:
    program = cells.LSTM(UNITS).program(INPUTS)
    weights = [torch.randn(f.shape) for f in program.families]
    x = torch.randn(2, STEPS, INPUTS)
    for options in ({}, {"lengths": [STEPS, 1]}):
        found, expected = (
            scan(program, one, None, weights, **options)[0] for one in (torch._neg_view(x), -x)
        )
        assert torch.allclose(found, expected, atol=1e-6)


def test_prepared_passes_refuse_what_does_not_fit() -> None:
    given = _given()
    program, rows, families = given["program"], given["rows"], given["families"]
    need = (True,) * len(families)

    def prepared(families: Any) -> Any:
        batch = given["x"].view(BATCH, STEPS, INPUTS)
        return prepare(program, batch, given["initial"], families, keep=(0,), need_families=need)

    with pytest.raises(NabiError, match="expected"):
        prepared([families[0][:-1], *families[1:]])
    made = prepared(families)
    for name, wrong in _spoilt(given)[:4]:
        with pytest.raises(NabiError, match=f"{name}: expected"):
            made.forward(rows, wrong["x"], wrong["initial"])
    right, final = torch.ones(BATCH * STEPS, UNITS), torch.ones(BATCH, UNITS)
    for states, finals in (((right[:-1],), (None, None)), ((right,), (final[:-1], None))):
        made.forward(rows, given["x"], given["initial"])
        with pytest.raises(NabiError, match=r"cotangent of .*: expected"):
            made.backward(states, finals, True)
    step = prepare_step(program, families)
    for x, initial in (
        (torch.ones(BATCH, INPUTS - 1), given["initial"]),
        (torch.ones(BATCH, INPUTS), [given["initial"][0][:-1], given["initial"][1]]),
    ):
        with pytest.raises(NabiError, match="expected"):
            step(x, initial)
    with pytest.raises(NabiError, match="expected"):
        prepare_step(program, [families[0][:-1], *families[1:]])
