"""The machine code of the kernels; it needs llvmlite and is loaded on first use."""
