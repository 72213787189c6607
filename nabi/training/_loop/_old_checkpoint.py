"""Checkpoints of task models as nabi 0.1 wrote them, brought into the present format.

They had no section `training`: the position lay beside the settings, the optimizer had no groups, and there
was one random state. This file goes with nabi 0.3, and its call in `_resumable_training.py` with it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nabi.training._loop._checkpoint import TrainingState, state_to_file

__all__ = ["in_the_present_format"]


def in_the_present_format(
    header: Mapping[str, Any], tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
    """Return the section `training` of a file, and its tensors, both as they are written today.

    Raises:
        KeyError, TypeError: for a file that is damaged.
    """
    if "training" in header:
        return header["training"], tensors
    groups = optimizer.state_dict()["param_groups"]  # with the settings that the file was written with
    described, _ = state_to_file(TrainingState(optimizer={"state": {}, "param_groups": groups}))
    position = dict(header["position"])
    described |= {"completed_epoch": position.pop("epoch"), "iterations": position.pop("step")}
    renamed = {"random/training" if name == "random" else name: value for name, value in tensors.items()}
    return {**described, "position": position, "extra": header["extra"]}, renamed
