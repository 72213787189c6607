"""What PyTorch does to modules: compile, functional transforms, autocast, copies, parametrizations."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, stack_module_state, vmap
from torch.nn.utils import prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import nabi.nn
from nabi import cells

# torch's own forward mode uses torch.jit.script, of which it warns.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

DOUBLE = torch.float64
MAKERS: dict[str, Callable[[], nn.Module]] = {
    "RNN": lambda: nabi.nn.RNN(3, 5, 2, bidirectional=True, batch_first=True, dtype=DOUBLE),
    "LSTM": lambda: nabi.nn.LSTM(3, 5, 2, bidirectional=True, batch_first=True, dtype=DOUBLE),
    "LSTM projected": lambda: nabi.nn.LSTM(3, 5, proj_size=2, batch_first=True, dtype=DOUBLE),
    "GRU": lambda: nabi.nn.GRU(3, 5, 2, bidirectional=True, batch_first=True, dtype=DOUBLE),
    "cell LSTM": lambda: nabi.nn.RNN(cells.LSTM(5), 3, 2, bidirectional=True, dtype=DOUBLE),
    "cell GRU": lambda: nabi.nn.RNN(cells.GRU(5), 3, dtype=DOUBLE),
    "cell GRU2014": lambda: nabi.nn.RNN(cells.GRU2014(5), 3, dtype=DOUBLE),
    "cell peephole": lambda: nabi.nn.RNN(cells.PeepholeLSTM(5), 3, dtype=DOUBLE),
    "cell layer norm": lambda: nabi.nn.RNN(cells.LayerNormLSTM(5), 3, dtype=DOUBLE),
    "RNNCell": lambda: nabi.nn.RNNCell(3, 5, dtype=DOUBLE),
    "LSTMCell": lambda: nabi.nn.LSTMCell(3, 5, dtype=DOUBLE),
    "GRUCell": lambda: nabi.nn.GRUCell(3, 5, dtype=DOUBLE),
}
EVERY = pytest.mark.parametrize("name", MAKERS)
LAYERS = pytest.mark.parametrize("name", [name for name in MAKERS if not name.endswith("Cell")])


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MAKERS[name]()


def data(name: str, batch: int = 4, steps: int = 6, seed: int = 0) -> Tensor:
    shape = (batch, 3) if name.endswith("Cell") else (batch, steps, 3)
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def leaves(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [leaf for part in value for leaf in leaves(part)]


def total(value: Any) -> Tensor:
    """A number that weighs every output differently."""
    parts = leaves(value)
    return sum((part * torch.linspace(0.5, 1.5, part.shape[-1], dtype=part.dtype)).sum() for part in parts)  # type: ignore[return-value]


def gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(total(module(x)), list(module.parameters())))


def same(left: Any, right: Any) -> None:
    for a, b in zip(leaves(left), leaves(right), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@EVERY
def test_compile_fullgraph_without_recompiling(name: str) -> None:
    torch._dynamo.reset()
    module = make(name)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for batch, steps in ((4, 6), (3, 9), (5, 7), (2, 12)):
            x = data(name, batch, steps).requires_grad_()
            same(compiled(x), module(x))
            wanted = torch.autograd.grad(total(module(x)), [x, *module.parameters()])
            same(torch.autograd.grad(total(compiled(x)), [x, *module.parameters()]), wanted)


@LAYERS
def test_compile_with_aot_eager_lengths_and_states(name: str) -> None:
    torch._dynamo.reset()
    module = make(name)

    def run(x: Tensor, lengths: Tensor) -> Any:
        output, state = module(x, lengths=lengths)
        return module(x + output.mean(), state, lengths=lengths)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    lengths = torch.tensor([6, 0, 3, 5])
    same(compiled(data(name), lengths), run(data(name), lengths))
    same(gradients_of(compiled, module, data(name), lengths), gradients_of(run, module, data(name), lengths))


def gradients_of(function: Any, module: nn.Module, *arguments: Any) -> list[Tensor]:
    return list(torch.autograd.grad(total(function(*arguments)), list(module.parameters())))


@torch.no_grad()
def test_compile_a_stream() -> None:
    torch._dynamo.reset()
    module = nabi.nn.RNN(cells.PeepholeLSTM(5), 3, 2)
    compiled = torch.compile(module.step, fullgraph=True, backend="aot_eager")
    # The first call knows no state yet and is compiled apart.
    output, state = compiled(torch.zeros(2, 3))
    other = state
    for x in torch.randn(4, 2, 3):
        output, state = compiled(x, state)
        wanted, other = module.step(x, other)
        same(output, wanted)
    assert type(state) is type(other)


def test_compile_with_noise() -> None:
    torch._dynamo.reset()
    module = nabi.nn.RNN(cells.LSTM(5, recurrent_dropout=0.5), 3)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 6, 3)
    assert not torch.equal(compiled(x)[0], compiled(x)[0])
    compiled(x)[0].sum().backward()
    assert module.W_h_l0.grad.any()


@EVERY
def test_vmap_over_an_ensemble(name: str) -> None:
    torch.manual_seed(0)
    modules = [MAKERS[name]() for _ in range(3)]
    parameters, buffers = stack_module_state(modules)
    skeleton = copy.deepcopy(modules[0]).to("meta")
    x = data(name)
    outputs = vmap(lambda p, b: functional_call(skeleton, (p, b), (x,)))(parameters, buffers)
    for index, module in enumerate(modules):
        same([leaf[index] for leaf in leaves(outputs)], module(x))
    per_model = vmap(grad(lambda p: total(functional_call(skeleton, p, (x,)))))(parameters)
    for index, module in enumerate(modules):
        same([per_model[key][index] for key, _ in module.named_parameters()], gradients(module, x))


@EVERY
def test_gradients_of_each_sample(name: str) -> None:
    module = make(name)
    parameters = dict(module.named_parameters())
    x = data(name)
    each = vmap(grad(lambda p, row: total(functional_call(module, p, (row,)))), (None, 0))(parameters, x)
    for index in range(len(x)):
        same([each[key][index] for key in parameters], gradients(module, x[index]))


@EVERY
def test_functional_call_uses_the_given_weights(name: str) -> None:
    module, other = make(name), MAKERS[name]()
    x = data(name)
    same(functional_call(module, dict(other.named_parameters()), (x,)), other(x))


@LAYERS
def test_packed_sequences_in_transforms(name: str) -> None:
    module = make(name)
    x, lengths = data(name), torch.tensor([4, 1, 6, 2])
    parameters = dict(module.named_parameters())

    def packed(values: Tensor) -> PackedSequence:
        return pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)

    def run(weights: dict[str, Tensor], values: Tensor) -> Tensor:
        return total(functional_call(module, weights, (packed(values),))[0].data)

    wanted = torch.autograd.grad(run(parameters, x), list(parameters.values()))
    same([grad(run)(parameters, x)[key] for key in parameters], wanted)
    x.requires_grad_()
    (first,) = torch.autograd.grad(run(parameters, x), x, create_graph=True)
    second = torch.autograd.grad(first.square().sum(), list(parameters.values()))
    padded = total(module(x, lengths=lengths)[0])
    (other,) = torch.autograd.grad(padded, x, create_graph=True)
    same(first, other)
    same(second, torch.autograd.grad(other.square().sum(), list(parameters.values())))
    torch._dynamo.reset()
    with torch.no_grad():
        compiled = torch.compile(module, backend="aot_eager")
        same(compiled(packed(x))[0].data, module(packed(x))[0].data)


@EVERY
def test_double_backward(name: str) -> None:
    module = make(name)
    x = data(name, 2, 3).requires_grad_()
    parameters = tuple(module.parameters())

    def penalty(*inputs: Tensor) -> Tensor:
        weights = dict(zip([key for key, _ in module.named_parameters()], inputs[1:], strict=True))
        value = total(functional_call(module, weights, (inputs[0],)))
        found = torch.autograd.grad(value, inputs, create_graph=True)
        return sum((gradient.square().sum() for gradient in found), torch.zeros((), dtype=DOUBLE))

    assert torch.autograd.gradcheck(penalty, (x, *parameters), fast_mode=True)


@EVERY
def test_forward_mode(name: str) -> None:
    module = make(name)
    x, tangent = data(name), data(name, seed=1)
    _, change = jvp(lambda value: module(value), (x,), (tangent,))
    epsilon = 1e-6
    difference = [
        (a - b) / (2 * epsilon)
        for a, b in zip(*(leaves(module(x + sign * epsilon * tangent)) for sign in (1, -1)), strict=True)
    ]
    assert any(bool(leaf.any()) for leaf in leaves(change))
    for found, wanted in zip(leaves(change), difference, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)
    with forward_ad.dual_level():
        dual = module(forward_ad.make_dual(x, tangent))
        same([forward_ad.unpack_dual(leaf).tangent for leaf in leaves(dual)], change)
    # The same by the weights.
    parameters = {key: value.detach() for key, value in module.named_parameters()}
    directions = {key: torch.randn_like(value) for key, value in parameters.items()}
    _, along = jvp(lambda p: total(functional_call(module, p, (x,))), (parameters,), (directions,))
    pairs = zip(directions.values(), gradients(module, x), strict=True)
    wanted_along = sum((direction * gradient).sum() for direction, gradient in pairs)
    torch.testing.assert_close(along, wanted_along)


@EVERY
def test_autocast(name: str) -> None:
    module = make(name).float()
    x = data(name).float()
    expected = module(x)
    with torch.autocast("cpu", torch.bfloat16):
        result = module(x)
        assert torch.is_autocast_enabled("cpu")
    for found, wanted in zip(leaves(result), leaves(expected), strict=True):
        assert found.dtype == torch.bfloat16
        # A normalisation over five units makes more of bfloat16's rounding.
        torch.testing.assert_close(found.float(), wanted, rtol=0.05, atol=0.1 if "norm" in name else 0.02)
    total(result).backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in module.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        assert leaves(make(name)(data(name)))[0].dtype == DOUBLE


def test_autocast_in_compile() -> None:
    torch._dynamo.reset()
    module = nabi.nn.GRU(3, 5)
    x = torch.randn(6, 4, 3)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def run(x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return module(x)[0]

    assert run(x).dtype == torch.bfloat16
    torch.testing.assert_close(run(x).float(), module(x)[0], rtol=0.05, atol=0.02)


@EVERY
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_are_independent_and_equal(name: str, how: str) -> None:
    module = make(name)
    x = data(name)
    module(x)
    if how == "deepcopy":
        twin = copy.deepcopy(module)
    elif how == "pickle":
        twin = pickle.loads(pickle.dumps(module))
    else:
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    same(twin(x), module(x))
    assert repr(twin) == repr(module)
    before = leaves(module(x))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    same(module(x), before)
    assert not torch.equal(leaves(twin(x))[0], before[0])


@EVERY
def test_state_dict_round_trip_and_dtype(name: str) -> None:
    module = make(name)
    other = MAKERS[name]()
    other.load_state_dict(module.state_dict())
    x = data(name)
    same(other(x), module(x))
    narrow = copy.deepcopy(module).float()
    assert leaves(narrow(x.float()))[0].dtype == torch.float32
    same(narrow.double()(x.float().double()), copy.deepcopy(module).float().double()(x.float().double()))


@EVERY
def test_meta_device(name: str) -> None:
    module = make(name)
    skeleton = copy.deepcopy(module).to("meta")
    outputs = leaves(skeleton(data(name).to("meta")))
    assert [value.shape for value in outputs] == [value.shape for value in leaves(module(data(name)))]
    assert all(value.is_meta for value in outputs)
    skeleton.to_empty(device="cpu").load_state_dict(module.state_dict())
    same(skeleton(data(name)), module(data(name)))


def test_built_on_the_meta_device() -> None:
    for module in (
        nabi.nn.LSTM(3, 5, device="meta"),
        nabi.nn.RNN(cells.GRU(5), 3, device="meta"),
        nabi.nn.RNN(cells.LSTM(5), 3, device="meta", initializer="keras"),
        nabi.nn.GRUCell(3, 5, device="meta"),
    ):
        assert all(parameter.is_meta for parameter in module.parameters())


WEIGHT = {
    "RNN": "weight_hh_l0",
    "LSTM": "weight_hh_l1_reverse",
    "GRU": "weight_ih_l0",
    "GRUCell": "weight_ih",
    "cell LSTM": "W_h_l1_reverse",
    "cell peephole": "W_x_l0",
}


@pytest.mark.parametrize("name", WEIGHT)
def test_weight_norm_parametrization(name: str) -> None:
    module = make(name)
    x = data(name)
    expected = module(x)
    torch.nn.utils.parametrizations.weight_norm(module, WEIGHT[name])
    same(module(x), expected)
    magnitude = getattr(module.parametrizations, WEIGHT[name]).original0
    total(module(x)).backward()
    assert magnitude.grad.any()
    with torch.no_grad():
        magnitude.mul_(2)
    assert not torch.equal(leaves(module(x))[0], leaves(expected)[0])
    same(copy.deepcopy(module)(x), module(x))
    changed = module(x)
    torch.nn.utils.parametrize.remove_parametrizations(module, WEIGHT[name])
    same(module(x), changed)


@pytest.mark.parametrize("name", WEIGHT)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_old_weight_norm(name: str) -> None:
    module = make(name)
    x = data(name)
    expected = module(x)
    torch.nn.utils.weight_norm(module, WEIGHT[name])
    same(module(x), expected)
    magnitude = getattr(module, WEIGHT[name] + "_g")
    total(module(x)).backward()
    assert magnitude.grad.any()
    with torch.no_grad():
        magnitude.mul_(2)
    changed = module(x)
    assert not torch.equal(leaves(changed)[0], leaves(expected)[0])
    torch.nn.utils.remove_weight_norm(module, WEIGHT[name])
    same(module(x), changed)


@pytest.mark.parametrize("name", WEIGHT)
def test_pruning_and_spectral_norm(name: str) -> None:
    module = make(name)
    x = data(name)
    expected = module(x)
    prune.l1_unstructured(module, WEIGHT[name], 0.5)
    pruned = module(x)
    assert not torch.equal(leaves(pruned)[0], leaves(expected)[0])
    prune.remove(module, WEIGHT[name])
    same(module(x), pruned)
    torch.nn.utils.parametrizations.spectral_norm(module, WEIGHT[name])
    total(module(x)).backward()
    assert getattr(module.parametrizations, WEIGHT[name]).original.grad.any()


@EVERY
def test_partly_frozen_weights(name: str) -> None:
    module = make(name)
    wanted = gradients(module, data(name))
    for frozen, _ in enumerate(wanted):
        for index, parameter in enumerate(module.parameters()):
            parameter.grad = None
            parameter.requires_grad_(index != frozen)
        total(module(data(name))).backward()
        for index, (parameter, gradient) in enumerate(zip(module.parameters(), wanted, strict=True)):
            if index == frozen:
                assert parameter.grad is None
            else:
                torch.testing.assert_close(parameter.grad, gradient)
    module.requires_grad_(False)
    assert not leaves(module(data(name)))[0].requires_grad
    x = data(name).requires_grad_()
    total(module(x)).backward()
    assert x.grad is not None


@EVERY
def test_inference_mode_and_module_hooks(name: str) -> None:
    module = make(name)
    expected = module(data(name))
    with torch.inference_mode():
        same(module(data(name)), expected)
    seen: list[Any] = []
    module.register_forward_hook(lambda _m, _i, output: seen.append(output))
    same(module(data(name)), seen[0])


@EVERY
def test_export(name: str) -> None:
    module = make(name).eval()
    exported = torch.export.export(module, (data(name),))
    same(exported.module()(data(name, seed=2)), module(data(name, seed=2)))


def test_export_with_a_dynamic_length() -> None:
    module = nabi.nn.LSTM(3, 5, batch_first=True)
    shapes = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("time")},)
    exported = torch.export.export(module, (torch.randn(4, 6, 3),), dynamic_shapes=shapes)
    x = torch.randn(2, 9, 3)
    same(exported.module()(x), module(x))


def test_fused_optimizer_and_training() -> None:
    torch.manual_seed(0)
    module = nn.ModuleList([nabi.nn.GRU(1, 8, batch_first=True), nn.Linear(8, 1)])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05, fused=True)
    x = torch.randn(16, 5, 1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (module[1](module[0](x)[0][:, -1]) - x.sum(1)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 10
