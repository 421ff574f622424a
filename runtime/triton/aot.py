"""Compiles Triton source text to machine code ahead of time: no GPU, no driver, no launch."""

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from compiler.plan import Plan

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
"""NVIDIA A100, H100 and B200, AMD MI300: what Triton calls each of them, with the threads of a warp."""

_FORMS = {"cuda": ("cubin", "ptx"), "hip": ("hsaco", "amdgcn")}
"""Triton's names of the machine code and of the assembly text, by backend."""


@dataclass(frozen=True)
class CompiledKernel:
    """One kernel as machine code, and all that a launch must know about it.

    `parameters` are the arguments in the order in which the driver takes them, as (name, Triton type) pairs: "*bf16" or
    another pointer is eight bytes, "i32", "fp32" and so on a value of that width. Constexpr arguments are absent; after
    the last one the machine code takes two more pointers, global scratch and profile scratch. `shared` is the dynamic
    shared memory in bytes, `global_scratch` the scratch bytes per program. `binary` is a cubin for NVIDIA and an hsaco
    for AMD, `assembly` the PTX or the AMD GCN text that it was made from.
    """

    name: str
    target: str
    binary: bytes
    assembly: str
    num_warps: int
    shared: int
    global_scratch: int
    parameters: tuple[tuple[str, str], ...]


def ptxas_version() -> str:
    """The CUDA version of the assembler that Triton brings or is told to use: "12.9"."""
    return str(triton.knobs.nvidia.ptxas.version)


def load_module(source: str) -> ModuleType:
    """The module written in `source`, imported from a file named after its contents beside Triton's own cache.

    Triton reads a kernel back from its file, so text alone would not do.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()[:32]
    name = f"genesis_triton_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    path = Path(triton.knobs.cache.dir) / "genesis" / f"{digest}.py"
    if not path.exists() or path.read_text() != source:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            file.write(source)
        os.replace(file.name, path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module


def compile_kernel(
    fn: JITFunction,
    signature: Mapping[str, str],
    constexprs: Mapping[str, object] | None = None,
    *,
    target: str,
    num_warps: int = 4,
    num_stages: int = 3,
    aligned: Collection[str] | None = None,
) -> CompiledKernel:
    """Compiles the `@triton.jit` function `fn` for `target`, one of `TARGETS`.

    `signature` gives the Triton type of each run-time argument ("*bf16", "i32", "fp32"), `constexprs` the value of each
    other one. `aligned` names the pointers that are multiples of 16 bytes and the integers that are multiples of 16; by
    default every pointer is. Without that promise Triton loads one element at a time.
    """
    if target not in TARGETS:
        raise ValueError(f"unknown GPU target {target!r}; the targets are {', '.join(TARGETS)}")
    if not isinstance(fn, JITFunction):
        raise TypeError(f"cannot compile {fn!r}: unset TRITON_INTERPRET, under which kernels are never compiled")
    constexprs = constexprs or {}
    if aligned is None:
        aligned = [name for name, kind in signature.items() if kind.startswith("*")]
    order = fn.arg_names
    source = ASTSource(
        fn,
        {name: "constexpr" if name in constexprs else signature[name] for name in order},
        constexprs=dict(constexprs),
        attrs={(order.index(name),): [["tt.divisibility", 16]] for name in aligned},
    )
    options = {
        "num_warps": num_warps,
        "num_stages": num_stages,
        "enable_fp_fusion": True,  # said aloud because the default differs between Triton versions
    }
    gpu = TARGETS[target]
    if gpu.backend == "cuda":
        options["enable_reflect_ftz"] = False  # subnormal numbers are numbers; AMD's backend flushes none by default
    kernel = triton.compile(source, target=gpu, options=options)
    metadata = kernel.metadata
    binary, assembly = (kernel.asm[form] for form in _FORMS[gpu.backend])
    return CompiledKernel(
        name=metadata.name,
        target=target,
        binary=binary,
        assembly=assembly,
        num_warps=metadata.num_warps,
        shared=metadata.shared,
        global_scratch=metadata.global_scratch_size,
        parameters=tuple((name, signature[name]) for name in order if name not in constexprs),
    )


def compile_numbered(program: Plan, number: int) -> CompiledKernel:
    """The machine code of kernel ``number`` of a step."""
    kernel = program.kernels[number]
    return compile_kernel(
        getattr(load_module(program.source), kernel.name),
        dict(kernel.parameters),
        target=program.target,
        num_warps=kernel.warps,
        num_stages=kernel.stages,
        aligned=kernel.aligned,
    )
