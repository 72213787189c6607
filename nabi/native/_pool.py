"""nabi's own threads, used if torch's OpenMP library can't be entered."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["Pool"]

Kernel = Callable[[int, int, int], None]


class _Job:
    """One kernel run by several threads at once."""

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
        """Claim the right to start or withdraw the job; the first caller gets it."""
        return self._claimed.acquire(blocking=False)

    def run(self, thread: int) -> bool:
        """Run a thread's part; return whether it was the last to finish."""
        self.kernel(self.arguments, thread, self.threads)
        with self._count:
            self._left -= 1
            return self._left == 0

    def end(self) -> None:
        """Release the caller."""
        self._ended = True
        if self._end.locked():
            self._end.release()

    def wait(self) -> None:
        """Wait for the end; if an exception from a signal handler interrupts it, it can be called again."""
        while not self._ended:
            # A signal may have arrived after the lock was taken; then only the flag tells.
            self._end.acquire(timeout=0.1)


class Pool:
    """Daemon threads that wait for kernels; one kernel at a time.

    A kernel runs only in these threads while its caller waits: a signal handler can raise in the caller
    between any two instructions, and the other threads would wait at a barrier for a thread that never
    arrives. For the same reason, the caller holds a lock only to start threads; the first thread decides what
    runs.
    """

    def __init__(self) -> None:
        self._running = False
        self._growing = threading.Lock()
        self._queues: list[SimpleQueue[tuple[_Job, int]]] = []
        self._workers: set[int] = set()

    def run(self, kernel: Kernel, arguments: int, threads: int) -> bool:
        """Run `kernel(arguments, thread, threads)` in `threads` threads at once and wait for all of them.

        Fewer threads run it if the system refuses more.

        Returns:
            False, with nothing done, while another Python thread uses the pool, within a kernel, or if there
            are fewer than two threads.
        """
        if self._running or threading.get_ident() in self._workers:
            return False
        threads = self._grow(threads)
        if threads < 2:
            return False
        job = _Job(kernel, arguments, threads)
        try:
            # If two callers both found the pool free, one waits here until the other's kernel has ended.
            self._queues[0].put((job, 0))
            job.wait()
        except BaseException:
            self._withdraw(job)
            raise
        return True

    def _withdraw(self, job: _Job) -> None:
        """Stop a job that has not started, otherwise wait for its end, whatever signals arrive meanwhile.

        A kernel must not continue in buffers that nobody holds any more.
        """
        while True:
            try:
                job.claim()
                # It may not have been queued yet; a job queued twice is ignored.
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
                except RuntimeError:  # the system refuses more
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
