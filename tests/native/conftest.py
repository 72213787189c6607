"""Small kernels in LLVM's language, and a cache of the test's own."""

import time

import pytest

# Each has the signature of all kernels; arguments are 64-bit integers unless a comment says otherwise.
KERNELS = """
declare void @nabi_yield(i32)
declare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>)

; arguments[thread] = threads
define void @tell(ptr %arguments, i64 %thread, i64 %threads) nounwind {
  %own = getelementptr i64, ptr %arguments, i64 %thread
  store i64 %threads, ptr %own, align 8
  ret void
}

; Adds one to arguments[0] and waits until all threads have; then arguments[1 + thread] = threads.
define void @meet(ptr %arguments, i64 %thread, i64 %threads) nounwind {
  %before = atomicrmw add ptr %arguments, i64 1 seq_cst
  br label %wait
wait:
  %come = load atomic i64, ptr %arguments acquire, align 8
  %all = icmp sge i64 %come, %threads
  br i1 %all, label %together, label %spin
spin:
  call void @nabi_yield(i32 50)
  br label %wait
together:
  %behind = getelementptr i64, ptr %arguments, i64 1
  %own = getelementptr i64, ptr %behind, i64 %thread
  store i64 %threads, ptr %own, align 8
  ret void
}

; Waits until arguments[0] is not zero any more, then arguments[1] = 1.
define void @await(ptr %arguments, i64 %thread, i64 %threads) nounwind {
  br label %wait
wait:
  %signal = load atomic i64, ptr %arguments acquire, align 8
  %still = icmp eq i64 %signal, 0
  br i1 %still, label %spin, label %done
spin:
  call void @nabi_yield(i32 50)
  br label %wait
done:
  %second = getelementptr i64, ptr %arguments, i64 1
  store atomic i64 1, ptr %second release, align 8
  ret void
}

; The thread of number arguments[0] rests 200 times, the others return at once.
define void @dawdle(ptr %arguments, i64 %thread, i64 %threads) nounwind {
  %late = load i64, ptr %arguments, align 8
  %is_late = icmp eq i64 %late, %thread
  br i1 %is_late, label %rest, label %done
rest:
  %rests = phi i64 [ 1, %0 ], [ %more, %rest ]
  call void @nabi_yield(i32 50)
  %more = add i64 %rests, 1
  %again = icmp sle i64 %more, 200
  br i1 %again, label %rest, label %done
done:
  ret void
}

; Eight floats: x = 2.5 x + (0, 1, 2, 3, 4, 5, 6, 7), whose constants stand apart from the code.
define void @scale(ptr %arguments, i64 %thread, i64 %threads) nounwind {
  %x = load <8 x float>, ptr %arguments, align 4
  %y = call <8 x float> @llvm.fma.v8f32(<8 x float> %x, <8 x float> splat (float 2.5), <8 x float>
    <float 0.0, float 1.0, float 2.0, float 3.0, float 4.0, float 5.0, float 6.0, float 7.0>)
  store <8 x float> %y, ptr %arguments, align 4
  ret void
}
"""

NAMES = ("tell", "meet", "await", "dawdle", "scale")


@pytest.fixture
def kernels() -> str:
    return KERNELS


@pytest.fixture
def names() -> tuple[str, ...]:
    return NAMES


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    """A folder for compiled objects, and a process that has none in its memory and warned of nothing yet."""
    from nabi.native import store as _store
    from nabi.native._code import _cache

    folder = tmp_path / "cache"
    monkeypatch.setenv("NABI_CACHE_DIR", str(folder))
    monkeypatch.delenv("NABI_CACHE_SIZE", raising=False)
    monkeypatch.setattr(_cache, "_loaded", {})
    monkeypatch.setattr(_store, "_said", set())
    # Whoever edits the sources while the tests run has a cache nevertheless.
    monkeypatch.setattr(_store, "STARTED", time.time() + 1e6)
    return folder


@pytest.fixture
def library(cache_folder):
    """The kernels, loaded."""
    from nabi.native._code._cache import compiled
    from nabi.native._code._machine import host

    return compiled(("kernels of the tests",), NAMES, lambda: KERNELS, host())


@pytest.fixture(autouse=True)
def _as_users_get_it(effort_by_turns: None) -> None:
    """Compile as for users, by turns."""
