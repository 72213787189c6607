"""Draws many programs and compares their runs: `python -m tests.programs --count 5000`."""

import argparse
import os
import sys
import time
import traceback

from .drawing import Drawn


def main() -> int:
    """Run the command; returns how many programs failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.programs", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="how many programs")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--stop-after", type=int, default=5, help="failures")
    given = parser.parse_args()
    # Compiled at the first try, and not kept: no two programs are alike.
    os.environ.setdefault("NABI_LLVM_EFFORT", "0")
    os.environ.setdefault("NABI_CACHE_SIZE", "0")
    from .running import failure_of, run_one

    start, skipped, failed = time.monotonic(), 0, 0
    for seed in range(given.first, given.first + given.count):
        try:
            outcome = run_one(seed)
        except Exception:
            traceback.print_exc()
            raise
        skipped += bool(outcome.skipped)
        if outcome.problem:
            failed += 1
            print(f"--- program {seed}: {outcome.problem}\n{failure_of(seed)}", flush=True)
            if failed == given.stop_after:
                break
        if (seed + 1) % 100 == 0:
            seconds = time.monotonic() - start
            print(f"{seed + 1 - given.first} programs, {skipped} skipped, {failed} failed, {seconds:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
