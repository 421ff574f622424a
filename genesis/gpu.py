"""Steps on a GPU: their machine code, and the one device with the states that live on it."""

from __future__ import annotations

import functools
import json
import os
from base64 import b64decode, b64encode
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from compiler.errors import DeviceError
from compiler.imports import import_whole
from compiler.pipeline import release
from compiler.plan import Plan
from runtime.cache import cached_bytes
from runtime.devices.cuda import CudaDevice, KernelImage
from runtime.devices.cuda_executor import CudaExecutor, StateStore


@functools.cache
def gpu() -> tuple[CudaDevice, StateStore]:
    """The first GPU, and where the states of all programs stand on it. Raises DeviceError where there is no driver."""
    device = CudaDevice()
    return device, StateStore(device)


def gpu_executor(plan: Plan) -> CudaExecutor:
    """Compile the kernels of ``plan`` for this GPU, or find their machine code in the cache.

    Raises DeviceError where the driver is too old for the machine code that Triton makes.
    """
    device, store = gpu()
    assembler = os.environ.get("TRITON_PTXAS_PATH", "")
    spec = find_spec("runtime.triton.aot")
    assert spec is not None and spec.origin is not None
    options = Path(spec.origin).read_text()  # which say how Triton is called
    key = ("machine code", options, plan.target, release("triton"), assembler, plan.source, repr(plan.kernels))
    data = json.loads(cached_bytes(key, lambda: _machine_code(plan, device)))
    device.check_version(data["ptxas"])
    images = [
        KernelImage(**{**image, "cubin": b64decode(image["cubin"]), "parameters": tuple(image["parameters"])})
        for image in data["images"]
    ]
    return CudaExecutor(plan, images, store, device)


def _machine_code(plan: Plan, device: CudaDevice) -> bytes:
    """The kernels of ``plan`` as machine code, and the version of the assembler, as JSON."""
    aot = import_whole("runtime.triton.aot")  # needs triton
    device.check_version(aot.ptxas_version())
    try:
        compiled = import_whole("runtime.triton.parallel").compile_program(plan)
    except Exception as error:  # Triton's, its assembler's, or that of a file that a user edited
        problem = f"{type(error).__name__}: {error}"
        raise DeviceError(f"Triton does not compile the kernels of the step for {plan.target}: {problem}") from error
    images = [
        asdict(
            KernelImage(
                k.name, k.binary, tuple(kind for _, kind in k.parameters), k.num_warps, k.shared, k.global_scratch
            )
        )
        for k in compiled
    ]
    for image in images:
        image["cubin"] = b64encode(image["cubin"]).decode()
    return json.dumps({"ptxas": aot.ptxas_version(), "images": images}).encode()
