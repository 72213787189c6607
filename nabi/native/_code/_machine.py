"""The target processor: its LLVM name, its vectors and its registers."""

import importlib.util
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from nabi.errors import NabiError

__all__ = [
    "FULL",
    "OTHER_MACHINES",
    "WEB_ASSEMBLY",
    "Arithmetic",
    "Machine",
    "NativeError",
    "host",
    "is_supported",
    "why_not",
]

_OLDEST_LLVMLITE = (0, 45)
_SIZES = {"float32": 4, "float64": 8}

# fmt: off
# The features of processors by name, according to LLVM (llvm/lib/Target/X86/X86.td): too few (no AVX2 or no
# fused multiply-add), AVX2 with FMA, or AVX-512. Names that are not listed contradict nothing.
_NARROW = frozenset({
    "nocona", "core2", "penryn", "bonnell", "atom", "silvermont", "slm", "goldmont", "goldmont-plus",
    "tremont", "nehalem", "corei7", "westmere", "sandybridge", "corei7-avx", "ivybridge", "core-avx-i",
    "x86-64", "x86-64-v2", "k8", "opteron", "athlon64", "athlon-fx", "k8-sse3", "opteron-sse3",
    "athlon64-sse3", "amdfam10", "barcelona", "btver1", "btver2", "bdver1", "bdver2", "bdver3",
})
_AVX2 = frozenset({
    "x86-64-v3", "haswell", "core-avx2", "broadwell", "skylake", "bdver4", "znver1", "znver2", "znver3",
    "alderlake", "raptorlake", "meteorlake", "gracemont", "sierraforest", "grandridge", "arrowlake",
    "arrowlake-s", "lunarlake", "pantherlake", "clearwaterforest",
})
_AVX512 = frozenset({
    "x86-64-v4", "skylake-avx512", "skx", "cascadelake", "cooperlake", "cannonlake", "icelake-client",
    "icelake-server", "rocketlake", "tigerlake", "sapphirerapids", "emeraldrapids", "graniterapids",
    "graniterapids-d", "znver4", "znver5",
})
# fmt: on

# Processors whose arithmetic is half as wide as their widest vectors.
_HALVED = frozenset({"znver4"})
_NARROWEST, _WIDEST = 16, 64

# LLVM's names for unknown processors, which tell nothing about their features.
_ANY = frozenset({"", "generic", "x86-64"})

_AVX2_FEATURES = ("avx", "avx2", "fma")
_AVX512_FEATURES = (*_AVX2_FEATURES, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")


class NativeError(NabiError, RuntimeError):
    """Native code can't be generated, loaded or run."""


class Arithmetic(NamedTuple):
    """What a processor computes with instructions of its own; anything else must be composed of them.

    Attributes:
        fused: multiplies and adds with a single rounding.
        double: computes in float64.
        rounding: rounds to whole numbers.
    """

    fused: bool = True
    double: bool = True
    rounding: bool = True


FULL = Arithmetic()
# WebAssembly has all but fused multiply-add; its relaxed form rounds differently from engine to engine.
_WEB_ASSEMBLY = Arithmetic(fused=False)
# Arm's small processors by their floating-point unit. Any other has none: all it computes are calls.
_SMALL_ARM = {
    "cortex-m4": Arithmetic(double=False, rounding=False),  # FPv4, single precision
    "cortex-m33": Arithmetic(double=False),  # FPv5, single precision
    "cortex-m35p": Arithmetic(double=False),
    "cortex-m7": FULL,  # FPv5, double precision
    "cortex-m55": FULL,
    "cortex-m85": FULL,
}
_NO_FLOATING_POINT = Arithmetic(fused=False, double=False, rounding=False)
# 32-bit application processors: VFPv4 has fused multiply-add, VFPv3 has not; neither rounds.
_VFP3 = frozenset({"cortex-a8", "cortex-a9"})


class Machine(NamedTuple):
    """The target of code generation: a processor and an operating system.

    Attributes:
        triple: LLVM's name for architecture and operating system.
        cpu: LLVM's name for the processor.
        features: features beyond or missing from that name, in LLVM's notation (`"+avx2,-avx512f"`).
        vector_bytes: width of its vectors: 64 (AVX-512), 32 (AVX2 with FMA) or 16 (NEON, SSE).
        registers: number of its vector registers: 32 (AVX-512, NEON) or 16.

    >>> machine = OTHER_MACHINES["x86_64-linux-avx2"]
    >>> machine.lanes("float32"), machine.lanes("float64"), machine.registers
    (8, 4, 16)
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int

    def lanes(self, dtype: str) -> int:
        """Return how many elements of `"float32"` or `"float64"` a vector holds."""
        return self.vector_bytes // _SIZES[dtype]

    @property
    def has_cheap_masks(self) -> bool:
        """Whether part of a vector is stored as fast as a whole one: with AVX-512, whatever the width."""
        return self.architecture == "x86_64" and self.registers == 32

    @property
    def has_byte_products(self) -> bool:
        """Whether it adds up products of four bytes at once, in vectors of every width (VNNI)."""
        present = _present(self.features)
        if self.architecture != "x86_64":
            return False
        if self.registers == 32:
            return {"avx512vnni", "avx512vl"} <= present
        return "avxvnni" in present

    def for_width(self, width: int, dtype: str) -> "Machine":
        """Return this machine with vectors of half the width or less, if so many elements leave much unused.

        A processor that computes half a wide vector at a time (Zen 4) loses nothing by narrow ones: there
        they are also taken where they leave a quarter less unused.

        >>> machine = OTHER_MACHINES["x86_64-linux-avx512"]
        >>> [machine.for_width(width, "float32").lanes("float32") for width in (3, 8, 9, 20)]
        [4, 8, 16, 16]
        """
        lanes, size = self.lanes(dtype), _SIZES[dtype]
        while width <= lanes // 2 and lanes * size > _NARROWEST:
            lanes //= 2
        if self.cpu in _HALVED and lanes * size == _WIDEST:
            whole, halves = -(-width // lanes) * lanes, -(-width // (lanes // 2)) * (lanes // 2)
            lanes = lanes // 2 if 4 * halves <= 3 * whole else lanes
        return self._replace(vector_bytes=lanes * size)

    @property
    def arithmetic(self) -> Arithmetic:
        """What it computes with instructions of its own.

        >>> OTHER_MACHINES["x86_64-windows-sse"].arithmetic.fused
        False
        """
        architecture = self.architecture
        if architecture.startswith("wasm"):
            return _WEB_ASSEMBLY
        if architecture.startswith("thumb"):
            return _SMALL_ARM.get(self.cpu, _NO_FLOATING_POINT)
        if architecture.startswith("arm"):
            return Arithmetic(fused=self.cpu not in _VFP3, rounding=False)
        if architecture == "x86_64":
            present = _present(self.features)
            return Arithmetic(fused="fma" in present, rounding="sse4.1" in present or "avx" in present)
        return FULL

    @property
    def architecture(self) -> str:
        """`"x86_64"`, `"aarch64"`, or else the first part of the triple."""
        name = self.triple.partition("-")[0]
        return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def _machine(triple: str, cpu: str, features: str) -> Machine:
    """Describe a machine; its vectors follow from the features (x86-64) or are NEON's."""
    present = _present(features)
    if triple.startswith(("x86_64", "amd64")):
        if "avx512f" in present:
            return Machine(triple, cpu, features, 64, 32)
        return Machine(triple, cpu, features, 32 if {"avx2", "fma"} <= present else 16, 16)
    return Machine(triple, cpu, features, 16, 32)


def _present(features: str) -> set[str]:
    signs = {name[1:]: name[:1] for name in features.split(",")}  # the last one wins, as in LLVM
    return {name for name, sign in signs.items() if sign == "+"}


def _joined(first: str, second: str) -> str:
    return ",".join(filter(None, (first, second)))


def _wanted(names: tuple[str, ...]) -> str:
    return ",".join(f"+{name}" for name in names)


# Machines for which code can be generated but not run here, by a short name.
OTHER_MACHINES: Mapping[str, Machine] = MappingProxyType(
    {
        "aarch64-linux": _machine("aarch64-unknown-linux-gnu", "neoverse-n1", "+neon"),
        "arm64-macos": _machine("arm64-apple-macosx", "apple-m1", "+neon"),
        "x86_64-linux-avx512": _machine(
            "x86_64-unknown-linux-gnu", "skylake-avx512", _wanted(_AVX512_FEATURES)
        ),
        "x86_64-linux-avx2": _machine("x86_64-unknown-linux-gnu", "haswell", _wanted(_AVX2_FEATURES)),
        "x86_64-windows-avx2": _machine("x86_64-pc-windows-msvc", "haswell", _wanted(_AVX2_FEATURES)),
        # Without fused multiply-add: generated but never run; see `why_not`.
        "x86_64-windows-sse": _machine("x86_64-pc-windows-msvc", "x86-64", "+sse2"),
    }
)

# Browsers and other engines: with vectors of 16 bytes, and without; both compute the same bits. They assign
# registers in one quick pass, so code that needs many is slower: an LSTM of 64 units took twice as long with
# twelve sums at once as with four.
WEB_ASSEMBLY: Mapping[str, Machine] = MappingProxyType(
    {
        "wasm": Machine("wasm32-unknown-unknown", "generic", "+simd128", 16, 8),
        "wasm-scalar": Machine("wasm32-unknown-unknown", "generic", "-simd128", 16, 8),
    }
)


def why_not() -> str | None:
    """Return why native code does not run here, as a sentence without its full stop; None if it does.

    Imports llvmlite if nothing else rules out native code. The result is cached; the environment
    (`NABI_NATIVE`, `NABI_CPU`, `NABI_CPU_FEATURES`) is read again on each call.
    """
    if os.environ.get("NABI_NATIVE", "").strip().lower() in {"0", "off", "false", "no"}:
        return "NABI_NATIVE turns it off"
    found = _host(os.environ.get("NABI_CPU", "").strip(), os.environ.get("NABI_CPU_FEATURES", "").strip())
    return found if isinstance(found, str) else None


def is_supported() -> bool:
    """Tell whether native code runs here."""
    return why_not() is None


def host() -> Machine:
    """Return the machine on which this process runs.

    `NABI_CPU` (a name known to LLVM) overrides the detected processor, and `NABI_CPU_FEATURES` (`"-avx512f"`)
    modifies its features. Features that contradict the name of the processor are not used: some virtual
    machines report AVX-512 for processors that never had it.

    Raises:
        NativeError: if native code does not run; the message says why.
    """
    found = _host(os.environ.get("NABI_CPU", "").strip(), os.environ.get("NABI_CPU_FEATURES", "").strip())
    if isinstance(found, str):
        raise NativeError(f"Native code is unavailable: {found}.")
    return found


@lru_cache(maxsize=16)
def _host(cpu: str, features: str) -> Machine | str:
    """Return the machine, or why it is not supported."""
    if importlib.util.find_spec("llvmlite") is None:
        return "llvmlite is not installed"
    try:
        import llvmlite
        from llvmlite import binding
    except (ImportError, OSError) as problem:
        return f"llvmlite cannot be loaded ({problem})"
    version = tuple(int(part) for part in re.findall(r"\d+", llvmlite.__version__)[:2])
    if version < _OLDEST_LLVMLITE:
        oldest = ".".join(map(str, _OLDEST_LLVMLITE))
        return f"llvmlite {llvmlite.__version__} is too old, {oldest} or newer is required"
    if features and not re.fullmatch(r"[+-][\w.-]+(,[+-][\w.-]+)*", features):
        return f"NABI_CPU_FEATURES: expected a list like +avx2,-avx512f, got {features}"
    triple = binding.get_process_triple()
    architecture = triple.partition("-")[0]
    try:
        own_features = binding.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM can't detect them on every operating system
        own_features = ""
    own_cpu = binding.get_host_cpu_name()
    if architecture in {"x86_64", "amd64"}:
        return _x86(triple, own_cpu, own_features, cpu, features)
    if architecture in {"aarch64", "arm64"}:
        return _machine(triple, cpu or own_cpu, _joined("" if cpu else own_features, features))
    return f"the processor ({architecture}) is neither x86_64 nor aarch64"


def _x86(triple: str, own_cpu: str, own_features: str, cpu: str, features: str) -> Machine | str:
    """Return the requested machine of an x86-64 processor, or why it is not supported."""
    if cpu and _level(cpu) is None:
        # LLVM aborts the process on an unknown name.
        return f"NABI_CPU={cpu} is not known; known are {', '.join(sorted(_NARROW | _AVX2 | _AVX512))}"
    chosen = cpu or own_cpu
    level = _level(chosen)
    if cpu:
        base = _wanted(_AVX512_FEATURES if level == 2 else _AVX2_FEATURES if level == 1 else ())
    else:
        base = own_features
        if chosen in _ANY:  # not a processor's name, unless NABI_CPU sets it
            chosen, level = "x86-64", None
    features = _joined(base, features)
    missing = _present(features) & set(_AVX512_FEATURES) - _present(own_features)
    if missing:
        return (
            f"the processor has no {', '.join(sorted(missing))}, which NABI_CPU or NABI_CPU_FEATURES requires"
        )
    if level is not None and level < 2:
        features = re.sub(r"\+(avx512|avx10|amx)", r"-\1", features)
    if not {"avx2", "fma"} <= _present(features):
        return f"the processor ({chosen}) has no AVX2 with fused multiply-add"
    if level == 0:
        return (
            f"the processor {chosen} reports AVX2, which processors of that name lack; "
            "if it has it, set NABI_CPU=x86-64-v3"
        )
    return _machine(triple, chosen, features)


def _level(cpu: str) -> int | None:
    """Return 2 for a name with AVX-512, 1 with AVX2, 0 with neither; None for an unknown name."""
    return next((level for level, names in enumerate((_NARROW, _AVX2, _AVX512)) if cpu in names), None)
