"""What the machine code of a kernel says about its speed: registers, spills, instructions."""

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass

import triton

TENSOR_CORES = ("HMMA", "IMMA", "HGMMA", "UTCHMMA")


@dataclass(frozen=True)
class Resources:
    """`registers` per thread, `spill_bytes` of stack per thread, `shared` bytes known at compile time."""

    registers: int
    spill_bytes: int
    shared: int


def resources(cubin: bytes) -> Resources:
    """The resource usage which ptxas recorded in a cubin of one kernel."""
    report = _inspect(triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", cubin)
    usage = re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)", report)
    if usage is None:
        raise ValueError(f"cuobjdump reports no resource usage:\n{report}")
    return Resources(*map(int, usage.groups()))


def opcodes(cubin: bytes) -> Counter[str]:
    """How often each instruction stands in the code, modifiers included: `LDG.E.128`, `HMMA.16816.F32.BF16`."""
    listing = _inspect(triton.knobs.nvidia.nvdisasm.path, "-c", cubin)
    return Counter(re.findall(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", listing, re.MULTILINE))


def has_tensor_cores(codes: Counter[str]) -> bool:
    """Whether any instruction runs on the tensor cores."""
    return any(code.split(".")[0] in TENSOR_CORES for code in codes)


def _inspect(tool: str, option: str, cubin: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([tool, option, file.name], capture_output=True, text=True, check=True).stdout
