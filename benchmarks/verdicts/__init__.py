"""Text classifiers beside words and pairs of words: `python -m benchmarks.verdicts`."""
