"""How it is written: the LLVM code of both passes. Loaded when a program is compiled for the first time."""
