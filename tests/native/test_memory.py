"""Memory that kernels work in: who holds it while they run, around every size at which that changes."""

import ctypes
import errno
import mmap
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

import nabi.nn
from nabi import cells
from nabi.native import memory as _memory, threads as _threads
from nabi.native.addresses import lay_out
from nabi.scan import Options, PreparedStep, TrainingPass
from nabi.targets.llvm._binder import _bound

from .machines import needs_native

pytestmark = needs_native


def _trained(module: torch.nn.Module, *given: Any) -> list[Tensor]:
    module.zero_grad()
    output = module(*given)[0]
    output = output.data if isinstance(output, torch.nn.utils.rnn.PackedSequence) else output
    output.square().sum().backward()
    return [output.detach(), *[p.grad.clone() for p in module.parameters()]]


def inference() -> list[Tensor]:
    """A full batch without gradients, one sequence and several."""
    torch.manual_seed(0)
    layer = nabi.nn.LSTM(3, 20)
    with torch.no_grad():
        return [layer(torch.randn(9, batch, 3))[0] for batch in (1, 5)]


def training() -> list[Tensor]:
    """A full batch with gradients, through a stack in both directions."""
    torch.manual_seed(0)
    return _trained(nabi.nn.GRU(3, 20, num_layers=2, bidirectional=True), torch.randn(9, 5, 3))


def lengths() -> list[Tensor]:
    """A packed batch with gradients."""
    torch.manual_seed(0)
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(9, 3, 3), torch.tensor([9, 4, 1]))
    return _trained(nabi.nn.LSTM(3, 20), packed)


def prepared_pass() -> list[Tensor]:
    """Steps of a training that is prepared, while another layer uses the thread's memory."""
    torch.manual_seed(0)
    program = cells.LSTM(20).program(3, training=True)
    weights = [torch.randn(f.shape) / 3 for f in program.families]
    x, states = torch.randn(2, 9, 3), [torch.randn(2, w) for w in program.state_widths]
    made = TrainingPass(program, Options(), x, states, weights, (True,) * len(weights))
    other, found = nabi.nn.RNN(cells.SimpleRNN(40), 30), []
    for _ in range(2):
        kept, finals = made.forward(x, states)
        other(torch.randn(4, 9, 30))
        dx, gradients = made.backward([torch.ones_like(one) for one in kept], (None,) * len(finals), True)
        assert dx is not None
        # The next step writes over all of it.
        found += [one.clone() for one in (*kept, *finals, dx, *gradients) if one is not None]
    return found


def prepared_step() -> list[Tensor]:
    """Single steps with weights that are packed once."""
    torch.manual_seed(0)
    program = cells.GRU(20).program(3)
    step = PreparedStep(program, [torch.randn(f.shape) / 3 for f in program.families])
    return [one for batch in (1, 7) for one in step(torch.randn(batch, 3), step.start(batch))]


WAYS = [inference, training, lengths, prepared_pass, prepared_step]


class _Watch:
    """Looks at every run whether the working memory that its arguments lead to is held by somebody."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self._areas: list[tuple[int, int, Any]] = []
        self._places: list[Tensor] = []
        self.runs = self.found = 0
        make, run = _memory._fresh, _threads.run

        def fresh(size: int) -> Tensor:
            # Its place is never given to anything else, so that whatever leads there later is a fault.
            place = make(size)
            self._places.append(place)
            memory = torch.from_numpy(place.numpy())
            start = memory.data_ptr()
            weak = StorageWeakRef(memory.untyped_storage())
            self._areas.append((start, start + memory.numel(), weak))
            return memory

        def look(address: int, arguments: Any, threads: int) -> None:
            self.runs += 1
            words = set(arguments if isinstance(arguments, ctypes.Array) else ())
            for first, stop, weak in self._areas:
                if any(first <= word < stop for word in words):
                    self.found += 1
                    assert not weak.expired(), "the memory was freed before the kernel ran"
            run(address, arguments, threads)

        patch.setattr(_memory, "_fresh", fresh)
        patch.setattr(_threads, "run", look)
        if _bound.working_memory is _memory.working_memory:
            patch.setattr(_bound, "working_memory", self._measured(_memory.working_memory))

    def _measured(self, given: Callable[..., Any]) -> Callable[..., Any]:
        def measured(layout: Any) -> Any:
            self.sizes.append(layout.size)
            return given(layout)

        return measured


@pytest.fixture(autouse=True)
def _new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that has kept nothing yet."""
    monkeypatch.setattr(_memory, "_own", threading.local())


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_memory_is_held_around_the_size_that_is_kept(way: Callable[[], list[Tensor]]) -> None:
    expected = way()
    with pytest.MonkeyPatch.context() as patch:
        watch = _Watch(patch)
        way()
        assert watch.runs
        sizes = sorted(set(watch.sizes)) or [1 << 16]
    for kept in {0, *(size + more for size in (sizes[0], sizes[-1]) for more in (-1, 0, 1))}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_memory, "KEPT", kept)
            patch.setattr(_memory, "_own", threading.local())
            watch = _Watch(patch)
            found = way()
            assert watch.found
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other), (way, kept)


def test_a_thread_keeps_as_much_as_it_may_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "KEPT", 4096)
    for size, is_kept in ((4096 - 128, True), (4096 - 64, True), (4096, False)):
        layout = lay_out({"some": size}, 1)
        first, again = _memory.working_memory(layout), _memory.working_memory(layout)
        assert layout.size == size + 64
        assert (first[0] is again[0]) is is_kept
        assert first[1] % 64 == again[1] % 64 == 0


@pytest.mark.parametrize("refuses", [False, True], ids=["as it is", "without large pages"])
def test_much_memory_is_whole_and_writable(refuses: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large pages are asked for; a system that has none gives small ones."""
    if refuses:

        class Small(mmap.mmap):
            def madvise(self, *_: Any) -> None:
                raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(mmap, "mmap", Small)
    memory, start = _memory.new_memory(lay_out({"some": _memory._HUGE}, 1))
    assert memory.numel() >= _memory._HUGE
    assert not memory.is_inference()
    assert start % 64 == 0
    memory.fill_(7)
    assert int(memory[0]) == int(memory[-1]) == 7


def test_records_too_large_to_keep_push_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "KEPT", 4096)
    monkeypatch.setattr(_memory, "_free", type(_memory._free)())
    small = _memory.take(lay_out({"some": 1000}, 1))[0]
    _memory.give_back(small)
    for size in (5000, 4096, 1 << 20):
        _memory.give_back(torch.empty(size + 64, dtype=torch.uint8))
    assert _memory.take(lay_out({"some": 1000}, 1))[0] is small


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_results_around_the_size_whose_memory_comes_back(more: int) -> None:
    """A result that somebody holds is never written over, whichever memory it lies in."""
    count = _memory.LARGE // 4 + more
    held = [_memory.fresh((count,), torch.float32).fill_(number) for number in range(4)]
    again = _memory.fresh((count,), torch.float32)
    assert len({one.data_ptr() for one in (*held, again)}) == 5
    assert [float(one.min()) for one in held] == [float(one.max()) for one in held] == [0, 1, 2, 3]


WIDE = """
import torch, nabi.nn
torch.manual_seed(0)
layer, x = nabi.nn.LSTM(8, 4096), torch.randn(1, 2, 8)
with torch.no_grad():
    for _ in range(2):
        found = layer(x)[0]
    torch_layer = torch.nn.LSTM(8, 4096, device="meta")
    torch_layer.load_state_dict(layer.state_dict(), assign=True)
    assert torch.allclose(found, torch_layer(x)[0], atol=1e-5)
print("right")
"""


def test_a_layer_whose_working_memory_is_not_kept() -> None:
    """More than 256 MiB of packed weights: in a process of its own, which memory freed too early ends."""
    found = subprocess.run([sys.executable, "-c", WIDE], capture_output=True, text=True, timeout=300)
    assert (found.returncode, found.stdout) == (0, "right\n"), found.stderr[-2000:]


@pytest.mark.parametrize("size", [3, 500])
def test_results_made_like_others_have_memory_of_their_own(size: int) -> None:
    for shape, strides in (((size, 4, size), ()), ((4, size, size), (size, 4 * size, 1))):
        new = _memory.fresh_like(shape, torch.float64, strides)
        one, other = new(), new()
        assert one.shape == shape
        assert one.stride() == (strides or torch.empty(shape, device="meta").stride())
        assert one.dtype is torch.float64
        one.fill_(1.0)
        other.fill_(2.0)
        assert one.sum() == one.numel()
