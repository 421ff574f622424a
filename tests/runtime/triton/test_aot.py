"""Kernels compile to machine code without a GPU, and the machine code can be read."""

import inspect
import re

import pytest

from runtime.triton.aot import TARGETS, compile_kernel, load_module
from runtime.triton.machine_code import global_accesses, is_wide, opcodes, resources, uses_matrix_units

SOURCE = '''
import triton
import triton.language as tl


@triton.jit
def scale(x, y, factor, n, BLOCK: tl.constexpr):
    """y = factor * x"""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + i, tl.load(x + i, mask=i < n) * factor, mask=i < n)


@triton.jit
def square(a, c, S: tl.constexpr):
    i = tl.arange(0, S)[:, None] * S + tl.arange(0, S)[None, :]
    x = tl.load(a + i)
    tl.store(c + i, tl.dot(x, x))
'''

SCALE = {"x": "*bf16", "y": "*fp32", "factor": "fp32", "n": "i32"}


def compile_scale(target="sm_80", **options):
    return compile_kernel(load_module(SOURCE).scale, SCALE, {"BLOCK": 1024}, target=target, **options)


def test_module_is_imported_once_from_a_readable_file():
    module = load_module(SOURCE)
    assert load_module(SOURCE) is module
    assert "y = factor * x" in inspect.getsource(module.scale.fn)


@pytest.mark.parametrize("target", [name for name, gpu in TARGETS.items() if gpu.backend == "cuda"])
def test_parameters_are_those_of_the_machine_code(target):
    kernel = compile_scale(target)
    assert kernel.parameters == (("x", "*bf16"), ("y", "*fp32"), ("factor", "fp32"), ("n", "i32"))
    entry = kernel.assembly[kernel.assembly.index(".entry scale") :]
    widths = re.findall(r"\.param \.([a-z]+\d+)", entry[: entry.index(")")])
    assert widths == ["u64", "u64", "f32", "u32", "u64", "u64"]
    assert (kernel.name, kernel.num_warps, kernel.global_scratch) == ("scale", 4, 0)


def test_machine_code_for_amd():
    fn = load_module(SOURCE).square
    kernel = compile_kernel(fn, {"a": "*fp16", "c": "*fp32"}, {"S": 64}, target="gfx942")
    assert kernel.binary.startswith(b"\x7fELF")
    assert resources(kernel).spill_bytes == 0
    assert uses_matrix_units(opcodes(kernel))
    codes = opcodes(compile_scale("gfx942", aligned={"x", "y", "n"}))
    assert any(is_wide(access) for access in global_accesses(codes))
    assert not uses_matrix_units(codes)


def test_aligned_pointers_give_wide_loads():
    def loads(aligned):
        return {code for code in global_accesses(opcodes(compile_scale(aligned=aligned))) if code.startswith("LDG")}

    assert all(map(is_wide, loads({"x", "y", "n"})))
    assert all("U16" in code for code in loads(set()))


def test_resources_and_tensor_cores():
    fn = load_module(SOURCE).square
    kernel = compile_kernel(fn, {"a": "*fp16", "c": "*fp32"}, {"S": 64}, target="sm_80")
    usage = resources(kernel)
    assert 0 < usage.registers <= 255
    assert usage.spill_bytes == 0
    assert uses_matrix_units(opcodes(kernel))
    assert not uses_matrix_units(opcodes(compile_scale()))


def test_unknown_target_names_the_known_ones():
    with pytest.raises(ValueError, match="sm_80, sm_90, sm_100, gfx942"):
        compile_scale("sm_42")
