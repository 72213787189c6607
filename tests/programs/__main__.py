"""Draws many programs and compares their runs: `python -m tests.programs --count 5000`.

5,000 programs take some twelve minutes of one core, nearly all of it for compiling. `--first` divides them
among processes.
"""

import argparse
import os
import sys
import time


def main() -> int:
    """Run the command; returns how many programs failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.programs", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="how many programs")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--stop-after", type=int, default=5, help="failures")
    parser.add_argument("--as-drawn", action="store_true", help="show failures as they are, not made smaller")
    given = parser.parse_args()
    # Compiled at the first try, and not kept: no two programs are alike.
    os.environ.setdefault("NABI_LLVM_EFFORT", "0")
    os.environ.setdefault("NABI_CACHE_SIZE", "0")
    from .drawing import draw_program
    from .running import check, check_apart, failure_of

    # What is imported when it is first needed is imported here, once, and not in every process.
    check(draw_program(given.first))
    start, skipped, failed = time.monotonic(), 0, 0
    for seed in range(given.first, given.first + given.count):
        drawn = draw_program(seed)
        outcome = check_apart(drawn)
        skipped += bool(outcome.skipped)
        if outcome.problem:
            failed += 1
            shown = str(drawn) if given.as_drawn else failure_of(drawn)
            print(f"--- program {seed}: {outcome.problem}\n{shown}", flush=True)
            if failed == given.stop_after:
                break
        if (seed + 1) % 100 == 0:
            seconds = time.monotonic() - start
            print(
                f"{seed + 1 - given.first} programs, {skipped} skipped, {failed} failed, {seconds:.0f} s",
                flush=True,
            )
    return failed


if __name__ == "__main__":
    sys.exit(main())
