"""Training on many workers: processes of a `torch.distributed` group that train one model together.

`_group` is who they are, `_same` compares what they begin with, `_exchange` adds their gradients up, and
`_figures` their losses and metrics.
"""
