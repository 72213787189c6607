"""Figures of a running server, in the text format of Prometheus."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable

from nabi.serving._models import Models, ServedModel

__all__ = ["Metrics"]

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts requests and their times by route, and reads queues and sessions when it is asked.

    Args:
        models: of the server.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, method: str, path: str, status: int, seconds: float) -> None:
        """Take a request into account; `path` is that of its route, without what clients write."""
        self._requests[method, path, status] += 1
        self._buckets[path][bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[path] += seconds

    def text(self) -> str:
        """Return all figures."""
        lines = _head("nabi_requests_total", "counter", "Requests by route and status.")
        for (method, path, status), count in sorted(self._requests.items()):
            lines.append(f'nabi_requests_total{{method="{method}",path="{path}",status="{status}"}} {count}')
        lines += _head("nabi_request_seconds", "histogram", "Time of requests by route.")
        for path, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*_BOUNDS, "+Inf"), buckets, strict=True):
                total += count
                lines.append(f'nabi_request_seconds_bucket{{path="{path}",le="{bound}"}} {total}')
            lines.append(f'nabi_request_seconds_sum{{path="{path}"}} {self._seconds[path]:.6f}')
            lines.append(f'nabi_request_seconds_count{{path="{path}"}} {total}')
        gauges: list[tuple[str, str, str, Callable[[ServedModel], int]]] = [
            ("nabi_queue", "gauge", "Requests that wait.", lambda one: one.worker.waiting),
            ("nabi_batches_total", "counter", "Batches computed.", lambda one: one.worker.batches),
            ("nabi_items_total", "counter", "Items computed.", lambda one: one.worker.computed),
            ("nabi_step_calls_total", "counter", "Calls of native code for steps.", _step_calls),
            ("nabi_sessions", "gauge", "Open sessions.", lambda one: len(one.sessions or ())),
        ]
        for name, kind, said, value in gauges:
            lines += _head(name, kind, said)
            lines += [f'{name}{{model="{one.name}"}} {value(one)}' for one in self._models]
        return "\n".join(lines) + "\n"


def _step_calls(model: ServedModel) -> int:
    return 0 if model.sessions is None else model.sessions.calls


def _head(name: str, kind: str, said: str) -> list[str]:
    return [f"# HELP {name} {said}", f"# TYPE {name} {kind}"]
