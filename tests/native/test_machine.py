"""What is known about processors, and why native code does not run on some."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nabi.native import OTHER_MACHINES, NativeError, host
from nabi.native._code import _machine
from nabi.native._code._machine import is_supported, why_not

LINUX = "x86_64-unknown-linux-gnu"
AVX2 = "+64bit,+avx,+avx2,+fma"
AVX512 = f"{AVX2},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NABI_CPU", "NABI_CPU_FEATURES", "NABI_NATIVE"):
        monkeypatch.delenv(name, raising=False)


def on_x86(own_cpu="znver4", own_features=AVX512, cpu="", features=""):
    return _machine._x86(LINUX, own_cpu, own_features, cpu, features)


@pytest.mark.parametrize(
    ("name", "lanes", "registers"),
    [
        ("aarch64-linux", (4, 2), 32),
        ("arm64-macos", (4, 2), 32),
        ("x86_64-linux-avx512", (16, 8), 32),
        ("x86_64-linux-avx2", (8, 4), 16),
        ("x86_64-windows-avx2", (8, 4), 16),
        ("x86_64-windows-sse", (4, 2), 16),
    ],
)
def test_lanes_and_registers(name, lanes, registers):
    machine = OTHER_MACHINES[name]
    assert (machine.lanes("float32"), machine.lanes("float64")) == lanes
    assert machine.registers == registers
    assert machine.architecture == name.partition("-")[0].replace("arm64", "aarch64")


@pytest.mark.skipif(
    not Path("/proc/cpuinfo").exists() or not host().triple.startswith("x86_64"),
    reason="the flags of an x86-64 processor are read from /proc",
)
def test_the_vectors_are_those_that_the_kernel_reports():
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    expected = 64 if "avx512f" in flags.split() else 32
    assert host().vector_bytes == expected


def test_the_host_is_found_once():
    assert host() is host()
    assert is_supported()


@pytest.mark.parametrize("value", ["0", "off", "No", " false "])
def test_native_code_can_be_turned_off(monkeypatch, value):
    monkeypatch.setenv("NABI_NATIVE", value)
    assert why_not() == "NABI_NATIVE turns it off"
    assert not is_supported()
    monkeypatch.setenv("NABI_NATIVE", "1")
    assert is_supported()


@pytest.mark.skipif(host().vector_bytes != 64, reason="the processor has no AVX-512 to be turned off")
def test_the_environment_lowers_the_vectors(monkeypatch):
    monkeypatch.setenv("NABI_CPU", "haswell")
    assert (host().cpu, host().vector_bytes) == ("haswell", 32)
    monkeypatch.delenv("NABI_CPU")
    monkeypatch.setenv("NABI_CPU_FEATURES", "-avx512f")
    assert host().vector_bytes == 32


@pytest.mark.parametrize("features", ["avx2", "+avx2,", "+avx2 +fma", "+"])
def test_features_that_make_no_sense(monkeypatch, features):
    # LLVM would end the process.
    monkeypatch.setenv("NABI_CPU_FEATURES", features)
    assert "NABI_CPU_FEATURES: expected a list" in why_not()
    with pytest.raises(NativeError, match="NABI_CPU_FEATURES"):
        host()


def test_a_cpu_that_llvm_does_not_know(monkeypatch):
    assert "NABI_CPU=pentagon is not known; known are" in on_x86(cpu="pentagon")


def test_features_that_the_name_contradicts_are_not_used():
    machine = on_x86("alderlake")
    assert machine.vector_bytes == 32
    assert "+avx512" not in machine.features
    assert "-avx512f" in machine.features
    assert "reports AVX2" in on_x86("nocona")


def test_a_name_that_says_nothing_contradicts_nothing():
    for cpu in ("generic", "x86-64", "", "a-processor-of-the-future"):
        assert on_x86(cpu).vector_bytes == 64
        assert on_x86(cpu, AVX2).vector_bytes == 32


def test_a_masked_feature_is_not_used():
    machine = on_x86("znver4", AVX2 + ",-avx512f")
    assert (machine.vector_bytes, machine.registers) == (32, 16)


def test_without_fused_multiply_add_there_is_no_native_code():
    assert "no AVX2 with fused multiply-add" in on_x86("ivybridge", "+64bit,+avx")
    assert "no AVX2 with fused multiply-add" in on_x86("generic", "+64bit,+avx,+avx2")
    assert "no AVX2 with fused multiply-add" in on_x86(features="-fma")


def test_what_the_processor_lacks_cannot_be_asked_for():
    assert "has no avx512" in on_x86("haswell", AVX2, cpu="skylake-avx512")
    assert "has no avx512f" in on_x86("haswell", AVX2, features="+avx512f")
    assert on_x86("nocona", AVX2, cpu="x86-64-v3").vector_bytes == 32


PROBE = """
import json, sys
from llvmlite import binding
from nabi.native._code import _machine
binding.initialize_all_targets(); binding.initialize_all_asmprinters()
TEXT = '''
define void @f(ptr %p) nounwind {
  %a = load <16 x float>, ptr %p, align 4
  %b = fadd <16 x float> %a, %a
  %r = call <16 x float> @llvm.fma.v16f32(<16 x float> %a, <16 x float> %b, <16 x float> %a)
  store <16 x float> %r, ptr %p, align 4
  ret void
}
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
'''
found = {}
for names in (_machine._NARROW, _machine._AVX2, _machine._AVX512):
    for cpu in sorted(names):
        target = binding.Target.from_triple("x86_64-unknown-linux-gnu").create_target_machine(
            cpu=cpu, features="+64bit", opt=0)
        text = target.emit_assembly(binding.parse_assembly(TEXT))
        fused = "vfmadd" in text
        found[cpu] = 2 if fused and "zmm" in text else 1 if fused and "ymm" in text else 0
print(json.dumps(found))
"""


def test_names_are_known_to_llvm_and_what_they_have_is_right():
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert "not a recognized processor" not in run.stderr
    found = json.loads(run.stdout)
    # These three fuse vectors of eight floats, in instructions of AMD's own (FMA4), but lack AVX2.
    expected = {cpu: _machine._level(cpu) for cpu in found} | dict.fromkeys(("bdver1", "bdver2", "bdver3"), 1)
    assert found == expected


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        ("sys.modules['llvmlite'] = None", "llvmlite is not installed"),
        (
            "import llvmlite; llvmlite.__version__ = '0.44.1'",
            "llvmlite 0.44.1 is too old, 0.45 or newer is required",
        ),
        (
            "from llvmlite import binding; binding.get_process_triple = lambda: 'riscv64-unknown-linux-gnu'",
            "the processor (riscv64) is neither x86_64 nor aarch64",
        ),
    ],
)
def test_what_else_is_against_native_code(prepare, reason):
    script = f"import sys; {prepare}\nfrom nabi.native._code._machine import why_not\nprint(why_not())"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == reason


def test_import_nabi_loads_no_llvmlite():
    script = "import sys, nabi, nabi.targets.llvm, nabi.cli; print('llvmlite' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
