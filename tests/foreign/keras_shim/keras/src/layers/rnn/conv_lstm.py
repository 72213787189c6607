from nabi.layers import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, ConvLSTMCell

__all__ = ["ConvLSTM", "ConvLSTMCell"]


def ConvLSTM(rank, **arguments):
    return {1: ConvLSTM1D, 2: ConvLSTM2D, 3: ConvLSTM3D}[rank](**arguments)
