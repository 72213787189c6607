"""PyTorch programs whose recurrent modules became nabi's compute what they did before, and go on training."""

import copy
import io
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, weight_norm
from torch.nn.utils.rnn import pack_padded_sequence

import nabi.nn
from benchmarks.torch_programs import PROGRAMS, Program, Size
from nabi import cells, layers
from nabi.errors import ArgumentError
from nabi.interchange import from_torch, to_torch

# torch says so for a projected LSTM, once a process.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

EVERY = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
KINDS = (nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)


def leaves(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [leaf for part in value if part is not None for leaf in leaves(part)]


def total(value: Any) -> Tensor:
    """A number that weighs every output differently."""
    found = torch.zeros((), dtype=leaves(value)[0].dtype)
    for part in leaves(value):
        found = found + (part * torch.linspace(0.5, 1.5, part.numel(), dtype=part.dtype).view_as(part)).sum()
    return found


def results(module: nn.Module, batch: tuple[Any, ...]) -> tuple[list[Tensor], list[Tensor | None]]:
    """Outputs and gradients."""
    module.zero_grad()
    found = module(*batch)
    total(found).backward()
    return leaves(found), [None if p.grad is None else p.grad.clone() for p in module.parameters()]


def assert_same(found: Any, expected: Any, tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def made(program: Program, size: Size = Size()) -> tuple[nn.Module, tuple[Any, ...]]:  # noqa: B008
    torch.manual_seed(0)
    return program.make(size), program.batch(size)


def has_of_torch(module: nn.Module) -> bool:
    return any(type(one) in KINDS for one in module.modules())


@pytest.mark.rotates(days=3)
@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_outputs_and_gradients_are_the_same_both_ways(program: Program, dtype: torch.dtype) -> None:
    module, batch = made(program)
    module = module.to(dtype)
    batch = tuple(one.to(dtype) if one.is_floating_point() else one for one in batch)
    tolerance = 1e-5 if dtype is torch.float32 else 1e-10
    expected = results(module, batch)
    keys, weights, memory = list(module.state_dict()), list(module.parameters()), dict(module.named_modules())
    names = repr(module)
    assert from_torch(module) is module
    assert not has_of_torch(module)
    assert list(module.state_dict()) == keys
    assert all(one is other for one, other in zip(module.parameters(), weights, strict=True))
    assert all(one is memory[name] for name, one in module.named_modules())
    assert repr(module) == names
    for found, wanted in zip(results(module, batch), expected, strict=True):
        assert_same(found, wanted, tolerance)
    with torch.no_grad():
        assert_same(leaves(module(*batch)), expected[0], tolerance)
    assert to_torch(module) is module
    assert not any(isinstance(one, nabi.nn.DropIn) for one in module.modules())
    assert repr(module) == names
    assert list(module.state_dict()) == keys
    for found, wanted in zip(results(module, batch), expected, strict=True):
        assert_same(found, wanted, 0.0)


@EVERY
def test_an_optimizer_made_before_goes_on_training(program: Program) -> None:
    theirs, batch = made(program)
    ours = copy.deepcopy(theirs)
    trained = []
    for module in (theirs, ours):
        optimizer = torch.optim.SGD(module.parameters(), 0.01, momentum=0.9)
        for step in range(4):
            if module is ours and step == 1:
                from_torch(module)
            optimizer.zero_grad()
            total(module(*batch)).square().add(1).log().backward()
            optimizer.step()
        trained.append(list(module.parameters()))
    assert_same(trained[1], trained[0], 1e-5)
    assert any(
        not torch.equal(one, other)
        for one, other in zip(trained[0], made(program)[0].parameters(), strict=True)
    )


@EVERY
def test_weights_go_between_the_two(program: Program) -> None:
    theirs, batch = made(program)
    torch.manual_seed(1)
    ours = from_torch(program.make(Size()))
    ours.load_state_dict(theirs.state_dict())
    assert_same(leaves(ours(*batch)), leaves(theirs(*batch)), 1e-5)


@st.composite
def modules(draw: st.DrawFn) -> tuple[nn.Module, Any]:
    """A recurrent module of torch's with any options, and its arguments."""
    kind = draw(st.sampled_from(KINDS))
    torch.manual_seed(draw(st.integers(0, 99)))
    inputs, units, batch = draw(st.integers(1, 4)), draw(st.integers(2, 5)), draw(st.integers(1, 3))
    options: dict[str, Any] = {"bias": draw(st.booleans()), "dtype": torch.float64}
    if kind in (nn.RNN, nn.RNNCell):
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    states = 2 if kind in (nn.LSTM, nn.LSTMCell) else 1
    batched, given_states = draw(st.booleans()), draw(st.booleans())
    if kind in KINDS[3:]:
        module = kind(inputs, units, **options)
        lead = (batch,) if batched else ()
        x = torch.randn(*lead, inputs, dtype=torch.float64)
        state: Any = tuple([torch.randn(*lead, units, dtype=torch.float64) for _ in range(states)])
        return module, (x, (state if states == 2 else state[0]) if given_states else None)
    options |= {
        "num_layers": draw(st.integers(1, 3)), "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
    }  # fmt: skip
    if options["num_layers"] > 1:
        options["dropout"] = draw(st.sampled_from([0.0, 0.4]))
    if kind is nn.LSTM:
        options["proj_size"] = draw(st.integers(0, units - 1))
    module = kind(inputs, units, **options)
    steps = draw(st.integers(1, 4))
    first, packed = options["batch_first"], batched and draw(st.booleans())
    lead = ((batch, steps) if first else (steps, batch)) if batched else (steps,)
    x = torch.randn(*lead, inputs, dtype=torch.float64)
    if packed:
        lengths = torch.randint(1, steps + 1, (batch,))
        x = pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=False)
    count = options["num_layers"] * (2 if options["bidirectional"] else 1)
    widths = [options.get("proj_size") or units, units][:states]
    lead = (count, batch) if batched else (count,)
    state = tuple([torch.randn(*lead, width, dtype=torch.float64) for width in widths])
    return module, (x, (state if states == 2 else state[0]) if given_states else None)


@pytest.mark.rotates(days=2)
@settings(max_examples=30)
@given(modules(), st.booleans())
def test_any_options(both: tuple[nn.Module, Any], training: bool) -> None:
    module, arguments = both
    if getattr(module, "dropout", 0.0):
        training = False  # the two draw other numbers
    module.train(training)
    expected = results(module, arguments)
    options = {name: value for name, value in vars(module).items() if name in module.__constants__}
    assert from_torch(module) is module
    assert isinstance(module, nabi.nn.DropIn)
    assert {name: getattr(module, name) for name in options} == options
    assert module.training is training
    if isinstance(module, nn.RNNBase):
        module.flatten_parameters()
        assert len(module._flat_weights) == len(list(module.parameters()))
        flat = [weight for layer in module.all_weights for weight in layer]
        assert all(one is other for one, other in zip(flat, module.parameters(), strict=True))
    for found, wanted in zip(results(module, arguments), expected, strict=True):
        assert_same(found, wanted, 1e-10)
    for found, wanted in zip(results(to_torch(module), arguments), expected, strict=True):
        assert_same(found, wanted, 0.0)


def test_dropout_between_layers_is_drawn_in_training_only() -> None:
    module = from_torch(nn.LSTM(3, 5, num_layers=2, dropout=0.5))
    x = torch.randn(4, 2, 3)
    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])


def test_hooks_notes_and_frozen_weights_are_kept() -> None:
    module = nn.Sequential(nn.GRU(3, 5))
    gru: Any = module[0]
    gru.note = "mine"
    gru.weight_hh_l0.requires_grad_(False)
    gru.register_buffer("count", torch.ones(2))
    seen: list[str] = []
    handle = gru.register_forward_hook(lambda *_: seen.append("after"))
    gru.register_forward_pre_hook(lambda *_: seen.append("before"))
    gru.register_full_backward_hook(lambda *_: seen.append("back"))
    gru.register_state_dict_post_hook(lambda *_: seen.append("saved"))
    from_torch(module)
    total(module(torch.randn(4, 2, 3, requires_grad=True))).backward()
    module.state_dict()
    assert seen == ["before", "after", "back", "saved"]
    handle.remove()
    seen.clear()
    module(torch.randn(4, 2, 3))
    assert seen == ["before"]
    assert gru.note == "mine"
    assert gru.weight_hh_l0.grad is None
    assert gru.weight_ih_l0.grad is not None
    assert [name for name, _ in gru.named_buffers()] == ["count"]
    to_torch(module)
    assert gru.note == "mine"
    assert not gru.weight_hh_l0.requires_grad
    assert type(gru) is nn.GRU


def test_what_nabi_adds_works_after_the_change() -> None:
    module: Any = from_torch(nn.LSTM(3, 5, batch_first=True))
    output, (h, _) = module(torch.randn(2, 4, 3), lengths=torch.tensor([4, 2]))
    assert (output[1, 2:] == 0).all()
    assert torch.equal(output[1, 1], h[0, 1])
    assert module.step(torch.randn(2, 3))[0].shape == (2, 5)


class Half(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def _parametrize(module: nn.Module) -> None:
    parametrize.register_parametrization(module, "weight_hh_l0", Half())


def _normalize(module: nn.Module) -> None:
    parametrizations.weight_norm(module, "weight_hh_l0")


def _normalize_by_hook(module: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        weight_norm(module, "weight_hh_l0")


def _prune(module: nn.Module) -> None:
    prune.random_unstructured(module, "weight_hh_l0", 0.5)


@pytest.mark.parametrize("compute", [_parametrize, _normalize, _normalize_by_hook, _prune])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_weights_that_are_computed_go_on_being_computed(compute: Any, kind: Any) -> None:
    torch.manual_seed(0)
    module = kind(3, 5)
    compute(module)
    x = torch.randn(4, 2, 3)
    expected, keys = results(module, (x,)), list(module.state_dict())
    from_torch(module)
    assert isinstance(module, nabi.nn.DropIn)
    assert list(module.state_dict()) == keys
    for found, wanted in zip(results(module, (x,)), expected, strict=True):
        assert_same(found, wanted, 1e-6)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(1.5)
    changed = module(x)[0]
    assert not torch.allclose(changed, expected[0][0])
    to_torch(module)
    assert isinstance(module, kind)
    torch.testing.assert_close(module(x)[0], changed)


def test_a_parametrization_can_be_removed_and_copied_afterwards() -> None:
    module = nn.LSTM(3, 5)
    _parametrize(module)
    from_torch(module)
    x = torch.randn(4, 2, 3)
    expected = module(x)[0]
    torch.testing.assert_close(copy.deepcopy(module)(x)[0], expected)
    parametrize.remove_parametrizations(module, "weight_hh_l0")
    assert type(module) is nabi.nn.LSTM
    torch.testing.assert_close(module(x)[0], expected)


class Reversed(nn.LSTM):
    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return super().forward(input.flip(0), hx)


def test_classes_derived_from_torchs_are_left_with_a_warning() -> None:
    module = nn.ModuleDict({"own": Reversed(3, 5), "plain": nn.LSTM(3, 5)})
    with pytest.warns(UserWarning, match=r"own \(Reversed is derived from torch.nn.LSTM\)$") as caught:
        from_torch(module)
    assert caught[0].filename == __file__
    assert type(module["own"]) is Reversed
    assert type(module["plain"]) is nabi.nn.LSTM


def test_a_replaced_forward_is_left_with_a_warning() -> None:
    lstm = nn.LSTM(3, 5)
    before = lstm.forward
    lstm.forward = lambda *given: before(*given)  # type: ignore[method-assign]
    with pytest.warns(UserWarning, match=r"0 \(its forward has been replaced on the object\)"):
        from_torch(nn.Sequential(lstm))
    assert type(lstm) is nn.LSTM


def test_an_unknown_nonlinearity_is_left_with_a_warning() -> None:
    module = nn.ModuleList([nn.RNNCell(3, 5, nonlinearity="sine"), nn.RNNCell(3, 5)])
    with pytest.warns(UserWarning, match=r"0 \(its nonlinearity is 'sine'\)"):
        from_torch(module)
    assert type(module[1]) is nabi.nn.RNNCell


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_torchscript_is_left_with_a_warning() -> None:
    module = nn.ModuleList([torch.jit.script(nn.GRU(3, 5))])
    with pytest.warns(UserWarning, match=r"0 \(a GRU in TorchScript"):
        from_torch(module)


def test_a_model_without_recurrent_modules_is_said_to_have_none() -> None:
    with pytest.warns(UserWarning, match="Linear has no recurrent module of torch's"):
        from_torch(nn.Linear(2, 2))
    from_torch(from_torch(nn.LSTM(3, 5)))  # the second time there is nothing left to do


@pytest.mark.parametrize("wrong", [nn.LSTM, "lstm", None, {}])
@pytest.mark.parametrize("change", [from_torch, to_torch])
def test_what_is_no_module_is_refused(change: Any, wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^module: expected "):
        change(wrong)


def test_what_torch_does_not_have_is_refused_by_name_and_nothing_is_changed() -> None:
    module = nn.ModuleDict(
        {
            "plain": nabi.nn.LSTM(3, 5),
            "peephole": nabi.nn.RNN(cells.PeepholeLSTM(5), 3),
            "layer": nn.Sequential(layers.GRU(4, input_shape=(5, 3))),
        }
    )
    with pytest.raises(ArgumentError, match=r"peephole \(RNN of PeepholeLSTM\); layer.0 \(GRU\)"):
        to_torch(module)
    assert type(module["plain"]) is nabi.nn.LSTM


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN", "ProjectedLSTM"])
@pytest.mark.parametrize("bias", [True, False])
def test_an_rnn_of_a_cell_that_torch_has_becomes_torchs(kind: str, bias: bool) -> None:
    options = {"projection": 2} if kind == "ProjectedLSTM" else {}
    cell = getattr(cells, kind)(5, use_bias=bias, **options)
    module: Any = nn.Sequential(nabi.nn.RNN(cell, 3, 2, bidirectional=True, dtype=torch.float64)).eval()
    rnn, seen = module[0], []
    rnn.register_forward_hook(lambda *_: seen.append("called"))
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    output, state = module(x)
    assert to_torch(module)[0] is rnn
    assert type(rnn) is {"GRU": nn.GRU, "SimpleRNN": nn.RNN}.get(kind, nn.LSTM)
    found, final = module(x)
    assert_same([found, *leaves(final)], [output, *state], 1e-10)
    assert seen == ["called"] * 2
    assert len(list(rnn.parameters())) == len(rnn._flat_weights)
    assert not rnn.training
    assert type(from_torch(module)[0]) is {"GRU": nabi.nn.GRU, "SimpleRNN": nabi.nn.ElmanRNN}.get(
        kind, nabi.nn.LSTM
    )
    assert_same([module(x)[0]], [output], 1e-10)


def test_an_rnn_with_dropout_in_its_cell_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"the module itself \(RNN of LSTM\)"):
        to_torch(nabi.nn.RNN(cells.LSTM(5, recurrent_dropout=0.5), 3))


def test_a_wrapped_module_is_found() -> None:
    inner = nn.GRU(3, 5, batch_first=True)
    x = torch.randn(2, 4, 3)
    expected = inner(x)[0]
    wrapped = from_torch(nn.DataParallel(inner))
    assert type(inner) is nabi.nn.GRU
    torch.testing.assert_close(wrapped(x)[0], expected)


@torch.no_grad()
def test_a_module_that_has_been_compiled_is_compiled_anew() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 5, batch_first=True))
    compiled = torch.compile(module, backend="eager")
    x = torch.randn(2, 4, 3)
    expected = compiled(x)[0]
    from_torch(compiled)
    assert type(module[1]) is nabi.nn.LSTM
    torch.testing.assert_close(compiled(x)[0], expected, rtol=1e-5, atol=1e-6)
    whole = torch.compile(module, backend="eager", fullgraph=True)
    torch.testing.assert_close(whole(x)[0], expected, rtol=1e-5, atol=1e-6)


def test_a_changed_model_is_copied_pickled_and_saved() -> None:
    module = from_torch(made(PROGRAMS[0])[0])
    _, batch = made(PROGRAMS[0])
    expected = module(*batch)
    stored = io.BytesIO()
    torch.save(module, stored)
    stored.seek(0)
    for one in (copy.deepcopy(module), torch.load(stored, weights_only=False)):
        torch.testing.assert_close(one(*batch), expected)


def test_half_precision_and_meta_stay() -> None:
    half = from_torch(nn.GRU(3, 5, dtype=torch.bfloat16))
    assert half(torch.randn(4, 2, 3, dtype=torch.bfloat16))[0].dtype is torch.bfloat16
    meta = from_torch(nn.GRU(3, 5, device="meta"))
    assert meta(torch.empty(4, 2, 3, device="meta"))[0].shape == (4, 2, 5)
