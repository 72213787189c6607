"""Native code for cells with axes: a loop nest over the steps of every (row, head), whose state stays in the
nearest cache.

`_places` decides what is computed before, in and after the loop, `_schedule` which values of a step share a
loop, `_products` which products of weights are one, `_loops`, `_product_loops` and `_kernels` write that as
LLVM, `_torch_parts` writes what lies outside the loop for torch, `_stages` finds what several of those parts
need, `_weight_gradients` multiplies for the weights, `_run` runs it all. What the generator cannot do raises
`UnsupportedError`, and the definition's kernel runs.
"""
