"""A stream: bit-equal wherever the sequence is cut, and near what the whole batch gives."""

import numpy as np
import pytest
import torch

from nabi.errors import ArgumentError, ShapeError

from .toy import StepToy, StringToy, Toy, directions, strings, turns

# The kind of answer, with data to learn a little from; a stride where steps need no labels.
SYSTEMS = {
    "class": (Toy, directions(30), {"stride": 2}),
    "step": (StepToy, turns(30), {"cell": "lstm"}),
    "string": (StringToy, [one * 4 for one in strings(8)], {"networks": 2, "layers": 2}),
}


@pytest.fixture(scope="module", params=SYSTEMS)
def told(request):
    kind, data, said = SYSTEMS[request.param]
    model = kind(
        units=7, epochs=2, bidirectional=False, convolutions=(5, 6), kernel=3, **{"batch_size": 8, **said}
    )
    model.fit(*data)
    return model, data[0]


def read(model, sequence, sizes):
    """What a stream says in chunks of these sizes, over and over."""
    stream, found, first, number = model.stream(), [], 0, 0
    while first < len(sequence):
        size = sizes[number % len(sizes)]
        found.append(stream.push(sequence[first : first + size]))
        first, number = first + size, number + 1
    return found[-1] if stream.answer == "class" else np.concatenate(found)


def test_chunks_of_any_size_are_bit_equal_to_the_whole(told) -> None:
    model, inputs = told
    for sequence in inputs[:6]:
        whole = read(model, sequence, [len(sequence)])
        for sizes in ([1], [2], [3, 1], [0, 5], [4]):
            np.testing.assert_array_equal(read(model, sequence, sizes), whole)
        np.testing.assert_allclose(whole, model.probabilities([sequence])[0], atol=1e-5)


def test_a_stream_goes_on_from_a_saved_state(told, tmp_path) -> None:
    model, inputs = told
    sequence = np.concatenate(inputs[:2])
    one = model.stream()
    one.push(sequence[:5])
    torch.save(one.state(), tmp_path / "state.pt")
    rest = one.push(sequence[5:])
    other = model.stream()
    other.set_state(torch.load(tmp_path / "state.pt"))
    np.testing.assert_array_equal(other.push(sequence[5:]), rest)
    assert other.steps == one.steps
    one.reset()
    assert one.steps == 0
    np.testing.assert_array_equal(one.push(sequence), model.stream().push(sequence))


def test_networks_whose_fronts_differ_are_read_each_with_its_own() -> None:
    inputs, targets = strings(8)
    model = StringToy(units=5, epochs=1, bidirectional=False, networks=2)
    model.fit(inputs, targets)
    together = read(model, inputs[0], [3])
    model.network.networks[1].front.mean += 0.5
    np.testing.assert_allclose(read(model, inputs[0], [3]), model.probabilities(inputs[:1])[0], atol=1e-5)
    assert not np.allclose(read(model, inputs[0], [3]), together, atol=1e-4)


def test_what_cannot_be_streamed_is_refused(told) -> None:
    model, inputs = told
    stream = model.stream()
    with pytest.raises(ShapeError, match="chunk: expected the shape"):
        stream.push(np.ones((3, 9), np.float32))
    with pytest.raises(ShapeError, match="chunk: expected the shape"):
        stream.push(1.0)
    with pytest.raises(ArgumentError, match="state: expected what state"):
        stream.set_state({"count": torch.tensor(3)})
    before = stream.push(inputs[0][:0])
    assert len(before) == (len(model.labels) if stream.answer == "class" else 0)
    both = Toy(units=3, epochs=1)
    with pytest.raises(ArgumentError, match="not fitted"):
        both.stream()
    both.fit(*directions(10))
    with pytest.raises(ArgumentError, match="reads in both directions needs the whole sequence"):
        both.stream()
