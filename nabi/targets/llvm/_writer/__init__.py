"""The LLVM code of both passes. It is loaded when a program is first compiled."""
