"""The processors and systems that object files are written for, by names that people use."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from nabi.errors import ArgumentError, unknown_name
from nabi.native import Machine

__all__ = ["TARGETS", "Target", "machine_for", "target_named"]

_AVX2 = "+avx,+avx2,+fma,+f16c"
_AVX512 = f"{_AVX2},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"


@dataclass(frozen=True)
class Target:
    """A kind of processor with its system.

    Attributes:
        name: as it is asked for.
        triple: LLVM's name.
        format: of the object file.
        cpus: the processors that may be asked for, with their features beyond the name; the first is the one
            that is taken where none is.
        vector_bytes, registers: of its vectors, see `nabi.native.Machine`.
        about: what a linker must agree with, in words.
    """

    name: str
    triple: str
    format: Literal["elf", "coff", "mach-o"]
    cpus: Mapping[str, str]
    vector_bytes: int
    registers: int
    about: str

    @property
    def is_bare(self) -> bool:
        """Whether there is no operating system: addresses are fixed, and code is written to be small."""
        return "-none-" in self.triple


def _same(features: str, *names: str) -> Mapping[str, str]:
    return MappingProxyType(dict.fromkeys(names, features))


_X86 = MappingProxyType(
    {
        **_same(_AVX2, "x86-64-v3", "haswell", "broadwell", "skylake"),
        **_same(f"{_AVX2},+avxvnni", "alderlake"),
        **_same(_AVX2, "znver1", "znver2", "znver3"),
        **_same(_AVX512, "x86-64-v4", "skylake-avx512"),
        # With sums of four products of bytes (VNNI), for int8 weights.
        **_same(
            f"{_AVX512},+avx512vnni",
            "cascadelake",
            "icelake-client",
            "icelake-server",
            "sapphirerapids",
            "znver4",
            "znver5",
        ),
        # Without fused multiply-add: for processors from 2008 on.
        **_same("+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt", "x86-64-v2"),
    }
)
_ARM64 = _same(
    "+neon", "generic", "cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76", "cortex-a78", "neoverse-n1",
    "neoverse-v1",
)  # fmt: skip
_APPLE = _same("+neon", "apple-m1", "apple-m2", "apple-m3")
_ARMV7 = _same("+neon,+vfp4", "cortex-a7", "cortex-a15", "cortex-a17", "cortex-a53", "cortex-a72")
_HARD = "eabihf: floating-point arguments in registers"

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        one.name: one
        for one in (
            Target("x86-64", "x86_64-unknown-linux-gnu", "elf", _X86, 32, 16, "System V"),
            Target("x86-64-windows", "x86_64-pc-windows-msvc", "coff", _X86, 32, 16, "Microsoft"),
            Target("x86-64-macos", "x86_64-apple-macosx", "mach-o", _X86, 32, 16, "Apple"),
            Target("aarch64", "aarch64-unknown-linux-gnu", "elf", _ARM64, 16, 32, "AAPCS64"),
            Target("arm64-macos", "arm64-apple-macosx", "mach-o", _APPLE, 16, 32, "Apple"),
            Target("arm64-windows", "aarch64-pc-windows-msvc", "coff", _ARM64, 16, 32, "Microsoft"),
            Target("armv7", "armv7-unknown-linux-gnueabihf", "elf", _ARMV7, 16, 16, _HARD),
            Target("cortex-m4", "thumbv7em-unknown-none-eabihf", "elf", _same("", "cortex-m4"), 4, 32, _HARD),
            Target("cortex-m7", "thumbv7em-unknown-none-eabihf", "elf", _same("", "cortex-m7"), 4, 32, _HARD),
            Target(
                "cortex-m33",
                "thumbv8m.main-unknown-none-eabihf",
                "elf",
                _same("", "cortex-m33"),
                4,
                32,
                _HARD,
            ),
            Target(
                "cortex-m55",
                "thumbv8.1m.main-unknown-none-eabihf",
                "elf",
                _same("+mve.fp", "cortex-m55"),
                16,
                8,
                _HARD,
            ),
            Target(
                "riscv32",
                "riscv32-unknown-none-elf",
                "elf",
                _same("+m,+a,+f,+c", "generic-rv32"),
                4,
                32,
                "ilp32f",
            ),
            Target(
                "riscv64",
                "riscv64-unknown-linux-gnu",
                "elf",
                _same("+m,+a,+f,+d,+c", "generic-rv64"),
                4,
                32,
                "lp64d",
            ),
        )
    }
)
"""Every target by its name."""


def target_named(name: str) -> Target:
    """Return a target by its name or LLVM's triple.

    Raises:
        UnknownNameError: if there is none; the message lists those there are.
    """
    if name in TARGETS:
        return TARGETS[name]
    for target in TARGETS.values():
        # Compilers also take triples without a vendor, as thumbv7em-none-eabihf; LLVM would misread them.
        if name in (target.triple, target.triple.replace("-unknown-none-", "-none-")):
            return target
    raise unknown_name("target", name, TARGETS)


def machine_for(target: Target, cpu: str | None) -> Machine:
    """Return the machine of a target, for a processor or for most of them.

    Raises:
        ArgumentError: if the target has no such processor; the message lists those it has.
    """
    if cpu is not None and cpu not in target.cpus:
        raise ArgumentError(f"cpu: expected one of {', '.join(target.cpus)} for {target.name}, got {cpu!r}")
    chosen = next(iter(target.cpus)) if cpu is None else cpu
    features = target.cpus[chosen]
    if "avx512f" in features:
        return Machine(target.triple, chosen, features, 64, 32)
    if target.triple.startswith("x86_64") and "avx2" not in features:
        return Machine(target.triple, chosen, features, 16, 16)
    return Machine(target.triple, chosen, features, target.vector_bytes, target.registers)
