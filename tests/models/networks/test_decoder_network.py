"""The networks of an encoder-decoder: what a mask hides, and one way of computing against the other."""

import itertools
import math

import pytest
import torch

from nabi.cells import GRU, LSTM
from nabi.decoding import BeamSearch, Greedy, decode
from nabi.errors import ArgumentError, UnknownNameError
from nabi.models._networks._attention import Attention
from nabi.models._networks._decoder import DecoderNetwork
from nabi.models._networks._decoder_steps import DecoderSteps
from nabi.models._networks._encoder import TextEncoder

KINDS = [(None, False), ("luong", False), ("luong", True), ("bahdanau", False)]
CODES = 9


def networks(kind, feeding, cell=None, layers=1, **more):
    torch.manual_seed(0)
    cell = cell or LSTM(6)
    encoder = TextEncoder(7, cell, layer_count=layers, embedding_size=5)
    widths = {"memory_width": encoder.memory_width, "summary_width": encoder.summary_width}
    more |= {"layer_count": layers, "embedding_size": 4, "attention": kind, "input_feeding": feeding}
    decoder = DecoderNetwork(CODES, cell, **widths, **more)
    with torch.no_grad():
        for weight in (*encoder.parameters(), *decoder.parameters()):
            weight.add_(0.3 * torch.randn_like(weight))
    return encoder.double(), decoder.double()


def sources():
    codes = torch.randint(1, 7, (4, 6), generator=torch.Generator().manual_seed(1))
    return codes, torch.tensor([6, 3, 1, 5])


@pytest.mark.parametrize("kind", ["luong", "bahdanau"])
def test_scores_are_those_of_the_papers(kind):
    torch.manual_seed(0)
    attention = Attention(kind, 3, 4, 5).double()
    query, memory = torch.randn(2, 6, 3, dtype=torch.float64), torch.randn(2, 7, 4, dtype=torch.float64)
    context, weights = attention(query, memory, attention.keys(memory), None)
    for row, step in itertools.product(range(2), range(6)):
        q, scores = query[row, step], []
        for m in memory[row]:
            if kind == "luong":
                scores.append(q @ (m @ attention._memory.kernel))
            else:
                inner = q @ attention._query.kernel + m @ attention._memory.kernel + attention._memory.bias
                scores.append(attention._vector @ torch.tanh(inner))
        expected = torch.stack(scores).softmax(0)
        torch.testing.assert_close(weights[row, step], expected)
        torch.testing.assert_close(context[row, step], expected @ memory[row])


def test_an_unknown_attention_is_refused():
    with pytest.raises(UnknownNameError, match="luong"):
        Attention("loung", 2, 2, 2)
    with pytest.raises(ArgumentError, match="input_feeding"):
        networks(None, True)


@pytest.mark.parametrize(("kind", "feeding"), KINDS)
@pytest.mark.parametrize("cell", [LSTM(6), GRU(6)], ids=["lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
def test_steps_give_what_teacher_forcing_gives(kind, feeding, cell, layers):
    encoder, decoder = networks(kind, feeding, cell, layers)
    codes, lengths = sources()
    memory = encoder(codes, lengths)
    given = torch.randint(0, CODES, (4, 5))
    expected = decoder(memory, given).log_softmax(2)
    steps = DecoderSteps(decoder)
    state = steps.start(memory)
    for number in range(5):
        found, state = steps.step(given[:, number], state)
        torch.testing.assert_close(found, expected[:, number])


@pytest.mark.parametrize(("kind", "feeding"), KINDS)
def test_padding_changes_nothing(kind, feeding):
    encoder, decoder = networks(kind, feeding)
    codes, lengths = sources()
    given = torch.randint(0, CODES, (4, 5))
    together = decoder(encoder(codes, lengths), given)
    for row, length in enumerate(lengths.tolist()):
        alone = encoder(codes[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(decoder(alone, given[row : row + 1])[0], together[row])


def test_scanned_and_stepwise_training_are_the_same():
    _, decoder = networks("luong", False, dropout=0.4, embedding_dropout=0.2)
    encoder, _ = networks("luong", False)
    memory = encoder(*sources())
    given = torch.randint(0, CODES, (4, 5))
    found = []
    for sampled in (0.0, 1e-12):
        decoder.zero_grad()
        generator = torch.Generator().manual_seed(3)
        logits = decoder(memory, given, None, generator, sampled)
        logits.square().sum().backward(retain_graph=True)
        found.append((logits.detach(), [weight.grad.clone() for weight in decoder.parameters()]))
    torch.testing.assert_close(found[0], found[1])


def test_scheduled_sampling_reads_what_was_most_probable():
    encoder, decoder = networks("luong", True)
    memory = encoder(*sources())
    start = torch.full((4, 1), 1)
    greedy = start
    for _ in range(4):
        greedy = torch.cat([greedy, decoder(memory, greedy)[:, -1:].argmax(2)], dim=1)
    given = torch.cat([start, torch.randint(0, CODES, (4, 4))], dim=1)
    sampled = decoder(memory, given, None, torch.Generator(), 1.0)
    torch.testing.assert_close(sampled, decoder(memory, greedy))


@pytest.mark.parametrize("kind", ["luong", "bahdanau"])
def test_weights_are_shares_of_what_is_there(kind):
    encoder, decoder = networks(kind, False)
    codes, lengths = sources()
    weights = decoder.attend(encoder(codes, lengths), torch.randint(0, CODES, (4, 5)))
    assert weights.shape == (4, 5, 6)
    torch.testing.assert_close(weights.sum(2), torch.ones(4, 5, dtype=torch.float64))
    for row, length in enumerate(lengths.tolist()):
        assert bool((weights[row, :, length:] == 0).all())
    with pytest.raises(ArgumentError, match="no attention"):
        networks(None, False)[1].attend(encoder(codes, lengths), codes)


@pytest.mark.parametrize(("kind", "feeding"), KINDS)
def test_batched_decoding_is_that_of_each_row_alone(kind, feeding):
    encoder, decoder = networks(kind, feeding)
    codes, lengths = sources()
    steps = DecoderSteps(decoder, banned=[0])
    for strategy in (Greedy(), BeamSearch(3, best=2)):
        state = steps.start(encoder(codes, lengths))
        together = decode(steps, state, [1] * 4, strategy, end=1, maxlen=6)
        for row, length in enumerate(lengths.tolist()):
            alone = steps.start(encoder(codes[row : row + 1, :length], torch.tensor([length])))
            (expected,) = decode(steps, alone, [1], strategy, end=1, maxlen=6)
            assert [one.codes for one in together[row]] == [one.codes for one in expected]
            for one, other in zip(together[row], expected, strict=True):
                assert math.isclose(one.log_probability, other.log_probability, rel_tol=1e-9)
