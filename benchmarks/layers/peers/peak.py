"""The machine's peak multiply-add rate: independent chains in registers, on all threads."""

import ctypes
import os
import threading
from typing import Any

import numpy as np
from llvmlite import binding, ir

from benchmarks.layers.points import PEAK_OPERATIONS, Task
from benchmarks.layers.work import Work

__all__ = ["make"]

# A multiplication and an addition in each lane. Twelve chains hide the latency of two units of four to five
# cycles each, and fit into sixteen registers with two constants.
CHAINS = 12

FLOAT, LONG = ir.FloatType(), ir.IntType(64)


def make(name: str, task: Task, threads: int) -> Work:
    kernel, keep = compiled(lanes())
    turns = PEAK_OPERATIONS // (2 * CHAINS * lanes())

    def run() -> None:
        # Calls through ctypes release the GIL.
        others = [threading.Thread(target=kernel, args=(turns,)) for _ in range(threads - 1)]
        for other in others:
            other.start()
        kernel(turns)
        for other in others:
            other.join()

    def results() -> dict[str, Any]:
        # Each lane of a chain converges to 1 by x/2 + 1/2.
        return {"sum": np.float32(kernel(turns)), "keep": np.float32(keep is not None)}

    return Work(run, results, note=f"{lanes()} lanes, {CHAINS} chains")


def processor() -> tuple[str, str]:
    """Return the processor and its features to write code for: the machine's, or where a cap ends."""
    if capped := os.environ.get("NABI_CPU"):
        return capped, ""
    return binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def lanes() -> int:
    """Return the width of the vectors in 32-bit numbers: the machine's, or eight under a cap."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f") and "NABI_CPU" not in os.environ:
        return 16
    return 8 if features.get("avx2") else 4


def compiled(width: int) -> tuple[Any, Any]:
    """Return the kernel as a Python function of the number of turns, and the objects it needs kept alive."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    name, features = processor()
    machine = binding.Target.from_default_triple().create_target_machine(cpu=name, features=features, opt=3)
    module = binding.parse_assembly(str(source(width)))
    module.verify()
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    address = engine.get_function_address("chains")
    return ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64)(address), engine


def source(width: int) -> ir.Module:
    """Write the kernel: each of `turns` iterations maps every chain x to x/2 + 1/2."""
    vector = ir.VectorType(FLOAT, width)
    module = ir.Module("peak")
    module.triple = binding.get_default_triple()
    function = ir.Function(module, ir.FunctionType(FLOAT, [LONG]), "chains")
    fma = ir.Function(module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{width}f32")
    entry, loop, end = (function.append_basic_block(name) for name in ("entry", "loop", "end"))
    ir.IRBuilder(entry).branch(loop)
    builder = ir.IRBuilder(loop)
    turn = builder.phi(LONG)
    turn.add_incoming(LONG(0), entry)
    half = ir.Constant(vector, [0.5] * width)
    results = []
    for number in range(CHAINS):
        chain = builder.phi(vector)
        chain.add_incoming(ir.Constant(vector, [float(number)] * width), entry)
        results.append(chain)
    for number, chain in enumerate(results):
        results[number] = builder.call(fma, [chain, half, half])
        chain.add_incoming(results[number], loop)
    following = builder.add(turn, LONG(1))
    turn.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, function.args[0]), loop, end)
    builder = ir.IRBuilder(end)
    # The sum is returned so that no chain is optimized away.
    total = results[0]
    for chain in results[1:]:
        total = builder.fadd(total, chain)
    builder.ret(builder.extract_element(total, LONG(0)))
    return module
