"""Batches without lengths, masks and the like have a way of their own; the results are the same."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi import cells, nn
from nabi.ir import Program
from nabi.native._code._machine import why_not
from nabi.scan import scan, scan_full_batch

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no native code here: {why_not()}")

PROGRAMS = [cells.LSTM(5).program(3), cells.GRU2014(4).program(3), cells.PeepholeLSTM(6).program(3)]


def weights_of(program: Program, outputs_first: bool) -> list[torch.Tensor]:
    """Weights as torch lays them out, or Keras."""
    weights = [0.5 * torch.randn(family.shape, dtype=torch.float64) for family in program.families]
    if outputs_first:
        weights = [w.t().contiguous().t() if w.dim() == 2 else w for w in weights]
    return [weight.requires_grad_() for weight in weights]


@pytest.mark.rotates(days=2)
@settings(max_examples=60, deadline=None)
@given(
    program=st.sampled_from(PROGRAMS),
    batch=st.integers(1, 9),
    time=st.integers(1, 7),
    time_major=st.booleans(),
    stacked=st.booleans(),
    with_states=st.booleans(),
    outputs_first=st.booleans(),
    frozen=st.sets(st.sampled_from(["x", "states", "weights"]), max_size=2),
    wanted=st.sampled_from(["output", "finals", "both"]),
    contiguous=st.booleans(),
)
def test_it_gives_what_the_general_way_gives(
    program, batch, time, time_major, stacked, with_states, outputs_first, frozen, wanted, contiguous
):
    torch.manual_seed(batch * 10 + time)
    x = torch.randn((time, batch, 3) if time_major else (batch, time, 3), dtype=torch.float64)
    if not contiguous:
        x = torch.stack([x, x], -1)[..., 0]
    shape = (1, batch) if stacked else (batch,)
    states = [torch.randn(*shape, width, dtype=torch.float64) for width in program.state_widths]
    weights = weights_of(program, outputs_first)
    if not with_states and frozen == {"x", "weights"}:
        frozen = {"x"}
    for tensors, name in (([x], "x"), (states, "states"), (weights, "weights")):
        for tensor in tensors:
            tensor.requires_grad_(name not in frozen)
    given_states = states if with_states else None
    learned = [t for t in (x, *(given_states or ()), *weights) if t.requires_grad]

    found = scan_full_batch(program, x, given_states, weights, time_major=time_major, stacked=stacked)
    assert found is not None
    # Truncation at a step behind the last changes nothing and takes the general way.
    flat = None if given_states is None else [s[0] if stacked else s for s in given_states]
    x_first = x.transpose(0, 1) if time_major else x
    output, finals, _ = scan(program, x_first, flat, weights, truncate=time + 1)
    expected = (
        output.transpose(0, 1) if time_major else output,
        tuple([final.unsqueeze(0) if stacked else final for final in finals]),
    )
    both = [[*((o,) if wanted != "finals" else ()), *(f if wanted != "output" else ())]
            for o, f in (found, expected)]  # fmt: skip
    cotangents = [torch.randn_like(value) for value in both[0]]
    gradients = []
    for values in both:
        gradients.append(torch.autograd.grad(values, learned, cotangents, allow_unused=True))
    for one, other in zip((*both[0], *gradients[0]), (*both[1], *gradients[1]), strict=True):
        if one is None or other is None:
            assert one is None
            assert other is None
        else:
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_what_it_does_not_cover_is_left_alone():
    program = PROGRAMS[0]
    x, weights = torch.randn(2, 4, 3, dtype=torch.float64), weights_of(program, False)
    h = torch.zeros(2, 5, dtype=torch.float64)
    assert scan_full_batch(program, x, None, weights) is not None
    assert scan_full_batch(program, x[0], None, weights) is None
    assert scan_full_batch(program, x[:, :0], None, weights) is None
    assert scan_full_batch(program, x[..., :2], None, weights) is None
    assert scan_full_batch(program, x.float(), None, weights) is None
    assert scan_full_batch(program, x, None, weights[1:]) is None
    assert scan_full_batch(program, x, None, [w[..., :-1] for w in weights]) is None
    assert scan_full_batch(program, x, [h], weights) is None
    assert scan_full_batch(program, x, [h, h[:1]], weights) is None
    assert scan_full_batch(program, x, [h, None], weights) is None  # type: ignore[list-item]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert scan_full_batch(program, x, None, weights) is None
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        assert scan_full_batch(program, x, None, weights) is None
    noisy = cells.LSTM(5, dropout=0.5).program(3, training=True)
    assert scan_full_batch(noisy, x, None, weights) is None


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize("time_major", [True, False])
@pytest.mark.parametrize("states", [True, False])
def test_a_graph_is_gone_through_twice_and_differentiated_twice(time_major, states):
    program = PROGRAMS[1]
    x = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    weights = weights_of(program, False)
    initial = [torch.randn(1, 3 if time_major else 2, 4, dtype=torch.float64, requires_grad=True)]
    learned = [x, *(initial if states else ()), *weights]

    def run(*tensors: torch.Tensor) -> torch.Tensor:
        first = 1 + states
        found = scan_full_batch(
            program, tensors[0], tensors[1:first] if states else None, tensors[first:],
            time_major=time_major, stacked=True,
        )  # fmt: skip
        assert found is not None
        return torch.cat([found[0].flatten(), found[1][0].flatten()])

    values = run(*learned)
    cotangent = torch.randn_like(values)
    once = torch.autograd.grad(values, learned, cotangent, retain_graph=True)
    again = torch.autograd.grad(values, learned, cotangent)
    for one, other in zip(once, again, strict=True):
        assert torch.equal(one, other)
    assert torch.autograd.gradgradcheck(run, learned)


def test_an_output_may_be_changed_in_place():
    module = nn.LSTM(3, 40)
    x = torch.randn(70, 50, 3)  # large enough for memory that is used again
    wanted = torch.autograd.grad((module(x)[0] * 2).square().sum(), list(module.parameters()))
    output = module(x)[0]
    output.mul_(2)  # no view, so that it may be changed
    found = torch.autograd.grad(output.square().sum(), list(module.parameters()))
    torch.testing.assert_close(found, wanted)


def test_threads_of_python_at_the_same_time():
    torch.manual_seed(0)
    modules = [nn.GRU(3, 20) for _ in range(4)]
    x = torch.randn(30, 6, 3)

    def train(module: nn.GRU) -> list[torch.Tensor]:
        output = module(x)[0]
        return [output.detach(), *torch.autograd.grad(output.square().sum(), list(module.parameters()))]

    expected = [train(module) for module in modules]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            for found, wanted in zip(pool.map(train, modules), expected, strict=True):
                assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


class WithoutWeights(cells.Cell):
    states = ("h",)

    def step(self, x, h):
        return 0.5 * h + x


@pytest.mark.parametrize("need", [False, True])
def test_a_cell_without_weights(need):
    """Its type is that of the input."""
    program = WithoutWeights(3).program(3)
    x = torch.randn(2, 4, 3, requires_grad=need)
    output, _, _ = scan(program, x, None, ())
    h, expected = torch.zeros(2, 3), []
    for step in x.unbind(1):
        h = 0.5 * h + step
        expected.append(h)
    torch.testing.assert_close(output, torch.stack(expected, 1))
    if need:
        output.sum().backward()
        (wanted,) = torch.autograd.grad(torch.stack(expected, 1).sum(), x)
        torch.testing.assert_close(x.grad, wanted)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: type(program.cell).__name__)
def test_matrices_may_have_their_inputs_first(program: Program) -> None:
    x = torch.randn(3, 4, program.input_size, dtype=torch.float64)
    weights = [weight.detach() for weight in weights_of(program, True)]
    turned = [weight.t().contiguous() if weight.dim() == 2 else weight for weight in weights]
    expected = scan_full_batch(program, x, None, weights)
    found = scan_full_batch(program, x, None, turned, turned=True)
    assert found is not None
    assert expected is not None
    for one, other in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        assert torch.equal(one, other)
    # What torch would record, and what would have to be copied, goes another way.
    turned[0].requires_grad_()
    assert scan_full_batch(program, x, None, turned, turned=True) is None
    with torch.no_grad():
        assert scan_full_batch(program, x, None, turned, turned=True) is not None
        assert scan_full_batch(program, x, None, weights, turned=True) is None


def _copied(weight: torch.Tensor, values: torch.Tensor) -> None:
    weight.data.copy_(values)


def _replaced(weight: torch.Tensor, values: torch.Tensor) -> None:
    weight.data = values.clone()


def _turned(weight: torch.Tensor, values: torch.Tensor) -> None:
    weight.data = values.t().contiguous().t()


def _written(weight: torch.Tensor, values: torch.Tensor) -> None:
    weight.detach().numpy()[:] = values.numpy()


def _viewed(weight: torch.Tensor, values: torch.Tensor) -> None:
    """The memory is at the same address and has as many numbers as before."""
    weight.data.copy_(values.t())
    weight.data = weight.data.t()


@pytest.mark.parametrize("change", [_copied, _replaced, _turned, _written, _viewed])
@pytest.mark.parametrize("size", [(2, 2), (9, 30)], ids=["in place", "packed"])
def test_weights_that_change_between_two_calls_are_noticed(change, size):
    """Whether torch counts the change as one or not."""
    torch.manual_seed(0)
    module, x = nn.RNN(4, 4), torch.randn(*size, 4)
    with torch.no_grad():
        module(x)
        values = torch.randn(4, 4)
        change(module.weight_hh_l0, values)
        found = module(x)[0]
        assert torch.equal(module.weight_hh_l0, values)
        fresh = nn.RNN(4, 4)
        fresh.load_state_dict(module.state_dict())
        torch.testing.assert_close(found, fresh(x)[0])
    module.weight_hh_l0.data = torch.zeros(3, 4)
    with pytest.raises((RuntimeError, ValueError)):
        module(x)
