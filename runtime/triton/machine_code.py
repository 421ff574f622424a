"""Reads from the machine code of a kernel how fast it can be: registers, spills, instructions."""

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass

import triton

from runtime.triton.aot import TARGETS, CompiledKernel

MATRIX_UNITS = ("HMMA", "IMMA", "HGMMA", "UTCHMMA", "v_mfma")
"""How the instructions begin that run on NVIDIA's tensor cores and on AMD's matrix cores."""


@dataclass(frozen=True)
class Resources:
    """`registers` per thread, `spill_bytes` of stack per thread, `shared` bytes known at compile time."""

    registers: int
    spill_bytes: int
    shared: int


def resources(kernel: CompiledKernel) -> Resources:
    """The resource usage that the assembler recorded."""
    if TARGETS[kernel.target].backend == "hip":
        fields = ("vgpr_count", "private_segment_fixed_size", "group_segment_fixed_size")
        found = [re.search(rf"\.{field}: *(\d+)", kernel.assembly) for field in fields]
        report = kernel.assembly
    else:
        report = _inspect(triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", kernel.binary)
        found = [re.search(rf"\b{field}:(\d+)", report) for field in ("REG", "STACK", "SHARED")]
    numbers = [int(match.group(1)) for match in found if match is not None]
    if len(numbers) < len(found):
        raise ValueError(f"the machine code of {kernel.name} records no resource usage:\n{report}")
    return Resources(*numbers)


def opcodes(kernel: CompiledKernel) -> Counter[str]:
    """How often each instruction stands in the code, modifiers included: `LDG.E.128`, `global_load_dwordx4`."""
    if TARGETS[kernel.target].backend == "hip":
        return Counter(re.findall(r"^\t([a-z]\w+)", kernel.assembly, re.MULTILINE))
    listing = _inspect(triton.knobs.nvidia.nvdisasm.path, "-c", kernel.binary)
    return Counter(re.findall(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", listing, re.MULTILINE))


def uses_matrix_units(codes: Counter[str]) -> bool:
    """Whether any instruction runs on the tensor or matrix cores."""
    return any(code.startswith(MATRIX_UNITS) for code in codes)


def global_accesses(codes: Counter[str]) -> set[str]:
    """The instructions that read or write global memory."""
    return {code for code in codes if re.match(r"LDG|STG|(global|buffer)_(load|store)", code)}


def is_wide(access: str) -> bool:
    """Whether an instruction of :func:`global_accesses` moves 128 bits at a time."""
    return "128" in access or "dwordx4" in access


def _inspect(tool: str, option: str, cubin: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([tool, option, file.name], capture_output=True, text=True, check=True).stdout
