"""The machine and library versions of a run."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

__all__ = ["LIBRARIES", "describe", "slug"]

LIBRARIES = ("torch", "jax", "keras", "tensorflow-cpu", "onnxruntime", "llvmlite", "numpy")


def describe() -> dict[str, str]:
    """Return processor, system and the versions of all libraries (`-` for a missing one)."""
    found = {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found[library] = "-"
    return found


def slug(text: str) -> str:
    """Return a name for files: lower case, words joined by hyphens.

    >>> slug("AMD EPYC (AVX512)")
    'amd-epyc-avx512'
    """
    return "-".join(re.findall("[a-z0-9]+", text.lower()))


def kind() -> list[str]:
    """Return LLVM's name of the processor, such as `znver4`, if it knows the processor."""
    try:
        from llvmlite import binding
    except ImportError:
        return []
    name = binding.get_host_cpu_name()
    return [name] if name and name != "generic" else []


def processor() -> str:
    """Return the processor's name, its kind and its vector extension, as far as they are known.

    The name alone doesn't tell machines apart: several generations go by the same one.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in values.items()}
    vectors = next(
        (name for name in ("avx512f", "avx2", "asimd") if name in fields.get("flags", "").split()), ""
    )
    name = " ".join(dict.fromkeys([fields.get("model name", platform.machine()), *kind()]))
    return f"{name} ({vectors.removesuffix('f').upper()})" if vectors else name
