"""Convolution and pooling over masked sequences: each row gives what its own steps alone would give."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi import layers
from nabi.errors import ShapeError

D = 3


@st.composite
def masks(draw, most: int = 9):
    """Masks `[B, T]`: padded on the right, on the left, or anyhow; rows of no step and of all among them."""
    rows, length = draw(st.integers(1, 4)), draw(st.integers(1, most))
    kind = draw(st.sampled_from(["right", "left", "any"]))
    if kind == "any":
        row = st.lists(st.booleans(), min_size=length, max_size=length)
        return torch.tensor(draw(st.lists(row, min_size=rows, max_size=rows)))
    lengths = torch.tensor(draw(st.lists(st.integers(0, length), min_size=rows, max_size=rows)))
    mask = torch.arange(length) < lengths[:, None]
    return mask if kind == "right" else mask.flip(1)


sizes = st.integers(1, 4)


@dataclass
class Windowed:
    """A layer with windows, and what is known of them without it."""

    layer: layers.Layer
    least: int  # the steps that it needs without a mask
    keeps_steps: bool

    def alone(self, steps: torch.Tensor) -> torch.Tensor:
        """The outputs for steps `[1, L, D]`, none of which is masked, also for too few of them."""
        missing = self.least - steps.shape[1]
        if missing <= 0:
            return self.layer(steps)
        if isinstance(self.layer, layers.Conv1D):
            return self.layer(torch.nn.functional.pad(steps, (0, 0, 0, missing)))
        if isinstance(self.layer, layers.MaxPooling1D):
            return steps.amax(1, keepdim=True)
        return steps.mean(1, keepdim=True)


def make(kind: str, size: int, stride: int, padding: str, dilation: int = 1) -> Windowed:
    layer: layers.Layer
    if kind == "convolution":
        layer = layers.Conv1D(
            2,
            size,
            stride,
            padding,
            dilation_rate=dilation,
            activation="tanh",
            bias_initializer="ones",
            dtype="float64",
        )
    else:
        pooling = layers.MaxPooling1D if kind == "largest" else layers.AveragePooling1D
        layer = pooling(size, stride, padding, dtype="float64")
    reach, valid = (size - 1) * dilation + 1, padding == "valid"
    return Windowed(layer, reach if valid else 1, stride == 1 and (reach == 1 or not valid))


@st.composite
def windowed(draw):
    kind = draw(st.sampled_from(["convolution", "largest", "average"]))
    torch.manual_seed(draw(st.integers(0, 3)))
    if kind == "convolution":
        stride, dilation = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]))
        return make(kind, draw(sizes), stride, draw(st.sampled_from(["valid", "same", "causal"])), dilation)
    return make(kind, draw(sizes), draw(sizes), draw(st.sampled_from(["valid", "same"])))


def values(mask: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Inputs for a mask, NaN where it masks."""
    x = torch.randn(*mask.shape, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.where(mask[..., None], x, torch.nan).requires_grad_()


def score(output: torch.Tensor) -> torch.Tensor:
    """A number that depends on each feature in its own way."""
    return (output.square() * torch.linspace(1, 2, output.shape[-1], dtype=output.dtype)).sum()


def close(actual, expected) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def check_rows(made: Windowed, mask: torch.Tensor) -> None:
    layer, x = made.layer, values(mask)
    layer.build(tuple(x.shape))
    output = layer(x, mask=mask)
    new = output._keras_mask
    assert new.shape == output.shape[:2]
    assert (output[~new] == 0).all()
    alone = []
    for row, kept in enumerate(mask):
        if kept.any():
            alone.append(made.alone(x[row : row + 1, kept]))
            close(output[row, new[row]], alone[-1][0])
        else:
            assert not new[row].any()
    weights = list(layer.trainable_weights)
    found = torch.autograd.grad(score(output), [x, *weights], materialize_grads=True)
    assert (found[0][~mask] == 0).all()
    if alone:
        total = torch.stack([score(one) for one in alone]).sum()
        close(found, torch.autograd.grad(total, [x, *weights], materialize_grads=True))


@settings(max_examples=150, deadline=None)
@given(windowed(), masks())
def test_each_row_gives_what_its_steps_alone_give(made, mask) -> None:
    check_rows(made, mask)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kind", ["convolution", "largest", "average"])
def test_rows_of_every_length_in_one_batch(kind, stride, padding) -> None:
    """Padding on the right, the usual case, where "same" pads every length in its own way."""
    mask = torch.arange(9) < torch.arange(10)[:, None]
    for size in (1, 3, 4):
        check_rows(make(kind, size, stride, padding), mask)


@settings(max_examples=60, deadline=None)
@given(windowed(), masks())
def test_the_mask_of_the_windows(made, mask) -> None:
    layer, x = made.layer, values(mask)
    output = layer(x, mask=mask)
    new = layer.compute_mask(x, mask)
    assert torch.equal(new, output._keras_mask)
    if x.shape[1] >= made.least:
        assert tuple(output.shape) == layer.compute_output_shape(tuple(x.shape))
    if made.keeps_steps:
        assert torch.equal(new, mask)  # so that targets of single steps stay with their steps
    else:
        assert (new[:, 1:] <= new[:, :-1]).all()
    assert layer.compute_mask(x) is None
    assert getattr(layer(torch.ones(1, 10, D)), "_keras_mask", None) is None


@settings(max_examples=60, deadline=None)
@given(windowed(), st.integers(4, 12))
def test_a_mask_of_nothing_changes_nothing(made, length) -> None:
    layer = made.layer
    x = torch.randn(2, max(length, made.least), D, dtype=torch.float64)
    output = layer(x, mask=torch.ones(x.shape[:2], dtype=torch.bool))
    assert torch.equal(output, layer(x))
    assert output._keras_mask.all()


@settings(max_examples=60, deadline=None)
@given(masks(), st.sampled_from([layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D]), st.booleans())
def test_pooling_over_all_steps_leaves_out_the_masked_ones(mask, make, keepdims) -> None:
    layer = make(keepdims=keepdims, dtype="float64")
    x = values(mask)
    output = layer(x, mask=mask)
    assert tuple(output.shape) == layer.compute_output_shape(tuple(x.shape))
    assert getattr(output, "_keras_mask", None) is None
    expected = [layer(x[row : row + 1, kept])[0] if kept.any() else None for row, kept in enumerate(mask)]
    for one, alone in zip(output, expected, strict=True):
        close(one, torch.zeros_like(one) if alone is None else alone)
    known = [one.square().sum() for one in expected if one is not None]
    if known:
        found = torch.autograd.grad(output.square().sum(), x)[0]
        close(found, torch.autograd.grad(sum(known), x)[0])


def test_averages_are_those_of_the_steps_in_a_window() -> None:
    x = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0]).reshape(1, 5, 1)
    assert layers.AveragePooling1D(2)(x).flatten().tolist() == [1.5, 6.0]
    assert layers.AveragePooling1D(3, 1, "same")(x).flatten().tolist() == pytest.approx(
        [1.5, 7 / 3, 14 / 3, 28 / 3, 12.0]
    )
    assert layers.AveragePooling1D(2, padding="same")(x).flatten().tolist() == [1.5, 6.0, 16.0]
    assert layers.GlobalAveragePooling1D()(x).tolist() == [[pytest.approx(6.2)]]
    assert layers.AvgPool1D is layers.AveragePooling1D
    assert layers.GlobalAvgPool1D is layers.GlobalAveragePooling1D


def test_whole_numbers_are_averaged_and_compared() -> None:
    x, mask = torch.tensor([[[2], [5], [9]]]), torch.tensor([[True, True, False]])
    assert layers.GlobalAveragePooling1D()(x, mask=mask).tolist() == [[3.5]]
    assert layers.AveragePooling1D(2)(x).tolist() == [[[3.5]]]
    largest = layers.GlobalMaxPooling1D()(-x, mask=~mask)
    assert largest.tolist() == [[-9]]
    assert largest.dtype == torch.int64


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Conv1D(2, 3),
        layers.MaxPooling1D,
        layers.AveragePooling1D,
        layers.GlobalMaxPooling1D,
        layers.GlobalAveragePooling1D,
    ],
)
def test_a_mask_of_another_shape_is_refused(make) -> None:
    layer, x = make(), torch.ones(2, 4, D)
    with pytest.raises(ShapeError, match=r"mask: .* expected the shape \(2, 4\)"):
        layer(x, mask=torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"at least .* time step"):
        layer(torch.ones(2, 0, D), mask=torch.ones(2, 0, dtype=torch.bool))
    expected = layer(x, mask=torch.tensor([[1, 1, 1, 0]] * 2, dtype=torch.bool))
    for mask in (
        [[1, 1, 1, 0]] * 2,
        np.array([[1.0, 1.0, 1.0, 0.0]] * 2),
        torch.tensor([[[1], [1], [1], [0]]] * 2),
    ):
        torch.testing.assert_close(layer(x, mask=mask), expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Conv1D(2, 2, 2, "same"),
        lambda: layers.AveragePooling1D(3, 1, "same"),
        layers.GlobalMaxPooling1D,
    ],
)
def test_masks_are_compiled_and_taken_row_by_row(make) -> None:
    """Where the values of a mask are not known, what is done must be right for every mask."""
    layer = make()
    mask = torch.tensor([[True, True, False, True, True], [False, False, False, True, False], [True] * 5])
    x = values(mask).detach().float()
    expected = layer(x, mask=mask)
    torch.compiler.reset()  # other tests have compiled as many layers as torch keeps
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, mask=mask), expected)
    torch.testing.assert_close(compiled(x[2:].expand_as(x), mask=mask[2:].expand_as(mask))[0], expected[2])
    rows = torch.func.vmap(lambda one, counts: layer(one[None], mask=counts[None])[0])(x, mask)
    torch.testing.assert_close(rows, expected)
    assert layer(x.to("meta"), mask=mask.to("meta")).shape == expected.shape
