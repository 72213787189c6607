"""keras.src.backend: what the tests ask of it."""

from types import SimpleNamespace

import numpy as np
import torch

from nabi.layers import SeedGenerator

config = SimpleNamespace(image_data_format=lambda: "channels_last")
random = SimpleNamespace(SeedGenerator=SeedGenerator)


def backend():
    return "torch"


def convert_to_numpy(x):
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


# Keras' variables are assigned; torch's parameters are copied into.
torch.nn.Parameter.assign = lambda self, value: self.data.copy_(torch.as_tensor(value))
torch.nn.Parameter.value = property(lambda self: self.data)
