"""`nabi show CELL --as llvm|asm`: a cell's native code, for this machine and for others."""

import platform
import re
import subprocess
import sys

import pytest

from nabi import cells
from nabi.native import host
from nabi.native._code._compiler import emit_object
from nabi.targets.llvm import OTHER_MACHINES, listing
from tests.cells.sampling import cells_of_today

from ..native.machines import needs_native

FUSED = {
    "aarch64-linux": r"fmla\s+v\d+\.4s",
    "arm64-macos": r"fmla\.4s\s+v\d+",
    "x86_64-linux-avx512": r"vfmadd\w+ps\s.*%zmm",
    "x86_64-linux-avx2": r"vfmadd\w+ps\s.*%ymm",
    "x86_64-windows-avx2": r"vfmadd\w+ps\s.*%ymm",
}


def head(text: str) -> list[str]:
    """The comments at the top, without their signs."""
    return [re.sub(r"^(;|#|//) ?", "", line) for line in text.partition("\n\n")[0].splitlines()]


@needs_native
@pytest.mark.parametrize("form", ["llvm", "asm"])
def test_this_machine_is_the_default(nabi, form):
    outcome = nabi("show", "lstm", "--as", form)
    assert outcome.status == 0
    assert outcome.err == ""
    lines = head(outcome.out)
    assert lines[0] == "LSTM, input of width 3: the forward kernel in float32"
    assert "  c_t = f_t ∘ c_{t-1} + i_t ∘ g_t" in lines
    assert "states    h 5, c 5" in lines
    assert f"machine   {host().triple}, {host().cpu}" in lines
    assert any(
        re.fullmatch(r"pass      5 units, 4 sums of products, tile of \d × \d vectors", x) for x in lines
    )


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("machine", sorted(FUSED))
def test_the_assembly_is_that_of_the_machine(nabi, machine, direction):
    arguments = ["--machine", machine, "--direction", direction, "--units", 32]
    outcome = nabi("show", "gru", "--as", "asm", *arguments)
    assert outcome.status == 0
    assert f"the {direction} kernel" in head(outcome.out)[0]
    assert f"machine   {OTHER_MACHINES[machine].triple}, {OTHER_MACHINES[machine].cpu}" in head(outcome.out)
    assert re.search(rf"^_?{direction}:", outcome.out, re.MULTILINE)
    assert re.search(FUSED[machine], outcome.out)


# What these read beside the input is left to torch.
WITHOUT_NATIVE_CODE = {"ltc", "mc-lstm"}


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("cell", cells_of_today())
def test_every_cell_is_a_module_that_llvm_reads(nabi, cell, direction):
    from llvmlite import binding

    machine = ["--machine", "x86_64-linux-avx2"]
    outcome = nabi("show", cell, "--as", "llvm", "--direction", direction, *machine)
    if cell in WITHOUT_NATIVE_CODE:
        assert (outcome.status, outcome.out) == (2, "")
        assert outcome.err.startswith("nabi: There is no native code for ")
        return
    assert outcome.status == 0
    module = binding.parse_assembly(outcome.out)
    module.verify()
    assert module.triple == "x86_64-unknown-linux-gnu"
    assert not module.get_function(direction).is_declaration


def test_the_comments_do_not_spoil_the_code():
    machine = OTHER_MACHINES["aarch64-linux"]
    program = cells.LSTM(units=8).program(input_size=3)
    text = listing(program, "llvm", direction="backward", machine="aarch64-linux")
    assert emit_object(text, machine).startswith(b"\x7fELF")


def test_the_number_type(nabi):
    arguments = ["show", "simple-rnn", "--as", "llvm", "--machine", "x86_64-linux-avx2"]
    assert "<8 x float>" in (single := nabi(*arguments).out)
    assert "double" not in single
    assert "<4 x double>" in nabi(*arguments, "--dtype", "float64").out


def test_sizes_and_settings_reach_the_code(nabi):
    outcome = nabi(
        "show", "peephole-lstm", "--as", "llvm", "--machine", "x86_64-linux-avx512",
        "--units", 20, "--inputs", 7, "--set", "full=true",
    )  # fmt: skip
    lines = head(outcome.out)
    assert lines[0].startswith("PeepholeLSTM, input of width 7:")
    assert "states    h 20, c 20" in lines
    assert any("W_ci c_{t-1}" in line for line in lines)


def test_code_into_a_file(nabi, tmp_path):
    path = tmp_path / "lstm.s"
    outcome = nabi("show", "lstm", "--as", "asm", "--machine", "arm64-macos", "--out", path)
    assert outcome.out == f"Written to {path}\n"
    assert path.read_text(encoding="utf-8").startswith("// LSTM,")


def test_a_cell_of_the_users_own(nabi, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from nabi.cells import Cell\n"
        "from nabi.ir.functions import tanh\n"
        "class Leaky(Cell):\n"
        "    states = ('h',)\n"
        "    def step(self, x, h):\n"
        "        return 0.9 * h + 0.1 * tanh(self.affine('h', x, h))\n"
    )
    outcome = nabi("show", f"{file}:Leaky", "--as", "asm", "--machine", "x86_64-linux-avx2")
    assert outcome.status == 0
    assert outcome.out.startswith("# Leaky, input of width 3:")


def test_a_machine_that_is_not_known(nabi):
    outcome = nabi("show", "lstm", "--as", "asm", "--machine", "aarch64-linus")
    assert outcome.status == 2
    assert outcome.out == ""
    assert "--machine" in outcome.err
    assert "did you mean 'aarch64-linux'?" in outcome.err


def test_the_help_names_every_machine(nabi, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    text = nabi("show", "--help").out
    assert [name for name in OTHER_MACHINES if name not in text] == []


@pytest.mark.skipif(
    platform.machine().lower() not in {"x86_64", "amd64"},
    reason="names of processors are looked up on x86-64 only",
)
def test_a_processor_without_native_code(nabi, monkeypatch):
    monkeypatch.setenv("NABI_CPU", "no-such-processor")
    outcome = nabi("show", "lstm", "--as", "asm")
    assert outcome.status == 2
    assert outcome.out == ""
    assert "Native code is unavailable: NABI_CPU=no-such-processor is not known" in outcome.err


@pytest.mark.parametrize("machine", [[], ["--machine", "aarch64-linux"]])
def test_without_llvmlite_one_line_says_so(machine):
    """In a process of its own, where importing llvmlite fails from the start."""
    script = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'llvmlite' else find(name, *rest)\n"
        "sys.modules['llvmlite'] = None\n"
        "from nabi.cli import main\n"
        f"main(['show', 'lstm', '--as', 'llvm', *{machine!r}])\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith(("nabi: Native code is unavailable: ", "nabi: There is no code to show: "))
    assert "llvmlite" in run.stderr
    assert run.stderr.count("\n") == 1


def test_help_and_equations_load_no_llvmlite():
    script = (
        "import sys\n"
        "from nabi.cli import main\n"
        "for arguments in (['--help'], ['show', '--help'], ['show', 'lstm']):\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit:\n"
        "        pass\n"
        "print('loaded', 'llvmlite' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "loaded False"
