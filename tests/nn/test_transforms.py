"""What torch.func, autograd and autocast do to modules."""

import copy
import os

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, stack_module_state, vmap
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from .conftest import DOUBLE, EVERY, LAYERS, MAKERS, data, gradients, leaves, make, same, total

# torch's own forward mode uses torch.jit.script, of which it warns.
pytestmark = [
    pytest.mark.rotates(days=5),
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning"),
]


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


LENGTHS = torch.tensor([4, 1, 6, 2])


def packed(values: Tensor) -> PackedSequence:
    return pack_padded_sequence(values, LENGTHS, batch_first=True, enforce_sorted=False)


@LAYERS
def test_packed_sequences_in_transforms(name: str) -> None:
    module = make(name)
    x = data(name)
    parameters = dict(module.named_parameters())

    def run(weights: dict[str, Tensor], values: Tensor) -> Tensor:
        return total(functional_call(module, weights, (packed(values),))[0].data)

    wanted = torch.autograd.grad(run(parameters, x), list(parameters.values()))
    same([grad(run)(parameters, x)[key] for key in parameters], wanted)
    x.requires_grad_()
    (first,) = torch.autograd.grad(run(parameters, x), x, create_graph=True)
    second = torch.autograd.grad(first.square().sum(), list(parameters.values()))
    padded = total(module(x, lengths=LENGTHS)[0])
    (other,) = torch.autograd.grad(padded, x, create_graph=True)
    same(first, other)
    same(second, torch.autograd.grad(other.square().sum(), list(parameters.values())))


# One of each kind of layer, with one state and with two; equations of other cells take the same way.
COMPILED = ["LSTM", "LSTM projected", "GRU", "cell peephole", "cell GRU2014"]
if os.environ.get("NABI_TEST_AGREEMENT") == "all":
    COMPILED = [name for name in MAKERS if not name.endswith("Cell")]


@pytest.mark.parametrize("name", COMPILED)
def test_packed_sequences_are_compiled(name: str) -> None:
    module, x = make(name), data(name)
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
