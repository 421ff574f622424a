"""Steps on a GPU: Triton text, compiled here to machine code, launched through the driver."""

from __future__ import annotations

import functools

from compiler import pipeline
from compiler.codegen.triton.aot import compile_program
from compiler.pipeline import Stages
from runtime.devices.cuda import CudaDevice, KernelImage
from runtime.devices.cuda_executor import CudaExecutor, StateStore


@functools.cache
def gpu() -> tuple[CudaDevice, StateStore]:
    """The first GPU and what its programs share. Raises DeviceError where there is none."""
    device = CudaDevice()
    return device, StateStore(device)


def cuda_executor(stages: Stages) -> CudaExecutor:
    """The latest graph of ``stages``, lowered, compiled for the GPU and ready to be bound to its states."""
    device, store = gpu()
    program = pipeline.compile_triton(stages, device.target())
    images = [
        KernelImage(k.name, k.cubin, tuple(kind for _, kind in k.parameters), k.num_warps, k.shared, k.global_scratch)
        for k in compile_program(program)
    ]
    return CudaExecutor(program, images, store, device)
