"""The parts of the benchmark, each a function from a crew to its results."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.layers import fresh
from benchmarks.layers.alternate import alternate
from benchmarks.layers.arrays import Arrays, disagreements
from benchmarks.layers.crew import Crew, Seat, WorkerError
from benchmarks.layers.figures import Comparison, compare, tail
from benchmarks.layers.isa import NATIVE, SWITCHES, UNCAPPED
from benchmarks.layers.points import KINDS, PEAK_OPERATIONS, SHAPES, Point, Task, runs

__all__ = ["OTHERS", "Bench", "peak_operations", "ragged_lengths"]

OWN = Seat("nabi")
PEAK = Seat("peak", "peak")
VALID_SHARE = 0.4
VARIANTS = {"peephole-lstm": "lstm", "coupled-lstm": "lstm", "gru-2014": "gru", "residual-lstm": "lstm"}


@dataclass
class Bench:
    """The context of a run, and its failures.

    Attributes:
        crew: the workers.
        rounds: number of turns of each peer at a point.
        peers: the peers to run.
        quick: small sizes, for a smoke test.
        log: prints a line.
    """

    crew: Crew
    rounds: int
    peers: list[str]
    quick: bool
    log: Callable[[str], None]
    failures: list[dict[str, str]] = field(default_factory=list)

    @property
    def setting(self) -> tuple[int, str]:
        """The threads and the instructions of every process."""
        return self.crew.threads, self.crew.isa

    def fail(self, where: str, who: str, problem: object) -> None:
        self.failures.append({"where": where, "who": who, "problem": str(problem)})
        self.log(f"[red]{where}: {who}: {problem}[/]")

    def contest(
        self,
        where: str,
        tasks: dict[Seat, Task],
        alike: dict[Seat, Seat],
        untimed: set[Seat] | None = None,
        rounds: int | None = None,
    ) -> dict[Seat, Comparison]:
        """Let the first seat and the others take turns, after checking that their results agree.

        Args:
            where: name of the measurement, for messages.
            tasks: of every seat; the first is compared with all others.
            alike: pairs of seats whose results must agree.
            untimed: seats used only for their results.
            rounds: number of turns of each peer; those of the run by default.

        Returns:
            A comparison for each seat except the first; those that failed are left out.
        """
        first = next(iter(tasks))
        try:
            results = self.crew.prepare(tasks)
            ready = [seat for seat in tasks if self.agrees(where, seat, results, alike)]
            if first not in ready:
                return {}
            others = [seat for seat in ready if seat != first and seat not in (untimed or ())]
            turns = alternate(self.crew.turn, first, others, rounds or self.rounds)
            return {seat: compare(each.own, each.peer) for seat, each in turns.items()}
        except WorkerError as problem:
            self.fail(where, "a worker", problem)
            return {}
        finally:
            self.crew.release(list(tasks))

    def agrees(
        self, where: str, seat: Seat, results: dict[Seat, Arrays | WorkerError], alike: dict[Seat, Seat]
    ) -> bool:
        own = results[seat]
        if isinstance(own, WorkerError):
            self.fail(where, seat.worker, own)
            return False
        expected = results[alike.get(seat, seat)]
        if isinstance(expected, WorkerError):
            return False  # reported when that seat is checked
        wrong = disagreements(own, expected)
        for each in wrong:
            self.fail(where, seat.worker, each)
        return not wrong

    def point(self, point: Point, rounds: int | None = None, *, peak: bool = True) -> dict[str, Any] | None:
        """Compare one point with all peers.

        Args:
            point: what to measure.
            rounds: number of turns of each peer; those of the run by default.
            peak: whether to measure the share of the peak, of a point with many units.
        """
        start = perf_counter()
        peers = [Seat(peer) for peer in self.peers if runs(peer, point.kind, self.crew.isa)]
        tasks: dict[Seat, Task] = dict.fromkeys([OWN, *peers], point.task())
        if peak and point.is_large:
            tasks[PEAK] = {"subject": "peak"}
        found = self.contest(point.name, tasks, dict.fromkeys(peers, OWN), rounds=rounds)
        reached = found.pop(PEAK, None)
        if not found:
            return None
        entry: dict[str, Any] = {
            "cell": point.cell,
            "shape": point.shape,
            "kind": point.kind,
            "operations": point.operations,
            "peers": {seat.worker: comparison.as_dict() for seat, comparison in found.items()},
            "notes": {seat.worker: note for seat in found if (note := self.crew.notes.get(seat))},
            # Here as the calls of a turn follow each other; the tails of long calls need more of them.
            "tails": {seat.worker: tail(self.crew.calls[seat]) for seat in (OWN, *found)},
        }
        if self.crew.isa != NATIVE:
            entry["wide"] = [seat.worker for seat in tasks if self.check(seat.worker)["wide"]]
        if reached is not None:
            operations = peak_operations(self.crew.threads)
            entry["peak"] = {
                "gflops": operations / reached.peer / 1e6,
                # The median over rounds of nabi's operation rate relative to the peak.
                "share": reached.ratio * point.operations / operations,
            }
        return {**entry, "seconds": perf_counter() - start}

    def caps(self) -> dict[str, dict[str, Any]]:
        """Look whether the cap on instructions holds in every worker; {} without a cap."""
        if self.crew.isa == NATIVE:
            return {}
        for kind in KINDS:
            point = Point("lstm", (16, 20, 64, 96), kind)
            peers = [Seat(peer) for peer in self.peers if runs(peer, kind, self.crew.isa)]
            tasks = {**dict.fromkeys([OWN, *peers], point.task()), PEAK: {"subject": "peak"}}
            self.contest(f"caps: {point.name}", tasks, {}, rounds=1)
        found = {}
        for worker in ("nabi", *self.peers, "peak"):
            try:
                found[worker] = self.check(worker)
            except WorkerError as problem:
                self.fail("caps", worker, problem)
        return found

    def check(self, worker: str) -> dict[str, Any]:
        """Return a worker's switches, what it used so far, and whether the cap is in force."""
        used = self.crew.vectors(worker)
        wide = bool(used["threads"] and used["threads"][0])
        return {
            "switches": list(SWITCHES.get(worker, ())),
            "report": used["report"],
            "threads": used["threads"],
            "wide": wide,
            "in_force": worker not in UNCAPPED and not wide,
        }

    def variants(self) -> list[dict[str, Any]]:
        """Compare cells that torch does not have with nabi's plain cell and with a loop in torch."""
        found = []
        for shape in SHAPES[:1] if self.quick else SHAPES[:2]:
            for cell, plain in VARIANTS.items():
                for kind in KINDS:
                    task = {"subject": "variant", "cell": cell, "shape": shape, "kind": kind}
                    beside, loop = Seat("nabi", "plain"), Seat("torch", "loop")
                    tasks = {OWN: task, beside: {**task, "cell": plain}, loop: task}
                    compared = self.contest(f"variants: {cell}, {kind}", tasks, {loop: OWN})
                    if len(compared) == 2:
                        found.append(
                            {
                                "cell": cell,
                                "plain": plain,
                                "shape": shape,
                                "kind": kind,
                                "to_plain": compared[beside].as_dict(),
                                "to_loop": compared[loop].as_dict(),
                            }
                        )
                        self.log(f"variants: {cell}, {kind}, {shape}")
        return found

    def ragged(self) -> list[dict[str, Any]]:
        """Compare batches with 40 % valid steps with the padded batch."""
        found = []
        shape = SHAPES[0] if self.quick else SHAPES[1]
        lengths = ragged_lengths(shape[0], shape[1], VALID_SHARE)
        for cell in ("lstm", "gru"):
            for kind in KINDS:
                task = {"subject": "layer", "cell": cell, "shape": shape, "kind": kind, "lengths": lengths}
                seats = {
                    "lengths": Seat("nabi", "lengths"),
                    "packed": Seat("nabi", "packed"),
                    "torch-padded": Seat("torch", "padded"),
                    "torch-packed": Seat("torch", "packed"),
                }
                tasks = {OWN: task} | {seat: {**task, "steps": seat.key} for seat in seats.values()}
                alike = {
                    seats["torch-padded"]: OWN,
                    seats["torch-packed"]: seats["packed"],
                    seats["lengths"]: seats["packed"],
                }
                compared = self.contest(f"ragged: {cell}, {kind}", tasks, alike)
                if len(compared) == len(seats):
                    figures = {name: compared[seat].as_dict() for name, seat in seats.items()}
                    share = sum(lengths) / (shape[0] * shape[1])
                    found.append({"cell": cell, "shape": shape, "kind": kind, "valid": share, **figures})
                    self.log(f"ragged: {cell}, {kind}")
        return found

    def song(self) -> dict[str, Any]:
        """Measure the training step of the song inside `fit`, in milliseconds per step."""
        names = [peer for peer in ("torch", "jax", "keras-jax", "keras-tensorflow") if peer in self.peers]
        # Keras on JAX loses the states between batches, so its losses are compared with a loop that does too.
        forgetful = Seat("torch", "forgetful")
        tasks: dict[Seat, Task] = {Seat(name): {"subject": "song"} for name in ("nabi", *names)}
        tasks[forgetful] = {"subject": "song", "keeps_state": False}
        alike = {Seat(name): forgetful if name == "keras-jax" else OWN for name in names}
        compared = self.contest("song", tasks, alike, untimed={forgetful})
        return {
            seat.worker: {**comparison.as_dict(), "note": self.crew.notes.get(seat, "")}
            for seat, comparison in compared.items()
        }

    def memory(self) -> list[dict[str, Any]]:
        """Measure the peak memory of training at two lengths."""
        sizes, lengths = ((16, 32, 64), [20, 40]) if self.quick else ((32, 128, 256), [100, 1000])
        return self._fresh("memory", lambda: fresh.memory(sizes, lengths, *self.setting), [])

    def first_call(self) -> list[dict[str, Any]]:
        """Measure the first training call with an empty and with a filled cache."""
        return self._fresh("first call", lambda: fresh.first_calls((32, 50, 64, 128), *self.setting), [])

    def imports(self) -> dict[str, float]:
        """Measure what `import nabi` adds to `import torch`."""
        return self._fresh("import", lambda: fresh.imports(*self.setting, 2 if self.quick else 7), {})

    def _fresh(self, where: str, measure: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return measure()
        except (WorkerError, OSError) as problem:
            self.fail(where, "nabi", problem)
            return otherwise


OTHERS: dict[str, Callable[[Bench], Any]] = {
    "caps": Bench.caps,
    "variants": Bench.variants,
    "ragged": Bench.ragged,
    "song": Bench.song,
    "memory": Bench.memory,
    "first_call": Bench.first_call,
    "imports": Bench.imports,
}
"""All parts except the points."""


def peak_operations(threads: int) -> float:
    """Return the number of operations of one call of the peak kernel on all threads."""
    return float(PEAK_OPERATIONS * threads)


def ragged_lengths(batch: int, time: int, share: float) -> list[int]:
    """Return lengths up to `time` that add up to about `share` of the padded steps, in random order.

    They are quantiles of `time · u^p` for a uniform `u`, whose mean is `time / (p + 1)`.
    """
    quantiles = (np.arange(batch) + 0.5) / batch
    lengths = np.maximum(1, np.round(time * quantiles ** (1 / share - 1))).astype(int)
    lengths[-1] = time
    shuffled: list[int] = np.random.default_rng(0).permutation(lengths).tolist()
    return shuffled
