"""The machine code of the kernels. It needs llvmlite and is loaded on first use."""
