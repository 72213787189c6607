"""Data sets under the name that Keras users know: `from nabi.datasets import imdb`."""

from nabi.datasets import fake_news, imdb, nsmc, reuters

__all__ = ["fake_news", "imdb", "nsmc", "reuters"]
