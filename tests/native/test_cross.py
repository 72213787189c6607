"""Object code for the machines that the tests do not run on: its format, its instructions, what it calls."""

import re

import pytest

from nabi.native import OTHER_MACHINES, Machine, emit_assembly, section_sizes, undefined_symbols
from nabi.native._code._compiler import emit_object

from .machines import called_by

# What stands in the code, and not what it computes, depends on the effort.
pytestmark = pytest.mark.usefixtures("full_effort")

# The first bytes of an object file: ELF, 64 bits, little-endian; Mach-O, 64 bits, ARM64; COFF, x86-64.
MAGIC = {"linux": b"\x7fELF\x02\x01", "macos": b"\xcf\xfa\xed\xfe\x0c\x00\x00\x01", "windows": b"\x64\x86"}
# e_machine at byte 18 of an ELF file: AArch64 and x86-64.
ELF_MACHINES = {"aarch64": 183, "x86_64": 62}
FUSED = sorted(set(OTHER_MACHINES) - {"x86_64-windows-sse"})


def products(machine: Machine, dtype: str) -> str:
    """A kernel that adds `x[i] * y[i]` to `z[i]` over 64 elements, in vectors of the machine."""
    lanes = machine.lanes(dtype)
    element, size = ("float", 4) if dtype == "float32" else ("double", 8)
    vector, fma = f"<{lanes} x {element}>", f"@llvm.fma.v{lanes}f{8 * size}"
    loads = "".join(
        f"%p{name} = getelementptr {element}, ptr %arguments, i64 %at{name}\n"
        f"%{name} = load {vector}, ptr %p{name}, align {size}\n"
        for name in "xyz"
    )
    return f"""
        declare {vector} {fma}({vector}, {vector}, {vector})
        define void @products(ptr %arguments, i64 %thread, i64 %threads) nounwind {{
          br label %loop
        loop:
          %atx = phi i64 [ 0, %0 ], [ %next, %loop ]
          %aty = add i64 %atx, 64
          %atz = add i64 %atx, 128
          {loads}
          %r = call {vector} {fma}({vector} %x, {vector} %y, {vector} %z)
          store {vector} %r, ptr %pz, align {size}
          %next = add i64 %atx, {lanes}
          %more = icmp slt i64 %next, 64
          br i1 %more, label %loop, label %done
        done:
          ret void
        }}
        """


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(OTHER_MACHINES))
def test_the_format_is_that_of_the_system(name, dtype):
    machine = OTHER_MACHINES[name]
    image = emit_object(products(machine, dtype), machine)
    system = name.split("-")[1]
    assert image.startswith(MAGIC[system])
    if system == "linux":
        assert int.from_bytes(image[18:20], "little") == ELF_MACHINES[machine.architecture]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUSED)
def test_products_are_fused_in_vectors_and_nothing_is_called(name, dtype):
    machine = OTHER_MACHINES[name]
    text = products(machine, dtype)
    assembly = emit_assembly(text, machine)
    registers = {
        16: r"fmla\.?\w*\s+v\d+|fmla\s+v\d+",
        32: r"vfmadd\w+p[sd]\s.*ymm",
        64: r"vfmadd\w+p[sd]\s.*zmm",
    }
    assert re.search(registers[machine.vector_bytes], assembly)
    assert re.search(r"\b(call\w*|bl|blr)\s", assembly) is None
    assert called_by(text, machine) <= {"_fltused"}


def test_a_machine_without_fused_multiply_add_is_seen():
    """Its products become calls of the C library: that is what the other tests look for."""
    machine = OTHER_MACHINES["x86_64-windows-sse"]
    text = products(machine, "float32")
    assert "fmaf" in called_by(text, machine)
    assert re.search(r"\bcall\w*\s+fmaf", emit_assembly(text, machine))


@pytest.mark.parametrize(
    "machine",
    [
        OTHER_MACHINES["aarch64-linux"],
        OTHER_MACHINES["arm64-macos"],
        OTHER_MACHINES["x86_64-windows-avx2"],
        Machine("thumbv7em-none-eabihf", "cortex-m4", "", 4, 32),
        Machine("riscv32-unknown-none-elf", "generic-rv32", "+m,+f", 4, 32),
    ],
    ids=lambda machine: machine.triple,
)
def test_what_is_in_an_object_file(machine: Machine) -> None:
    """In files of 64 and of 32 bits: what it calls, and how large its parts are."""
    image = emit_object(
        """
        @table = constant [5 x i32] [i32 1, i32 2, i32 3, i32 4, i32 5]
        declare i32 @elsewhere(i32)
        define i32 @here(i32 %a) nounwind {
          %b = call i32 @elsewhere(i32 %a)
          %c = add i32 %b, 1
          ret i32 %c
        }
        """,
        machine,
    )
    assert undefined_symbols(image) == {"elsewhere"}
    sizes = section_sizes(image)
    assert any("text" in name and 0 < size < 64 for name, size in sizes.items())
    assert any(
        name.strip("_.").startswith(("rodata", "rdata", "const")) and size == 20
        for name, size in sizes.items()
    )
    for end in (10, 40, len(image) // 2):
        with pytest.raises(ValueError, match="image: expected"):
            section_sizes(image[:end])
