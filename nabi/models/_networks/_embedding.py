"""Embeddings as the models begin with them."""

from nabi import layers
from nabi.nn.initializers import RandomNormal

__all__ = ["make_embedding"]


def make_embedding(codes: int, size: int, deviation: float = 0.1) -> layers.Embedding:
    """Return a built embedding of these codes, its weights normally distributed.

    Keras' default, uniform on ±0.05, is too small to begin with. A decoder whose last layer has the same
    weights was at 4.5 nats after two epochs of Multi30k where this one was at 2.5; a language model after one
    epoch of Shakespeare at 1.92 nats, where it was at 1.78 with a deviation of 0.5.

    Args:
        codes: how many there are.
        size: width of the vector of each.
        deviation: standard deviation of the weights. What is read out with the same weights must not begin
            large, or it is sure of something before it has learnt anything.
    """
    embedding = layers.Embedding(codes, size, RandomNormal(stddev=deviation), name="embedding")
    embedding.build((None, None))
    return embedding
