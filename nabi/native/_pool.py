"""Threads of nabi's own, for where torch's OpenMP library cannot be entered."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["Pool"]

Kernel = Callable[[int, int, int], None]


class _Job:
    """One kernel, to be run by several threads at once."""

    def __init__(self, kernel: Kernel, arguments: int, threads: int) -> None:
        self.kernel, self.arguments, self.threads = kernel, arguments, threads
        self.begun = False
        self._ended = False
        self._end = threading.Lock()
        self._end.acquire()
        self._claimed = threading.Lock()
        self._left = threads
        self._count = threading.Lock()

    def claim(self) -> bool:
        """Take the right to start the job, or to withdraw it: the first who asks has it."""
        return self._claimed.acquire(blocking=False)

    def run(self, thread: int) -> bool:
        """Do a thread's part; returns whether it was the last to end."""
        self.kernel(self.arguments, thread, self.threads)
        with self._count:
            self._left -= 1
            return self._left == 0

    def end(self) -> None:
        """Let the caller go."""
        self._ended = True
        if self._end.locked():
            self._end.release()

    def wait(self) -> None:
        """Wait for the end; an exception of a signal handler can interrupt it, and it can be called again."""
        while not self._ended:
            # A signal may have come after the lock was taken: then only the flag tells.
            self._end.acquire(timeout=0.1)


class Pool:
    """Daemon threads that wait for kernels; one kernel at a time.

    A kernel runs in these threads alone, and its caller waits: a signal handler can raise in the caller
    between any two instructions, and the other threads would wait at a barrier for one that never comes.
    For the same reason the caller holds no lock but for starting threads: the first of them says what runs.
    """

    def __init__(self) -> None:
        self._running = False
        self._growing = threading.Lock()
        self._queues: list[SimpleQueue[tuple[_Job, int]]] = []
        self._workers: set[int] = set()

    def run(self, kernel: Kernel, arguments: int, threads: int) -> bool:
        """Run `kernel(arguments, thread, threads)` in so many threads at once and wait for all of them.

        Fewer threads run it where the system refuses more.

        Returns:
            False, with nothing done, while another thread of Python uses the pool, within a kernel, or where
            there are fewer than two threads.
        """
        if self._running or threading.get_ident() in self._workers:
            return False
        threads = self._grow(threads)
        if threads < 2:
            return False
        job = _Job(kernel, arguments, threads)
        try:
            # Of two callers who both found the pool free, one waits here until the other's kernel has ended.
            self._queues[0].put((job, 0))
            job.wait()
        except BaseException:
            self._withdraw(job)
            raise
        return True

    def _withdraw(self, job: _Job) -> None:
        """Stop a job that has not begun, else wait for its end, whatever signals come meanwhile.

        A kernel must not go on in buffers that nobody holds any more.
        """
        while True:
            try:
                job.claim()
                # It may not have been handed over yet; one that comes twice is left alone.
                self._queues[0].put((job, 0))
                job.wait()
                return
            except BaseException:
                continue

    def _grow(self, threads: int) -> int:
        with self._growing:
            while len(self._queues) < threads:
                queue: SimpleQueue[tuple[_Job, int]] = SimpleQueue()
                worker = threading.Thread(target=self._work, args=(queue,), name="nabi", daemon=True)
                try:
                    worker.start()
                except RuntimeError:  # the system has no more
                    break
                self._queues.append(queue)
            return min(threads, len(self._queues))

    def _work(self, queue: "SimpleQueue[tuple[_Job, int]]") -> None:
        self._workers.add(threading.get_ident())
        while True:
            job, thread = queue.get()
            if thread == 0:
                if not job.claim():
                    if not job.begun:
                        job.end()
                    continue
                job.begun = self._running = True
                for other in range(1, job.threads):
                    self._queues[other].put((job, other))
            if job.run(thread):
                self._running = False
                job.end()
