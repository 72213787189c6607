"""Capping the vector instructions of every library, and looking whether the cap holds.

A machine with AVX-512 can also show how the libraries compare on one without it. The cap is set by each
library's own switch before its process starts. Whether it holds is not left to the switch: Linux keeps, for
each thread, when its AVX-512 registers were last in use (/proc/PID/task/TID/arch_status), so a thread that
used them even once is found out, at every point. C's memory functions and numpy are capped too, as they would
hide the rest.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["AVX2", "ISAS", "NATIVE", "SWITCHES", "UNCAPPED", "label", "uncapped", "variables", "wide_threads"]

NATIVE, AVX2 = "native", "avx2"
ISAS = (NATIVE, AVX2)

UNCAPPED = frozenset({"onnx", "jax-ynnpack"})
"""Workers without a switch. ONNX Runtime and XLA's YNNPACK ask the processor; none of their options or
variables is about it."""

ONEDNN = {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
# XLA's own code follows this flag. Its YNNPACK kernels don't, so XLA is told to leave them alone; it then
# uses its other product, which is slower at some sizes. What that costs is measured: `jax-ynnpack` keeps
# them.
XLA = "--xla_cpu_max_isa=AVX2"
CAPS = {
    "NABI_CPU": "x86-64-v3",  # nabi, and the peak kernel
    "ATEN_CPU_CAPABILITY": "avx2",  # torch
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    **ONEDNN,  # torch, TensorFlow, and the products of XLA
    "XLA_FLAGS": f"{XLA} --xla_cpu_experimental_ynn_fusion_type=",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD",
}
SWITCHES = {
    "nabi": ("NABI_CPU", "ATEN_CPU_CAPABILITY"),
    "torch": ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"),
    "torch-tuned": ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"),
    "jax": ("XLA_FLAGS",),
    "keras-jax": ("XLA_FLAGS",),
    "keras-tensorflow": ("ONEDNN_MAX_CPU_ISA", "XLA_FLAGS"),
    "peak": ("NABI_CPU",),
}
"""The variables of each worker that matter most, for the reader."""


def variables(isa: str, worker: str = "") -> dict[str, str]:
    """Return the environment that caps a worker; empty for the machine's own instructions."""
    if isa == NATIVE:
        return {}
    return {**CAPS, "XLA_FLAGS": XLA} if worker == "jax-ynnpack" else dict(CAPS)


def label(isa: str, processor: str) -> str:
    """Return the name of an instruction set for the reader.

    >>> label("native", "A processor (AVX512)"), label("avx2", "A processor (AVX512)")
    ('AVX512', 'capped at AVX2')
    """
    if isa == AVX2:
        return "capped at AVX2"
    return processor.rpartition("(")[2].rstrip(")") if processor.endswith(")") else "its own instructions"


def wide_threads(since: float, folder: Path = Path("/proc/self/task")) -> tuple[int, int] | None:
    """Return how many threads of this process have used AVX-512 registers, and how many there are.

    Args:
        since: a time of `time.monotonic`; what a thread did before doesn't count.
        folder: the threads' files.

    Returns:
        The two numbers, or None where the system doesn't tell.
    """
    passed = (time.monotonic() - since) * 1e3
    elapsed = []
    for file in folder.glob("*/arch_status"):
        try:
            elapsed.append(int(file.read_text().split("AVX512_elapsed_ms:")[1].split()[0]))
        except (OSError, IndexError, ValueError):
            continue  # the thread has ended, or the kernel says nothing about AVX-512
    return (sum(0 <= each < passed for each in elapsed), len(elapsed)) if elapsed else None


def uncapped(results: dict[str, Any]) -> frozenset[str]:
    """Return the workers of a capped run whose cap is not in force; empty for a run that isn't capped."""
    if results["settings"]["isa"] == NATIVE:
        return frozenset()
    checked = {name for name, check in results.get("caps", {}).items() if not check["in_force"]}
    return frozenset(checked).union(UNCAPPED, *map(wide, measured(results)))


def measured(results: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for part in (
        results["points"],
        *(results.get(name, {}).get("points", {}) for name in ("random", "busy")),
    ):
        yield from part.values()


def wide(entry: dict[str, Any]) -> list[str]:
    """Return the workers that were found to use AVX-512 at a point."""
    found: list[str] = entry.get("wide", [])
    return found
