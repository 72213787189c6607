from nabi.layers import DropoutRNNCell

__all__ = ["DropoutRNNCell"]
