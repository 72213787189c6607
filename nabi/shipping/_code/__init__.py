"""The code of a step in LLVM's language, for any machine."""
