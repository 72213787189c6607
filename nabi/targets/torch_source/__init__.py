"""A cell as a plain PyTorch module, to read and to compare: its source uses torch and nothing of nabi."""

from nabi.targets.torch_source._module import module_source

__all__ = ["module_source"]
