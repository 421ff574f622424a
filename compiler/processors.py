"""Facts about processors: their peaks, and the room that kernels have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.plan import Launch


@dataclass(frozen=True)
class Processor:
    """The peaks of a processor.

    Attributes:
        name: what it is called.
        target: what code is generated for: "c", "sm_80", ...
        products: operations a second in matrix products, by the type of their operands: "f32", "bf16", ...
        plain: operations a second outside of products, in f32.
        bandwidth: bytes a second to and from memory.
        memory: bytes of memory.
        launch: seconds that a kernel takes at least.
    """

    name: str
    target: str
    products: Mapping[str, float]
    plain: float
    bandwidth: float
    memory: float
    launch: float = 1.5e-6

    def seconds(self, launch: Launch) -> tuple[float, str]:
        """How long ``launch`` takes at least, and what it waits for: "compute", "memory" or "launch"."""
        rate = self.products.get(launch.compute, self.plain) if launch.compute else self.plain
        limits = (launch.flops / rate, "compute"), (launch.nbytes / self.bandwidth, "memory"), (self.launch, "launch")
        return max(limits)


def _gpu(name: str, target: str, half: float, plain: float, bandwidth: float, memory: float) -> Processor:
    """A GPU of ``half`` TFLOP/s in 16-bit products and ``plain`` elsewhere, GB/s and GB."""
    products = {"bf16": half * 1e12, "f16": half * 1e12, "f32": plain * 1e12}
    return Processor(name, target, products, plain * 1e12, bandwidth * 1e9, memory * 1e9)


PROCESSORS = {
    "a100": _gpu("NVIDIA A100 SXM 80 GB", "sm_80", 312, 19.5, 2039, 80),
    "h100": _gpu("NVIDIA H100 SXM", "sm_90", 989, 67, 3350, 80),
    "h200": _gpu("NVIDIA H200", "sm_90", 989, 67, 4800, 141),
    "b200": _gpu("NVIDIA B200", "sm_100", 2250, 75, 7700, 180),
    "mi300x": _gpu("AMD MI300X", "gfx942", 1307, 163, 5300, 192),
}
"""Dense peaks, from the makers' data sheets. Products in f32 run without TF32."""


def product_rates() -> Mapping[str, float]:
    """For each type of factors, the operations of a product that take as long as a byte to be moved.

    On the GPU whose products are slowest beside its memory.
    """
    gpus = PROCESSORS.values()
    return {kind: min(gpu.products[kind] / gpu.bandwidth for gpu in gpus) for kind in ("bf16", "f16", "f32")}


@dataclass(frozen=True)
class Gpu:
    """Multiprocessors of the GPU a target is tuned for, and the shared memory in bytes that one program may take.

    ``cache`` is the size in bytes of the cache that all of them share. A warp has ``lanes`` threads.

    sm_80 code also runs on compute capability 8.6 and 8.9, so its limit is theirs.
    """

    processors: int
    shared: int
    cache: int
    lanes: int = 32


GPUS = {
    "sm_80": Gpu(108, 99 * 1024, 40 * 1024**2),
    "sm_90": Gpu(132, 227 * 1024, 50 * 1024**2),
    "sm_100": Gpu(148, 227 * 1024, 126 * 1024**2),
    "gfx942": Gpu(304, 64 * 1024, 256 * 1024**2, lanes=64),
}
