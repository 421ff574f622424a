"""Steps on a GPU: their machine code, and the one device with the states that live on it."""

from __future__ import annotations

import functools

from compiler import pipeline
from compiler.imports import import_whole
from compiler.pipeline import Stages
from runtime.devices.cuda import CudaDevice, KernelImage
from runtime.devices.cuda_executor import CudaExecutor, StateStore


@functools.cache
def gpu() -> tuple[CudaDevice, StateStore]:
    """The first GPU, and where the states of all programs stand on it. Raises DeviceError where there is no driver."""
    device = CudaDevice()
    return device, StateStore(device)


def gpu_executor(stages: Stages, budget: float | None = None) -> CudaExecutor:
    """Lower the latest graph of ``stages``, within ``budget`` bytes of temporaries, and compile it for this GPU.

    Raises DeviceError where the driver is too old for the machine code that Triton makes.
    """
    device, store = gpu()
    step = pipeline.compile_triton(stages, device.target(), budget)
    aot = import_whole("compiler.codegen.triton.aot")  # needs triton
    device.check_version(aot.ptxas_version())
    compiled = import_whole("compiler.codegen.triton.parallel").compile_program(step)
    images = [
        KernelImage(k.name, k.binary, tuple(kind for _, kind in k.parameters), k.num_warps, k.shared, k.global_scratch)
        for k in compiled
    ]
    return CudaExecutor(step, images, store, device)
