"""Kernels with small weights at odd sizes, in a process with guarded memory or fewer instructions."""

from nabi import cells
from nabi.small_weights import KINDS

from .test_small_weights import difference

if __name__ == "__main__":
    for kind in KINDS:
        for units, inputs, batch in ((1, 5, 1), (7, 1, 5), (33, 17, 2)):
            assert difference(cells.LSTM(units), inputs, batch, 5, kind) < 2e-6
    print("done")
