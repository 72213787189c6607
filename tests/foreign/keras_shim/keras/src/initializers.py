from nabi.initializers import Constant, GlorotUniform, Orthogonal

__all__ = ["Constant", "GlorotUniform", "Orthogonal"]
